"""A renormalised bell as two further dimensions of queries and keys, for any attention kernel (theory D9)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class Features(NamedTuple):
    """Dimensions appended to queries and keys, so that their product gains i j/σ² - j²/2σ²."""

    queries: NDArray
    """Dimensions of the queries (queries, 2)."""
    keys: NDArray
    """Dimensions of the keys (keys, 2)."""


def features(
    queries: ArrayLike, keys: ArrayLike, width: float, *, centre: float = 0.0, kind: DTypeLike = np.float64
) -> Features:
    """Return the two dimensions of queries and keys.

    For a kernel that divides scores by √d, multiply the dimensions of the queries by √d.

    Args:
        queries: positions i (queries,), in tokens.
        keys: positions j (keys,).
        width: width σ, in tokens.
        centre: origin of positions, in tokens. Terms like i j/σ² cancel to Δ²/2σ², so in float32 long sequences need a
            centre near the queries.
        kind: dtype of the result.
    """
    i, j = (np.asarray(each, float) - centre for each in (queries, keys))
    wide = np.stack([i / width**2, np.full_like(i, -0.5 / width**2)], axis=1)
    return Features(wide.astype(kind), np.stack([j, j**2], axis=1).astype(kind))


def width_gradient(queries: ArrayLike, keys: ArrayLike, width: float, slopes: NDArray) -> float:
    """Return ∂L/∂σ through both dimensions, from the gradient (queries, keys) in the score of each pair."""
    i, j = np.asarray(queries, float)[:, None], np.asarray(keys, float)
    return float((slopes * (j**2 - 2.0 * i * j)).sum() / width**3)
