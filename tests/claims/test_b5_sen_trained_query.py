"""Claim B5: with the query trained ‖q‖² - ‖κ‖² stays ‖q₀‖², and ‖ν‖² is an integral over the score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, Parameters, Run, flow
from attn_dynamics.claims._support.sen import SMOOTH, start_of_topic_words, topic_words_among
from attn_dynamics.errors import InputError
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query
from tests.support import examples


def start_from_zero(corpus: Corpus, words: list[str], model: str, seed: int) -> Parameters:
    return start_of_topic_words(corpus, words, model, seed, key=0.0, embedding=0.0)


def distance(run: Run, others: int, query_norm: float, relation=sen_norm_trained_query) -> float:
    after = run.trajectory.isel(time=slice(1, None))
    return float(np.abs(after.embedding_norm.values / relation(after.score.values, others, query_norm) - 1.0).max())


@settings(max_examples=examples(6), deadline=None)
@given(st.sampled_from(SMOOTH), st.integers(1, 20), st.integers(0, 999), st.floats(0.3, 2))
def test_the_relation_is_kept_along_the_flow(model: str, others: int, seed: int, scale: float) -> None:
    corpus, words, rest = topic_words_among(others, topics=1)
    start = start_from_zero(corpus, words, model, seed)
    start = replace(start, query=scale * start.query)
    run = flow(corpus, start, train=TRAINABLE, time=20.0, follow=words, frozen_words=rest, rtol=1e-10, atol=1e-14)
    assert run.parameters is not None
    q, q0, keys = run.parameters.query, start.query, run.parameters.keys
    assert q @ q - (keys**2).sum() == pytest.approx(q0 @ q0, rel=1e-8)
    norm = float(np.linalg.norm(q0))
    assert distance(run, others, norm) <= 1e-7
    # Negative control: it is not the curve of a fixed query, once the score has come up to ‖q₀‖².
    reached = float(run.trajectory.score[-1, 0]) / (q0 @ q0)
    assert distance(run, others, norm, sen_norm) > 0.1 * min(reached, 1.0) ** 2


@pytest.mark.slow
def test_with_all_words_trained_the_distance_falls_like_one_over_their_number() -> None:
    """The words of a dictionary: each sentence has its own; nothing is held."""
    distances = []
    for sentences in (64, 128):
        rows = [["t0", *(f"w{i}.{j}" for j in range(3))] for i in range(sentences)]
        corpus = Corpus.from_sentences(rows, np.zeros(sentences, int), n_classes=2)
        start = start_from_zero(corpus, ["t0"], "attn-fc", 1)
        run = flow(corpus, start, train=TRAINABLE, time=20.0, follow=["t0"])
        distances.append(distance(run, 3, float(np.linalg.norm(start.query))))
    assert distances[1] == pytest.approx(distances[0] / 2, rel=0.1)
    assert distances[1] > 1e-3, "negative control: without holding them it is a limit only"


def test_a_word_whose_key_is_not_zero_cannot_be_held_beside_a_trained_query() -> None:
    corpus, words, rest = topic_words_among(2, topics=2)
    start = start_of_topic_words(corpus, words, "attn-fc")
    flow(corpus, start, train=TRAINABLE, time=0.1, frozen_words=rest)
    with pytest.raises(InputError, match="key is 0"):
        flow(corpus, start, train=TRAINABLE, time=0.1, frozen_words=words)
