"""Balance between neighbouring layers, for any data and start (theory A2 to A4)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from attn_dynamics.claims._support.distances import EPS, RTOL
from attn_dynamics.claims._support.drawn import corpora, start, where
from attn_dynamics.claims._support.ends import AWAY, descended, flowed
from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.gradient import loss_and_gradient
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.invariants import invariants

RATES = tuple(0.02 / 2.0**halved for halved in range(4))
"""Learning rates η of descent; every run ends at the same time, so that the drifts can be compared."""
Law = Callable[[Parameters], Mapping[str, Array]]
"""Function that returns the conserved quantities of some parameters, by name."""


def law(*names: str) -> Law:
    """Return the law that consists of the conserved quantities with these names."""
    return lambda parameters: {name: invariants(parameters, TRAINABLE)[name] for name in names}


@claims(
    "A2",
    control("a sum for the difference", law=lambda p: {"": np.outer(p.query, p.query) + p.keys.T @ p.keys}),
    control("KᵀK twice", law=lambda p: {"": np.outer(p.query, p.query) - 2.0 * p.keys.T @ p.keys}),
    control("the query is fixed", train=TRAINABLE[1:]),
    name="query, keys balanced",
    foundations=("M1",),
    statement=r"q q^T - K^T K = \mathrm{const}",
    source="balancedness",
    assumptions="query and keys are trained. Under flow, Attn-TL starts from |b₁| ≥ 8, so that no relu switches",
    quantity=(
        QUANTITY
        := "rate: change of the law per time along the velocity at random states, relative to its terms. Drift: "
        "relative change of the law under flow. Order: |order - 1|, where the change under descent goes like η^order"
    ),
    tolerance=(
        TOLERANCE
        := "rate: ε = 2⁻⁵². Drift: 1e-11, the solver's relative tolerance per step; A3 allows a twentieth of it and "
        "A4 five times it, chosen after the observation. Order: 0.008, because the next order in η ≤ 0.02 adds O(η)"
    ),
    observed=True,
)
def query_and_keys(*, quick: bool, law: Law = law("query_keys"), train: tuple[str, ...] = TRAINABLE) -> Measured:
    """Measure q qᵀ - KᵀK under every head."""
    return balanced(tuple(HEADS), law, train, RTOL, quick)


@claims(
    "A3",
    control("a sum for the difference", law=lambda p: {"": _gram(p.embeddings.T) + _gram(p.head.first_layer)}),
    control("U Uᵀ twice", law=lambda p: {"": _gram(p.embeddings.T) - 2.0 * _gram(p.head.first_layer)}),
    control("the head is fixed", train=TRAINABLE[:3]),
    name="linear head balanced",
    foundations=("A2", "M4"),
    statement=r"E^T E - U U^T = \mathrm{const}",
    source="balancedness",
    assumptions="Attn-TC with embeddings and head trained",
    quantity=QUANTITY,
    tolerance=TOLERANCE,
    observed=True,
)
def embeddings_and_head(
    *, quick: bool, law: Law = law("embeddings_head"), train: tuple[str, ...] = TRAINABLE
) -> Measured:
    """Measure EᵀE - U Uᵀ of Attn-TC."""
    return balanced(("attn-tc",), law, train, RTOL / 20, quick)


@claims(
    "A4",
    control("a sum for the first difference", law=lambda p: {"": _gram(p.embeddings.T) + _gram(p.head.first_layer)}),
    control("b₁ left out", law=lambda p: {"": p.head.balances()["hidden_units"] - p.head.arrays()["bias_in"] ** 2}),
    control("embeddings are fixed", train=("query", "keys", "head")),
    name="two layers balanced",
    foundations=("A3", "M5"),
    statement=r"E^T E - U_1 U_1^T = \mathrm{const},\quad "
    r"\|U_{1,\cdot h}\|^2 + b_{1,h}^2 - \|U_{2,h\cdot}\|^2 = \mathrm{const}",
    source="balancedness",
    assumptions="Attn-TL with embeddings and head trained. Rates and descent start anywhere, so that relus switch. The "
    "flow starts from |b₁| ≥ 8, where none switches, because a flow may slide along a switch",
    quantity=QUANTITY,
    tolerance=TOLERANCE,
    observed=True,
)
def layers(
    *, quick: bool, law: Law = law("embeddings_head", "hidden_units"), train: tuple[str, ...] = TRAINABLE
) -> Measured:
    """Measure both laws of Attn-TL."""
    return balanced(("attn-tl",), law, train, 5 * RTOL, quick)


def balanced(models: tuple[str, ...], law: Law, train: tuple[str, ...], allowed: float, quick: bool) -> Measured:
    """Measure rate, drift and order of a law for these models; `allowed` bounds the drift."""
    rate, drift, orders = 0.0, 0.0, []
    for corpus, model in product(corpora(quick=quick), models):
        rate = largest(rate, *(_rate(law, corpus, start(corpus, model, seed=seed), train) for seed in range(10)))
        begin, time = start(corpus, model, bias=AWAY), 2.0 if quick else 200.0
        drift = largest(drift, _moved(law, begin, flowed(corpus, begin, time, train)))
        begin = start(corpus, model)
        drifts = [_moved(law, begin, descended(corpus, begin, eta, 1.0 if quick else 4.0, train)) for eta in RATES]
        orders.append(power_law(RATES, drifts).exponent)
    order = orders[int(np.argmax(np.abs(np.array(orders) - 1.0)))]
    seen = f"flow to time {2 if quick else 200}, order in η {order:.3f}; {where(quick=quick)}"
    return together(
        seen,
        rate=Measured(rate, EPS, within=SCATTER),
        drift=Measured(drift, allowed, within=SCATTER),
        order=Measured(abs(order - 1.0), 0.008, within=20.0),
    )


def _moved(law: Law, before: Parameters, after: Parameters) -> float:
    """Return the largest change of the conserved quantities, relative to their largest entry."""
    first, last = law(before), law(after)
    return largest(float(np.abs(last[name] - first[name]).max() / np.abs(first[name]).max()) for name in first)


def _rate(law: Law, corpus: Corpus, state: Parameters, train: Collection[str]) -> float:
    """Return the rate of the law along the velocity, relative to the squared size of query, keys and embeddings.

    The law is quadratic in the parameters, so the central difference is exact.
    """
    _, gradient = loss_and_gradient(corpus, state)
    ahead, behind = (law(_stepped(state, gradient, step, train)) for step in (-1.0, 1.0))
    size = sum(float((array**2).sum()) for array in (state.query, state.keys, state.embeddings))
    return largest(float(np.abs(ahead[name] - behind[name]).max()) / 2.0 / size for name in ahead)


def _stepped(state: Parameters, gradient: Parameters, step: float, train: Collection[str]) -> Parameters:
    """Return the state after a step along the gradient of the trained parts."""
    arrays = {name: getattr(state, name) + step * getattr(gradient, name) for name in TRAINABLE[:3] if name in train}
    slopes = gradient.head.arrays()
    head = {name: array + step * slopes[name] for name, array in state.head.arrays().items()}
    return replace(state, **arrays, head=state.head.replace(**head) if "head" in train else state.head)


def _gram(array: Array) -> Array:
    """Return the array times its transpose."""
    return array @ array.T
