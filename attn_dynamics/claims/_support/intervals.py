"""Power laws fitted to points, with 95 % intervals of their exponents by Student's t."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import linregress, t

from attn_dynamics.model.heads import Array


class PowerLaw(NamedTuple):
    """Power law y = factor · x^exponent, fitted by least squares of logarithms."""

    exponent: float
    half: float
    """Half-width of the exponent's 95 % interval for independent points; NaN if there are too few."""
    factor: float

    def at(self, x: ArrayLike) -> Array:
        """Return y at x."""
        return self.factor * np.asarray(x, float) ** self.exponent


def power_law(x: ArrayLike, y: ArrayLike) -> PowerLaw:
    """Fit a power law through points x, y > 0."""
    logarithms = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    fit = linregress(*logarithms)
    half = t.ppf(0.975, logarithms[0].size - 2) * fit.stderr  # pyright: ignore[reportAttributeAccessIssue]
    exponent, at_one = fit.slope, fit.intercept  # pyright: ignore[reportAttributeAccessIssue]
    return PowerLaw(float(exponent), float(half), float(np.exp(at_one)))
