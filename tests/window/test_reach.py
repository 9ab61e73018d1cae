"""Claim: where a bell ends in floating point, and how much of it lies beyond a half-width."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc, erfcinv

from attn_dynamics.errors import InputError
from attn_dynamics.window import reach
from attn_dynamics.window.reach import (
    EXPONENTS,
    FLOATS,
    PREFACTORS,
    BellFormula,
    half_width,
    mass_width,
    reached,
    tail_mass,
)
from tests.support import examples

BELL_FORMULAS = list(itertools.product(EXPONENTS, PREFACTORS, FLOATS))


@pytest.mark.parametrize("kind", BELL_FORMULAS, ids="-".join)
def test_the_support_that_is_counted_is_that_of_the_smallest_number(kind: tuple[str, str, str]) -> None:
    formula = BellFormula(*kind)

    @settings(max_examples=examples(30))
    @given(st.floats(0.5, 40.0))
    def check(sigma: float) -> None:
        reach = formula.half_width(sigma)
        low, high = formula.sigmas(reach)
        assert low <= 1.005 * sigma  # half a per cent for two roundings instead of one
        assert sigma < 1.005 * high
        assert formula.sigmas(reach + reach // 8 + 1)[0] > sigma, "negative control"

    check()


def test_an_end_in_whole_subnormals() -> None:
    """exp(-14²/2) is a subnormal of float32 and exp(-15²/2) is none."""
    assert np.exp(np.float64(-98.0)).astype(np.float32) > 0.0
    assert np.exp(np.float64(-112.5)).astype(np.float32) == 0.0
    assert BellFormula().half_width(1.0) == 14
    assert reached(1.0, 128) == 29
    assert reached(1.0, 5) == 11


@pytest.mark.parametrize("width", [0.4, 1.0, 5.0, 40.0])
def test_the_tail_lies_below_that_of_the_integral(width: float) -> None:
    whole = 1.0 + 2.0 * np.exp(-0.5 * (np.arange(1, 1000) / width) ** 2).sum()
    for cut in range(0, int(8 * width) + 1):
        bound = width * np.sqrt(2 * np.pi) * erfc(cut / width / 2**0.5) / whole
        direct = 2.0 * np.exp(-0.5 * (np.arange(cut + 1, 1000) / width) ** 2).sum() / whole
        assert tail_mass(width, cut) == pytest.approx(direct, rel=1e-12, abs=1e-300)
        assert tail_mass(width, cut) <= bound * (1 + 1e-12)


def test_nothing_lies_beyond_the_farthest() -> None:
    assert tail_mass(1.0, 100) == 0.0
    assert tail_mass(1.0, -1) == 1.0


@pytest.mark.parametrize("spread", [0.0, 3.0])
@pytest.mark.parametrize("error", [1e-1, 1e-3, 1e-9])
def test_the_half_width_is_the_least_that_keeps_the_error(error: float, spread: float) -> None:
    for width in (0.5, 3.0, 17.0):
        cut = half_width(width, error, spread)

        def change(at: int, width: float = width) -> float:
            odds = np.exp(spread) * tail_mass(width, at) / (1 - tail_mass(width, at))
            return 2 * odds / (1 + odds)

        assert change(cut) <= error
        assert cut == 0 or change(cut - 1) > error


@pytest.mark.parametrize(
    "call",
    [
        lambda: half_width(0.0, 0.1),
        lambda: half_width(1.0, 0.0),
        lambda: half_width(float("nan"), 0.1),
        lambda: half_width(1.0, 0.1, -1.0),
        lambda: half_width(1.0, 0.1, 601.0),
        lambda: reached(-1.0, 5),
        lambda: tail_mass(-1.0, 5),
        lambda: BellFormula().half_width(0.0),
    ],
)
def test_a_number_out_of_range_is_refused(call) -> None:
    with pytest.raises(InputError, match="expected a finite number"):
        call()


def test_wide_bells_are_summed_in_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the sum itself; and what that could not hold comes at once."""
    cuts = [0, 5_000, 30_000, 120_000]
    summed = [tail_mass(1e4, cut) for cut in cuts]
    monkeypatch.setattr(reach, "WIDE", 0.0)
    np.testing.assert_allclose([tail_mass(1e4, cut) for cut in cuts], summed, rtol=1e-13)
    assert half_width(1e7, 0.01) == pytest.approx(1e7 * 2**0.5 * erfcinv(0.01 / 2.0), abs=1.0)
    assert half_width(1e30, 0.01) > 1e30
    assert tail_mass(3.0, 2) != pytest.approx(summed[0], rel=1e-13), "negative control"


@pytest.mark.parametrize("limit", [2.5, 3.0, -1, True], ids=str)
def test_a_limit_that_is_no_whole_number_of_tokens_is_refused(limit: Any) -> None:
    for counted in (BellFormula().half_width, reached):
        with pytest.raises(InputError, match="limit: expected "):
            counted(9.5, limit)
        assert counted(9.5, 3) in (3, 7), "negative control"


def test_tokens_by_mass() -> None:
    distances = np.arange(-50, 51)
    weights = np.exp(-0.5 * (distances / 10.0) ** 2)
    assert mass_width(weights, distances) == 2 * 20 + 1, "1.96 σ less half a token, up to the next"
    assert mass_width(weights * (distances == 0), distances) == 1
    assert mass_width(np.ones(101), distances, share=1.0) == 101
