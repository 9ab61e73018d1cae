"""The largest of many distances, and the precision that bounds it."""

from collections.abc import Iterable

import numpy as np

from attn_dynamics.claims.claim import FEW, Measured, largest
from attn_dynamics.model.heads import Array

EPS = float(np.finfo(float).eps)
"""Round-off ε = 2⁻⁵²."""
RTOL = 1e-11
"""Relative tolerance of a step of the solver."""


def farthest(offs: Iterable[Array | float], bound: float, *, within: float = FEW) -> Measured:
    """Measure the largest size of some distances beside its bound."""
    return Measured(largest(float(np.abs(off).max()) for off in offs), bound, within=within)


def apart(*pairs: tuple[Array, Array]) -> float:
    """Return the largest relative distance of what is predicted from what is seen, over pairs of them."""
    return largest(float(np.abs(predicted / seen - 1.0).max()) for predicted, seen in pairs)
