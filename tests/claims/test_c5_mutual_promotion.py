"""Claim C5: from zero, s and ‖ν‖ grow together, and at no time is the loss above that with keys fixed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims.c5_mutual_promotion import TOLERANCE, ClimbingKeys, descended, drawn_settings, setback
from tests.support import examples


@settings(max_examples=examples(3))
@given(st.integers(0, 2**32 - 1))
def test_c5_in_mean_field(seed: int) -> None:
    setting = drawn_settings(10, seed)
    assert setback(setting) <= 100 * TOLERANCE
    assert setback(setting, ClimbingKeys) > 0.1


@pytest.mark.parametrize("model", ["attn-fc", "attn-tc"])
def test_c5_in_descent(model: str) -> None:
    assert descended(model, 300, 1) <= 0.0
    assert descended(model, 300, 1, turned=True) > 1e-4
