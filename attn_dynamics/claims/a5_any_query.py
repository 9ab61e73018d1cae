"""A fixed query costs no capacity (theory A5)."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.drawn import corpora, start, where
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest
from attn_dynamics.model.gradient import loss_and_gradient
from attn_dynamics.model.heads import HEADS, Array


@claims(
    "A5",
    control("divided by the norm instead of its square", keys=lambda s, q: np.outer(s, q) / np.linalg.norm(q)),
    control("away from the new query", keys=lambda s, q: -np.outer(s, q) / (q @ q)),
    control("along another direction", keys=lambda s, q: np.outer(s, q[::-1]) / (q @ q)),
    name="any query will do",
    statement=r"q, q' \neq 0:\quad K' q' = K q,\quad L(q', K') = L(q, K),\quad K' = K q q'^T / \|q'\|^2",
    source="LMN21",
    quantity="largest change over heads, data and new queries of size 0.01 to 100. The change of a score is relative "
    "to 1 + the largest score, that of the loss to 1 + the loss",
    tolerance="2 d ε with ε = 2⁻⁵²: the keys are made by a sum of d = 5 terms, and the scores are read by another",
)
def any_query_will_do(
    *, quick: bool, keys: Callable[[Array, Array], Array] = lambda s, q: np.outer(s, q) / (q @ q)
) -> Measured:
    """Replace the query, take keys that should keep the scores, and measure the change."""
    rng, worst, d = np.random.default_rng(0), 0.0, 5
    for corpus, model, size in product(corpora(quick=quick), HEADS, (0.01, 1.0, 100.0)):
        for seed in range(5 if quick else 50):
            before, query = start(corpus, model, seed=seed, d=d), size * rng.standard_normal(d)
            after = replace(before, query=query, keys=keys(before.scores, query))
            change = np.abs(after.scores - before.scores).max() / (1.0 + np.abs(before.scores).max())
            losses = [loss_and_gradient(corpus, parameters)[0] for parameters in (before, after)]
            worst = largest(worst, float(change), abs(losses[1] - losses[0]) / (1.0 + losses[0]))
    return Measured(worst, 2 * d * EPS, where(quick=quick), within=SCATTER)
