"""Intervals of means and of exponents."""

import numpy as np
import pytest
from scipy.stats import t

from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.statistics import half_width, in_words, mean_interval, shown_as


def test_a_power_law_without_error_is_found_exactly() -> None:
    x = np.array([1.0, 2.0, 5.0, 20.0])
    law = power_law(x, 3.0 * x**-1.5)
    assert [law.exponent, law.factor] == pytest.approx([-1.5, 3.0], rel=1e-13)
    assert law.half < 1e-12
    assert law.at(x) == pytest.approx(3.0 * x**-1.5, rel=1e-13)


def test_two_points_leave_no_interval() -> None:
    assert np.isnan(power_law([1.0, 2.0], [1.0, 3.0]).half)


@pytest.mark.parametrize("samples", [1, 2, 4])
def test_fewer_than_five_samples_leave_no_interval_of_the_mean_but_a_range(samples: int) -> None:
    values = np.linspace(1.0, 4.0, samples)
    assert np.isnan(half_width(values))
    assert np.isnan(mean_interval(np.ones((samples, 3)))).all()
    assert in_words(values) == f"{values.mean():.4g} (1 to {values[-1]:.3g})"
    assert "95" not in shown_as(samples)


def test_five_samples_have_an_interval_unless_one_is_infinite() -> None:
    known = half_width(np.array([[1.0, np.inf], [2.0, 3.0], [3.0, 4.0], [4.0, 5.0], [5.0, 6.0]]))
    assert np.isfinite(known).tolist() == [True, False]
    assert in_words(np.arange(1.0, 6.0)) == "3 ± 2"  # 2.776 · sqrt(2.5 / 5) = 1.96
    assert "95 %" in shown_as(5)


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
