"""Claim A3: EᵀE - U Uᵀ is constant along the flow of Attn-TC, and drifts by O(η) under descent."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics.model.parameters import TRAINABLE
from tests.claims.balance import RATES, SEEN, drift_under_flow, drifts_under_descent, order, trainings
from tests.support import Case, examples, parameters_for, topic_corpus

WITH_BOTH = [("embeddings", "head"), ("keys", "embeddings", "head"), TRAINABLE]


@settings(max_examples=examples(8))
@given(trainings("attn-tc"), st.sampled_from(WITH_BOTH))
def test_the_flow_keeps_it(case: Case, train: tuple[str, ...]) -> None:
    assert drift_under_flow("embeddings_head", case, train) <= 1e-9


@settings(max_examples=examples(8))
@given(trainings("attn-tc"), st.sampled_from(WITH_BOTH))
def test_descent_drifts_at_first_order(case: Case, train: tuple[str, ...]) -> None:
    drifts = drifts_under_descent("embeddings_head", case.corpus, case.parameters, train)
    assume((drifts > SEEN * RATES).all())
    assert order(drifts) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("train", [("head",), ("embeddings",), ("query", "keys", "embeddings")], ids="+".join)
def test_it_moves_where_only_one_of_the_two_is_trained(train: tuple[str, ...]) -> None:
    """Negative control, and no learning rate is small enough."""
    corpus = topic_corpus(0)
    drifts = drifts_under_descent("embeddings_head", corpus, parameters_for(corpus, "attn-tc", 0), train)
    assert drifts.min() > 1e-3
    assert np.ptp(drifts) < 0.1 * drifts.min()
