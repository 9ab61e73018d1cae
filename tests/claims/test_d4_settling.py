"""Claim D4: σ settles where E_α[Δ²] = δ²: at δ in a long window, farther in a short one, nowhere in a shorter one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.model.bell import Bell
from attn_dynamics.theory.bell_width import settled_width
from attn_dynamics.window.dynamics import flow
from tests.support import examples


def end(distance: int, half_width: int, start: float, time: float = 1e6) -> float:
    course = flow(needle(distance, half_width), needle_layer(Bell(), start), times=[time], log_time=True)
    return float(course.widths[-1])


@settings(max_examples=examples(8), deadline=None)
@given(st.integers(3, 60), st.floats(0.2, 3.0))
def test_in_a_window_of_five_distances_it_is_the_distance(distance: int, begun: float) -> None:
    found = end(distance, 5 * distance, begun * distance)
    assert found == pytest.approx(distance, rel=0.005)
    assert found == pytest.approx(settled_width(distance, 5 * distance), rel=1e-6)
    # Negative control: it is neither a neighbour nor the width at half height.
    assert found != pytest.approx(distance + 1, rel=0.005)
    assert found != pytest.approx(distance / 2.355, rel=0.005)


@settings(max_examples=examples(8), deadline=None)
@given(st.integers(5, 30), st.floats(1.85, 2.5))
def test_where_the_limit_bites_it_is_as_predicted(distance: int, times: float) -> None:
    half = int(np.ceil(times * distance))
    found = end(distance, half, distance / 3.0, time=1e8)
    assert found == pytest.approx(settled_width(distance, half), rel=1e-6)
    assert found > 1.02 * distance


@pytest.mark.parametrize(("distance", "half_width"), [(10, 15), (30, 50), (3, 4)])
def test_in_a_window_that_is_too_short_nothing_holds_it(distance: int, half_width: int) -> None:
    assert np.isinf(settled_width(distance, half_width))
    assert distance**2 >= half_width * (half_width + 1) / 3
    grown = [end(distance, half_width, distance / 3.0, time) for time in (1e8, 1e12)]
    assert grown[1] > 5.0 * grown[0] > 50.0


def test_where_the_window_is_just_too_short_it_grows_as_the_sixth_root() -> None:
    """δ² = w(w + 1)/3: σ⁶ ~ 3 Var(Δ²) τ. Below w = 100 it is so at 3 and 48; the claim has both."""
    distance, half_width = 2, 3
    assert 3 * distance**2 == half_width * (half_width + 1)
    assert np.isinf(settled_width(distance, half_width))
    squares = np.arange(-half_width, half_width + 1) ** 2.0
    time = (300.0 * half_width) ** 6
    grown = end(distance, half_width, distance / 3.0, time) ** 6 / time
    assert grown == pytest.approx(3 * squares.var(), rel=1e-5)
    # Negative control: not as where it is much too short.
    later = end(distance, half_width, distance / 3.0, 1e6 * time)
    assert later / end(distance, half_width, distance / 3.0, time) == pytest.approx(10.0, rel=1e-4)
