"""Tokens that the report W22 counted as attended (theory D1).

W22 is a progress report that trains the width σ of a Gaussian attention window in a pretrained encoder.
"""

import numpy as np

from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.window.reach import BellFormula
from attn_dynamics.window.w22 import BELL_FORMULAS, TABLE, Row, blank, misses

STATED = (14.55, 15.08)
"""Interval of the σ that give 111 tokens, to two decimals."""
EXACTLY = tuple(row._replace(sigmas=row.sigmas[1:2]) if len(row.sigmas) > 1 else row for row in TABLE)
"""W22's table with σ = 9.5 read as exactly that, instead of any number that rounds to it."""


@claims(
    "D1",
    control("a standard deviation, as the formula is printed", formula=BellFormula("deviation", "printed")),
    control("a standard deviation without its prefactor", formula=BellFormula("deviation", "none")),
    control("the variance with the printed prefactor", formula=BellFormula("variance", "printed")),
    control("the variance in float64", formula=BellFormula("variance", "none", "float64")),
    control("σ = 9.5 taken for 9.500, which a second formula fits", table=EXACTLY),
    name="tokens W22 counted",
    statement=r"w(\sigma) = \lceil \sqrt{2 \sigma \cdot 150 \ln 2} \rceil - 1: \quad "
    r"w(1) = 14, \ w(9.5) = 44, \ w(\sigma) = 55 \Leftrightarrow 14.55 \leq \sigma < 15.08",
    assumptions="W22 gives σ to one decimal. It computes the bell exp(-Δ²/2σ) in float32 with subnormal numbers, and "
    "counts a token where the bell is not 0",
    quantity="tokens: number of tokens by which the counts 29 and 89 are missed. Blank cell: distance from the stated "
    "interval of the σ that give 111 tokens, for which W22's table has no σ. Other formulas: number of formulas that "
    "also give both counts for every σ that rounds to 9.5, among standard deviation or variance, three prefactors, "
    "float32 and float64",
    tolerance="tokens, other formulas: 0, tested as less than one half. Blank cell: 0.005 in σ, half of its last "
    "decimal",
)
def counted_tokens(*, quick: bool, formula: BellFormula = BellFormula(), table: tuple[Row, ...] = TABLE) -> Measured:
    """Compute the bell of every formula and count its values above 0."""
    ends = blank(formula, table[2])
    fitting = [each for each in BELL_FORMULAS if misses(each, table) == 0]
    return together(
        f"111 tokens are σ in [{ends[0]:.2f}, {ends[1]:.2f})",
        tokens=Measured(misses(formula, table), 0.5, within=np.inf),
        blank_cell=Measured(largest(abs(a - b) for a, b in zip(ends, STATED, strict=True)), 0.005),
        other_formulas=Measured(len([each for each in fitting if each != formula]), 0.5, within=np.inf),
    )
