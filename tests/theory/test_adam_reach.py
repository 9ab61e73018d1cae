"""Claim D13: how far Adam gets, beside its own loop, written anew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.theory.adam_reach import largest_step, remembering_width, steady_speed
from tests.support import examples


def steps_of(gradients: np.ndarray, beta1: float, beta2: float) -> np.ndarray:
    """Steps in units of the learning rate, from sums over the whole history."""
    sizes = []
    for k in range(1, gradients.size + 1):
        ages = np.arange(k)[::-1]
        mean = (beta1**ages) @ gradients[:k] / (beta1**ages).sum()
        square = (beta2**ages) @ gradients[:k] ** 2 / (beta2**ages).sum()
        sizes.append(abs(mean) / np.sqrt(square))
    return np.array(sizes)


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 0.95), st.floats(0.91, 0.999))
def test_no_step_is_longer(seed: int, beta1: float, beta2: float) -> None:
    rng = np.random.default_rng(seed)
    gradients = rng.standard_cauchy(60) * rng.uniform(0.8, 1.3) ** np.arange(60)
    assert steps_of(gradients, beta1, beta2).max() <= largest_step(beta1, beta2) * (1 + 1e-12)
    if beta1 <= beta2:
        falling = -np.sort(-np.abs(gradients)) * rng.choice((-1, 1), 60)
        assert steps_of(falling, beta1, beta2).max() <= 1 + 1e-12


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.99), (0.5, 0.9), (0.0, 0.95)])
def test_the_bound_is_reached(beta1: float, beta2: float) -> None:
    """By gradients that grow by β₂/β₁ a step, or for β₁ = 0 by one that comes after none."""
    steps = 2000 if beta1 else 800
    ages = np.arange(steps)[::-1]
    gradients = (beta1 / beta2) ** ages if beta1 else (ages == 0).astype(float)
    mean = (1 - beta1) * (beta1**ages) @ gradients
    square = (1 - beta2) * (beta2**ages) @ gradients**2
    assert mean / np.sqrt(square) == pytest.approx(largest_step(beta1, beta2), rel=1e-6)
    # Negative control: the bound that Adam's paper gives is passed.
    if beta1:
        assert mean / np.sqrt(square) > 1.1 * (1 - beta1) / np.sqrt(1 - beta2)


def test_adams_usual_means_take_steps_of_up_to_seven_rates() -> None:
    assert largest_step(0.9, 0.999) == pytest.approx(7.2703, abs=1e-4)


def test_a_variance_has_a_closed_form_under_memory() -> None:
    times = np.array([0.0, 1e-9, 0.1, 5.0, 300.0, 1e6])
    widths = remembering_width(times, np.inf, 3.0, "variance")
    np.testing.assert_allclose(widths**2, 9.0 * np.sqrt(1 + 2 * times / 9.0), rtol=1e-8)


@pytest.mark.parametrize("scale", ["deviation", "variance", "log"])
def test_at_time_zero_a_width_is_its_start(scale: str) -> None:
    assert remembering_width([0.0], 100.0, 2.8, scale) == pytest.approx([2.8], rel=1e-15)
    alone, among = remembering_width([0.4], 100.0, 2.8, scale), remembering_width([0.0, 0.4, 3.0], 100.0, 2.8, scale)
    assert alone[0] == pytest.approx(among[1], rel=1e-8)


@pytest.mark.parametrize(("scale", "power"), [("deviation", 3 / 8), ("variance", 1 / 4), ("log", 3 / 4)])
def test_the_powers_of_time_in_width(scale: str, power: float) -> None:
    """Of the variance itself it is 1/2."""
    low, high = (1e5, 1e6) if scale != "log" else (30.0, 60.0)
    grown = remembering_width([low, high], np.inf, 1.0, scale)
    assert np.log(grown[1] / grown[0]) / np.log(high / low) == pytest.approx(
        power, abs=1e-3 if scale != "log" else 0.01
    )


@pytest.mark.parametrize("scale", ["deviation", "variance", "log"])
@pytest.mark.parametrize("start", [2.0, 18.0])
def test_it_is_the_limit_of_a_loop_that_remembers_all(scale: str, start: float) -> None:
    """Steps η g/√(mean of all squares so far); at half the step, half the error, from below δ and from above."""
    distance = 10.0
    p0 = {"deviation": start, "variance": start**2, "log": np.log(start)}[scale]
    length = {"deviation": 6.0, "variance": 60.0, "log": 0.5}[scale]
    width = {"deviation": lambda p: p, "variance": np.sqrt, "log": np.exp}[scale]
    pull = {
        "deviation": lambda p: (distance**2 - p**2) / p**3,
        "variance": lambda p: (distance**2 - p) / (2 * p**2),
        "log": lambda p: distance**2 * np.exp(-2 * p) - 1,
    }[scale]
    wanted = remembering_width([length], distance, start, scale)[0]
    off = []
    for steps in (8000, 16000):
        p, squares = p0, 0.0
        for k in range(1, steps + 1):
            gradient = pull(p)
            squares += gradient**2
            p += length / steps * gradient / np.sqrt(squares / k)
        off.append(float(width(p)) / wanted - 1.0)
    assert abs(off[1]) < 5e-3
    assert off[0] / off[1] == pytest.approx(2.0, abs=0.2)


def test_the_steady_speed_is_less_by_the_lag_of_both_means() -> None:
    """Beside means over a gradient that falls like 1/σ³ along σ = σ₀ + η k."""
    rate, width, ages = 1e-4, 5.0, np.arange(40_000)
    gradients = (width - rate * ages) ** -3.0
    mean = 0.1 * (0.9**ages) @ gradients
    square = 0.01 * (0.99**ages) @ gradients**2
    lost = 1.0 - mean / np.sqrt(square)
    assert 1.0 - steady_speed(width, rate, 0.9, 0.99) == pytest.approx(lost, rel=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda: largest_step(0.99, 0.9),
        lambda: largest_step(0.9, 1.0),
        lambda: largest_step(-0.1, 0.9),
        lambda: remembering_width([1.0], 10.0, 10.0),
        lambda: remembering_width([1.0], 10.0, -1.0),
        lambda: remembering_width([2.0, 1.0], 10.0, 1.0),
        lambda: remembering_width([1.0], 10.0, 1.0, "width"),
        lambda: steady_speed(0.0, 0.1, 0.9, 0.999),
        lambda: steady_speed(3.0, 0.0, 0.9, 0.999),
        lambda: steady_speed(3.0, 0.01, 0.9, 2.0),
        lambda: steady_speed(3.0, 0.01, 0.9, 1.0),
        lambda: steady_speed(3.0, 0.01, -0.1, 0.999),
    ],
)
def test_what_no_law_holds_for_is_refused(call) -> None:
    with pytest.raises(InputError):
        call()
