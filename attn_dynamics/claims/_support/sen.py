"""Topic words among frozen words, as in an infinite dictionary, and their distance from the SEN relation."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims.claim import control
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.training.flow import flow

ATOL = 1e-14
"""Absolute tolerance of the solver per step."""
ALONG_FLOW = 30 * RTOL
"""Largest allowed distance of a flow from a law that it keeps."""
OF_FLOW = 30.0
"""Largest allowed ratio of `ALONG_FLOW` to the measured distance."""
FLOW_TOLERANCE = "30 times the solver's tolerance of 1e-11 per step, because errors of some hundred steps add up"
"""Origin of the bound `ALONG_FLOW`, in words."""
FLOW_TIME = 20.0
"""Time τ at which a flow ends."""
SMOOTH = [model for model, head in HEADS.items() if head.smooth]
"""Models whose flow a solver can follow. For others descent with ever smaller steps is measured instead (B3)."""


class Followed(NamedTuple):
    """Scores and embedding norms of topic words along a run."""

    others: int
    """Number m of other words in a sentence."""
    query_norm: float
    """Query norm ‖q‖."""
    score: Array
    """Scores (times, words)."""
    norm: Array
    """Embedding norms ‖ν‖ (times, words)."""


def followed(run: xr.Dataset, start: Parameters, others: int) -> Followed:
    """Return scores and norms of the followed words of a run, whose sentences have `others` other words."""
    return Followed(others, float(np.linalg.norm(start.query)), run.score.values, run.embedding_norm.values)


Relation = Callable[..., Array]
"""Function that returns ‖ν‖ from s, m, ‖q‖, s₀ and ‖ν₀‖, as `sen_norm` does."""


def among_one_more(s: Array, m: float, q: float, s0: Array, norm0: Array) -> Array:
    """Return the SEN relation for m + 1 other words."""
    return sen_norm(s, m + 1, q, s0, norm0)


def without_its_half(s: Array, m: float, q: float, s0: Array, norm0: Array) -> Array:
    """Return the SEN relation with ‖q‖² instead of ‖q‖²/2."""
    return sen_norm(s, m, q * 2**0.5, s0, norm0)


ONE_MORE = control("m + 1 other words", relation=among_one_more)
WITHOUT_HALF = control("‖q‖² for ‖q‖²/2", relation=without_its_half)
ALL_TRAINED = control("other words are trained too", hold=False)


@cache
def along_flow(model: str, others: int, *, hold: bool = True) -> Followed:
    """Follow three topic words along flow; the other words are frozen if `hold`, else trained."""
    corpus, words, rest = topic_words_among(others, topics=3)
    start = start_of_topic_words(corpus, words, model)
    held = rest if hold else ()
    run = flow(corpus, start, time=FLOW_TIME, follow=words, frozen_words=held, rtol=RTOL, atol=ATOL).trajectory
    return followed(run, start, others)


def farthest_from(run: Followed, relation: Relation) -> float:
    """Return the largest relative distance of ‖ν‖ from the relation, over times and words."""
    return float(np.abs(residuals(run, relation)).max())


def residuals(run: Followed, relation: Relation = sen_norm) -> Array:
    """Return ‖ν‖ divided by the relation at its score, minus 1 (times, words)."""
    return run.norm / relation(run.score, run.others, run.query_norm, run.score[0], run.norm[0]) - 1.0


def topic_words_among(others: int, *, topics: int) -> tuple[Corpus, list[str], list[str]]:
    """Build one sentence for each topic: its topic word once, and `others` words that all sentences share."""
    words, rest = [f"t{topic}" for topic in range(topics)], [f"w{other}" for other in range(others)]
    sentences = [[word, *rest] for word in words]
    return Corpus.from_sentences(sentences, range(topics), n_classes=max(topics, 2)), words, rest


def start_of_topic_words(
    corpus: Corpus, words: list[str], model: str, seed: int = 0, *, key: float = 0.3, embedding: float = 0.3
) -> Parameters:
    """Draw keys and embeddings of topic words with these standard deviations; all other words start at zero."""
    rng, d = np.random.default_rng(seed), 6
    query = rng.standard_normal(d)
    keys, embeddings = np.zeros((2, corpus.n_words, d))
    columns = corpus.columns(words)
    keys[columns] = key * rng.standard_normal((len(words), d))
    embeddings[columns] = embedding * rng.standard_normal((len(words), d))
    return Parameters(
        query=query, keys=keys, embeddings=embeddings, head=HEADS[model].draw(rng, d, corpus.n_classes, 4)
    )
