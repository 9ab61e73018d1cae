"""95 % intervals of means by Student's t, and what stands instead of them where samples are few."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]
FEWEST = 5
"""Samples that an interval takes. Of fewer, Student's factor is so wide that it says less than the samples do."""


def mean_interval(values: Array) -> tuple[Array, Array]:
    """Give the ends of the interval of the mean of values (samples, ...), each (...)."""
    mean, half = values.mean(axis=0), half_width(values)
    return mean - half, mean + half


def half_width(values: Array) -> Array:
    """Give half the width of that interval; NaN where samples are fewer than five, or one is no finite number."""
    if len(values) < FEWEST:
        return np.full(values.shape[1:], np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return stdtrit(len(values) - 1, 0.975) * values.std(axis=0, ddof=1) / len(values) ** 0.5


def interval(values: ArrayLike) -> dict[str, float]:
    """Give the mean and the ends of its interval by name; the ends are NaN where samples are few."""
    found = np.asarray(values, float)
    low, high = mean_interval(found)
    return {"mean": float(found.mean()), "low": float(low), "high": float(high)}


def shown_as(samples: int) -> str:
    """Name what `in_words` gives for so many samples."""
    return "mean ± 95 % interval" if samples >= FEWEST else "mean (least to largest)"


def in_words(values: ArrayLike) -> str:
    """Write the mean of some samples with its interval, or where they are few with their range."""
    found = np.asarray(values, float)
    if len(found) >= FEWEST:
        return f"{found.mean():.4g} ± {half_width(found):.2g}"
    return f"{found.mean():.4g} ({found.min():.3g} to {found.max():.3g})"
