"""Claim D1: W22's counts are the float32 support of exp(-Δ²/2σ), and of no other way to compute a bell."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.window.reach import BellFormula
from attn_dynamics.window.w22 import BELL_FORMULAS, DECIMAL, TABLE, blank, misses, tokens
from tests.support import examples

DISTANCES = np.arange(-128, 129)


def above_zero(bell: np.ndarray) -> int:
    return int((bell.astype(np.float32) != 0.0).sum())


def variance(sigma: float) -> np.ndarray:
    return np.exp(-(DISTANCES**2) / (2.0 * sigma))


@settings(max_examples=examples(40))
@given(st.floats(9.32, 9.73))
def test_every_width_that_is_9_5_reaches_89_tokens(sigma: float) -> None:
    assert above_zero(variance(sigma)) == tokens(BellFormula(), sigma) == TABLE[1].tokens
    # Negative controls: the formula as printed reaches all of the window, and in float64 nearly so does the variance.
    assert above_zero(np.exp(-0.5 * (DISTANCES / sigma) ** 2) / sigma) == DISTANCES.size
    assert int((variance(sigma) != 0.0).sum()) > 200


@settings(max_examples=examples(40))
@given(st.floats(5.0, 30.0))
def test_the_blank_cell_is_what_reaches_111_tokens(sigma: float) -> None:
    low, high = blank(BellFormula())
    assert (low, high) == (pytest.approx(14.55, abs=0.005), pytest.approx(15.08, abs=0.005))
    if min(abs(sigma - low), abs(sigma - high)) > 1e-9:
        assert (above_zero(variance(sigma)) == TABLE[2].tokens) == (low <= sigma < high)


def test_one_reading_gives_the_table_and_no_other() -> None:
    assert [each for each in BELL_FORMULAS if misses(each) == 0] == [BellFormula("variance", "none", "float32")]
    # Negative control: at exactly 9.5 a second one would pass, so the decimal has to be taken for what it is.
    exact = [row._replace(sigmas=tuple(s for s in row.sigmas if s not in (DECIMAL[0], DECIMAL[2]))) for row in TABLE]
    assert len([each for each in BELL_FORMULAS if misses(each, exact) == 0]) == 2


def test_torch_counts_the_same() -> None:
    for sigma, reached in ((1.0, 29), (9.5, 89), (15.0, 111)):
        bell = torch.exp(-(torch.arange(-128, 129, dtype=torch.float32) ** 2) / (2 * sigma))
        assert int((bell != 0).sum()) == reached
