"""Intervals of means and of exponents."""

import numpy as np
import pytest
from scipy.stats import t

from attn_dynamics.claims.intervals import power_law
from attn_dynamics.intervals import half_width, mean_interval


def test_a_power_law_without_error_is_found_exactly() -> None:
    x = np.array([1.0, 2.0, 5.0, 20.0])
    law = power_law(x, 3.0 * x**-1.5)
    assert [law.exponent, law.factor] == pytest.approx([-1.5, 3.0], rel=1e-13)
    assert law.half < 1e-12
    assert law.at(x) == pytest.approx(3.0 * x**-1.5, rel=1e-13)


def test_two_points_leave_no_interval() -> None:
    assert np.isnan(power_law([1.0, 2.0], [1.0, 3.0]).half)


def test_one_sample_or_an_infinite_one_leaves_no_interval_of_the_mean() -> None:
    assert np.isnan(half_width(np.array([1.0])))
    assert np.isnan(mean_interval(np.ones((1, 3)))).all()
    known = half_width(np.array([[1.0, np.inf], [2.0, 3.0]]))
    assert np.isfinite(known).tolist() == [True, False]


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 2,000 intervals 95 % ± 4 standard errors (2 %) hold the truth; those of a normal quantile would hold 89 %."""
    rng, x = np.random.default_rng(0), np.geomspace(1.0, 100.0, 5)
    laws = [power_law(x, x**0.5 * np.exp(0.1 * rng.standard_normal(x.size))) for _ in range(2000)]
    means = [mean_interval(rng.standard_normal(5)) for _ in range(2000)]
    for rate in (
        np.mean([abs(law.exponent - 0.5) <= law.half for law in laws]),
        np.mean([low <= 0.0 <= high for low, high in means]),
    ):
        print(f"observed rate {rate:.3f}")
        assert abs(rate - 0.95) < 0.02


def test_a_narrower_quantile_would_be_seen() -> None:
    rng = np.random.default_rng(0)
    shrink = 1.96 / t.ppf(0.975, 4)
    covered = []
    for _ in range(2000):
        low, high = mean_interval(rng.standard_normal(5))
        covered.append(abs((low + high) / 2) <= shrink * (high - low) / 2)
    assert np.mean(covered) < 0.93
