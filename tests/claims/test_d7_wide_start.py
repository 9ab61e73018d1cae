"""Claim D7: a start wider than the distance reaches it under a bounded loss, a narrow one stays, ln σ or not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.model.bell import SCALES, Bell
from attn_dynamics.window.dynamics import flow
from tests.support import examples

BUDGET = 1e7


def end(distance: int, start: float, scale: str) -> float:
    layer = needle_layer(Bell(scale=scale), start, "reward")
    return float(flow(needle(distance, 5 * distance), layer, times=[BUDGET], log_time=True).widths[0])


@settings(max_examples=examples(6), deadline=None)
@given(st.integers(9, 15), st.floats(1.2, 3.0), st.sampled_from(["deviation", "log"]))
def test_wide_reaches_what_narrow_does_not(distance: int, wider: float, scale: str) -> None:
    assert end(distance, wider * distance, scale) == pytest.approx(distance, rel=0.005)
    assert end(distance, 1.0, scale) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("scale", SCALES)
def test_half_of_the_distance_is_not_narrow(scale: str) -> None:
    """Negative control: it is the exponent δ²/2σ₀² that holds a bell, not being below δ."""
    assert end(10, 5.0, scale) > 9.0
