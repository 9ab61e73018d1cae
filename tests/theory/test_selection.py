"""Claim F2: the integral and its late form against mpmath, and what is out of range."""

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.theory.selection import Selection
from tests.support import EPS, examples

words = st.builds(
    Selection,
    margin=st.floats(0.05, 8),
    frequency=st.floats(0.01, 1),
    others=st.floats(0.2, 200),
    classes=st.integers(2, 10),
    query_norm=st.floats(0.1, 10),
)


def by_score(word: Selection, score: float) -> float:
    """The time of a score: the integral of dτ/ds itself, in 30 digits."""
    v, rho, m, n, q = (mpmath.mpf(getattr(word, name)) for name in vars(word))

    def slowness(s: Any) -> Any:
        a = mpmath.exp(s) / (mpmath.exp(s) + m)
        wrong = (n - 1) / (n - 1 + mpmath.exp(a * v))
        return 1 / (q**2 * rho * a * (1 - a) * wrong * v)

    with mpmath.workdps(30):
        integral: Any = mpmath.quad(slowness, mpmath.linspace(0, score, 9))
        return float(integral)


@settings(max_examples=examples(15))
@given(words, st.floats(0.01, 25))
def test_f2_the_time_is_the_integral(word: Selection, score: float) -> None:
    reached = 1 + np.exp(score) / np.asarray(word.others)
    assert float(word.time(reached)) == pytest.approx(by_score(word, score), rel=1e-9)


@settings(max_examples=examples(15))
@given(words)
def test_f2_late_it_is_a_line_and_a_logarithm(word: Selection) -> None:
    time = word.time(1e6)
    grown = word.rate * time
    left = np.abs(word.drift) * (np.abs(word.drift) * np.log(grown) + np.abs(word.constant)) / grown
    third = 3 + (2 * word.drift + 4) + np.square(word.margin)  # more than the next coefficient of dτ/dR
    assert abs(word.late(time) - 1e6) <= 2 * left + 2 * third / grown + 1e-7
    # Negative control: another constant.
    assert abs(word.late(time) + 0.1 - 1e6) > 2 * left + 2 * third / grown + 1e-7


def test_f2_the_constants_of_one_word() -> None:
    """With Q = ρ = 1 and v = 1: τ(1 - a) → (1 + e) and b = -1.26894."""
    word = Selection(margin=1.0, frequency=1.0, others=7.0)
    assert 1 / word.rate == pytest.approx(1 + np.e, rel=1e-15)
    assert word.drift == pytest.approx(-1.26894, abs=5e-6)


@pytest.mark.parametrize("margin", [0.05, 36.0, 37.0, 300.0, 700.0])
def test_f2_the_rate_of_any_margin(margin: float) -> None:
    """Compare with mpmath, also at margins where the probability of the wrong classes is below round-off."""
    with mpmath.workdps(400):
        wanted = float(mpmath.mpf(margin) / (1 + mpmath.exp(margin) / 3))
    assert Selection(margin=margin, frequency=1.0, others=5.0, classes=4).rate == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("margin", [40.0, 100.0])
def test_f2_the_time_of_large_margins(margin: float) -> None:
    word, reached = Selection(margin=margin, frequency=0.5, others=5.0), 1 + np.exp(3.0) / 5
    allowed = float((reached + margin) * EPS / word.rate)
    assert word.time(reached) == pytest.approx(by_score(word, 3.0), rel=1e-9, abs=allowed)


def test_settings_broadcast() -> None:
    word = Selection(margin=[[1.0], [2.0]], frequency=[0.1, 0.2, 0.3], others=5)
    assert word.late(1e4).shape == word.time(100.0).shape == (2, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"margin": 0.0}, "margin: expected numbers above 0"),
        ({"frequency": 1.5}, "frequency: expected numbers above 0 and at most 1"),
        ({"others": 0}, "others: expected numbers above 0"),
        ({"classes": 1}, "classes: expected numbers 2 or above"),
        ({"query_norm": 0}, "query_norm: expected numbers above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Selection(**{"margin": 1.0, "frequency": 0.1, "others": 5} | given)


def test_times_before_the_start_are_refused() -> None:
    word = Selection(margin=1.0, frequency=0.1, others=5)
    with pytest.raises(InputError, match="time: expected numbers above 0"):
        word.late(0.0)
    with pytest.raises(InputError, match="inverse_gap: expected numbers 1 or above"):
        word.time(0.5)
