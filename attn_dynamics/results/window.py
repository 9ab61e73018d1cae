"""A run of a window and what theory says of it, as an xarray Dataset: width, tokens attended, and the bell itself."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from attn_dynamics.model.heads import Array
from attn_dynamics.theory.flow import Velocity
from attn_dynamics.theory.flow import flow as integrate
from attn_dynamics.window.dynamics import Course
from attn_dynamics.window.layer import Layer, attention
from attn_dynamics.window.support import mass_width, reached
from attn_dynamics.window.tasks import WindowTask
from attn_dynamics.window.windows import Windows

MOMENTS = ("start", "end")
"""At which the whole bell is kept."""
RECORDED = 120
"""Times kept, at most."""
MOST = 10_000
"""Evaluations of a predicted rate; where steps are far too long for their modified flow it would go on without end."""


def recorded_epochs(epochs: int) -> list[int]:
    """The start, the end, and between them epochs that thin out."""
    return sorted({0, *np.unique(np.geomspace(1, epochs, RECORDED - 1).round().astype(int)).tolist()})


def dataset(task: WindowTask, course: Course, predicted: Array | None) -> xr.Dataset:
    """What figures and summary need of a run.

    Args:
        task: what was learned.
        course: the run.
        predicted: states of `predict` at its times; without them only the run.
    """
    found = _seen(task, course.layers)
    found["loss"] = (
        "time",
        np.array([each.loss for each in course.fits]),
        {"long_name": "training loss", "units": "nats"},
    )
    if task.layer.readout is not None and course.fits[0].accuracy is not None:
        found["accuracy"] = ("time", np.array([each.accuracy for each in course.fits]), {"long_name": "accuracy"})
    if predicted is not None:
        theirs = _seen(task, [task.layer_at(state) for state in predicted])
        found |= {f"predicted_{name}": each for name, each in theirs.items()}
    half = int(np.abs(task.windows.distances).max())
    time = ("time", course.times, {"long_name": "learning rate × epoch"})
    return xr.Dataset(found, {"time": time, "moment": list(MOMENTS), "distance": np.arange(-half, half + 1)})


def predict(task: WindowTask, times: Array, *, learning_rate: float, bell_rate: float) -> Array | None:
    """The states that theory predicts (times, coordinates); None where its equations cannot be followed.

    Args:
        task: with its equations.
        times: τ from 0 on.
        learning_rate: η of the descent to be followed; 0 for the flow.
        bell_rate: factor on the rate of the bell.
    """
    factors = np.ones(task.begin.size)
    factors[-1] = bell_rate
    try:
        velocity: Velocity = lambda y: factors * task.velocity(y)  # noqa: E731
        return integrate(velocity, task.begin, times, learning_rate=learning_rate, most=MOST)
    except ArithmeticError:
        return None


def _seen(task: WindowTask, layers: Sequence[Layer]) -> dict[str, tuple]:
    """What is read off a layer, at every time or at both ends."""
    windows = task.windows
    half, weights = int(np.abs(windows.distances).max()), [attention(windows, each).weights for each in layers]
    tokens = {"units": "tokens"}
    widths = np.array([each.width for each in layers])
    scores = np.array([each.scores[task.followed].mean() for each in layers])
    support = np.array([reached(each, half) for each in widths])
    mass = np.array([mass_width(each, windows.distances) for each in weights])
    profiles = np.stack([_profile(windows, each, half) for each in (weights[0], weights[-1])])
    return {
        "width": ("time", widths, {"long_name": "σ, standard deviation of the bell"} | tokens),
        "score": ("time", scores, {"long_name": "mean score of what is useful", "units": "nats"}),
        "reached": ("time", support, {"long_name": "tokens where the bell is above 0 in float32"} | tokens),
        "held": ("time", mass, {"long_name": "tokens of the half-width with 95 % of the attention"} | tokens),
        "profile": (("moment", "distance"), profiles, {"long_name": "mean attention weight at a distance"}),
    }


def _profile(windows: Windows, weights: Array, half: int) -> Array:
    """The mean weight at each distance."""
    return np.bincount(windows.distances + half, weights, 2 * half + 1) / windows.n_queries
