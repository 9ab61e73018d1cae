"""A windowed layer under descent, with a separate rate for the bell, and under gradient flow (theory D4 to D7)."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from attn_dynamics.check import as_floats, integer, number, shown, some_of
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array
from attn_dynamics.training.flow import LINEAR_TIME, LOG_TIME
from attn_dynamics.window.layer import Fit, Layer, LayerGradient, loss_and_gradient
from attn_dynamics.window.readout import CrossEntropy
from attn_dynamics.window.windows import Windows

TRAINABLE = ("scores", "values", "head", "bell")
"""Names of the parts that may be trained."""
FEW = 64
"""Largest number of coordinates for which the solver may use a dense Jacobian."""


class Course(NamedTuple):
    """Recorded course of a run."""

    times: Array
    """Times (times,), learning rate × epoch."""
    layers: list[Layer]
    """State at each time."""
    fits: list[Fit]
    diverged: bool = False
    """Whether the last step led to no bell or to a loss that is not finite; that state is not recorded."""

    @property
    def widths(self) -> Array:
        """Return the widths σ (times,), in tokens."""
        return np.array([each.width for each in self.layers])


def descend(
    windows: Windows,
    layer: Layer,
    *,
    learning_rate: float,
    epochs: int,
    train: Collection[str] = ("bell",),
    bell_rate: float = 1.0,
    record: Collection[int] | None = None,
    meter: Callable[[int, float], None] | None = None,
) -> Course:
    """Train a layer by full-batch gradient descent.

    Args:
        windows: training data.
        layer: the initial state; not changed.
        learning_rate: learning rate η.
        epochs: number of steps.
        train: parts to train, any of scores, values, head, bell.
        bell_rate: factor on η for the bell's parameter, r of theory D6.
        record: epochs at which to keep the state; by default all.
        meter: function called with epoch and loss.

    Raises:
        InputError: a name in `train` is unknown, or a rate is not above 0.
    """
    rates = _rates(layer, train, bell_rate)
    learning_rate, epochs = number("learning_rate", learning_rate, above=0), integer("epochs", epochs, 0)
    due = range(epochs + 1) if record is None else frozenset(record)
    at, layers, fits = [], [], []
    for epoch in range(epochs + 1):
        fit, gradient = loss_and_gradient(windows, layer)
        if not math.isfinite(fit.loss):
            return Course(learning_rate * np.array(at), layers, fits, diverged=True)
        if meter is not None:
            meter(epoch, fit.loss)
        if epoch in due:
            at.append(epoch)
            layers.append(layer)
            fits.append(fit)
        if epoch < epochs:
            moved = _moved(layer, gradient, rates, learning_rate)
            if moved is None:
                return Course(learning_rate * np.array(at), layers, fits, diverged=True)
            layer = moved
    return Course(learning_rate * np.array(at), layers, fits)


def flow(
    windows: Windows,
    layer: Layer,
    *,
    times: ArrayLike,
    log_time: bool = False,
    train: Collection[str] = ("bell",),
    bell_rate: float = 1.0,
    rtol: float = 1e-10,
) -> Course:
    """Follow the gradient flow, which descent approaches as its learning rate goes to 0.

    Args:
        windows: training data.
        layer: the initial state; not changed.
        times: times τ ≥ 0 to record, ascending.
        log_time: whether the solver's clock is ln(1 + τ), for runs to very large times.
        train: parts to train, any of scores, values, head, bell.
        bell_rate: factor on the rate of the bell's parameter.
        rtol: relative tolerance of a step of the solver: LSODA, or DOP853 for more than `FEW` coordinates.

    Raises:
        InputError: as `descend` raises it, or times do not ascend from 0 or later.
        ArithmeticError: the solver cannot continue, or the state has no bell.
    """
    rates, clock = _rates(layer, train, bell_rate), LOG_TIME if log_time else LINEAR_TIME
    due = np.atleast_1d(as_floats("times", times))
    if not (due.size and due[0] >= 0.0 and np.all(np.diff(due) > 0.0)):
        raise InputError("times", expected="numbers from 0 on that ascend", given=shown(times), fix="Sort them.")

    def velocity(clock_time: float, state: Array) -> Array:
        try:
            at = _unpacked(layer, rates, state)
        except InputError:
            stuck = f"flow: expected a bell at time {clock.time(clock_time):g}, got a state that is none"
            raise ArithmeticError(f"{stuck}. Follow it for a shorter time, or at a lower rate.") from None
        speed = clock.speed(clock.time(clock_time))
        return -speed * _packed(loss_and_gradient(windows, at)[1], rates, layer)

    clock_times = np.asarray(clock.from_time(due))
    begin = _state(layer, rates)
    # A bell may rest for hundreds of e-folds of time; a longer step in log time could miss the end of the rest.
    largest = 0.5 if log_time else np.inf
    solved = solve_ivp(
        velocity,
        (0.0, max(float(clock_times[-1]), 1e-300)),
        begin,
        method="LSODA" if begin.size <= FEW else "DOP853",
        t_eval=clock_times,
        rtol=rtol,
        atol=1e-3 * rtol,
        max_step=largest,
    )
    if not solved.success:
        raise ArithmeticError(f"flow: expected a solution up to time {due[-1]}, got: {solved.message}")
    layers = [_unpacked(layer, rates, state) for state in solved.y.T]
    return Course(due, layers, [loss_and_gradient(windows, each)[0] for each in layers])


# --- a layer as a vector of its moving parts

Rates = Mapping[str, float]
"""Type of the trained parts, each with the factor on its rate."""


def _rates(layer: Layer, train: Collection[str], bell_rate: float) -> Rates:
    if not some_of("train", train, TRAINABLE):
        raise InputError("train", expected=f"any of {', '.join(TRAINABLE)}", given="nothing", fix="Choose among these.")
    number("bell_rate", bell_rate, above=0, fix="1 is usual for a bell's rate.")
    trained = [name for name in TRAINABLE if name in train and (name != "head" or _head_names(layer))]
    return {name: bell_rate if name == "bell" else 1.0 for name in trained}


def _head_names(layer: Layer) -> tuple[str, ...]:
    return layer.readout.head.trained if isinstance(layer.readout, CrossEntropy) else ()


def _moved(layer: Layer, gradient: LayerGradient, rates: Rates, learning_rate: float) -> Layer | None:
    """Return the layer after one step of descent; None if the step leads to no layer."""
    state = _state(layer, rates) - learning_rate * _packed(gradient, rates, layer)
    if not np.isfinite(state).all() or ("bell" in rates and not layer.bell.admits(float(state[-1]))):
        return None
    return _unpacked(layer, rates, state)


def _parts(layer: Layer, rates: Rates) -> dict[str, Array]:
    """Return the arrays that move, by name, with the bell's parameter last."""
    parts = {name: getattr(layer, name) for name in ("scores", "values") if name in rates}
    if "head" in rates and isinstance(layer.readout, CrossEntropy):
        arrays = layer.readout.head.arrays()
        parts |= {name: arrays[name] for name in _head_names(layer)}
    return parts | ({"bell": np.array([layer.parameter])} if "bell" in rates else {})


def _state(layer: Layer, rates: Rates) -> Array:
    return np.concatenate([each.ravel() for each in _parts(layer, rates).values()])


def _packed(gradient: LayerGradient, rates: Rates, layer: Layer) -> Array:
    """Return the gradient, each part times its rate, in the order of the state."""
    by_name = gradient.head | {"scores": gradient.scores, "values": gradient.values}
    by_name["bell"] = np.array([rates.get("bell", 1.0) * gradient.parameter])
    return np.concatenate([by_name[name].ravel() for name in _parts(layer, rates)])


def _unpacked(layer: Layer, rates: Rates, state: Array) -> Layer:
    parts = _parts(layer, rates)
    ends = np.cumsum([each.size for each in parts.values()])[:-1]
    new = {
        name: piece.reshape(old.shape) for (name, old), piece in zip(parts.items(), np.split(state, ends), strict=True)
    }
    changed: dict[str, object] = {name: new[name] for name in ("scores", "values") if name in new}
    if "bell" in new:
        changed["parameter"] = float(new["bell"][0])
    if "head" in rates and isinstance(layer.readout, CrossEntropy):
        arrays = {name: new[name] for name in _head_names(layer)}
        changed["readout"] = CrossEntropy(layer.readout.head.replace(**arrays))
    return replace(layer, **changed)  # pyright: ignore[reportArgumentType]
