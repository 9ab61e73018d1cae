"""Claim A4: EᵀE - U₁U₁ᵀ, and ‖U₁[:,h]‖² + b₁[h]² - ‖U₂[h,:]‖² of every unit h, are constant along the flow of Attn-TL.

Under descent they drift by O(η), across the switches of relu too. Along the flow none switches here: see `flow`.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics import TwoLayer, descend
from attn_dynamics.model.parameters import TRAINABLE
from tests.claims.balance import RATES, SEEN, drift_under_flow, drifts_under_descent, order, trainings
from tests.support import Case, attention_of, end, examples, parameters_for, topic_corpus

LAWS = ("embeddings_head", "hidden_units")
WITH_BOTH = [("embeddings", "head"), ("keys", "embeddings", "head"), TRAINABLE]


@settings(max_examples=examples(8))
@given(trainings("attn-tl", away=8.0), st.sampled_from(WITH_BOTH), st.sampled_from(LAWS))
def test_the_flow_keeps_them(case: Case, train: tuple[str, ...], law: str) -> None:
    assert drift_under_flow(law, case, train) <= 1e-9


@settings(max_examples=examples(8))
@given(trainings("attn-tl"), st.sampled_from(WITH_BOTH), st.sampled_from(LAWS))
def test_descent_drifts_at_first_order(case: Case, train: tuple[str, ...], law: str) -> None:
    drifts = drifts_under_descent(law, case.corpus, case.parameters, train)
    assume((drifts > SEEN * RATES).all())
    assert order(drifts) == pytest.approx(1.0, abs=0.1)


def test_descent_drifts_at_first_order_across_many_switches() -> None:
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tl", 0, hidden=6)
    later = end(descend(corpus, start, learning_rate=0.01, epochs=200, train=TRAINABLE))
    active = []
    for state in (start, later):
        assert isinstance(state.head, TwoLayer)
        contexts = attention_of(corpus, state.scores) @ state.embeddings
        active.append(contexts @ state.head.weight_in + state.head.bias_in > 0.0)
    assert np.count_nonzero(active[0] != active[1]) > 3
    for law in LAWS:
        drifts = drifts_under_descent(law, corpus, start, TRAINABLE, time=2.0)
        assert order(drifts) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("law", "train"),
    [
        ("embeddings_head", ("head",)),
        ("embeddings_head", ("keys", "embeddings")),
    ],
)
def test_they_move_where_only_one_layer_is_trained(law: str, train: tuple[str, ...]) -> None:
    """Negative control, and no learning rate is small enough."""
    corpus = topic_corpus(0)
    drifts = drifts_under_descent(law, corpus, parameters_for(corpus, "attn-tl", 0), train)
    assert drifts.min() > 1e-3
    assert np.ptp(drifts) < 0.1 * drifts.min()


def test_b1_belongs_to_the_balance_of_a_unit() -> None:
    """Negative control: without it the balance moves."""
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tl", 0)
    after = end(descend(corpus, start, learning_rate=0.001, epochs=1000, train=TRAINABLE))
    units, squares = (
        np.abs(quantity(after.head) - quantity(start.head)).max()
        for quantity in (lambda head: head.balances()["hidden_units"], lambda head: head.arrays()["bias_in"] ** 2)
    )
    assert units < 1e-2 * squares
