"""Protocols of training: the methods that it needs of a model, and of the layout of a record."""

from collections.abc import Mapping
from typing import Any, Protocol, Unpack

from attn_dynamics.model.heads import Array
from attn_dynamics.training.run import Ending
from attn_dynamics.training.settings import Training


class Model(Protocol):
    """A model in training, at its present state."""

    def state(self) -> Mapping[str, Array]:
        """Return all arrays that move, by name; they may be the model's own."""
        ...

    def restore(self, state: Mapping[str, Array]) -> None:
        """Set the model to a state of the form that `state` returns.

        Raises:
            ArithmeticError: the model has no such state.
        """
        ...

    def record(self, row: Array) -> bool:
        """Fill a row of the record; return whether it is finite."""
        ...

    def parameters(self) -> Any:
        """Return the present state in the form of the initial values."""
        ...


class Stepping(Model, Protocol):
    """A model that takes steps."""

    def divergence(self, epoch: int, learning_rate: float) -> str:
        """Return the error message of a run whose state is not finite at an epoch."""
        ...

    def advance(self, rows: Array, learning_rate: float, *, threads: bool = False) -> int:
        """Train one epoch per row from the state recorded last, and fill the rows.

        Returns:
            The number of rows before the first that is not finite.
        """
        ...


class Flowing(Model, Protocol):
    """A model that moves along a velocity."""

    def evaluate(self) -> tuple[Any, Any]:
        """Return the fit, which has a loss, and the gradient."""
        ...

    def velocity(self, gradient: Any) -> Mapping[str, Array]:
        """Return the velocity d/dτ of all arrays in `state` along gradient flow."""
        ...


class Layout(Protocol):
    """Layout of a record, which has a row per epoch and snapshots of the state, and of the run made from it."""

    width: int
    """Number of values in a row; the first is the training loss."""
    losses: dict[str, int]
    """Index of the loss on each data set in a row."""

    def snapshot_due(self, epoch: int) -> bool:
        """Return whether to take a snapshot at this epoch."""
        ...

    def next_snapshot(self, epoch: int) -> int:
        """Return the first epoch after this one at which to take a snapshot."""
        ...

    def snapshot(self, model: Any) -> Array:
        """Return a snapshot of the model at the state that was last evaluated."""
        ...

    def run(self, rows: Array, snapshots: Mapping[int, Array], training: Training, **ending: Unpack[Ending]) -> Any:
        """Return the run made of rows and snapshots, with how it ended."""
        ...
