"""95 % intervals of means, by Student's t."""

import numpy as np
from scipy.special import stdtrit

from attn_dynamics.heads import Array


def mean_interval(values: Array) -> tuple[Array, Array]:
    """The ends of the interval of the mean of values (samples, ...), each (...)."""
    mean, half = values.mean(axis=0), half_width(values)
    return mean - half, mean + half


def half_width(values: Array) -> Array:
    """Half the width of that interval; NaN where there are too few samples, or one is no finite number."""
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return stdtrit(len(values) - 1, 0.975) * values.std(axis=0, ddof=1) / len(values) ** 0.5
