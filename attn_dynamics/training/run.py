"""What a run leaves, however it ended."""

from dataclasses import dataclass
from typing import Literal

import xarray as xr

from attn_dynamics.model.parameters import Parameters

Ended = Literal["epochs", "patience", "time", "loss", "attention", "interrupted", "diverged"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """What a run leaves."""

    parameters: Parameters | None
    """At the end, or where the development loss was lowest if early stopping was on; None if the run diverged."""
    trajectory: xr.Dataset
    """Dimensions epoch (under flow: time), word, snapshot, vocabulary.

    Epoch e is the state before step e, and its time is learning rate × epoch.
    """
    ended: Ended
    """Why it ended."""
    best_epoch: int
    """The epoch of `parameters`; under flow, the place of their time among those recorded."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, taken at the end of a step; `run` holds all that came before."""

    def __init__(self, run: Run, after: str) -> None:
        super().__init__(f"interrupted after {after}")
        self.run = run


class RunsInterrupted(KeyboardInterrupt):
    """Ctrl-C under replicates that go in step; `runs` holds them all, those that ended before included."""

    def __init__(self, runs: list[Run], after: str) -> None:
        super().__init__(f"interrupted after {after}")
        self.runs, self.after = runs, after


class Diverged(ArithmeticError):
    """The run cannot go on; `run` holds all that came before."""

    def __init__(self, run: Run, message: str) -> None:
        super().__init__(message)
        self.run = run
