"""When heads whose widths are trained come to differ (theory D11)."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.parting_heads import (
    Amplitude,
    alibi_threshold,
    amplitude,
    common_width,
    far_shares,
    moments,
    parting_rate,
    whole_kernel_rate,
)
from attn_dynamics.window.several_heads import SeveralHeads

SMALL, LATE = 3e-4, 3e4
"""Largest half difference of ln σ at which a rate is measured, and the time at which heads that part have settled."""
NARROW, HELD = ((1, 9), (2, 16)), 100.0
"""Useful distances at which ALiBi's sum over tokens differs from its integral, and the time of a flow there."""
BEYOND = (0.01, 0.02)
"""How far the far share is beyond the threshold where heads part continuously, relative to it."""


class Useful(NamedTuple):
    """Useful distances with their chances, and the heads that look for them."""

    distances: Sequence[float]
    chances: Sequence[float]
    power: float = 2.0
    heads: int = 2

    @property
    def half_width(self) -> int:
        """Return a half-width beyond which the kernel has no more than round-off."""
        return round((6.0 if self.power == 2.0 else 40.0) * max(self.distances))


def two(share: float, power: float = 2.0, heads: int = 2) -> Useful:
    """Return two useful distances, 5 and 40 tokens, the far one with a share."""
    return Useful((5, 40), (1.0 - share, share), power, heads)


def power_law(exponent: float, power: float = 2.0) -> Useful:
    """Return useful distances from 1 to 100 tokens, of chances δ^-exponent."""
    places = np.arange(1.0, 101.0)
    return Useful(places.tolist(), (places**-exponent).tolist(), power)


QUICK = (two(0.2), two(0.3), two(0.32), two(0.32, heads=4), two(0.3, 1.0), two(0.35, 1.0))
"""Distances on both sides of the threshold, for the bell and for ALiBi."""
FULL = (
    *QUICK,
    *(two(share, power, heads) for share in (0.1, 0.5) for power in (1.0, 2.0) for heads in (2, 4)),
    *(power_law(exponent, power) for exponent in (0.0, 0.5, 1.0, 1.5, 2.0) for power in (1.0, 2.0)),
)


def measured_rate(useful: Useful, time: float, *, grows: bool) -> float:
    """Measure the rate at which the difference of ln σ grows or decays along flow, from heads in pairs u* ± ε."""
    width = common_width(useful.distances, useful.chances, useful.half_width, useful.power)
    begun = SMALL / np.e if grows else SMALL
    apart = begun * np.where(np.arange(useful.heads) % 2, -1.0, 1.0)
    found = np.log(_heads(useful).flow(width * np.exp(apart), [time], tolerance=RTOL)[-1])
    return float(np.log(np.abs(found[0] - found[1]) / (2.0 * begun))) / time


def rate_error(useful: Useful, law: Callable[..., float]) -> tuple[float, float]:
    """Return the relative distance of the measured rate from a law, and what ε² and the solver add to it at most."""
    rate = parting_rate(useful.distances, useful.chances, useful.half_width, useful.heads, useful.power)
    seen = measured_rate(useful, 1.0 / abs(rate), grows=rate > 0.0)
    orders = amplitude(useful.distances, useful.chances, useful.power)
    predicted = law(useful.distances, useful.chances, useful.half_width, useful.heads, useful.power)
    return abs(predicted / seen - 1.0), _higher(orders) * SMALL**2 / abs(orders.linear) + 100 * RTOL / SMALL


def alibi_error(near: int, far: int, threshold: Callable[..., float]) -> tuple[float, float]:
    """Return how far CV² is from a threshold where heads of ALiBi, followed, neither part nor close up.

    The second number is what ε² and the solver move it by at most.
    """
    of = lambda share: Useful((near, far), (1.0 - share, share), 1.0)  # noqa: E731
    share = brentq(lambda each: measured_rate(of(each), HELD, grows=False), 0.3, 0.45, xtol=1e-12)
    held = of(float(share))  # pyright: ignore
    scatter = moments(held.distances, held.chances, 1.0)[1]
    higher = _higher(amplitude(held.distances, held.chances, 1.0))
    bound = higher * SMALL**2 + 100 * RTOL / SMALL / HELD
    return abs(scatter - threshold(held.distances, held.chances)), bound


def _higher(orders: Amplitude) -> float:
    """Return the most by which ε² moves the CV² - p of a rate, over ε²."""
    return abs(orders.cubic) + orders.mixing**2 / (2.0 * orders.power)


def rates_by_power(cases: Iterable[Useful]) -> dict[float, tuple[Array, Array]]:
    """Return CV² and H times the measured rate of cases, by the power of their kernel; a CV² above 5 is left out."""
    found: dict[float, list[tuple[float, float]]] = {}
    for useful in cases:
        scatter = moments(useful.distances, useful.chances, useful.power)[1]
        rate = parting_rate(useful.distances, useful.chances, useful.half_width, useful.heads, useful.power)
        if scatter <= 5.0:
            seen = measured_rate(useful, 1.0 / abs(rate), grows=rate > 0.0)
            found.setdefault(useful.power, []).append((scatter, useful.heads * seen))
    columns = {power: np.array(each).T for power, each in sorted(found.items(), reverse=True)}
    return {power: (each[0], each[1]) for power, each in columns.items()}


def settled_apart(useful: Useful) -> float:
    """Measure half the difference of ln σ of two heads that parted."""
    width = common_width(useful.distances, useful.chances, useful.half_width, useful.power)
    found: Array = np.log(_heads(useful).flow(width * np.exp([0.01, -0.01]), [LATE])[-1])
    return float(found[0] - found[1]) / 2.0


def _heads(useful: Useful) -> SeveralHeads:
    distances, chances = np.asarray(useful.distances, float), np.asarray(useful.chances, float)
    return SeveralHeads(distances=distances, chances=chances, half_width=useful.half_width, power=useful.power)


def with_threshold(threshold: float) -> Callable[..., float]:
    """Return a law of the rate that has another threshold of CV²."""
    return lambda distances, chances, _, heads, power: (moments(distances, chances, power)[1] - threshold) / heads


@claims(
    "D11",
    control("a threshold of 1 in the place of p", law=with_threshold(1.0)),
    control("a rate that all heads share, without 1/H", law=lambda *given: given[3] * parting_rate(*given)),
    control(
        "the integral for ALiBi's sum over tokens",
        law=lambda distances, chances, _, heads, power: whole_kernel_rate(distances, chances, heads, power),
    ),
    control("a threshold of the integral for ALiBi, 1", threshold=lambda *_: 1.0),
    control(
        "the mean width held still while heads part",
        rest=lambda orders: orders._replace(mixing=0.0).settled,
    ),
    name="when heads part",
    foundations=("D2",),
    statement=r"L = -E \ln \frac{1}{H} \sum_h \alpha_h(\delta),\ \alpha \propto e^{-|\Delta|^p/p\sigma^p}: \quad "
    r"\varepsilon \propto e^{\lambda\tau}, \ \lambda = \frac{\mathrm{Var}|\delta|^p - \mathrm{Var}_\alpha |\Delta|^p}"
    r"{H \sigma^{2p}} \to \frac{\mathrm{CV}^2 - p}{H}; \quad \varepsilon^2 \to "
    r"\frac{\mathrm{CV}^2 - p}{E(x-1)^4/3 - p^3}",
    assumptions="even scores, ln σ trained, one useful token in each sentence, a window that holds the kernel; the "
    "rate from heads that are nearly alike; the amplitude of two heads, E(x - 1)⁴ above 3p³",
    quantity="largest relative distance of the rate along flow from the law, over what ε² adds to it, for two "
    "distances and for power laws on both sides of the threshold, the bell and ALiBi, 2 and 4 heads; relative distance "
    "of the amplitude at which two heads settle just beyond it, over CV² - p; distance of the CV² at which ALiBi's "
    "heads neither part nor close up from √(1 + 1/(E|δ|)²), over what ε² adds to it",
    tolerance="the next orders of the amplitude equations, (|B| + A'²/2p) ε²/|A| at ε = 3e-4, and 100 of the solver's "
    "tolerances over ε: below 0.05 %; A = CV² - p, the size of the next order of an expansion in A; "
    "(|B| + A'²/2p) ε² again, and the solver's tolerances over ε and the time of 100",
)
def parting(
    *,
    quick: bool,
    law: Callable[..., float] = parting_rate,
    threshold: Callable[..., float] = alibi_threshold,
    rest: Callable[[Amplitude], float] = lambda orders: orders.settled,
) -> Measured:
    """Measure the flow of the exact gradient from heads that differ a little."""
    rates = [rate_error(useful, law) for useful in (QUICK if quick else FULL)]
    apart = []
    for far in (34,) if quick else (34, 40):
        smooth = float(far_shares(far / 10)[0])
        for beyond in BEYOND:
            share = smooth * (1.0 + beyond)
            useful = Useful((10, far), (1.0 - share, share))
            orders = amplitude(useful.distances, useful.chances)
            apart.append(abs(rest(orders) / settled_apart(useful) - 1.0) / orders.linear)
    held = [alibi_error(*each, threshold) for each in NARROW]
    return together(
        f"rates within {largest(off for off, _ in rates):.1e}",
        rates=Measured(largest(off / bound for off, bound in rates), 1.0),
        amplitude=Measured(largest(apart), 1.0),
        alibi=Measured(largest(off / bound for off, bound in held), 1.0),
    )
