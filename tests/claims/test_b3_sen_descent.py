"""Claim B3: descent leaves the relation by O(η), for every head."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import descend
from attn_dynamics.claims._support.sen import among_one_more, start_of_topic_words, topic_words_among
from attn_dynamics.theory.sen import sen_norm
from tests.support import MODELS, Array, examples


def distances(model: str, others: int, seed: int, relation=sen_norm) -> Array:
    """Of every topic word from the relation at time 4, at two learning rates of ratio two."""
    corpus, words, rest = topic_words_among(others, topics=3)
    start = start_of_topic_words(corpus, words, model, seed)
    ends = []
    for rate in (0.02, 0.01):
        run = descend(
            corpus, start, learning_rate=rate, epochs=round(4 / rate), follow=words, frozen_words=rest
        ).trajectory
        score, norm = run.score.values, run.embedding_norm.values
        ends.append(norm[-1] / relation(score[-1], others, np.linalg.norm(start.query), score[0], norm[0]) - 1.0)
    return np.abs(ends)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=examples(4), deadline=None)
@given(others=st.integers(1, 20), seed=st.integers(0, 999))
def test_half_the_rate_halves_the_distance(model: str, others: int, seed: int) -> None:
    coarse, fine = distances(model, others, seed)
    assert coarse.max() < 0.02
    np.testing.assert_allclose(fine.max(), coarse.max() / 2, rtol=0.1, atol=1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_from_a_wrong_relation_it_is_as_far_at_any_rate(model: str) -> None:
    coarse, fine = distances(model, 1, 0, among_one_more)
    assert fine.max() > 0.8 * coarse.max() > 1e-3
