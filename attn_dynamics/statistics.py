"""95 % intervals of means by Student's t, and ranges where there are fewer than five samples."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from attn_dynamics.check import Array

FEWEST = 5
"""Least number of samples for an interval. With fewer, Student's factor is so large that the samples say more."""


def mean_interval(values: Array) -> tuple[Array, Array]:
    """Return the lower and upper end (...) of the 95 % interval of the mean of values (samples, ...)."""
    mean, half = values.mean(axis=0), half_width(values)
    return mean - half, mean + half


def half_width(values: Array) -> Array:
    """Return half the width (...) of the 95 % interval; NaN for fewer than five samples, or if one is not finite."""
    if len(values) < FEWEST:
        return np.full(values.shape[1:], np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return stdtrit(len(values) - 1, 0.975) * values.std(axis=0, ddof=1) / len(values) ** 0.5


def interval(values: ArrayLike) -> dict[str, float]:
    """Return the mean and the ends of its interval by name; the ends are NaN for fewer than five samples."""
    found = np.asarray(values, float)
    low, high = mean_interval(found)
    return {"mean": float(found.mean()), "low": float(low), "high": float(high)}


def shown_as(samples: int) -> str:
    """Return a heading for the texts that `in_words` returns for this number of samples."""
    return "mean ± 95 % interval" if samples >= FEWEST else "mean (least to largest)"


def in_words(values: ArrayLike) -> str:
    """Return the mean as text, with its interval, or with the range of fewer than five samples."""
    found = np.asarray(values, float)
    if len(found) >= FEWEST:
        return f"{found.mean():.4g} ± {half_width(found):.2g}"
    return f"{found.mean():.4g} ({found.min():.3g} to {found.max():.3g})"
