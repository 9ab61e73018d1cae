"""Claim: where a bell ends in floating point, and how much of it lies beyond a half-width."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc

from attn_dynamics.errors import InputError
from attn_dynamics.window.support import (
    EXPONENTS,
    FLOATS,
    PREFACTORS,
    Reading,
    half_width,
    mass_width,
    reached,
    tail_mass,
)
from tests.support import examples

READINGS = list(itertools.product(EXPONENTS, PREFACTORS, FLOATS))


@pytest.mark.parametrize("kind", READINGS, ids="-".join)
def test_the_support_that_is_counted_is_that_of_the_smallest_number(kind: tuple[str, str, str]) -> None:
    reading = Reading(*kind)

    @settings(max_examples=examples(30))
    @given(st.floats(0.5, 40.0))
    def check(sigma: float) -> None:
        low, high = reading.sigmas(reading.half_width_in_closed_form(sigma))
        if min(sigma / low - 1.0, 1.0 - sigma / high) > 0.005:  # two roundings in the place of one
            assert reading.half_width(sigma) == reading.half_width_in_closed_form(sigma)
        assert low <= sigma * (1 + 1e-12)
        assert sigma < high * (1 + 1e-12)

    check()


def test_an_end_in_whole_subnormals() -> None:
    """exp(-14²/2) is a subnormal of float32 and exp(-15²/2) is none."""
    assert np.exp(np.float64(-98.0)).astype(np.float32) > 0.0
    assert np.exp(np.float64(-112.5)).astype(np.float32) == 0.0
    assert Reading().half_width(1.0) == 14
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


@pytest.mark.parametrize("wrong", [(0.0, 0.1), (1.0, 0.0), (float("nan"), 0.1), (1.0, 0.1, -1.0)])
def test_a_number_out_of_range_is_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"a finite number (above|from) 0"):
        half_width(*wrong)


def test_tokens_by_mass() -> None:
    distances = np.arange(-50, 51)
    weights = np.exp(-0.5 * (distances / 10.0) ** 2)
    assert mass_width(weights, distances) == 2 * 20 + 1, "1.96 σ less half a token, up to the next"
    assert mass_width(weights * (distances == 0), distances) == 1
    assert mass_width(np.ones(101), distances, share=1.0) == 101
