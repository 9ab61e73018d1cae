"""Claim D12: widths and ends, beside the roots and turning points of a loss that is written anew."""

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.theory.parting_heads import far_shares, least_ratio
from attn_dynamics.theory.two_widths import ends, log_odds_at, stable_widths, width_at
from tests.support import examples


def resting(odds: float, near: float, far: float, power: float) -> list[float]:
    """Widths at which the slope of -ln(α₁ + r α₂) in ln σ turns from - to +, on a fine grid."""
    logs = np.linspace(np.log(0.5 * near), np.log(2 * far), 400_001)
    with np.errstate(all="ignore"):
        shift = (far**power - near**power) / (power * np.exp(power * logs))
        share = odds / (odds + np.exp(shift))
    slope = 1 - ((1 - share) * near**power + share * far**power) / np.exp(power * logs)
    found = np.flatnonzero((slope[:-1] < 0) & (slope[1:] >= 0))
    return np.exp(logs[found]).tolist()


@settings(max_examples=examples(30), deadline=None)
@given(st.floats(1.5, 8.0), st.floats(-1.0, 4.0), st.sampled_from([1.0, 2.0]))
def test_the_widths_are_where_the_loss_is_least(ratio: float, log_odds: float, power: float) -> None:
    odds, folds = float(np.exp(log_odds)), ends(5.0, 5.0 * ratio, power)
    if any(abs(np.log(odds / each)) < 1e-3 for each in folds):
        return
    found = stable_widths(odds, 5.0, 5.0 * ratio, power)
    assert found == pytest.approx(resting(odds, 5.0, 5.0 * ratio, power), rel=1e-4)
    assert (len(found) == 2) == (folds[0] < odds < folds[1])


def test_the_example_of_a_narrow_and_a_wide_start() -> None:
    assert stable_widths(10.0, 3.0, 30.0) == pytest.approx((3.0, 27.6529), abs=1e-4)
    assert stable_widths(2.0, 3.0, 30.0) == pytest.approx((3.0,), abs=1e-4)


def test_the_ends_are_those_of_the_closed_form_in_y() -> None:
    for near, far in ((3.0, 30.0), (10.0, 36.0)):
        with mpmath.workdps(40):
            c = mpmath.mpf(near) ** 2 / (mpmath.mpf(far) ** 2 - mpmath.mpf(near) ** 2)
            root = mpmath.sqrt(1 - 8 * c - 8 * c**2)
            values = [
                mpmath.exp(1 / (2 * y)) / (1 / (y - c) - 1) for y in ((1 + 2 * c + root) / 6, (1 + 2 * c - root) / 6)
            ]
            assert ends(near, far) == pytest.approx([float(each) for each in values], rel=1e-12)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize(("odds", "near", "far"), [(1e5, 1.0, 30.0), (1e20, 1.0, 60.0), (2.5, 1e-3, 1e3)])
def test_a_far_token_that_is_very_far_has_its_width_beside_the_near_one(
    odds: float, near: float, far: float, power: float
) -> None:
    """Beside mpmath's roots of the share's equation, each from its own side."""
    if not odds > ends(near, far, power)[0]:
        assert len(stable_widths(odds, near, far, power)) == 1
        return
    narrow, wide = stable_widths(odds, near, far, power)
    with mpmath.workdps(60):
        p, first, last, worth = (mpmath.mpf(each) for each in (power, near, far, odds))

        def settled(square: Any) -> float:
            for _ in range(2000):
                shift = worth * mpmath.exp(-(last**p - first**p) / (p * square))
                square = (first**p + shift * last**p) / (1 + shift)
            return float(square ** (1 / p))

        assert (narrow, wide) == pytest.approx((settled(first**p), settled(last**p)), rel=1e-12)


@pytest.mark.parametrize(("odds", "width"), [(1e-300, 3.0), (1e300, 30.0)])
def test_one_width_is_left_at_extreme_odds(odds: float, width: float) -> None:
    assert stable_widths(odds, 3.0, 30.0) == pytest.approx((width,), rel=1e-12)


def test_an_end_beyond_float64_is_infinite() -> None:
    low, high = ends(1e-3, 1e3)
    assert (low, high) == (pytest.approx(0.5 * np.exp(1.5), rel=1e-9), np.inf)
    assert np.isfinite(ends(1.0, 37.0)).all()
    share = far_shares(1e6)[0]
    assert log_odds_at(share, 1e-3, 1e3) == pytest.approx(0.5e12, rel=1e-9)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_two_widths_begin_at_the_least_ratio(power: float) -> None:
    least = least_ratio(power)
    assert np.isnan(ends(10.0, 9.999 * least, power)).all()
    low, high = ends(10.0, 10.01 * least, power)
    assert 0 < high / low - 1 < 1e-3
    shares = np.linspace(0.01, 0.99, 9801)
    assert (np.diff(log_odds_at(shares, 10.0, 9.999 * least, power)) > 0).all()
    assert (np.diff(log_odds_at(shares, 10.0, 10.05 * least, power)) < 0).any()


def test_at_an_end_the_useful_tokens_have_a_kurtosis_of_three() -> None:
    for share in far_shares(3.6):
        squares, chances = np.array([1.0, 3.6**2]), np.array([1 - share, share])
        assert chances @ squares**2 / (chances @ squares) ** 2 == pytest.approx(3.0, rel=1e-12)
        assert width_at(share, 1.0, 3.6) ** 2 == pytest.approx(chances @ squares, rel=1e-14)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ends(0.0, 3.0),
        lambda: ends(3.0, 3.0),
        lambda: stable_widths(0.0, 3.0, 30.0),
        lambda: stable_widths(np.inf, 3.0, 30.0),
        lambda: width_at(1.5, 3.0, 30.0),
    ],
)
def test_what_no_law_holds_for_is_refused(call) -> None:
    with pytest.raises(InputError):
        call()
