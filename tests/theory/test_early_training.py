"""Claim E1: the first two coefficients of the scores are derivatives of the exact gradient along the start."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, Parameters, loss_and_gradient
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import FixedLinear
from attn_dynamics.theory.early_training import EarlyScores, early_scores
from tests.support import Array, corpora, examples, numbered, parameters_for, topic_corpus

LINEAR = ("attn-fc", "attn-tc")
STEP = 1e-3
"""Of the differences, which are central."""
ALLOWED = 20 * STEP**2
"""Their error: STEP² in shares of derivatives of higher order, whose factors are some powers of ‖U‖."""


def begun(corpus: Corpus, model: str, seed: int) -> Parameters:
    start = parameters_for(corpus, model, seed, spread=1.0)
    return replace(start, embeddings=np.zeros_like(start.embeddings))


def by_differences(corpus: Corpus, start: Parameters) -> tuple[Array, Array]:
    """Both coefficients from the exact gradient at ν(τ) = τ b + τ² ḃ/2, scores and head being constant to O(τ²)."""
    gradient = lambda embeddings: loss_and_gradient(corpus, replace(start, embeddings=embeddings))[1]  # noqa: E731
    first = -gradient(start.embeddings).embeddings
    ahead, behind = (gradient(sign * STEP * first) for sign in (1.0, -1.0))
    second = -(ahead.embeddings - behind.embeddings) / (2.0 * STEP)
    # ∂L/∂κ_w = p_w q and ds/dτ = -‖q‖² p = -(∂L/∂K) q.
    rate = lambda time: -gradient(time * first + time**2 / 2.0 * second).keys @ start.query  # noqa: E731
    quadratic = (rate(STEP) - rate(-STEP)) / (4.0 * STEP)
    return quadratic, (rate(STEP) + rate(-STEP)) / (6.0 * STEP**2)


def error(law: EarlyScores, corpus: Corpus, start: Parameters) -> float:
    """Largest distance of a coefficient from what the gradient has, in shares of its terms and 1e-3 of its scale."""
    quadratic, cubic = by_differences(corpus, start)
    square, pull = start.query @ start.query, np.abs(law.own).sum()
    pace = np.linalg.norm(start.head.first_layer, 2) ** 2
    scale = pull + 1e-3 * square * pace / corpus.n_sentences
    off = np.abs(law.quadratic - quadratic).max(), np.abs(law.cubic - cubic).max() / pace
    return float(max(off) / scale)


@settings(max_examples=examples(60))
@given(corpora(), st.sampled_from(LINEAR), st.integers(0, 2**32 - 1))
def test_e1_both_coefficients_are_those_of_the_gradient(corpus: Corpus, model: str, seed: int) -> None:
    start = begun(corpus, model, seed)
    assert error(early_scores(corpus, start), corpus, start) < ALLOWED


WRONG: dict[str, Callable[[EarlyScores], EarlyScores]] = {
    "a lost term": lambda law: law._replace(beside=0.0 * law.beside),
    "a sign": lambda law: law._replace(beside=-law.beside),
    "a factor 2": lambda law: law._replace(own=2.0 * law.own, beside=2.0 * law.beside),
    "a factor of the next order": lambda law: law._replace(cubic=1.1 * law.cubic),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("model", LINEAR)
def test_a_wrong_coefficient_is_rejected(wrong: str, model: str) -> None:
    """Negative control."""
    corpus = topic_corpus()
    start = begun(corpus, model, 0)
    law = early_scores(corpus, start)
    assert error(law, corpus, start) < ALLOWED
    assert error(WRONG[wrong](law), corpus, start) > 5 * ALLOWED


@settings(max_examples=examples(100))
@given(corpora(), st.sampled_from(LINEAR), st.integers(0, 2**32 - 1))
def test_what_one_word_gains_all_others_lose(corpus: Corpus, model: str, seed: int) -> None:
    """Law A1, in both orders."""
    law = early_scores(corpus, begun(corpus, model, seed))
    assert (law.own >= 0.0).all()
    for terms in (law.quadratic, law.cubic):
        assert abs(terms.sum()) <= 1e-13 * max(np.abs(terms).sum(), np.abs(law.own).sum())


def test_by_hand_for_two_sentences() -> None:
    corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], [1, 0])
    zeros = np.zeros((3, 2))
    start = Parameters(query=np.array([1.0, 0.0]), keys=zeros, embeddings=zeros, head=FixedLinear(weight=np.eye(2)))
    law = early_scores(corpus, start)
    np.testing.assert_allclose(law.own, [1 / 64, 0, 1 / 64], atol=1e-17)
    np.testing.assert_allclose(law.beside, [-1 / 128, -1 / 64, -1 / 128], atol=1e-17)
    assert law.quadratic[1] < 0, "a word that says nothing is pushed down"


def test_a_word_gains_by_its_frequency_times_its_purity() -> None:
    """Two classes, sentences of one length: (‖q‖²/2)‖b_w‖² = (‖q‖²/2)(‖u₀ - u₁‖ ρ_w δ_w/(2 × length))²."""
    rng = np.random.default_rng(0)
    length, words = 5, 12
    sentences = [rng.permutation(words)[:length].tolist() for _ in range(40)]
    corpus = numbered(sentences, rng.integers(2, size=40).tolist(), words, 2)
    start = begun(corpus, "attn-fc", 0)
    start = replace(start, keys=np.zeros_like(start.keys))
    signed = corpus.counts.T @ (2.0 * corpus.labels - 1.0) / corpus.n_sentences
    apart = np.linalg.norm(start.head.first_layer @ np.array([1.0, -1.0]))
    expected = (start.query @ start.query) / 2.0 * (apart * signed / (2.0 * length)) ** 2
    np.testing.assert_allclose(early_scores(corpus, start).own, expected, rtol=1e-12, atol=1e-18)


def test_scores_far_apart_do_not_overflow() -> None:
    corpus = topic_corpus()
    start = begun(corpus, "attn-fc", 0)
    law = early_scores(corpus, replace(start, keys=1e3 * start.keys))
    assert np.isfinite([law.quadratic, law.cubic]).all()


def test_the_time_of_an_error_is_where_the_next_order_makes_it() -> None:
    law = EarlyScores(own=np.array([3.0, 0.0]), beside=np.array([0.0, 4.0]), cubic=np.array([0.0, 0.5]))
    assert law.time(0.01) == pytest.approx(0.1)


def test_what_the_law_is_not_for_is_refused() -> None:
    corpus = topic_corpus()
    with pytest.raises(InputError, match="embeddings that are 0"):
        early_scores(corpus, parameters_for(corpus, "attn-fc", 0))
    with pytest.raises(InputError, match="a linear head"):
        early_scores(corpus, begun(corpus, "attn-tl", 0))
