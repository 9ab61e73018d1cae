"""The width that a bell reaches, and when (theory D4 to D6)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from attn_dynamics.check import Array
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.theory.domain import within
from attn_dynamics.theory.ode import logistic

Loss = Literal["likelihood", "reward"]
FAR = 1e6
"""Width at which the bell counts as flat, in units of the window's half-width."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


def mean_square(width: Any, half_width: int) -> Any:
    """Return E_α[Δ²] for even scores under a renormalised bell cut at a half-width (theory D4); σ may be complex."""
    square = np.arange(1.0, half_width + 1.0) ** 2
    bell = 2.0 * np.exp(-0.5 * square / width**2)
    return (square * bell).sum() / (1.0 + bell.sum())


def settled_width(distance: float, half_width: int) -> float:
    """Return the width σ at which E_α[Δ²] = δ² (theory D4).

    It is δ itself if the half-width is several δ, and infinite if δ is √(w(w+1)/3) or larger.

    Args:
        distance: distance δ, above 0; if distances are drawn, the root of their mean square.
        half_width: half-width w, in tokens.
    """
    within("above 0", distance=distance)
    within("0 or above", half_width=half_width)
    gap: Callable[[float], float] = lambda width: mean_square(width, half_width) - distance**2  # noqa: E731
    if distance**2 >= half_width * (half_width + 1) / 3.0 or gap(FAR * half_width) <= 0.0:
        return np.inf
    return float(brentq(gap, 1e-2 * distance, FAR * half_width, xtol=1e-14, rtol=1e-14))  # pyright: ignore


def time_to_width(width: ArrayLike, distance: float, start: float, scale: str = "deviation") -> Array:
    """Return the time τ that the flow takes from one width to another (theory D6); infinite at δ and beyond it.

    The loss is -ln α_δ, and E_α[Δ²] = σ². This needs even scores, a renormalised bell of some tokens, and a window of
    several δ.

    Args:
        width: width σ > 0, any shape; a width that the flow comes from has a negative time.
        distance: distance δ > 0.
        start: initial width σ₀ > 0, other than δ, where the flow rests.
        scale: trained function of the width, one of `SCALES`.

    Raises:
        InputError: an argument is out of its range.
    """
    (sigma, _, _) = within("above 0", width=width, distance=distance, start=start)
    if start == distance:
        raise InputError("start", expected="a width other than δ", given=start, fix="At δ the flow rests.")
    # τ = ∫ dσ over its rate, which is a power of y = σ²/δ² over 1 - y.
    terms, factor = {"log": (0, 0.5), "deviation": (1, distance**2 / 2.0), "variance": (2, 2.0 * distance**4)}[scale]
    # 1 - y is computed as a product, because near δ a difference would lose the digits that its logarithm needs.
    below, below_start = ((distance - each) * (distance + each) / distance**2 for each in (sigma, np.asarray(start)))
    with np.errstate(all="ignore"):
        now, before = ((sigma / distance) ** 2, below), (np.square(start / distance), below_start)
        apart = _logarithm_less(*now, terms) - _logarithm_less(*before, terms)
        # If the ends are close, the difference cancels. Gauss's rule is exact there, because the pole at y = 1 is far.
        travelled = (sigma - start) * (sigma + start) / distance**2
        places = below_start - travelled[..., None] * (0.5 + 0.5 * NODES)
        near = travelled * (0.5 * WEIGHTS * (1.0 - places) ** terms / places).sum(axis=-1)
        is_near = 2.0 * np.abs(travelled) <= np.minimum(np.abs(below), np.abs(below_start))
        time = factor * np.where(is_near, near, apart)
    return np.where(below * below_start > 0.0, time, np.inf)[()]


def _logarithm_less(y: Array, below: Array, terms: int) -> Array:
    """Return -ln|1 - y| minus the first terms of its series Σ y^k/k, where below = 1 - y.

    For y < 0.5 the rest of the series is summed.
    """
    powers = np.arange(terms + 1, 80)
    series = (np.where(y < 0.5, y, 0.0)[..., None] ** powers / powers).sum(axis=-1)
    first = sum((y**k / k for k in range(1, terms + 1)), 0.0 * y)
    return np.where(y < 0.5, series, -np.log(np.abs(below)) - first)


def early_width(time: ArrayLike, distance: float, start: float, scale: str = "deviation") -> Array:
    """Return σ at time τ while it is far below δ (theory D6).

    σ⁴ = σ₀⁴ + 4δ²τ if σ is trained, σ⁶ = σ₀⁶ + 3δ²τ/2 if σ² is, and σ² = σ₀² + 2δ²τ if ln σ is.

    Raises:
        InputError: a time is below 0, or a width or distance is not above 0.
    """
    within("above 0", distance=distance, start=start)
    power, pace = GROWTH[scale]
    return (start**power + pace * distance**2 * within("0 or above", time=time)[0]) ** (1.0 / power)


GROWTH = {"deviation": (4, 4.0), "variance": (6, 1.5), "log": (2, 2.0)}
"""Power of σ that grows at a constant rate, and this rate divided by δ², by scale."""


def escape_time(distance: float, start: float, scale: str = "deviation") -> float:
    """Return the time τ for which a narrow start σ₀ ≪ δ stays narrow under the loss -α_δ (theory D5).

    If σ is trained, the time is √(2π) σ₀⁷ e^{δ²/2σ₀²} (1 + 8 σ₀²/δ²)/δ⁴: two orders of ∫ σ³/((δ² - σ²) α_δ) dσ by
    Laplace's method. Most of it is spent at the start. Another scale divides the rate by (dσ/dp)². The result is
    infinite if it exceeds float64.

    Raises:
        InputError: a width is not above 0, or not below the distance.
    """
    within("above 0", distance=distance, start=start)
    if start >= distance:
        raise InputError("start", expected="a width below δ", given=start, fix="From there σ falls at once.")
    factor, power = {"deviation": (1.0, 7), "variance": (4.0, 9), "log": (1.0, 5)}[scale]
    narrow = (start / distance) ** 2
    following = np.log1p((power + 1.0) * narrow)
    with np.errstate(over="ignore", divide="ignore"):
        # Logarithms are summed, because single factors may overflow.
        sizes = np.log(factor * np.sqrt(2.0 * np.pi)) + power * np.log(start) - 4.0 * np.log(distance)
        return float(np.exp(np.divide(0.5, narrow) + sizes + following))


@final
@dataclass(frozen=True, kw_only=True)
class Needles:
    """Windows with one useful token and even scores, where the bell's parameter has a closed flow (theory D2 to D5)."""

    distances: tuple[float, ...]
    """Distance δ of each query, all equally frequent."""
    half_width: int
    bell: Bell
    loss: Loss = "likelihood"
    chance: float = 0.0
    """Probability that any other token is a copy of the useful one; the flow averages over copies."""
    rate: float = 1.0
    """Factor on the rate of the parameter."""

    def velocity(self, parameter: NDArray) -> NDArray:
        """Return dp/dτ (1,) at p (1,), analytic in p."""
        p, useful = parameter[0], np.asarray(self.distances)
        places = np.arange(-self.half_width, self.half_width + 1)
        own, every = self.bell.log(p, useful), self.bell.log(p, places)
        slope, every_slope = self.bell.log_slope(p, useful), self.bell.log_slope(p, places)
        if self.bell.renormalises:
            total = np.exp(every).sum()
            own, slope = own - np.log(total), slope - (np.exp(every) * every_slope).sum() / total
            reach, reach_slope = 1.0, 0.0
        else:
            own, every = own - np.log(places.size), every - np.log(places.size)
            reach, reach_slope = np.exp(every).sum(), (np.exp(every) * every_slope).sum()
        if self.loss == "likelihood" and self.chance == 0.0:
            return self.rate * np.atleast_1d(slope.mean())  # α_δ cancels, even if it underflows
        gained = (1.0 - self.chance) * np.exp(own) * slope + self.chance * reach_slope
        if self.loss == "likelihood":
            gained = gained / ((1.0 - self.chance) * np.exp(own) + self.chance * reach)
        return self.rate * np.atleast_1d(gained.mean())


@final
@dataclass(frozen=True, kw_only=True)
class Topics:
    """LMN21's task under a fixed head and a bell, with the topic word at a distance (theory D2, C1).

    The head has orthogonal columns of norm u. All other words are at score 0 and embedding 0, and nothing is memorised.
    The state is (s, x, p): the topic word's score, the logit x = u² times its embedding along its class, and the bell's
    parameter.
    """

    distances: tuple[float, ...]
    """Distance δ of the topic word in each sentence, all equally frequent."""
    half_width: int
    bell: Bell
    classes: int
    frequency: float
    """Share ρ of sentences that hold a given topic word."""
    head_norm: float = 1.0
    rate: float = 1.0
    """Factor on the rate of the parameter."""

    def velocity(self, state: NDArray) -> NDArray:
        """Return d(s, x, p)/dτ (3,), analytic in the state."""
        score, logit, p = state
        contrast, apart = self.classes / (self.classes - 1.0), np.asarray(self.distances)
        share, weight, slope = self._attention(score, p, apart)
        wrong = 1.0 - logistic(weight * logit * contrast - np.log(self.classes - 1.0))
        pull = wrong * weight
        return np.array(
            [
                self.frequency * contrast * (pull * (1.0 - share) * logit).mean(),
                self.frequency * self.head_norm**2 * pull.mean(),
                self.rate * contrast * (pull * slope * logit).mean(),
            ]
        )

    def _attention(self, score: Any, p: Any, apart: Array) -> tuple[Any, Any, Any]:
        """Return share A and weight of the topic word, and the derivative of ln(weight) by p, for each distance."""
        places = np.arange(-self.half_width, self.half_width + 1)
        every, own = self.bell.log(p, places), self.bell.log(p, apart)
        slope = self.bell.log_slope(p, apart)
        if not self.bell.renormalises:
            share = np.exp(score) / (np.exp(score) + places.size - 1.0)
            return share, share * np.exp(own), slope
        others = np.exp(every).sum() - np.exp(own)
        total = np.exp(score + own) + others
        share = np.exp(score + own) / total
        every_slope = (np.exp(every) * self.bell.log_slope(p, places)).sum()
        mean = (every_slope + (np.exp(score) - 1.0) * np.exp(own) * slope) / total
        return share, share, slope - mean
