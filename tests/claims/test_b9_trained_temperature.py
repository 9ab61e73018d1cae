"""Claim B9: from K = 0 the scores alone tell how long a trained query is, and how large a trained temperature."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import flow
from attn_dynamics.claims._support.sen import SMOOTH
from attn_dynamics.claims.b9_trained_temperature import TEMPERATURE, WORDS, cooled, equal_words
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_temperature import sen_norm_trained_temperature
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query
from tests.support import Case, cases, end, examples


@settings(max_examples=examples(10), deadline=None)
@given(st.sampled_from(["attn-fc", "attn-tc"]).flatmap(lambda model: cases(model, spreads=(0.5,))))
def test_the_query_grows_as_the_scores_say(case: Case) -> None:
    """‖q‖² (‖q‖² - ‖q₀‖²) = ‖s‖² as it stands, and the direction stays, on any data."""
    zero = replace(case.parameters, keys=0 * case.parameters.keys)
    after = end(flow(case.corpus, zero, times=[2.0], train=TRAINABLE, rtol=1e-11, atol=1e-14))
    first, last = zero.query @ zero.query, after.query @ after.query
    assert last * (last - first) == pytest.approx(float((after.scores**2).sum()), rel=1e-7, abs=1e-12)
    assert abs(after.query @ zero.query) == pytest.approx(np.sqrt(first * last), rel=1e-12)


@pytest.mark.parametrize("model", SMOOTH)
def test_equal_words_stay_equal_and_each_counts(model: str) -> None:
    score, norms, q = equal_words(model, 3)
    assert np.ptp(score, axis=1).max() <= 1e-9
    assert score[-1, 0] > 0.5
    np.testing.assert_allclose(norms, sen_norm_trained_query(score, 3, q, WORDS), rtol=1e-9)
    assert np.abs(norms / sen_norm_trained_query(score, 3, q) - 1).max() > 0.05, "negative control"


@pytest.mark.parametrize("model", SMOOTH)
def test_a_trained_temperature_is_no_fixed_one(model: str) -> None:
    b, score, norms, q = cooled(model, 3)
    np.testing.assert_allclose(norms, sen_norm_trained_temperature(score, 3, q, TEMPERATURE, WORDS), rtol=1e-9)
    assert b[-1, 0] > TEMPERATURE * 1.1
    assert np.abs(norms / sen_norm(score, 3, TEMPERATURE * q) - 1).max() > 0.1, "negative control"
