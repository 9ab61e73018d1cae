"""Claim A1: Σ_w ∂L/∂s_w = 0, hence Σ_w κ_w never moves, neither under flow nor in any step of descent."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, Parameters, flow
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.settings import Training
from tests.claims.test_a2_to_a4_balance import trainings
from tests.support import (
    MODELS,
    SUBSETS,
    Array,
    Case,
    cases,
    corpora,
    dense,
    end,
    examples,
    parameters_for,
    states,
    topic_corpus,
)


def score_sum_excess(corpus: Corpus, parameters: Parameters, gradient: Array) -> float:
    """|Σ_w ∂L/∂s_w| in shares of the round-off that V terms of this size may leave."""
    allowed = dense(corpus, parameters).round_off["scores"] * corpus.n_words
    return float(abs(gradient.sum())) / max(allowed, np.finfo(float).tiny)


@settings(max_examples=examples(100))
@given(st.sampled_from(MODELS).flatmap(cases))
def test_a1_the_score_gradients_sum_to_zero(case: Case) -> None:
    gradient = Dynamics(case.corpus, case.parameters, Training(train=())).evaluate()[1]
    assert score_sum_excess(case.corpus, case.parameters, gradient.scores) <= 1.0


def key_sum_drift(course: Iterator[Parameters]) -> float:
    """How far Σ_w κ_w moves along a course, in shares of Σ_w |κ_w| at its largest."""
    keys = np.array([each.keys for each in course])
    sums = keys.sum(axis=1)
    return float(np.abs(sums - sums[0]).max() / np.abs(keys).sum(axis=1).max())


@settings(max_examples=examples(30))
@given(
    corpora(),
    st.sampled_from(MODELS),
    st.sampled_from([train for train in SUBSETS if "keys" in train]),
    st.integers(0, 2**32 - 1),
    st.sampled_from((0.0, 3.0, 300.0)),
)
def test_a1_the_sum_of_the_keys_never_moves(
    corpus: Corpus, model: str, train: tuple[str, ...], seed: int, spread: float
) -> None:
    """At every step of descent, the query trained or not."""
    start = parameters_for(corpus, model, seed, spread=spread)
    assert key_sum_drift(states(corpus, start, train, epochs=20)) <= 1e-13


@settings(max_examples=examples(8))
@given(
    st.sampled_from(MODELS).flatmap(lambda model: trainings(model, away=8.0)),
    st.sampled_from([train for train in SUBSETS if "keys" in train]),
)
def test_a1_nor_does_it_along_the_flow(case: Case, train: tuple[str, ...]) -> None:
    after = end(flow(case.corpus, case.parameters, times=[1.0], train=train, max_steps=5000))
    assert key_sum_drift(iter((case.parameters, after))) <= 1e-13


def test_a1_a_held_word_takes_the_sum_along() -> None:
    """Negative control."""
    corpus = topic_corpus(4)
    start = parameters_for(corpus, "attn-tc", 4)
    after = end(flow(corpus, start, times=[1.0], frozen_words=[0]))
    assert key_sum_drift(iter((start, after))) > 1e-4


def test_a1_rejects_a_score_gradient_with_a_lost_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the −v of ν − v, and with a part of the sentences left out of it."""
    corpus = topic_corpus(4)
    start = parameters_for(corpus, "attn-tc", 4)
    gradient = Dynamics(corpus, start, Training(train=(), reduced=False)).evaluate()[1]
    weight, slope = gradient.embeddings, gradient.scores
    assert score_sum_excess(corpus, start, slope) <= 1.0
    assert score_sum_excess(corpus, start, (weight * start.embeddings).sum(axis=1)) > 1e6
    assert score_sum_excess(corpus, start, slope * (1 + 1e-9 * (np.arange(slope.size) == 0))) > 1.0

    right = Dynamics.evaluate

    def wrong(self: Dynamics):
        fit, gradient = right(self)
        return fit, gradient._replace(scores=np.abs(gradient.scores))

    monkeypatch.setattr(Dynamics, "evaluate", wrong)
    assert key_sum_drift(states(corpus, start, ("keys",), epochs=5)) > 1e-4
