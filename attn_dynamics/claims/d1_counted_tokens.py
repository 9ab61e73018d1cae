"""Tokens that W22 counted (theory D1)."""

import numpy as np

from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.window.reach import BellFormula
from attn_dynamics.window.w22 import BELL_FORMULAS, TABLE, Row, blank, misses

STATED = (14.55, 15.08)
"""Interval of σ of the blank cell, to two decimals."""
EXACTLY = tuple(row._replace(sigmas=row.sigmas[1:2]) if len(row.sigmas) > 1 else row for row in TABLE)
"""The table with 9.5 read as 9.500."""


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
    assumptions="W22's σ is given to one decimal; the bell is computed in float32 with subnormal numbers, as "
    "exp(-Δ²/2σ), and a token counts where it is not 0",
    quantity="tokens by which the counts 29 and 89 are missed; distance of the blank cell's interval of σ; number of "
    "other formulas (standard deviation or variance, three prefactors, float32 and float64) that give both counts "
    "for every σ that 9.5 may stand for",
    tolerance="none is missed, and none other gives them: half of one; 0.005 in σ, its last decimal",
)
def counted_tokens(*, quick: bool, formula: BellFormula = BellFormula(), table: tuple[Row, ...] = TABLE) -> Measured:
    """Compute every bell and count its numbers above 0."""
    ends = blank(formula, table[2])
    fitting = [each for each in BELL_FORMULAS if misses(each, table) == 0]
    return together(
        f"111 tokens are σ in [{ends[0]:.2f}, {ends[1]:.2f})",
        tokens=Measured(misses(formula, table), 0.5, within=np.inf),
        blank_cell=Measured(largest(abs(a - b) for a, b in zip(ends, STATED, strict=True)), 0.005),
        other_formulas=Measured(len([each for each in fitting if each != formula]), 0.5, within=np.inf),
    )
