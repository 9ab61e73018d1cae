"""Claim A2: q qᵀ - KᵀK is constant along the flow when both are trained, and drifts by O(η) under descent."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics.model.parameters import TRAINABLE
from tests.claims.balance import RATES, SEEN, drift_under_flow, drifts_under_descent, order, trainings
from tests.support import MODELS, Case, examples, parameters_for, topic_corpus

WITH_BOTH = [("query", "keys"), ("query", "keys", "embeddings"), TRAINABLE]


@settings(max_examples=examples(8))
@given(st.sampled_from(MODELS).flatmap(lambda model: trainings(model, away=8.0)), st.sampled_from(WITH_BOTH))
def test_the_flow_keeps_it(case: Case, train: tuple[str, ...]) -> None:
    assert drift_under_flow("query_keys", case, train) <= 1e-9


@settings(max_examples=examples(8))
@given(st.sampled_from(MODELS).flatmap(trainings), st.sampled_from(WITH_BOTH))
def test_descent_drifts_at_first_order(case: Case, train: tuple[str, ...]) -> None:
    drifts = drifts_under_descent("query_keys", case.corpus, case.parameters, train)
    assume((drifts > SEEN * RATES).all())
    assert order(drifts) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("train", [("query",), ("keys",), ("keys", "embeddings", "head")], ids="+".join)
@pytest.mark.parametrize("model", MODELS)
def test_it_moves_where_only_one_of_the_two_is_trained(model: str, train: tuple[str, ...]) -> None:
    """Negative control, and no learning rate is small enough."""
    corpus = topic_corpus(0)
    start = parameters_for(corpus, model, 0)
    drifts = drifts_under_descent("query_keys", corpus, start, train)
    assert drifts.min() > 1e-4
    assert np.ptp(drifts) < 0.1 * drifts.min()
