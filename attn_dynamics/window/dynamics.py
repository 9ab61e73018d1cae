"""Training of a windowed layer by descent, with a separate rate for the bell, or by gradient flow (theory D4 to D7)."""

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import LARGEST, ascending, data_sets, flag, function, instance, integer, integers
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.threads import Pace, one_blas_thread
from attn_dynamics.training.checkpoint import Checkpoint, digest_of_arrays, with_prefix, without_prefix
from attn_dynamics.training.descent import checked_checkpoint
from attn_dynamics.training.flow import LINEAR_TIME, LOG_TIME, System, integrate
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.recording import next_snapshot, snapshot_due
from attn_dynamics.training.rules import Stepper
from attn_dynamics.training.run import Ended, Ending
from attn_dynamics.training.settings import Training, training_with
from attn_dynamics.window.layer import Fit, Layer, LayerGradient, evaluate, loss_and_gradient
from attn_dynamics.window.readout import CrossEntropy
from attn_dynamics.window.settings import WindowTraining
from attn_dynamics.window.windows import Windows

FEW = 64
"""Largest number of coordinates for which the solver may use a dense Jacobian."""
# A bell may stay at rest for hundreds of e-folds of time; a longer step in log time could miss the end of that.
CLOCKS = {False: LINEAR_TIME, True: LOG_TIME._replace(longest=0.5)}
"""Clocks of the flow; the key says whether time is logarithmic."""
TRAIN, STATE = "train", "state"
FIT = len(Fit._fields)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """Recorded trajectory of a run."""

    times: Array
    """Times (times,), learning rate × epoch."""
    layers: list[Layer]
    """State at each time."""
    epochs: list[int]
    """Epoch of each time; under flow, its index among the times that the solver recorded."""
    curves: dict[str, Array]
    """Loss and accuracy (epochs, 2) at every epoch, on the training windows and on others by name."""
    layer: Layer | None
    """Final state, or with patience the state of lowest dev loss; None if the run diverged."""
    ended: Ended
    """Reason why the run ended."""
    best_epoch: int
    """Epoch of `layer`."""

    @property
    def widths(self) -> Array:
        """Return the widths σ (times,), in tokens."""
        return np.array([each.width for each in self.layers])

    def fit(self, name: str, epoch: int) -> Fit:
        """Return loss and accuracy at an epoch on the windows of a name, such as "train"."""
        loss, accuracy = self.curves[name][epoch].tolist()
        return Fit(loss, None if math.isnan(accuracy) else accuracy)

    @property
    def recorded(self) -> int:
        """Return the number of recorded epochs or times."""
        return len(self.curves[TRAIN])

    def over(self, times: Array) -> "Trajectory":
        """Return this trajectory over recorded times instead of epochs."""
        return replace(self, times=times[self.epochs])


def descend(
    windows: Windows,
    layer: Layer,
    training: WindowTraining | None = None,
    *,
    evaluate_on: Mapping[str, Windows] | None = None,
    record: Collection[int] | int | None = None,
    checkpoint: Checkpoint | None = None,
    meter: Callable[[int, float], None] | None = None,
    **settings: Any,
) -> Trajectory:
    """Train a layer on all windows at once, by gradient descent or another update rule.

    Args:
        windows: training data.
        layer: the initial state; not changed.
        training: settings of the run, by default `WindowTraining()`.
        evaluate_on: further windows by name, evaluated at every epoch; `patience` watches "dev".
        record: epochs at which to keep the state beside the last, or how many per decade; by default all.
        checkpoint: file to save to, and to resume from.
        meter: function called with epoch and training loss at the start, some twenty times a second, and at the end.
        settings: fields of `WindowTraining` that replace those of `training`, such as learning_rate=0.1, epochs=500,
            train=("bell", "scores"), bell_rate=10 or rule=Adam().

    Raises:
        InputError: an argument is invalid.
        Interrupted: Ctrl-C was pressed; carries the trajectory so far.
        Diverged: a step leads to no bell or to a loss that is not finite; carries the trajectory so far.
    """
    training = training_with(training, settings, WindowTraining)
    instance("windows", windows, Windows, fix="Windows.of makes them.")
    instance("layer", layer, Layer, fix="Layer(…) makes one.")
    others = data_sets("evaluate_on", evaluate_on, Windows)
    training.check_dev(others)
    checkpoint, due = checked_checkpoint(checkpoint), _due(record)
    model = _Model(windows, layer, training, others)
    loop = Loop(model, _Layout(model, due), training)
    if checkpoint is not None:
        same = *training.identity, model.names, due, layer.bell, *_kinds(layer)
        data = (each for of in (windows, *others.values()) for each in of.arrays)
        loop.save_to(checkpoint, digest_of_arrays(chain(data, _arrays(layer)), *same))
    with one_blas_thread(), deferred_interrupt() as interrupted:
        return loop.run(function("meter", meter), interrupted, Pace(single=True))


def flow(
    windows: Windows,
    layer: Layer,
    *,
    times: ArrayLike,
    log_time: bool = False,
    train: Collection[str] = ("bell",),
    bell_rate: float = 1.0,
    rtol: float = 1e-10,
    meter: Callable[[float, float], None] | None = None,
) -> Trajectory:
    """Follow the gradient flow, which descent approaches as its learning rate goes to 0.

    Args:
        windows: training data.
        layer: the initial state; not changed.
        times: times τ ≥ 0 to record, ascending.
        log_time: whether the solver steps in ln(1 + τ), for runs to very large times.
        train: parts to train, any of scores, values, head, bell.
        bell_rate: factor on the rate of the bell's parameter.
        rtol: relative tolerance of a step of the solver: LSODA, or DOP853 for more than `FEW` coordinates.
        meter: function called with the time reached and its training loss.

    Raises:
        InputError: an argument is invalid.
        Interrupted: Ctrl-C was pressed; carries the trajectory so far.
        Diverged: the solver cannot continue, or the state has no bell; carries the trajectory so far.
    """
    training = WindowTraining(train=train, bell_rate=bell_rate)
    due, model = ascending("times", times), _Model(windows, layer, training, {})
    system = System(model, CLOCKS[flag("log_time", log_time)])
    # The solver records its start too.
    kept = range(0 if due[0] == 0.0 else 1, due.size + 1)
    solver = "LSODA" if system.start.size <= FEW else "DOP853"
    layout = _Layout(model, kept)
    return integrate(system, layout, training, due, solver, rtol=rtol, atol=1e-3 * rtol, meter=meter)


def _kinds(layer: Layer) -> list[str]:
    """Return the names of the classes of the readout and of its head."""
    return [type(each).__name__ for each in (layer.readout, layer.head) if each is not None]


def _arrays(layer: Layer) -> list[Array]:
    """Return all arrays of a layer."""
    head = () if layer.head is None else layer.head.arrays().values()
    return [layer.scores, layer.values, np.array(layer.parameter), *head]


def _moving(layer: Layer, train: Collection[str]) -> dict[str, Array]:
    """Return the arrays of the trained parts by name, the bell's parameter last."""
    moving = {name: getattr(layer, name) for name in ("scores", "values") if name in train}
    if "head" in train and layer.head is not None:
        moving |= {name: getattr(layer.head, name) for name in layer.head.trained}
    return moving | ({"bell": np.array([layer.parameter])} if "bell" in train else {})


class _Model:
    """A layer in training, whose state is one vector of its moving arrays."""

    def __init__(self, windows: Windows, layer: Layer, training: WindowTraining, others: Mapping[str, Windows]) -> None:
        self.names = TRAIN, *others
        self._windows, self._others, self._layer = windows, [*others.values()], layer
        self._rule, moving = training.rule, _moving(layer, training.train)
        self._shapes = {name: each.shape for name, each in moving.items()}
        self._ends = np.cumsum([each.size for each in moving.values()])[:-1]
        self._gradient: LayerGradient | None = None
        self.vector = np.concatenate([each.ravel() for each in moving.values()])
        """All moving arrays as one vector, the bell's parameter last."""
        self._factors = np.ones(self.vector.size)
        if "bell" in self._shapes:
            self._factors[-1] = training.bell_rate
        self._stepper = Stepper(self._rule, {STATE: self.vector})

    def evaluate(self) -> tuple[Fit, LayerGradient]:
        """Return training loss, accuracy and gradient."""
        return loss_and_gradient(self._windows, self._layer)

    def record(self, row: Array) -> bool:
        """Fill a row with loss and accuracy on each data set; return whether the training loss is finite."""
        fit, self._gradient = self.evaluate()
        fits = [fit, *(evaluate(each, self._layer) for each in self._others)]
        row[:] = [np.nan if each is None else each for fit in fits for each in fit]
        return math.isfinite(fit.loss)

    def advance(self, rows: Array, learning_rate: float, *, threads: bool = False) -> int:
        """Take and record a step for each row; return the number of steps that lead to a bell and a finite loss."""
        for index, row in enumerate(rows):
            vector = self._stepped(learning_rate)
            if not np.isfinite(vector).all() or ("bell" in self._shapes and not self._layer.bell.admits(vector[-1])):
                return index
            self.restore({STATE: vector} | self._kept())
            if not self.record(row):
                return index
        return len(rows)

    def _stepped(self, learning_rate: float) -> Array:
        """Return the moving arrays after a step of the rule.

        The bell's rate multiplies its gradient under a linear rule, and its step under any other. A rule such as Adam
        would undo a factor on the gradient.
        """
        assert self._gradient is not None
        moved, slopes = {STATE: self.vector.copy()}, self._slopes(self._gradient)
        scaled = slopes * self._factors if self._rule.linear else slopes
        self._stepper.step(moved, {STATE: scaled}, learning_rate)
        if self._rule.linear:
            return moved[STATE]
        return self.vector + self._factors * (moved[STATE] - self.vector)

    def divergence(self, epoch: int, learning_rate: float) -> str:
        """Return the error message of a run whose step leads to no bell, or to a loss that is not finite."""
        if epoch == 0:
            return (
                "loss at epoch 0: expected a finite number, got one that is not. Start from smaller scores and values."
            )
        bell = ", or a lower bell rate," if (self._factors != 1.0).any() else ""
        return (
            f"epoch {epoch}: expected a bell and a finite loss, got a step to none. A learning rate below "
            f"{learning_rate:g}{bell} may mend it; all epochs before this one are kept."
        )

    def layer_at(self, vector: Array) -> Layer:
        """Return the layer with these moving arrays."""
        pieces = zip(self._shapes.items(), np.split(vector, self._ends), strict=True)
        new = {name: piece.reshape(shape) for (name, shape), piece in pieces}
        changed: dict[str, object] = {name: new.pop(name) for name in ("scores", "values") if name in new}
        if "bell" in new:
            changed["parameter"] = float(new.pop("bell")[0])
        if new and self._layer.head is not None:
            changed["readout"] = CrossEntropy(self._layer.head.replace(**new))
        return replace(self._layer, **changed)  # pyright: ignore[reportArgumentType]

    def state(self) -> dict[str, Array]:
        """Return the vector of the moving arrays and the buffers of the rule, by name."""
        return {STATE: self.vector} | self._kept()

    def _kept(self) -> dict[str, Array]:
        return with_prefix("rule.", self._stepper.buffers)

    def restore(self, state: Mapping[str, Array]) -> None:
        """Set the layer to a state, as `state` returns it.

        Raises:
            ArithmeticError: no bell has such a parameter.
        """
        try:
            self._layer, self.vector = self.layer_at(state[STATE]), state[STATE]
            self._stepper.buffers = {name: each.copy() for name, each in without_prefix(state, "rule.").items()}
        except InputError:
            raise ArithmeticError("a state that has no bell") from None

    def velocity(self, gradient: LayerGradient) -> dict[str, Array]:
        """Return minus the gradient in the form of the state, that of the bell times its rate."""
        return {STATE: -self._factors * self._slopes(gradient)}

    def _slopes(self, gradient: LayerGradient) -> Array:
        """Return the gradient of the moving arrays as one vector."""
        by_name = gradient.head | {"scores": gradient.scores, "values": gradient.values}
        by_name["bell"] = np.array([gradient.parameter])
        return np.concatenate([by_name[name].ravel() for name in self._shapes])

    def parameters(self) -> Layer:
        """Return the present layer."""
        return self._layer


Due = int | Sequence[int] | None
"""Type of the epochs at which the state is kept: how many per decade, a list, or None for all."""


def _due(record: Collection[int] | int | None) -> Due:
    if record is None or isinstance(record, int | np.integer):
        return record if record is None else integer("record", record, 1)
    return sorted({*integers("record", [*record]).tolist()})


class _Layout:
    """The record of a layer: loss and accuracy on each data set at every epoch, and the state at the epochs due."""

    def __init__(self, model: _Model, due: Due) -> None:
        self._model, self._due = model, range(LARGEST) if due is None else due
        self.losses = {name: FIT * index for index, name in enumerate(model.names)}
        self.width = FIT * len(model.names)

    def snapshot_due(self, epoch: int) -> bool:
        """Return whether to keep the state at this epoch."""
        return snapshot_due(epoch, self._due) if isinstance(self._due, int) else epoch in self._due

    def next_snapshot(self, epoch: int) -> int:
        """Return the first epoch after this one at which to keep the state."""
        if isinstance(self._due, int):
            return next_snapshot(epoch, self._due)
        index = bisect_right(self._due, epoch)
        return self._due[index] if index < len(self._due) else LARGEST

    def snapshot(self, model: _Model) -> Array:
        """Return a copy of the vector of the moving arrays."""
        return model.vector.copy()

    def run(
        self, rows: Array, snapshots: Mapping[int, Array], training: Training, **ending: Unpack[Ending]
    ) -> Trajectory:
        """Return the trajectory of these rows and snapshots, with its last layer and how it ended."""
        return Trajectory(
            times=training.learning_rate * np.array([*snapshots], float),
            layers=[self._model.layer_at(each) for each in snapshots.values()],
            epochs=[*snapshots],
            curves={name: rows[:, first : first + FIT].copy() for name, first in self.losses.items()},
            layer=ending["parameters"],
            ended=ending["ended"],
            best_epoch=ending["best_epoch"],
        )
