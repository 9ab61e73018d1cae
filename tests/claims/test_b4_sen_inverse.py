"""Claim B4: s = c - ω(c - ln m) inverts the relation to round-off, from any start and up to any norm."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics.theory.sen import sen_norm, sen_score
from tests.support import EPS, examples

MANY = st.floats(0.5, 1e6)
QUERY_NORMS = st.floats(0.05, 20)


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(-10, 25), st.floats(0, 5), MANY, QUERY_NORMS, st.floats(0, 3))
def test_from_the_score_to_the_norm_and_back(s0: float, rise: float, m: float, q: float, norm0: float) -> None:
    s = s0 + rise
    norm = sen_norm(s, m, q, s0, norm0)
    # What a rounding of ‖ν‖² moves s by, ds = (‖q‖²/2) d‖ν‖²/(1 + e^s/m), beside that of s itself.
    tolerance = 8 * EPS * (1 + abs(s) + abs(s0) + q**2 * norm**2 / (1 + np.exp(s) / m))
    assert abs(sen_score(norm, m, q, s0, norm0) - s) <= tolerance


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(1, 1e6), MANY, QUERY_NORMS)
def test_from_the_norm_to_the_score_and_back(norm: float, m: float, q: float) -> None:
    s = sen_score(norm, m, q)
    assert np.isfinite(s)
    assume(s > 0.1)
    assert abs(sen_norm(s, m, q) / norm - 1) <= 16 * EPS * (1 + s)


def test_one_more_other_word_is_told() -> None:
    """Negative control."""
    s = np.linspace(1, 25)
    assert (np.abs(sen_score(sen_norm(s, 20, 1.0), 21, 1.0) - s) > 1e-3).all()
