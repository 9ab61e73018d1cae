"""Tasks at the end of long runs, in mean field and in the exact gradient's flow (theory C3, C4, C8, C11)."""

from functools import cache

import numpy as np
import xarray as xr

from attn_dynamics.claims._support.exact_task import FIXED_HEAD, TRAINED_HEAD, ExactTask, exact_flow
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.mean_field import MeanField, Trajectory

LONG, MODEL_LONG = 1e16, 1e8
"""Times τ for mean field and for the model itself. At τ the model's 1 - π has a relative round-off of 2⁻⁵² τ."""
LONGEST = (1e128, 1e256)
"""Times for quantities that converge like powers of 1/ln τ."""
MODEL_RTOL = 1e-6
"""Relative tolerance of the solver per step for the model, well above the round-off of its 1 - π."""
LMN21 = {"frequency": 1 / 8, "classes": 4, "others": 20, "topic_words": 2}
"""Sizes of LMN21's task."""
TASKS = (ExactTask((1, 1), 1, 2.0), ExactTask((1, 2, 3), 5, 1.5, 0.8), ExactTask((2, 2, 3, 1), 20, 1.0, 0.7))
"""Tasks of different sizes that are followed to the end."""


@cache
def in_mean_field(
    times: tuple[float, ...], depth: int = 0, train: tuple[str, ...] = (), **setting: float
) -> Trajectory:
    """Return LMN21's task in mean field; the head has D = `depth` trained layers, or is fixed if D = 0."""
    train = train or (TRAINED_HEAD if depth else FIXED_HEAD)
    return MeanField(**LMN21 | setting, depth=max(depth, 1), train=train).flow(times)


@cache
def end_of(task: ExactTask, **start: float) -> Trajectory:
    """Return a task in mean field at the end of the long run (1, words), from zero or from given s and r."""
    return MeanField(**task.setting).flow([LONG], **start)


def extrapolated(values: Array, margins: Array) -> float:
    """Return the limit of values that converge like 1/M, from their values at two margins M."""
    return float(np.diff(values * margins)[0] / np.diff(margins)[0])


def end_in_model(task: ExactTask, train: tuple[str, ...] = FIXED_HEAD) -> xr.Dataset:
    """Return a task at the end of the long run in the exact gradient's flow."""
    return exact_flow(task, (MODEL_LONG,), train=train, rtol=MODEL_RTOL).isel(time=-1)
