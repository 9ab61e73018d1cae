"""Two stable widths of one bell on two useful tokens (theory D12)."""

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
from scipy.stats import norm

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.window_drawn import two_useful, two_useful_layer
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.theory.parting_heads import far_shares, least_ratio
from attn_dynamics.theory.two_widths import ends, log_odds_at, stable_widths, width_at
from attn_dynamics.window.dynamics import flow

DISTANCES = ((10, 36), (10, 33), (5, 20))
"""Near and far distances δ₁ and δ₂ for which the ends of r₂/r₁ are measured."""
SEEN, NEAR = (3, 30, 10.0), 100
"""Distances and r₂/r₁ for which both widths are measured, and a near distance for which the least far one is tested."""
WHOLE = 6
"""Half-width w of a window, in units of δ₂."""
TIME = 1e4
"""Time τ of a flow. It resolves an end to (π/τ)², because a width passes slowly where it was stable before."""
COARSE = 1e-9
"""Tolerance of the solver per step, which does not change where a width rests."""
CLOSE = 1e-5
"""Width in ln(r₂/r₁) of an interval around an end, at which bisection stops."""
CUT = 2.0 * float(SEEN[1] * WHOLE / 27.65 * norm.pdf(SEEN[1] * WHOLE / 27.65) + norm.sf(SEEN[1] * WHOLE / 27.65))
"""Share of the mean square of Δ that the window cuts off from the wide bell of `SEEN`, of 27.65 tokens."""
Settles = Callable[[int, int, float, float], float]
"""Function that returns the width σ reached, from δ₁, δ₂, r₂/r₁ and a start."""


@cache
def in_one_sentence(near: int, far: int, odds: float, start: float) -> float:
    """Return the width σ at `TIME` of a bell on two useful tokens of one sentence."""
    windows, layer = two_useful(near, far, WHOLE * far), two_useful_layer(odds, start)
    run = flow(windows, layer, times=[TIME], log_time=True, rtol=COARSE)
    return float(run.widths[0])


def between_sentences(near: int, far: int, odds: float, _: float) -> float:
    """Return the only stable σ if each sentence has one of both tokens, the far one r₂/r₁ times as often (D4)."""
    return float(((near**2 + odds * far**2) / (1.0 + odds)) ** 0.5)


def measured_end(near: int, far: int, settles: Settles, *, upper: bool) -> float:
    """Measure the r₂/r₁ at which a narrow bell leaves the near token (`upper`), or a wide one the far token."""
    start, between = float(near if upper else far), float(width_at(0.5, near, far)) / 2.0
    low, high = 0.0, np.log(10.0)
    while high - low > CLOSE:
        middle = 0.5 * (low + high)
        wide = settles(near, far, float(np.exp(middle)), start) > between
        low, high = (low, middle) if wide else (middle, high)
    return float(np.exp(0.5 * (low + high)))


def steepest(near: int, far: int) -> float:
    """Return the r₂/r₁ at which the far token's share changes fastest; it lies between the ends, if there are any."""
    ratio = (far / near) ** 2 - 1.0
    return float(np.exp(log_odds_at((ratio - 4.0) / (6.0 * ratio), near, far)))


def off_predicted(near: int, far: int, odds: float, settles: Settles, number: int) -> list[float]:
    """Return the relative distances from the prediction of the widths that both starts reach, and a check.

    The check for one width is the relative difference of both. The check for two widths is 0 if they differ by more
    than `CUT`, else infinite.
    """
    found, predicted = [settles(near, far, odds, start) for start in (near, far)], stable_widths(odds, near, far)
    gap = abs(found[1] / found[0] - 1.0)
    missed = gap if number == 1 else 0.0 if gap > CUT else np.inf
    return [*(each / wanted - 1.0 for each, wanted in zip(found, (predicted[0], predicted[-1]), strict=True)), missed]


def ends_at_one(near: int, far: int) -> tuple[float, float]:
    """Return the r₂/r₁ at which the δ² of both tokens, in their shares of the sum, have CV² = 1 instead of 2."""
    high, low = (float(np.exp(log_odds_at(share, near, far))) for share in far_shares((far / near) ** 2, 1.0))
    return low, high


@claims(
    "D12",
    control("each sentence has one of the two tokens", settles=between_sentences),
    control("ends where CV² is 1", law=ends_at_one),
    control("two widths from a ratio of 3.2 on", least=3.2),
    control("two widths from a ratio of 3.1 on", least=3.1),
    name="hysteresis of a bell",
    foundations=("D4",),
    statement=r"L = -\ln(r_1 \alpha_{\delta_1} + r_2 \alpha_{\delta_2}): \ \mathrm{two\ stable}\ \sigma \ "
    r"\Leftrightarrow \frac{\delta_2}{\delta_1} > \sqrt{2} + \sqrt{3}, \ \frac{r_2}{r_1} = \frac{f}{1-f}\, "
    r"e^{(\delta_2^2 - \delta_1^2)/2\sigma^2} \ \mathrm{between\ its\ values\ where}\ \mathrm{CV}^2_f(\delta^2) = 2",
    assumptions="both tokens stand in one sentence. Scores are even, the bell is renormalised in a window of 6 δ₂, and "
    "ln σ is trained",
    quantity="ends: largest relative distance of both ends of r₂/r₁ from the law, found by bisection of flows from a "
    "narrow and from a wide start. Widths: largest relative distance of the width that each start reaches from the "
    "law. It is taken at δ = 3 and 30 with r₂/r₁ = 10, and beside δ₁ = 100: at the first token beyond the least ratio, "
    "where both widths must differ, and at the last before it, where they must agree",
    tolerance="ends: 1e-5, to which they are bisected. Widths: 2 (z φ(z) + Q(z)) = 3e-9 with z = 6 δ₂/σ, the share of "
    "the mean square that a window of 6 δ₂ cuts off; φ and Q are the normal density and its tail",
)
def two_widths(
    *,
    quick: bool,
    settles: Settles = in_one_sentence,
    law: Callable[[int, int], tuple[float, float]] = ends,
    least: float = least_ratio(),
) -> Measured:
    """Measure gradient flow from a start at the near token and from one at the far token."""
    off = []
    for (near, far), upper in product(DISTANCES[:1] if quick else DISTANCES, (False, True)):
        off.append(measured_end(near, far, settles, upper=upper) / law(near, far)[upper] - 1.0)
    beyond, before = int(np.ceil(NEAR * least)), int(np.floor(NEAR * least))
    widths = [
        *off_predicted(*SEEN, settles, 2),
        *off_predicted(NEAR, beyond, steepest(NEAR, beyond), settles, 2),
        *off_predicted(NEAR, before, steepest(NEAR, before), settles, 1),
    ]
    return together(ends=farthest(off, CLOSE), widths=farthest(widths, CUT))
