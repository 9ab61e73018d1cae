"""The bell over distances: where it enters attention, and what of it is trained (theory §D).

U(Δ) = h exp(-Δ²/2σ²). Everything is analytic in the parameter, so that a derivative can be taken by a complex step.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import number, one_of
from attn_dynamics.errors import InputError

ROOT = 0.5 * math.log(2.0 * math.pi)
"""ln √(2π)."""
NARROWEST = 1e-75
"""σ, tokens, below which powers of it leave the range of float64."""
Numbers = Any
"""A number or an array, real or complex."""


@final
@dataclass(frozen=True)
class Scale:
    """Which function p of the width is trained; each member is a function of p, but for `parameter`."""

    symbol: str
    width: Callable[[Numbers], Numbers]
    """σ, the bell's standard deviation, tokens."""
    precision: Callable[[Numbers], Numbers]
    """1/σ²: the exponent is -Δ²/2 times it."""
    precision_slope: Callable[[Numbers], Numbers]
    """Its derivative by p."""
    log_height: Callable[[Numbers], Numbers]
    """-ln of what the printed prefactor 1/(σ √(2π)) has for σ, which is p itself where a variance is trained."""
    log_height_slope: Callable[[Numbers], Numbers]
    """Its derivative by p."""
    parameter: Callable[[Numbers], Numbers]
    """p of a width."""
    positive: bool = True
    """Whether p must be above 0."""


SCALES: Mapping[str, Scale] = {
    "deviation": Scale(
        symbol="σ",
        width=lambda p: p,
        precision=lambda p: p**-2.0,
        precision_slope=lambda p: -2.0 * p**-3.0,
        log_height=lambda p: -np.log(p),
        log_height_slope=lambda p: -1.0 / p,
        parameter=lambda width: width,
    ),
    "variance": Scale(
        symbol="σ²",
        width=np.sqrt,
        precision=lambda p: 1.0 / p,
        precision_slope=lambda p: -(p**-2.0),
        log_height=lambda p: -np.log(p),
        log_height_slope=lambda p: -1.0 / p,
        parameter=np.square,
    ),
    "log": Scale(
        symbol="ln σ",
        width=np.exp,
        precision=lambda p: np.exp(-2.0 * p),
        precision_slope=lambda p: -2.0 * np.exp(-2.0 * p),
        log_height=lambda p: -p,
        log_height_slope=lambda p: -np.ones_like(p),
        parameter=np.log,
        positive=False,
    ),
}
"""Standard deviation, variance (W22's σ as its token counts have it, theory D1), and ln σ."""
PLACEMENTS: Mapping[str, str] = {
    "renormalised": "softmax(s + ln U)",
    "product": "softmax(s) U, U with its prefactor 1/(σ √(2π))",
    "peak": "softmax(s) exp(-Δ²/2σ²)",
}
"""Where the bell enters attention."""


@final
@dataclass(frozen=True)
class Bell:
    """A placement and a scale.

    Raises:
        InputError: an unknown name.
    """

    placement: str = "renormalised"
    scale: str = "deviation"

    def __post_init__(self) -> None:
        for name, known in (("placement", PLACEMENTS), ("scale", SCALES)):
            one_of(name, getattr(self, name), known)

    @property
    def renormalises(self) -> bool:
        """Whether attention sums to one with the bell in it."""
        return self.placement == "renormalised"

    @property
    def of(self) -> Scale:
        """What is trained."""
        return SCALES[self.scale]

    def log(self, parameter: Numbers, distances: ArrayLike) -> Numbers:
        """ln U (theory §D) at Δ = j - i, tokens, any shape; the prefactor is in it where the placement has one."""
        square = np.asarray(distances, float) ** 2
        exponent = -0.5 * square * self.of.precision(parameter)
        return exponent + self.of.log_height(parameter) - ROOT if self.placement == "product" else exponent

    def log_slope(self, parameter: Numbers, distances: ArrayLike) -> Numbers:
        """∂ ln U/∂p (theory D2, D3): Δ²/σ³ for a standard deviation, less 1/σ where there is a prefactor."""
        square = np.asarray(distances, float) ** 2
        slope = -0.5 * square * self.of.precision_slope(parameter)
        return slope + self.of.log_height_slope(parameter) if self.placement == "product" else slope

    def parameter(self, width: float) -> float:
        """p of a width σ, tokens.

        Raises:
            InputError: a width that is not above 0.
        """
        width = number("width", width, above=0, fix="It is counted in tokens.")
        if width < NARROWEST:
            fix = "From 0.1 down a bell sees one token alone."
            raise InputError("width", expected=f"{NARROWEST:g} tokens or more", given=width, fix=fix)
        return float(self.of.parameter(width))

    def admits(self, parameter: float) -> bool:
        """Whether there is a bell at this parameter."""
        return math.isfinite(parameter) and parameter >= self.of.parameter(NARROWEST)
