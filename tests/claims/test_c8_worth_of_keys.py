"""Claim C8: trained keys are worth (1+m)²/(1+m/(ρN)) of the loss under a fixed head, in the model itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.exact_task import KEYS_FIXED, ExactTask
from attn_dynamics.claims._support.long_run import end_in_model
from tests.support import examples


@settings(max_examples=examples(3))
@given(st.integers(2, 4), st.integers(2, 4), st.integers(1, 10), st.booleans())
def test_c8_in_the_model(n: int, repeats: int, m: int, private: bool) -> None:
    task = ExactTask((repeats,) * n, m, private=private)
    ratio = float(end_in_model(task, KEYS_FIXED).train_loss / end_in_model(task).train_loss)
    factor = (1 + m) ** 2 / (1 + private * m / repeats)
    # The next order of C3, B ≤ 4 and Λ ≥ 17: (2 ln(m Λ²/B) - 5) B²/Λ⁴ ≤ 0.2 %, where sentences memorise twice that.
    assert ratio == pytest.approx(factor, rel=4e-3)
    assert ratio != pytest.approx((1 + m) ** 2 / (1 + (not private) * m / repeats), rel=4e-3)
