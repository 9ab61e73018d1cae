"""A renormalised bell as two further dimensions of queries and keys, for any attention kernel (theory D9)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class Features(NamedTuple):
    """What is put beside queries and keys, so that their product gains i j/σ² - j²/2σ²."""

    queries: NDArray
    """(queries, 2)."""
    keys: NDArray
    """(keys, 2)."""


def features(
    queries: ArrayLike, keys: ArrayLike, width: float, *, centre: float = 0.0, kind: DTypeLike = np.float64
) -> Features:
    """The two dimensions; a kernel that divides scores by √d wants the queries' times √d.

    Args:
        queries: positions i (queries,), tokens.
        keys: positions j (keys,).
        width: σ.
        centre: what positions count from. Products of the size i j/σ² cancel to Δ²/2σ², so in float32 long sequences
            want it near the queries.
        kind: type of the numbers.
    """
    i, j = (np.asarray(each, float) - centre for each in (queries, keys))
    wide = np.stack([i / width**2, np.full_like(i, -0.5 / width**2)], axis=1)
    return Features(wide.astype(kind), np.stack([j, j**2], axis=1).astype(kind))


def width_gradient(queries: ArrayLike, keys: ArrayLike, width: float, slopes: NDArray) -> float:
    """∂L/∂σ from ∂L/∂(score of each pair), slopes (queries, keys), through both dimensions."""
    i, j = np.asarray(queries, float)[:, None], np.asarray(keys, float)
    return float((slopes * (j**2 - 2.0 * i * j)).sum() / width**3)
