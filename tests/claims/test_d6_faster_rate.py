"""Claim D6: σ⁴ grows like 4δ²τ, so a factor r on the rate is one of r^{1/4} in width; descent goes as the flow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.model.bell import SCALES, Bell
from attn_dynamics.theory.bell_width import GROWTH, early_width, time_to_width
from attn_dynamics.window.dynamics import descend
from tests.support import examples

DISTANCE, BEGUN = 40, 4.0


@pytest.mark.parametrize("scale", SCALES)
def test_descent_takes_the_time_of_the_closed_form(scale: str) -> None:
    """At half the step, half the error."""
    windows, layer = needle(DISTANCE, 5 * DISTANCE), needle_layer(Bell(scale=scale), BEGUN)
    time = float(time_to_width(12.0, DISTANCE, BEGUN, scale))
    off = []
    for steps in (1600, 3200):
        end = descend(windows, layer, learning_rate=time / steps, epochs=steps, record=[steps]).widths[-1]
        off.append(end / 12.0 - 1.0)
    assert abs(off[1]) < 0.01
    assert off[0] / off[1] == pytest.approx(2.0, abs=0.1)
    # Negative control: the law of another scale is not nearly as close.
    other = early_width(time, DISTANCE, BEGUN, "log" if scale != "log" else "variance")
    assert abs(other / 12.0 - 1.0) > 0.1


@settings(max_examples=examples(8), deadline=None)
@given(st.sampled_from(list(SCALES)), st.floats(1.0, 30.0))
def test_a_rate_of_the_bell_is_a_factor_on_time(scale: str, rate: float) -> None:
    windows, layer = needle(DISTANCE, 5 * DISTANCE), needle_layer(Bell(scale=scale), BEGUN)
    step = float(time_to_width(5.0, DISTANCE, BEGUN, scale)) / 400 / rate
    faster = descend(windows, layer, learning_rate=step, epochs=200, bell_rate=rate).widths
    same = descend(windows, layer, learning_rate=rate * step, epochs=200).widths
    np.testing.assert_allclose(faster, same, rtol=1e-12)


@pytest.mark.parametrize(("scale", "power"), [("deviation", 1 / 4), ("variance", 1 / 6), ("log", 1 / 2)])
def test_the_power_of_the_rate_in_width(scale: str, power: float) -> None:
    """Of the variance σ² itself it is 1/3."""
    grown = early_width(np.array([1e3, 1e5]), 1e4, 1e-3, scale)
    assert np.log(grown[1] / grown[0]) / np.log(100.0) == pytest.approx(power, abs=1e-6)
    assert 1.0 / GROWTH[scale][0] == power
