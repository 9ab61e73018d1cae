"""Claim D5: under a bounded loss a narrow bell moves at the rate e^{-δ²/2σ²}, which is to say it does not."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.model.bell import SCALES, Bell
from attn_dynamics.theory.bell_width import escape_time
from attn_dynamics.window.dynamics import flow
from attn_dynamics.window.layer import loss_and_gradient
from tests.support import examples


@settings(max_examples=examples(30))
@given(st.integers(5, 60), st.floats(1.0, 6.0))
def test_the_rate_is_that_of_the_bell_at_the_distance(distance: int, width: float) -> None:
    """Dσ/dτ = (δ² - σ²) e^{-δ²/2σ²}/(√(2π) σ⁴): even scores, a whole bell."""
    assume(4.0 < distance / width < 30.0)
    rate = -loss_and_gradient(needle(distance, 5 * distance), needle_layer(Bell(), width, "reward"))[1].parameter
    law = (distance**2 - width**2) * np.exp(-0.5 * (distance / width) ** 2) / (np.sqrt(2 * np.pi) * width**4)
    assert rate == pytest.approx(law, rel=1e-6)
    # Negative control: the unbounded loss divides by the attention, and nothing is left of the exponential.
    other = -loss_and_gradient(needle(distance, 5 * distance), needle_layer(Bell(), width))[1].parameter
    assert other == pytest.approx((distance**2 - width**2) / width**3, rel=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_a_start_of_one_stays_and_the_law_says_for_how_long(scale: str) -> None:
    layer = needle_layer(Bell(scale=scale), 1.0, "reward")
    stayed = flow(needle(10, 50), layer, times=[1e12], log_time=True).widths[0]
    assert stayed == pytest.approx(1.0, abs=1e-6)
    assert escape_time(10, 1.0, scale) > 1e17
    assert escape_time(10, 1.0, scale) < 1e20, "late, not never"
