"""Limits of a bell's width, its speed, and where it stays (theory D4 to D7)."""

from collections.abc import Callable
from functools import cache

import numpy as np

from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.bell import SCALES, Bell
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.bell_width import Loss, escape_time, settled_width, time_to_width
from attn_dynamics.window.dynamics import flow

RTOL = 1e-11
"""Relative tolerance of a step of the solver."""


@cache
def widths(
    distance: int,
    half_width: int,
    times: tuple[float, ...],
    *,
    start: float = 1.0,
    loss: Loss = "likelihood",
    bell: Bell = Bell(),
    rate: float = 1.0,
) -> Array:
    """Return the width σ of a needle's bell along gradient flow, from σ₀."""
    layer, log = needle_layer(bell, start, loss), max(times) > 100.0
    windows = needle(distance, half_width)
    return flow(windows, layer, times=times, log_time=log, bell_rate=rate, rtol=RTOL).widths


CUTS = ((10, 20), (10, 18), (30, 60))
"""Distances and half-widths for which the cut shifts σ."""
LOST = ((10, 15), (30, 50))
"""Distances and half-widths with δ² above w(w + 1)/3."""
EVEN = ((2, 3), (28, 48))
"""Distances and half-widths with δ² = w(w + 1)/3; below a half-width of 100 only these have an integer δ."""
WHOLE = 5
"""Half-width of a whole window, in units of δ."""


def spread_of_squares(half_width: int) -> float:
    """Return Var(Δ²) of an even window, w(w + 1)(2w - 1)(2w + 3)/45."""
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
    statement=r"L = -\ln \alpha_\delta: \quad \sigma \to \sigma_*, \ E_{\alpha(\sigma_*)}[\Delta^2] = \delta^2; \quad "
    r"\sigma_* = \delta \ \mathrm{for}\ w \geq 5\delta; \quad \delta^2 > w(w+1)/3: \ "
    r"\sigma^4 \sim 4(\delta^2 - w(w+1)/3)\,\tau; \quad \delta^2 = w(w+1)/3: \ "
    r"\sigma^6 \sim 3\,\mathrm{Var}(\Delta^2)\,\tau",
    assumptions="renormalised placement, even frozen scores, one useful token in each whole window",
    quantity="relative distance of σ along flow from δ, δ = 3 … 60 at w = 5δ, and from the predicted place where w is "
    "1.8 or 2 δ; of σ⁴/τ from 4(δ² - w(w + 1)/3) where nothing holds it, and of σ⁶/τ from 3 Var(Δ²) at equality",
    tolerance="2e-5, twice what the cut at 5 δ adds; 1e-11, the solver's tolerance of a step; 1e-3 and 1e-5 at σ of "
    "some hundred w, which leaves out O(w²/σ²)",
)
def settling(
    *,
    quick: bool,
    law: Callable[[int, int], float] = settled_width,
    placement: str = "renormalised",
    even: Callable[[int], float] = lambda half_width: even_square(half_width),
    spread: Callable[[int], float] = spread_of_squares,
) -> Measured:
    """Measure from a third of the distance until nothing moves."""
    bell, whole, cut, lost, level = Bell(placement), [], [], [], []
    for distance in (3, 10, 60) if quick else (3, 5, 10, 20, 30, 45, 60):
        end = widths(distance, WHOLE * distance, (1e6,), start=distance / 3.0, bell=bell)[0]
        whole += [end / distance - 1.0, end / law(distance, WHOLE * distance) - 1.0]
    for distance, half in CUTS:
        end = widths(distance, half, (1e8,), start=distance / 3.0, bell=bell)[0]
        cut.append(end / law(distance, half) - 1.0)
    for distance, half in LOST:
        time = 1e9 * half**4 / distance**2
        end = widths(distance, half, (time,), start=distance / 3.0, bell=bell)[0]
        lost.append(end**4 / time / (4.0 * (distance**2 - even(half))) - 1.0)
    for distance, half in EVEN:
        time = (200.0 * half) ** 6 / (3.0 * spread_of_squares(half))
        end = widths(distance, half, (time,), start=distance / 3.0, bell=bell)[0]
        level.append(end**6 / time / (3.0 * spread(half)) - 1.0)
    return together(
        whole=Measured(largest(np.abs(whole)), 2e-5),
        cut=Measured(largest(np.abs(cut)), RTOL, within=SCATTER),
        lost=Measured(largest(np.abs(lost)), 1e-3),
        level=Measured(largest(np.abs(level)), 1e-5),
    )


def even_square(half_width: int) -> float:
    """Return E[Δ²] of an even window, w(w + 1)/3."""
    return half_width * (half_width + 1) / 3.0


STAY, FAR = 1e12, (10, 20, 30)
"""Time for which a narrow start is watched, and its distances."""
ESCAPES = ((10, 1.0), (12, 1.5))
"""Distances and starts whose escape is awaited."""


@claims(
    "D5",
    control("a loss that is not bounded", loss="likelihood"),
    control("a start of a third of the distance", start=10.0),
    control(
        "e^{δ²/σ₀²}", law=lambda distance, start: escape_time(distance, start) * np.exp(0.5 * (distance / start) ** 2)
    ),
    control("twice the escape time", law=lambda distance, start: 2.0 * escape_time(distance, start)),
    control("150 for 73", third=150.0),
    statement=r"L = -\alpha_\delta: \quad \tau_{\mathrm{escape}} = \frac{\sqrt{2\pi}\, \sigma_0^7}{\delta^4} "
    r"e^{\delta^2/2\sigma_0^2} \left(1 + 8 \frac{\sigma_0^2}{\delta^2} + 73 \frac{\sigma_0^4}{\delta^4} + "
    r"O(\sigma_0^6/\delta^6)\right)",
    assumptions="as D4, σ₀ far below δ and above some 0.7 of a token, so that the bell's sum is its integral; it is "
    "late, not never: at δ = 10 and σ₀ = 1 the bell wakes at τ = 1.4e18",
    quantity="largest σ - σ₀ at τ = 1e12 from σ₀ = 1, δ = 10, 20, 30; largest relative distance of the time at which σ "
    "passes δ/2 from the first two orders of the law, and of what is left of it from the third, 73 σ₀⁴/δ⁴",
    tolerance="1e-8: at δ = 10 the rate is (δ² - 1) e^{-50}/√(2π), 7.6e-9 in this time; 80 σ₀⁴/δ⁴, the "
    "third order and all that follow at σ₀ = δ/8, over the first two; a quarter of the third, of which 11 σ₀²/δ² is "
    "the fourth",
)
def narrow_start(
    *,
    quick: bool,
    loss: Loss = "reward",
    start: float = 1.0,
    law: Callable[[int, float], float] = escape_time,
    third: float = 73.0,
) -> Measured:
    """Measure gradient flow of the attention on the useful token itself."""
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
        stays=Measured(largest(np.abs(moved)), 1e-8, within=2.0),
        escapes=Measured(largest(np.abs(off)), 80.0, within=2.0),
        third_order=Measured(largest(np.abs(left)), 0.25),
    )


EARLY, BEGUN = 100, 2.8
"""Distance δ of early growth, and the narrowest start whose bell float64 resolves."""
SPAN = (0.08, 0.16)
"""Values of σ/δ at the ends of the compared range."""
EXPONENTS = {"deviation": 1 / 4, "variance": 1 / 3}
"""Exponent of r for the trained parameter, by its name."""


@claims(
    "D6",
    control("1/2, as a diffusion has it", exponents=dict.fromkeys(EXPONENTS, 0.5)),
    control("1/3 taken for the width under a variance", of_width=True),
    control("when σ has come near δ", span=(0.5, 0.99)),
    control("twice the time", law=lambda *given: 2.0 * time_to_width(*given)),
    statement=r"\sigma^4 - \sigma_0^4 \approx 4\delta^2\tau: \ \sigma \propto r^{1/4}; \quad "
    r"p = \sigma^2: \ p^3 - p_0^3 \approx \frac{3}{2}\delta^2\tau, \ p \propto r^{1/3}, \ "
    r"\sigma \propto r^{1/6}; \quad \ln\sigma: \ \delta^2 - \sigma^2 \propto e^{-2 r \tau}",
    assumptions="loss and placement of D4, even scores, a window of several δ, σ a token or more; exponents for σ ≪ δ",
    quantity="largest distance of the exponent in r from 1/4 (σ) and 1/3 (the variance), at one time, over r that "
    "bring σ from 0.08 δ to 0.16 δ, δ = 100; largest relative distance of τ from the closed form at the widths "
    "that are reached, ln σ too",
    tolerance="0.01: σ₀⁴ is 1.5 % of σ⁴ at one end and σ² 2.6 % of δ² at the other; 1e-9, the solver's",
)
def early_growth(
    *,
    quick: bool,
    exponents: dict[str, float] = EXPONENTS,
    of_width: bool = False,
    span: tuple[float, float] = SPAN,
    law: Callable[..., Array] = time_to_width,
) -> Measured:
    """Measure the same time at several rates of the bell alone."""
    off, exact, seen = [], [], []
    for scale in SCALES:
        ends = time_to_width(EARLY * np.array(span), EARLY, BEGUN, scale)
        rates = np.geomspace(1.0, ends[1] / ends[0], 3 if quick else 7)
        reached = np.array([_at_rate(scale, float(ends[0]), float(rate)) for rate in rates])
        exact += (law(reached, EARLY, BEGUN, scale) / (rates * ends[0]) - 1.0).tolist()
        if scale in exponents:
            trained = reached**2 if scale == "variance" and not of_width else reached
            found = power_law(rates, trained).exponent
            off.append(found - exponents[scale])
            seen.append(f"{scale} {found:.3f}")
    return together(
        ", ".join(seen),
        exponents=Measured(largest(np.abs(off)), 0.01),
        closed_form=Measured(largest(np.abs(exact)), 100 * RTOL),
    )


def _at_rate(scale: str, time: float, rate: float) -> float:
    return float(widths(EARLY, WHOLE * EARLY, (time,), start=BEGUN, bell=Bell(scale=scale), rate=rate)[0])


BUDGET, SHORT = 1e7, 4.0
"""Times of the bounded and of the unbounded loss."""


@claims(
    "D7",
    control("a start of 1 called wide", wide=1.0),
    control("a start of a half of the distance called narrow", narrow=5.0),
    control("σ itself trained for ln σ", logged="deviation"),
    control("ln σ trained for σ itself", plain="log"),
    statement=r"-\alpha_\delta: \ \sigma_0 > \delta \ \mathrm{reaches}\ \delta, \ \sigma_0 \ll \delta \ "
    r"\mathrm{stays,\ also\ under}\ \ln\sigma; \quad -\ln\alpha_\delta, \ln\sigma: \ "
    r"\sigma^2 = \delta^2 - (\delta^2 - \sigma_0^2) e^{-2\tau}",
    assumptions="as D4 and D5; what simulation decides. Whether it explains W22's 16 points is a question of real data",
    quantity="bounded loss, δ = 10, τ = 1e7: relative distance of σ from δ for σ₀ = 2δ, and of σ from σ₀ = 1, σ or "
    "ln σ trained; unbounded loss, δ = 30, τ = 4: distance from the law where ln σ is trained, and σ/δ where σ is",
    tolerance="2e-5 as D4, also of the law, which takes the window for whole; 3e-13, some "
    "times what the rate of D5, 7.6e-21, makes in this time; one half, from τ = δ²/40 on by D6",
)
def wide_start(
    *, quick: bool, wide: float = 20.0, narrow: float = 1.0, logged: str = "log", plain: str = "deviation"
) -> Measured:
    """Measure narrow and wide starts under both losses."""
    found = widths(10, 50, (BUDGET,), start=wide, loss="reward")[0] / 10.0 - 1.0
    stayed = {
        scale: widths(10, 50, (BUDGET,), start=narrow, loss="reward", bell=Bell(scale=scale))[0] / narrow - 1.0
        for scale in ("deviation", "log")
    }
    law = (30.0**2 - (30.0**2 - 1.0) * np.exp(-2.0 * SHORT)) ** 0.5
    fast = widths(30, 150, (SHORT,), bell=Bell(scale=logged))[0]
    slow = widths(30, 150, (SHORT,), bell=Bell(scale=plain))[0]
    return together(
        wide_start=Measured(abs(found), 2e-5),
        narrow_start=Measured(abs(stayed["deviation"]), 3e-13),
        narrow_start_of_log=Measured(abs(stayed["log"]), 3e-13),
        log_unbounded=Measured(abs(fast / law - 1.0), 2e-5),
        width_unbounded=Measured(slow / 30.0, 0.5),
    )
