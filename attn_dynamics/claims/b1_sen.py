"""SEN relation along flow; the other words are frozen at 0, as if the dictionary were infinite (theory B1)."""

from attn_dynamics.claims._support.sen import (
    ALL_TRAINED,
    ALONG_FLOW,
    FLOW_TOLERANCE,
    OF_FLOW,
    ONE_MORE,
    SMOOTH,
    WITHOUT_HALF,
    Relation,
    along_flow,
    farthest_from,
)
from attn_dynamics.claims.claim import Measured, claims, largest
from attn_dynamics.theory.sen import sen_norm


@claims(
    "B1",
    ONE_MORE,
    WITHOUT_HALF,
    ALL_TRAINED,
    name="SEN relation",
    foundations=("M1",),
    statement=r"s + e^s/m - (s_0 + e^{s_0}/m) = \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2)",
    source="LMN21",
    assumptions="the query is fixed, under a smooth head. The topic word stands once in each of its sentences, among m "
    "words whose scores and embeddings stay 0",
    quantity="largest relative distance of ‖ν‖ from the SEN relation, over topic words, times, heads and m",
    tolerance=FLOW_TOLERANCE,
)
def relation_along_flow(*, quick: bool, relation: Relation = sen_norm, hold: bool = True) -> Measured:
    """Measure gradient flow from keys and embeddings other than zero."""
    runs = [along_flow(model, m, hold=hold) for model in SMOOTH for m in ((1, 3) if quick else (1, 2, 3, 7, 20))]
    return Measured(largest(farthest_from(run, relation) for run in runs), ALONG_FLOW, within=OF_FLOW)
