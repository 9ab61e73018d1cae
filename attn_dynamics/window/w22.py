"""The counts of attended tokens that W22 reports, and the bell formulas that reproduce them (theory D1)."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from attn_dynamics.window.reach import EXPONENTS, FLOATS, PREFACTORS, BellFormula

HALF_WIDTH = 128
"""Half-width w of W22's windows of 257 tokens."""
BELL_FORMULAS = tuple(
    BellFormula(*kind) for kind in product(EXPONENTS, PREFACTORS, FLOATS) if kind[:2] != ("deviation", "normalised")
)
"""All formulas considered; for a deviation the normalised prefactor is the printed one."""
DECIMAL = (9.45, 9.5, 9.55 * (1.0 - 1e-9))
"""Values that round to 9.5."""


class Row(NamedTuple):
    """A row of W22's table."""

    setting: str
    """Description of σ in the table."""
    sigmas: tuple[float, ...]
    """Possible values of σ; empty if the cell is blank."""
    tokens: int
    """Number of attended tokens."""


TABLE = (
    Row("σ = 1, at the start", (1.0,), 29),
    Row("σ = 9.5, learned", DECIMAL, 89),
    Row("rate × 10 on σ, cell blank", (), 111),
)


class Score(NamedTuple):
    """Scores of answers to questions, in per cent."""

    f1: float
    em: float


SCORES = {"fixed": Score(73.25, 68.08), "peak-narrow": Score(57.29, 49.13), "peak-narrow-100": Score(58.01, 50.02)}
"""W22's scores by experiment row: a fixed window, and σ learned at 1 and at 100 times the learning rate (theory D1)."""


def tokens(formula: BellFormula, sigma: float) -> int:
    """Return the number 2w + 1 of tokens that a formula at σ attends to in W22's window."""
    return 2 * formula.half_width(sigma, HALF_WIDTH) + 1


def misses(formula: BellFormula, table: Sequence[Row] = TABLE) -> int:
    """Return the largest error of a formula, in tokens, over the rows whose σ is given."""
    return max(abs(tokens(formula, sigma) - row.tokens) for row in table for sigma in row.sigmas)


def blank(formula: BellFormula, row: Row = TABLE[2]) -> tuple[float, float]:
    """Return the interval [from, below) of σ at which a formula gives the tokens of a row."""
    low, high = formula.sigmas(row.tokens // 2)
    return (low, high) if row.tokens < 2 * HALF_WIDTH + 1 else (low, np.inf)
