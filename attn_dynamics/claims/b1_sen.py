"""SEN relation along flow, the other words held, as in an infinite dictionary (theory B1)."""

from attn_dynamics.claims._support.sen import (
    ALONG_FLOW,
    FLOW_TOLERANCE,
    OF_FLOW,
    SMOOTH,
    Relation,
    along_flow,
    among_one_more,
    farthest_from,
    without_its_half,
)
from attn_dynamics.claims.claim import Measured, claims, control, largest
from attn_dynamics.theory.sen import sen_norm


@claims(
    "B1",
    control("m + 1 other words", relation=among_one_more),
    control("‖q‖² for ‖q‖²/2", relation=without_its_half),
    control("other words are trained too", hold=False),
    statement=r"s + e^s/m - (s_0 + e^{s_0}/m) = \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2)",
    source="LMN21",
    assumptions="query fixed; a smooth head; the topic word stands once in each of its sentences, among m words whose "
    "scores and embeddings stay 0",
    quantity="largest relative distance of ‖ν‖ from the relation, over words, times, heads and m",
    tolerance=FLOW_TOLERANCE,
)
def relation_along_flow(*, quick: bool, relation: Relation = sen_norm, hold: bool = True) -> Measured:
    """Measure gradient flow from starts that differ from zero."""
    runs = [along_flow(model, m, hold=hold) for model in SMOOTH for m in ((1, 3) if quick else (1, 2, 3, 7, 20))]
    return Measured(largest(farthest_from(run, relation) for run in runs), ALONG_FLOW, within=OF_FLOW)
