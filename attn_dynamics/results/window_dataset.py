"""Results of a window run: the xarray Dataset of the run and of its prediction."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from attn_dynamics.model.heads import Array
from attn_dynamics.theory.ode import Velocity
from attn_dynamics.theory.ode import flow as integrate
from attn_dynamics.window.dynamics import TRAIN, Trajectory
from attn_dynamics.window.layer import Layer, attention
from attn_dynamics.window.reach import mass_width, reached
from attn_dynamics.window.tasks import WindowTask
from attn_dynamics.window.windows import Windows

MOMENTS = ("start", "end")
"""Times at which the whole bell is kept."""
MOST = 10_000
"""Largest number of evaluations of the predicted velocity, because the modified flow of very long steps never ends."""


def dataset(task: WindowTask, run: Trajectory, predicted: Array | None) -> xr.Dataset:
    """Return the Dataset that figures and summary of a run read.

    Args:
        task: the learned task.
        run: the recorded run.
        predicted: states of `predict` at the run's times, or None without a prediction.
    """
    found = _seen(task, run.layers)
    for name, fits in run.curves.items():
        prefix, (loss, accuracy) = "" if name == TRAIN else f"{name}_", fits[run.epochs].T
        found[f"{prefix}loss"] = ("time", loss, {"long_name": f"{name} loss", "units": "nats"})
        if np.isfinite(accuracy).all():
            found[f"{prefix}accuracy"] = ("time", accuracy, {"long_name": f"{name} accuracy"})
    if predicted is not None:
        theirs = _seen(task, [task.layer_at(state) for state in predicted])
        found |= {f"predicted_{name}": each for name, each in theirs.items()}
    half = int(np.abs(task.windows.distances).max())
    time = ("time", run.times, {"long_name": "learning rate × epoch"})
    return xr.Dataset(found, {"time": time, "moment": list(MOMENTS), "distance": np.arange(-half, half + 1)})


def predict(task: WindowTask, times: Array, *, learning_rate: float, bell_rate: float) -> Array | None:
    """Return the predicted states (times, coordinates); None if the equations cannot be followed.

    Args:
        task: the task with its equations.
        times: times τ, starting at 0.
        learning_rate: learning rate η of the descent to follow; 0 for the flow.
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
    """Return the variables measured on the layers of all times; profiles are those of the first and the last time."""
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
    """Return the mean attention weight at each distance from -half to half."""
    return np.bincount(windows.distances + half, weights, 2 * half + 1) / windows.n_queries
