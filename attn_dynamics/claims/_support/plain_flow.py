"""Gradient flow of any arrays by scipy, for relatives of the model that `training.flow` does not know."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.integrate import solve_ivp

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.sen import ATOL
from attn_dynamics.model.heads import Array

Arrays = Mapping[str, Array]
"""Arrays by name."""


def plain_flow(gradient: Callable[[Arrays], Arrays], start: Arrays, times: Array) -> dict[str, Array]:
    """Follow dθ/dτ = -∂L/∂θ at the tolerances of the claims.

    Args:
        gradient: function that returns ∂L/∂θ by name from the arrays; an array that it leaves out stays at its start.
        start: arrays at time 0.
        times: times to record, ascending; the last one is the end.

    Returns:
        Each array by name, with a leading axis of times.
    """
    ends = np.cumsum([array.size for array in start.values()])[:-1]

    def named(state: Array) -> dict[str, Array]:
        parts = zip(start.items(), np.split(state, ends), strict=True)
        return {name: part.reshape(*array.shape) for (name, array), part in parts}

    def velocity(_: float, state: Array) -> Array:
        slopes = gradient(named(state))
        return np.concatenate([-np.ravel(slopes.get(name, np.zeros_like(array))) for name, array in start.items()])

    begin = np.concatenate([array.ravel() for array in start.values()])
    run = solve_ivp(velocity, (0.0, times[-1]), begin, "DOP853", times, rtol=RTOL, atol=ATOL)
    states = [named(state) for state in run.y.T]
    return {name: np.array([state[name] for state in states]) for name in start}
