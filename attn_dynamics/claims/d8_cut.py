"""Reach of a bell: the tokens that W22 count, and the effect of a cut (theory D1, D8)."""

from collections.abc import Callable
from itertools import product

import numpy as np

from attn_dynamics.claims._support.window_drawn import drawn_layer
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.window.layer import attention, contexts
from attn_dynamics.window.published import BELL_FORMULAS, TABLE, Row, blank, misses
from attn_dynamics.window.support import BellFormula, half_width, tail_mass

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


Bound = Callable[[float], float]


@claims(
    "D8",
    control("once the tail in the place of twice", bound=lambda tail: tail),
    control("scores apart are taken for even", spread=0.0),
    statement=r"\|v_i' - v_i\| \leq 2\, \alpha_i(|\Delta| > w)\, \max_j \|v_j\|",
    assumptions="renormalised placement, cut at w and renormalised; any scores and values",
    quantity="largest change of a context in shares of the bound: by the attention beyond the cut, and by ε where the "
    "cut is at w(σ, ε) and scores are up to 2 apart",
    tolerance="1, and 1e-9 for round-off; values of one sign within and of the other beyond meet it",
)
def truncation(*, quick: bool, bound: Bound = lambda tail: 2.0 * tail, spread: float = 2.0) -> Measured:
    """Measure drawn and worst-case values, with drawn scores and scores that are highest beyond the cut."""
    tails, chosen = [], []
    for width, error in product((0.7, 3.0) if quick else (0.5, 1.0, 3.0, 10.0), (0.3, 1e-2, 1e-4)):
        places, cut = np.arange(-int(12 * width) - 8, int(12 * width) + 9), half_width(width, error, spread)
        inside = np.abs(places) <= cut
        for scores in (np.where(inside, 0.0, 2.0), np.random.default_rng(0).uniform(0.0, 2.0, places.size)):
            weights = np.exp(scores - 0.5 * (places / width) ** 2)
            weights /= weights.sum()
            kept = np.where(inside, weights, 0.0) / weights[inside].sum()
            for values in (np.where(inside, 1.0, -1.0), np.random.default_rng(1).uniform(-1.0, 1.0, places.size)):
                change = abs(((kept - weights) * values).sum()) / np.abs(values).max()
                beyond = weights[~inside].sum()
                tails.append(change / bound(beyond))
                chosen.append(change / error)
        assert tail_mass(width, cut) <= error
    return together(
        attended_tail=Measured(largest(tails, _of_layers(bound)), 1.0 + 1e-9),
        chosen_cut=Measured(largest(chosen), 1.0 + 1e-9),
    )


def _of_layers(bound: Bound) -> list[float]:
    """Return the ratios for drawn layers, whose windows are ragged."""
    found = []
    for seed in range(20):
        whole, cut, layer = drawn_layer(seed, cut=2)
        weights = attention(whole, layer).weights
        beyond = whole.sums(np.where(np.abs(whole.distances) > 2, weights, 0.0))
        moved = contexts(cut, layer, attention(cut, layer).weights) - contexts(whole, layer, weights)
        longest = np.linalg.norm(layer.values, axis=1).max()
        away = beyond > 1e-9
        found += (
            np.linalg.norm(moved, axis=0)[away] / longest / [bound(float(each)) for each in beyond[away]]
        ).tolist()
    return found
