"""Where a bell's width settles (theory D4)."""

from collections.abc import Callable

from attn_dynamics.claims._support.distances import RTOL, farthest
from attn_dynamics.claims._support.window_drawn import WHOLE, widths
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, together
from attn_dynamics.model.bell import Bell
from attn_dynamics.theory.bell_width import settled_width

CUTS = ((10, 20), (10, 18), (30, 60))
"""Distances δ and half-widths w for which the cut of the window shifts σ."""
LOST = ((10, 15), (30, 50))
"""Distances δ and half-widths w with δ² above w(w + 1)/3, so that nothing holds σ."""
EVEN = ((2, 3), (28, 48))
"""Distances δ and half-widths w with δ² = w(w + 1)/3; for w below 100 only these have an integer δ."""


def spread_of_squares(half_width: int) -> float:
    """Return Var(Δ²) for even attention over a window, w(w + 1)(2w - 1)(2w + 3)/45."""
    return half_width * (half_width + 1) * (2 * half_width - 1) * (2 * half_width + 3) / 45.0


@claims(
    "D4",
    control("σ goes to δ also where the window is short", law=lambda distance, half_width: float(distance)),
    control("the full width at half height for σ", law=lambda distance, half_width: distance / 2.355),
    control("the bell is put on after the softmax, as a peak", placement="peak"),
    control("an even window holds no bell back", even=lambda half_width: 0.0),
    control(
        "the mean of Δ⁴ for the variance of Δ²", spread=lambda half: spread_of_squares(half) + even_square(half) ** 2
    ),
    name="where width settles",
    foundations=("D2",),
    statement=r"L = -\ln \alpha_\delta: \quad \sigma \to \sigma_*, \ E_{\alpha(\sigma_*)}[\Delta^2] = \delta^2; \quad "
    r"\sigma_* = \delta \ \mathrm{for}\ w \geq 5\delta; \quad \delta^2 > w(w+1)/3: \ "
    r"\sigma^4 \sim 4(\delta^2 - w(w+1)/3)\,\tau; \quad \delta^2 = w(w+1)/3: \ "
    r"\sigma^6 \sim 3\,\mathrm{Var}(\Delta^2)\,\tau",
    assumptions="renormalised placement. Scores are even and frozen. Each window is whole and has one useful token",
    quantity="relative distances at the end of the flow. Whole: of σ from δ, for δ = 3 … 60 at w = 5δ. Cut: of σ from "
    "σ*, for w = 1.8 δ and 2 δ. Lost: of σ⁴/τ from 4(δ² - w(w + 1)/3), where nothing holds σ. Level: of σ⁶/τ from 3 "
    "Var(Δ²), at equality",
    tolerance="whole: 2e-5, twice what the cut at 5 δ adds. Cut: 1e-11, the solver's tolerance per step. Lost: 1e-3, "
    "and level: 1e-5, because the laws leave out O(w²/σ²), and σ is some hundred w",
)
def settling(
    *,
    quick: bool,
    law: Callable[[int, int], float] = settled_width,
    placement: str = "renormalised",
    even: Callable[[int], float] = lambda half_width: even_square(half_width),
    spread: Callable[[int], float] = spread_of_squares,
) -> Measured:
    """Follow σ from a third of the distance to late times."""
    whole, lost, level = [], [], []

    def end(distance: int, half: int, time: float) -> float:
        return float(widths(distance, half, (time,), start=distance / 3.0, bell=Bell(placement))[0])

    for distance in (3, 10, 60) if quick else (3, 5, 10, 20, 30, 45, 60):
        found = end(distance, WHOLE * distance, 1e6)
        whole += [found / distance - 1.0, found / law(distance, WHOLE * distance) - 1.0]
    cut = [end(distance, half, 1e8) / law(distance, half) - 1.0 for distance, half in CUTS]
    for distance, half in LOST:
        time = 1e9 * half**4 / distance**2
        lost.append(end(distance, half, time) ** 4 / time / (4.0 * (distance**2 - even(half))) - 1.0)
    for distance, half in EVEN:
        time = (200.0 * half) ** 6 / (3.0 * spread_of_squares(half))
        level.append(end(distance, half, time) ** 6 / time / (3.0 * spread(half)) - 1.0)
    return together(
        whole=farthest(whole, 2e-5),
        cut=farthest(cut, RTOL, within=SCATTER),
        lost=farthest(lost, 1e-3),
        level=farthest(level, 1e-5),
    )


def even_square(half_width: int) -> float:
    """Return E[Δ²] for even attention over a window, w(w + 1)/3."""
    return half_width * (half_width + 1) / 3.0
