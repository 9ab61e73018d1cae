"""Largest of many distances, and the precisions that bound it."""

from collections.abc import Iterable

import numpy as np

from attn_dynamics.claims.claim import FEW, Measured, largest
from attn_dynamics.model.heads import Array

EPS = float(np.finfo(float).eps)
"""Round-off ε = 2⁻⁵²."""
RTOL = 1e-11
"""Relative tolerance of the solver per step."""


def farthest(offs: Iterable[Array | float], bound: float, *, within: float = FEW) -> Measured:
    """Measure the largest absolute value of some distances beside its bound."""
    return Measured(largest(float(np.abs(off).max()) for off in offs), bound, within=within)


def apart(*pairs: tuple[Array, Array]) -> float:
    """Return the largest relative distance |predicted/seen - 1| over pairs (predicted, seen) of arrays."""
    return largest(float(np.abs(predicted / seen - 1.0).max()) for predicted, seen in pairs)
