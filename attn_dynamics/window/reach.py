"""The reach of a bell: the distance at which it is 0 in floating point, and its share beyond a half-width (D1, D8)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import erfc

from attn_dynamics.check import integer, number
from attn_dynamics.model.bell import ROOT

Array = NDArray[np.float64]
EXPONENTS: Mapping[str, str] = {"deviation": "Δ²/2σ²", "variance": "Δ²/2σ"}
PREFACTORS: Mapping[str, str] = {"none": "1", "printed": "1/(σ √(2π))", "normalised": "1/√(2πσ)"}
FLOATS: Mapping[str, DTypeLike] = {"float32": np.float32, "float64": np.float64}
FARTHEST = 39.0
"""Distance, in units of σ, at which a bell in float64 is 0: above √(2 · 745.2)."""
WIDE = 1e4
"""Width σ, in tokens, above which an integral with its first correction, of order 1/σ², replaces the sum."""
MOST_SPREAD = 600.0
"""Largest spread of scores, in nats; a wider one outweighs any tail that float64 can hold."""


@final
@dataclass(frozen=True)
class BellFormula:
    """A formula h exp(-Δ²/…) of the bell, as a function of the number σ that a table gives."""

    scale: str = "variance"
    """Name of the exponent, one of `EXPONENTS`."""
    prefactor: str = "none"
    """Name of the prefactor, one of `PREFACTORS`."""
    precision: str = "float32"
    """Name of the float type, one of `FLOATS`."""

    def half_width(self, sigma: float, limit: int | None = None) -> int:
        """Return the largest Δ at which the bell is not 0, found by computing the bell (theory D1).

        Args:
            sigma: number σ, above 0.
            limit: half-width of the window, 0 or more; None for no limit.

        Raises:
            InputError: σ or the limit is out of range.
        """
        number("sigma", sigma, above=0)
        integer("limit", 0 if limit is None else limit, 0)
        # The bell falls with distance, so that none beyond the limit is needed.
        most = int(self._end(sigma)) + 3
        distances = np.arange(most if limit is None else min(most, limit + 1))
        kind = FLOATS[self.precision]
        # Computed in float64 and rounded once, because float32 exponentials differ between vendors at subnormals.
        bell = np.exp(-(distances**2) / (2.0 * self._variance(sigma))).astype(kind)
        height = np.asarray(math.exp(self._log_height(sigma)), kind)
        return int(np.flatnonzero(bell * height)[-1])

    def sigmas(self, half_width: int) -> tuple[float, float]:
        """Return the interval [from, below) of σ with this half-width, by bisection of a closed form."""
        return self._first(half_width), self._first(half_width + 1)

    def _first(self, half_width: int) -> float:
        low, high = 1e-6, 1e6
        for _ in range(200):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self._end(middle) > half_width else (middle, high)
        return high

    def _end(self, sigma: float) -> float:
        """Return the Δ at which h exp(-Δ²/…) is half of the smallest number, and from which it rounds to 0."""
        info = np.finfo(FLOATS[self.precision])
        half = (info.minexp - info.nmant - 1) * math.log(2.0)
        return math.sqrt(max(2.0 * self._variance(sigma) * (self._log_height(sigma) - half), 0.0))

    def _variance(self, sigma: float) -> float:
        return sigma**2 if self.scale == "deviation" else sigma

    def _log_height(self, sigma: float) -> float:
        widths = {"printed": sigma, "normalised": math.sqrt(self._variance(sigma))}
        return -math.log(widths[self.prefactor]) - ROOT if self.prefactor in widths else 0.0


def reached(width: float, limit: int, precision: str = "float32") -> int:
    """Return the number of tokens that a window of half-width `limit` attends to, counted as in W22 (theory D1).

    Raises:
        InputError: the width is not above 0, or the limit is not an integer from 0 on.
    """
    number("width", width, above=0)
    return 2 * BellFormula("variance", "none", precision).half_width(width**2, limit) + 1


def tail_mass(width: float, half_width: int) -> float:
    """Return the share of the bell's sum over all integers that lies beyond a half-width (theory D8).

    Args:
        width: width σ > 0, in tokens.
        half_width: half-width w, in tokens; if it is negative, the whole bell lies beyond.

    Raises:
        InputError: the width is not above 0.
    """
    number("width", width, above=0)
    return 1.0 if half_width < 0 else _tail(width)(half_width)


def half_width(width: float, error: float, spread: float = 0.0) -> int:
    """Return w(σ, ε), the least half-width at which a renormalised bell may be cut (theory D8).

    A cut changes a context by at most ε max‖v_j‖, for any values and any scores within `spread` of each other.

    Args:
        width: width σ > 0, in tokens.
        error: largest change ε of a context in units of max‖v_j‖, above 0.
        spread: largest difference of scores, up to `MOST_SPREAD`; 0 if scores are equal.

    Raises:
        InputError: a number is out of range.
    """
    number("width", width, above=0)
    number("error", error, above=0)
    number("spread", spread, least=0, most=MOST_SPREAD, fix="Choose a half-width yourself.")
    tail = _tail(width)

    def is_enough(cut: int) -> bool:
        # The tokens beyond may have higher scores, which multiply their odds by e^spread at most.
        odds = tail(cut) / (1.0 - tail(cut)) * math.exp(spread)
        return 2.0 * odds / (1.0 + odds) <= error

    low, high = -1, int(FARTHEST * width) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def mass_width(weights: Array, distances: NDArray[np.int64], share: float = 0.95) -> int:
    """Return the number 2w + 1 of tokens within the least half-width w that holds a share of the attention.

    Args:
        weights: attention (pairs,) of one query, or of several together.
        distances: distances Δ (pairs,).
        share: share of the sum of weights.
    """
    within = np.cumsum(np.bincount(np.abs(distances), weights))
    return 2 * int(np.argmax(within >= share * within[-1] * (1.0 - 1e-12))) + 1


def _tail(width: float) -> Callable[[int], float]:
    """Return the share of the bell beyond w ≥ 0, as a function of w."""
    if width > WIDE:
        return lambda cut: _wide_tail(width, cut + 0.5)
    with np.errstate(over="ignore"):
        bell = np.exp(-0.5 * (np.arange(int(FARTHEST * width) + 2) / width) ** 2)
    bell[1:] *= 2.0
    # Sums from the far end have no cancellation.
    beyond = np.cumsum(bell[::-1])[::-1]
    shares = np.append(beyond[1:], 0.0) / beyond[0]
    return lambda cut: float(shares[cut]) if cut < shares.size else 0.0


def _wide_tail(width: float, end: float) -> float:
    """Return the integral of the bell beyond `end`, halfway between tokens, with the first Euler–Maclaurin correction.

    The next correction is smaller by (end/σ²)². The sum over all integers is σ √(2π) up to e^{-2π²σ²}.
    """
    slope = -end / width**2 * math.exp(-0.5 * (end / width) ** 2)
    return float(erfc(end / width / math.sqrt(2.0)) + slope / (12.0 * width * math.sqrt(2.0 * math.pi)))
