"""SEN relation of topic words that always stand together (theory B7)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.claims._support.distances import EPS, RTOL
from attn_dynamics.claims._support.sen import (
    ALONG_FLOW,
    ATOL,
    FLOW_TIME,
    FLOW_TOLERANCE,
    OF_FLOW,
    SMOOTH,
    Followed,
    Relation,
    farthest_from,
    followed,
    start_of_topic_words,
)
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.gradient import loss_and_gradient
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_companions import companion_gains
from attn_dynamics.training.flow import flow

Gains = Callable[[Array, Array, float, float], Array]
"""Function that returns d‖ν_j‖² from s_j, ds_j, m and ‖q‖, as `companion_gains` does."""


class Together(NamedTuple):
    """Task of two classes, each with one sentence, in which the companions of its topic stand together."""

    corpus: Corpus
    companions: list[list[str]]
    """Words of each topic."""
    rest: list[str]
    """Other words, which both sentences share."""


def together_among(companions: Sequence[str], others: int) -> Together:
    """Build the task; a companion that is named k times stands k times."""
    topics, rest = [[f"{name}{topic}" for name in companions] for topic in range(2)], [f"w{k}" for k in range(others)]
    return Together(Corpus.from_sentences([topic + rest for topic in topics], range(2)), topics, rest)


@cache
def alike(model: str, others: int, companions: tuple[str, ...]) -> Followed:
    """Follow companions that start alike."""
    corpus, topics, rest = together_among(companions, others)
    words = [*dict.fromkeys([*topics[0], *topics[1]])]
    start = start_of_topic_words(corpus, words, model)
    keys, embeddings = start.keys.copy(), start.embeddings.copy()
    for topic in topics:
        columns = corpus.columns(topic)
        keys[columns], embeddings[columns] = keys[columns[0]], embeddings[columns[0]]
    start = replace(start, keys=keys, embeddings=embeddings)
    run = flow(corpus, start, time=FLOW_TIME, follow=words, frozen_words=rest, rtol=RTOL, atol=ATOL).trajectory
    return followed(run, start, others)


def shared(count: float) -> Relation:
    """Return B1 with m/k other words."""
    return lambda s, m, q, s0, norm0: sen_norm(s, m / count, q, s0, norm0)


def worst_gain(model: str, seed: int, gains: Gains) -> float:
    """Return the largest distance of ∂‖ν_j‖²/∂τ from what it should be at a drawn state, relative to its terms."""
    others = 5
    corpus, topics, _ = together_among("abc", others)
    start = start_of_topic_words(corpus, [*topics[0], *topics[1]], model, seed, key=0.6, embedding=0.6)
    slopes = loss_and_gradient(corpus, start)[1]
    worst = 0.0
    for topic in topics:
        columns = corpus.columns(topic)
        rates = -(slopes.keys[columns] @ start.query)
        grown = -2.0 * (start.embeddings[columns] * slopes.embeddings[columns]).sum(axis=1)
        predicted = gains(start.scores[columns], rates, others, float(np.linalg.norm(start.query)))
        worst = largest(worst, float(np.abs(grown - predicted).max() / _size(start, slopes, columns, others)))
    return worst


def _size(start: Parameters, slopes: Parameters, columns: NDArray[np.int64], others: int) -> float:
    """Return ‖ν‖‖dν/dτ‖ Σ_j (1 + e^{s_j}/m) of some words, the size of the terms; above 0 where nothing moves."""
    lengths = [np.linalg.norm(each.embeddings[columns]) for each in (start, slopes)]
    weight = (1.0 + np.exp(start.scores[columns]) / others).sum()
    return max(float(np.prod(lengths) * weight), float(np.finfo(float).tiny))


@claims(
    "B7",
    control("m for m/k", share=lambda count: shared(1.0)),
    control("(m + 1)/k for m/k", share=lambda count: lambda s, m, *rest: shared(count)(s, m + 1, *rest)),
    control("each companion by itself, as in B1", gains=lambda s, ds, m, q: 2.0 / q**2 * (1.0 + np.exp(s) / m) * ds),
    control("m + 1 other words", gains=lambda s, ds, m, q: companion_gains(s, ds, m + 1, q)),
    statement=r"s + k e^s/m - (s_0 + k e^{s_0}/m) = \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2), \ "
    r"\frac{1}{2}\|q\|^2 d\|\nu_j\|^2 = ds_j + \frac{e^{s_j}}{m} \sum_l ds_l",
    assumptions="query fixed; k topic words that stand together in each of their sentences, or one that stands k "
    "times, among m words whose scores and embeddings stay 0; alike if they start so; a smooth head for the flow",
    quantity="largest relative distance of ‖ν‖ from the relation along flow, of companions and of a repeated word; and "
    "of the rate of ‖ν_j‖² of unequal companions at drawn states",
    tolerance=f"{FLOW_TOLERANCE}; 8 ε of the size of its terms for the rate, ε = 2⁻⁵²: sums of some ten terms",
)
def companions(
    *,
    quick: bool,
    share: Callable[[float], Relation] = shared,
    gains: Gains = companion_gains,
) -> Measured:
    """Measure flow from starts that differ from zero, and rates at states of any head."""
    sizes = ((3, 2),) if quick else ((1, 2), (3, 2), (7, 2), (7, 4), (20, 3))
    along = {
        name: largest(
            farthest_from(alike(model, others, named(count)), share(count))
            for model in SMOOTH
            for others, count in sizes
        )
        for name, named in (("alike", lambda count: tuple("abcd"[:count])), ("repeated", lambda count: ("a",) * count))
    }
    rate = largest(worst_gain(model, seed, gains) for model in HEADS for seed in range(5 if quick else 50))
    return together(
        alike=Measured(along["alike"], ALONG_FLOW, within=OF_FLOW),
        repeated=Measured(along["repeated"], ALONG_FLOW, within=OF_FLOW),
        rate=Measured(rate, 8 * EPS, within=SCATTER),
    )
