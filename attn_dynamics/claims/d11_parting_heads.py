"""Conditions under which heads with trained widths come to differ (theory D11)."""

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
"""Half difference ε of ln σ up to which a rate is measured, and time at which heads that part have settled."""
NARROW, HELD = ((1, 9), (2, 16)), 100.0
"""Pairs of useful distances for which ALiBi's sum over tokens differs from its integral, and the time of a flow."""
BEYOND = (0.01, 0.02)
"""Relative excess of the far share over the threshold at which heads part continuously."""


class Useful(NamedTuple):
    """Useful distances δ with their probabilities, and the heads that attend to them."""

    distances: Sequence[float]
    chances: Sequence[float]
    power: float = 2.0
    """Power p of the kernel: 2 is the bell, 1 is ALiBi."""
    heads: int = 2
    """Number H of heads."""

    @property
    def half_width(self) -> int:
        """Return a half-width w beyond which the kernel is below round-off."""
        return round((6.0 if self.power == 2.0 else 40.0) * max(self.distances))


def two(share: float, power: float = 2.0, heads: int = 2) -> Useful:
    """Return two useful distances, 5 and 40 tokens; `share` is the probability of the far one."""
    return Useful((5, 40), (1.0 - share, share), power, heads)


def power_law(exponent: float, power: float = 2.0) -> Useful:
    """Return useful distances from 1 to 100 tokens, with probabilities proportional to δ^-exponent."""
    places = np.arange(1.0, 101.0)
    return Useful(places.tolist(), (places**-exponent).tolist(), power)


QUICK = (two(0.2), two(0.3), two(0.32), two(0.32, heads=4), two(0.3, 1.0), two(0.35, 1.0))
"""Cases on both sides of the threshold, for the bell and for ALiBi."""
FULL = (
    *QUICK,
    *(two(share, power, heads) for share in (0.1, 0.5) for power in (1.0, 2.0) for heads in (2, 4)),
    *(power_law(exponent, power) for exponent in (0.0, 0.5, 1.0, 1.5, 2.0) for power in (1.0, 2.0)),
)
"""Cases of the full measurement."""


def measured_rate(useful: Useful, time: float, *, grows: bool) -> float:
    """Measure the rate at which the difference of ln σ grows or decays along flow.

    Heads start in turn above and below their common width, by ε in ln σ.
    """
    width = common_width(useful.distances, useful.chances, useful.half_width, useful.power)
    begun = SMALL / np.e if grows else SMALL
    apart = begun * np.where(np.arange(useful.heads) % 2, -1.0, 1.0)
    found = np.log(_heads(useful).flow(width * np.exp(apart), [time], tolerance=RTOL)[-1])
    return float(np.log(np.abs(found[0] - found[1]) / (2.0 * begun))) / time


def rate_error(useful: Useful, law: Callable[..., float]) -> tuple[float, float]:
    """Return the relative distance of a law from the measured rate, and its bound from ε² and the solver."""
    rate = parting_rate(useful.distances, useful.chances, useful.half_width, useful.heads, useful.power)
    seen = measured_rate(useful, 1.0 / abs(rate), grows=rate > 0.0)
    orders = amplitude(useful.distances, useful.chances, useful.power)
    predicted = law(useful.distances, useful.chances, useful.half_width, useful.heads, useful.power)
    return abs(predicted / seen - 1.0), _higher(orders) * SMALL**2 / abs(orders.linear) + 100 * RTOL / SMALL


def alibi_error(near: int, far: int, threshold: Callable[..., float]) -> tuple[float, float]:
    """Return the distance of CV² from a threshold where ALiBi's heads neither part nor close up, and its bound.

    The far share at which this happens is found by flows. The bound is what ε² and the solver may add.
    """
    of = lambda share: Useful((near, far), (1.0 - share, share), 1.0)  # noqa: E731
    share = brentq(lambda each: measured_rate(of(each), HELD, grows=False), 0.3, 0.45, xtol=1e-12)
    held = of(float(share))  # pyright: ignore
    scatter = moments(held.distances, held.chances, 1.0)[1]
    higher = _higher(amplitude(held.distances, held.chances, 1.0))
    bound = higher * SMALL**2 + 100 * RTOL / SMALL / HELD
    return abs(scatter - threshold(held.distances, held.chances)), bound


def _higher(orders: Amplitude) -> float:
    """Return the largest change by ε² of the CV² - p of a rate, in units of ε²."""
    return abs(orders.cubic) + orders.mixing**2 / (2.0 * orders.power)


def rates_by_power(cases: Iterable[Useful]) -> dict[float, tuple[Array, Array]]:
    """Return CV² and H times the measured rate of each case, by the power p of its kernel.

    Cases whose CV² exceeds 5 are left out.
    """
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
    """Measure half the difference of ln σ at which two heads that part come to rest."""
    width = common_width(useful.distances, useful.chances, useful.half_width, useful.power)
    found: Array = np.log(_heads(useful).flow(width * np.exp([0.01, -0.01]), [LATE])[-1])
    return float(found[0] - found[1]) / 2.0


def _heads(useful: Useful) -> SeveralHeads:
    """Return the heads of a case."""
    distances, chances = np.asarray(useful.distances, float), np.asarray(useful.chances, float)
    return SeveralHeads(distances=distances, chances=chances, half_width=useful.half_width, power=useful.power)


def with_threshold(threshold: float) -> Callable[..., float]:
    """Return the law (CV² - threshold)/H of the rate."""
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
    assumptions="scores are even, ln σ is trained, each sentence has one useful token, and the window holds the "
    "kernel. Rates: heads are nearly alike. Amplitude: two heads, E(x - 1)⁴ above 3p³",
    quantity="rates: largest relative distance of the rate along flow from the law, as a share of its bound. It is "
    "taken on both sides of the threshold, for two distances and for power laws, bell and ALiBi, 2 and 4 heads. "
    "Amplitude: relative distance of the ε at which two heads settle just beyond the threshold, in units of CV² - p. "
    "ALiBi: distance from √(1 + 1/(E|δ|)²) of the CV² at which its heads neither part nor close up, as a share of its "
    "bound",
    tolerance="A, A' and B are the fields `linear`, `mixing` and `cubic` of `Amplitude`. Rates: (|B| + A'²/2p) ε²/|A|, "
    "the next orders at ε = 3e-4, and 100 times the solver's tolerance over ε; below 0.05 %. Amplitude: A = CV² - p, "
    "the next order of an expansion in A. ALiBi: (|B| + A'²/2p) ε², and the solver's part over the time of 100",
)
def parting(
    *,
    quick: bool,
    law: Callable[..., float] = parting_rate,
    threshold: Callable[..., float] = alibi_threshold,
    rest: Callable[[Amplitude], float] = lambda orders: orders.settled,
) -> Measured:
    """Measure the flow of the exact gradient from heads that are nearly alike."""
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
