"""Claim G1: with weight decay training rests on another curve than SEN, and on text by a relation of its own."""

from dataclasses import replace

import numpy as np
import pytest

from attn_dynamics import descend
from attn_dynamics.claims._support.drawn import ragged, start, zipf_text
from attn_dynamics.claims._support.stationary import stationary
from attn_dynamics.claims.g1_weight_decay import (
    TEXT_DECAYS,
    at_rest,
    at_stationary_point,
    labelled_at_random,
    work_of_contexts,
)
from attn_dynamics.model.gradient import loss_and_gradient
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_optimisers import decay_crossing, decay_norm
from tests.support import needs_sst


def test_the_words_that_come_to_rest_have_learned() -> None:
    """Otherwise 0 = 0 would be all that is measured; and no score is near the crossing, where B1 would pass."""
    rest = at_rest("attn-tc", 3, (0.01, 0.03))
    assert (rest.score > 1.0).all()
    assert (np.abs(rest.score - decay_crossing(3.0)) > 0.1).all()
    assert labelled_at_random(3)[0].n_sentences == 60


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_other_starts_come_to_rest_on_the_same_curve(scale: float) -> None:
    corpus, words, rest = labelled_at_random(3)
    begin = start(corpus, "attn-fc", seed=5)
    held = corpus.columns(rest)
    keys, embeddings = scale * begin.keys, scale * begin.embeddings
    keys[held] = embeddings[held] = 0.0
    begin = replace(begin, keys=keys, embeddings=embeddings)
    options = {"train": ("keys", "embeddings"), "decay": 0.02, "follow": words, "frozen_words": rest}
    run = descend(corpus, begin, learning_rate=0.5, epochs=4000, **options).trajectory
    s, norm, q = run.score.values[-1], run.embedding_norm.values[-1], np.linalg.norm(begin.query)
    np.testing.assert_allclose(norm, decay_norm(s, 3, q), rtol=1e-12)
    assert (np.abs(norm / sen_norm(s, 3, q) - 1.0) > 0.01).all(), "negative control"


@pytest.mark.parametrize("model", ["attn-fc", "attn-tc"])
@pytest.mark.parametrize("seed", range(3))
def test_the_relation_on_text_by_another_gradient(model: str, seed: int) -> None:
    """Σ_i A_iw g_i·v_i is what the two gradients of a word leave: g·ν less ∂L/∂s."""
    corpus = ragged(np.random.default_rng(seed), sentences=20)
    point = start(corpus, model, seed=seed)
    _, slope = loss_and_gradient(corpus, point)
    of_score = slope.keys @ point.query / (point.query @ point.query)
    expected = (slope.embeddings * point.embeddings).sum(axis=1) - of_score
    np.testing.assert_allclose(work_of_contexts(corpus, point), expected, atol=1e-15)


def test_the_solver_ends_where_descent_comes_to_rest() -> None:
    """On a convex part of the task: from the same start, with the same decay."""
    corpus = zipf_text(np.random.default_rng(0), n_words=40, sentences=30)
    begin = start(corpus, "attn-fc")
    begin = replace(begin, keys=np.zeros_like(begin.keys))
    found = stationary(corpus, begin, 0.05)
    run = descend(corpus, begin, learning_rate=0.5, epochs=3000, decay=0.05, train=("keys", "embeddings"))
    assert run.parameters is not None
    np.testing.assert_allclose(found.scores, run.parameters.scores, atol=1e-6)


@pytest.mark.slow
@needs_sst
@pytest.mark.parametrize("decay", TEXT_DECAYS)
def test_on_sst2_the_relation_holds_to_1e_4(decay: float) -> None:
    corpus, point = at_stationary_point("SST-2", "attn-fc", decay)
    square = float(point.query @ point.query)
    said = square * (np.square(point.embeddings).sum(axis=1) + work_of_contexts(corpus, point) / decay)
    leaders = np.argsort(-point.scores)[:200]
    np.testing.assert_allclose(said[leaders], point.scores[leaders], rtol=1e-4)
    assert point.scores[leaders].min() > 1.0
    without = square * np.square(point.embeddings).sum(axis=1)[leaders]
    assert np.abs(without / point.scores[leaders] - 1.0).max() > 0.1, "negative control"
