"""The bell over distances: where it enters attention, and which function of its width is trained (theory §D).

The bell is U(Δ) = h exp(-Δ²/2σ²). It is analytic in the parameter, so that a complex step gives derivatives.
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
"""The constant ln √(2π)."""
NARROWEST = 1e-75
"""Smallest width σ, in tokens; powers of a smaller width leave the range of float64."""
Numbers = Any
"""Type of a number or an array, real or complex."""


@final
@dataclass(frozen=True)
class Scale:
    """The parameter p that is trained, a function of the width σ; all members but `parameter` are functions of p."""

    symbol: str
    width: Callable[[Numbers], Numbers]
    """Standard deviation σ of the bell, in tokens."""
    precision: Callable[[Numbers], Numbers]
    """Precision 1/σ²; the bell's exponent is -Δ²/2 times the precision."""
    precision_slope: Callable[[Numbers], Numbers]
    """Derivative of the precision with respect to p."""
    log_height: Callable[[Numbers], Numbers]
    """The term -ln σ of the prefactor 1/(σ √(2π)) as W22 prints it, with σ = p if a variance is trained."""
    log_height_slope: Callable[[Numbers], Numbers]
    """Derivative of the log height with respect to p."""
    parameter: Callable[[Numbers], Numbers]
    """Parameter p as a function of the width."""
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
"""Scales by name: standard deviation, variance (W22's σ according to its token counts, theory D1), and ln σ."""
PLACEMENTS: Mapping[str, str] = {
    "renormalised": "softmax(s + ln U)",
    "product": "softmax(s) U, U with its prefactor 1/(σ √(2π))",
    "peak": "softmax(s) exp(-Δ²/2σ²)",
}
"""Placements by name, each with the formula of attention under the bell."""


@final
@dataclass(frozen=True)
class Bell:
    """A bell, given by its placement and its scale.

    Raises:
        InputError: a name is unknown.
    """

    placement: str = "renormalised"
    scale: str = "deviation"

    def __post_init__(self) -> None:
        for name, known in (("placement", PLACEMENTS), ("scale", SCALES)):
            one_of(name, getattr(self, name), known)

    @property
    def renormalises(self) -> bool:
        """Return whether attention sums to one with the bell in it."""
        return self.placement == "renormalised"

    @property
    def of(self) -> Scale:
        """Return the scale, which is the function of the width that is trained."""
        return SCALES[self.scale]

    def log(self, parameter: Numbers, distances: ArrayLike) -> Numbers:
        """Return ln U (theory §D), including any prefactor, at distances Δ = j - i in tokens, of any shape."""
        square = np.asarray(distances, float) ** 2
        exponent = -0.5 * square * self.of.precision(parameter)
        return exponent + self.of.log_height(parameter) - ROOT if self.placement == "product" else exponent

    def log_slope(self, parameter: Numbers, distances: ArrayLike) -> Numbers:
        """Return ∂ ln U/∂p (theory D2, D3); for a standard deviation Δ²/σ³, less 1/σ if there is a prefactor."""
        square = np.asarray(distances, float) ** 2
        slope = -0.5 * square * self.of.precision_slope(parameter)
        return slope + self.of.log_height_slope(parameter) if self.placement == "product" else slope

    def parameter(self, width: float) -> float:
        """Return the parameter p of a width σ in tokens.

        Raises:
            InputError: the width is not above 0, or is below `NARROWEST`.
        """
        width = number("width", width, above=0, fix="It is counted in tokens.")
        if width < NARROWEST:
            fix = "From 0.1 down a bell sees one token alone."
            raise InputError("width", expected=f"{NARROWEST:g} tokens or more", given=width, fix=fix)
        return float(self.of.parameter(width))

    def admits(self, parameter: float) -> bool:
        """Return whether a bell with this parameter exists."""
        return math.isfinite(parameter) and parameter >= self.of.parameter(NARROWEST)
