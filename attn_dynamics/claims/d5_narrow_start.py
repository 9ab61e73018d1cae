"""A narrow start under a bounded loss (theory D5)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.window_drawn import WHOLE, widths
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.theory.bell_width import Loss, escape_time

STAY, FAR = 1e12, (10, 20, 30)
"""Time τ for which a narrow start is watched, and the distances δ of its useful token."""
ESCAPES = ((10, 1.0), (12, 1.5))
"""Distances δ and starts σ₀ whose escape is timed."""


@claims(
    "D5",
    control("a loss that is not bounded", loss="likelihood"),
    control("a start of a third of the distance", start=10.0),
    control(
        "e^{δ²/σ₀²}", law=lambda distance, start: escape_time(distance, start) * np.exp(0.5 * (distance / start) ** 2)
    ),
    control("twice the escape time", law=lambda distance, start: 2.0 * escape_time(distance, start)),
    control("150 for 73", third=150.0),
    name="a narrow start",
    foundations=("D2",),
    statement=r"L = -\alpha_\delta: \quad \tau_{\mathrm{escape}} = \frac{\sqrt{2\pi}\, \sigma_0^7}{\delta^4} "
    r"e^{\delta^2/2\sigma_0^2} \left(1 + 8 \frac{\sigma_0^2}{\delta^2} + 73 \frac{\sigma_0^4}{\delta^4} + "
    r"O(\sigma_0^6/\delta^6)\right)",
    assumptions="as D4. σ₀ is far below δ, and above some 0.7 of a token, so that the bell's sum is its integral. "
    "Escape is late, but certain: for δ = 10 and σ₀ = 1 the bell widens at τ = 1.4e18",
    quantity="stays: largest σ - σ₀ at τ = 1e12, from σ₀ = 1 with δ = 10, 20, 30. Escapes: largest relative distance "
    "of the time at which σ passes δ/2 from the first two orders of the law, in units of σ₀⁴/δ⁴. Third order: relative "
    "distance of what these two leave from 73 σ₀⁴/δ⁴",
    tolerance="stays: 1e-8, because at δ = 10 the rate (δ² - 1) e^{-50}/√(2π) moves σ by 7.6e-9 in this time. Escapes: "
    "80, the third order and all later ones at σ₀ = δ/8, divided by the first two. Third order: a quarter, because the "
    "fourth is 11 σ₀²/δ² of the third",
)
def narrow_start(
    *,
    quick: bool,
    loss: Loss = "reward",
    start: float = 1.0,
    law: Callable[[int, float], float] = escape_time,
    third: float = 73.0,
) -> Measured:
    """Measure gradient flow under the bounded loss -α_δ, minus the attention on the useful token."""
    moved = [widths(distance, WHOLE * distance, (STAY,), loss=loss, start=start)[0] - start for distance in FAR]
    off, left = [], []
    for distance, begun in ESCAPES:
        times = escape_time(distance, begun) * np.linspace(0.6, 1.6, 501)
        seen = widths(distance, WHOLE * distance, tuple(times.tolist()), loss=loss, start=begun)
        passed = float(np.interp(0.5 * distance, seen, times))
        narrow = (begun / distance) ** 2
        off.append((passed / law(distance, begun) - 1.0) / narrow**2)
        left.append(off[-1] * (1.0 + 8.0 * narrow) / third - 1.0)
    return together(
        stays=farthest(moved, 1e-8, within=2.0),
        escapes=farthest(off, 80.0, within=2.0),
        third_order=farthest(left, 0.25),
    )
