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
    """Task of two classes with one sentence each, in which the companions of its topic stand together."""

    corpus: Corpus
    companions: list[list[str]]
    """Companions of each topic."""
    rest: list[str]
    """Other words, which both sentences share."""


def together_among(companions: Sequence[str], others: int) -> Together:
    """Build the task; a name that is given k times becomes a word that stands k times in its sentence."""
    topics, rest = [[f"{name}{topic}" for name in companions] for topic in range(2)], [f"w{k}" for k in range(others)]
    return Together(Corpus.from_sentences([topic + rest for topic in topics], range(2)), topics, rest)


@cache
def alike(model: str, others: int, companions: tuple[str, ...]) -> Followed:
    """Follow companions that start alike along flow."""
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
    """Return the SEN relation (B1) with m/k other words, where k is `count`."""
    return lambda s, m, q, s0, norm0: sen_norm(s, m / count, q, s0, norm0)


def worst_gain(model: str, seed: int, gains: Gains) -> float:
    """Return the largest distance of d‖ν_j‖²/dτ from `gains` at a drawn state, relative to its terms."""
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
    """Return ‖ν‖‖dν/dτ‖ Σ_j (1 + e^{s_j}/m) of some words, the size of the terms; it is above 0 even at rest."""
    lengths = [np.linalg.norm(each.embeddings[columns]) for each in (start, slopes)]
    weight = (1.0 + np.exp(start.scores[columns]) / others).sum()
    return max(float(np.prod(lengths) * weight), float(np.finfo(float).tiny))


@claims(
    "B7",
    control("m for m/k", share=lambda count: shared(1.0)),
    control("(m + 1)/k for m/k", share=lambda count: lambda s, m, *rest: shared(count)(s, m + 1, *rest)),
    control("each companion by itself, as in B1", gains=lambda s, ds, m, q: 2.0 / q**2 * (1.0 + np.exp(s) / m) * ds),
    control("m + 1 other words", gains=lambda s, ds, m, q: companion_gains(s, ds, m + 1, q)),
    name="SEN, companions",
    foundations=("B1",),
    statement=r"s + k e^s/m - (s_0 + k e^{s_0}/m) = \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2), \ "
    r"\frac{1}{2}\|q\|^2 d\|\nu_j\|^2 = ds_j + \frac{e^{s_j}}{m} \sum_l ds_l",
    assumptions="the query is fixed. Either k topic words stand together in each of their sentences, or one stands "
    "there k times; the m other words stay at score 0 and embedding 0. Alike, repeated: the companions start alike, "
    "under a smooth head",
    quantity="alike, repeated: largest relative distance of ‖ν‖ from the first relation along flow, for k companions "
    "and for a word that stands k times. Rate: largest distance of d‖ν_j‖²/dτ from the second relation, for unequal "
    "companions at drawn states, relative to its terms",
    tolerance=f"alike, repeated: {FLOW_TOLERANCE}. Rate: 8 ε with ε = 2⁻⁵², from sums of some ten terms",
)
def companions(
    *,
    quick: bool,
    share: Callable[[float], Relation] = shared,
    gains: Gains = companion_gains,
) -> Measured:
    """Measure flow from keys and embeddings other than zero, and rates at drawn states under every head."""
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
