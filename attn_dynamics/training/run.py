"""The result of a run, however it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict

from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.training.settings import Training

if TYPE_CHECKING:
    import xarray as xr

Ended = Literal["epochs", "patience", "time", "loss", "attention", "interrupted", "diverged"]


class Ending(TypedDict):
    """How a run ended, as keywords of the functions that make the run."""

    parameters: Any
    """Parameters of the best epoch; None if the run diverged."""
    ended: Ended
    best_epoch: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """The result of a run.

    Example:
        >>> from attn_dynamics import Corpus, descend, draw
        >>> corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], labels=[1, 0])
        >>> start = draw("paper", "attn-fc", n_words=3, n_classes=2, embedding_dim=2, rng=np.random.default_rng(0))
        >>> run = descend(corpus, start, epochs=5, follow=["good"])
        >>> run.trajectory.score.sel(word="good").shape, run.recorded, run.ended
        ((6,), 6, 'epochs')
    """

    parameters: Parameters | None
    """Final parameters, or under early stopping those of the lowest development loss; None if the run diverged."""
    trajectory: xr.Dataset
    """Recorded trajectory with the dimensions epoch (time for flow), word, snapshot and vocabulary.

    Epoch e is the state before step e; its time is learning rate × epoch.
    """
    ended: Ended
    """Reason why the run ended."""
    best_epoch: int
    """Epoch of `parameters`; for flow the index of their time among the recorded times."""
    training: Training
    """Settings of the run; flow reads only the trained parts, frozen words and reduction."""

    def __repr__(self) -> str:
        """Return a summary in one line, without the arrays."""
        ends = f", train loss {float(self.trajectory.train_loss[-1]):.4g}" if self.recorded else ""
        return f"Run({self.recorded} recorded, ended by {self.ended}{ends})"

    def over(self, times: Array) -> Self:
        """Return this run over recorded times instead of epochs."""
        time = ("epoch", times, {"long_name": "time of gradient flow, learning rate × epoch"})
        timed = self.trajectory.assign_coords(time=time, snapshot=times[self.trajectory.snapshot.values])
        return replace(self, trajectory=timed.swap_dims(epoch="time").drop_vars("epoch"))

    @property
    def recorded(self) -> int:
        """Return the number of recorded epochs or times."""
        return self.trajectory.train_loss.size


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed, and the step was finished; `run` holds everything recorded so far."""

    run: Any  # a Run, or the run of a window

    def __init__(self, run: object, after: str) -> None:
        super().__init__(f"interrupted after {after}")
        self.run = run


class RunsInterrupted(KeyboardInterrupt):
    """Ctrl-C was pressed while replicates were trained; `runs` holds all of them, finished ones included."""

    def __init__(self, runs: list[Run], after: str) -> None:
        super().__init__(f"interrupted after {after}")
        self.runs, self.after = runs, after


class Diverged(ArithmeticError):
    """The run cannot continue; `run` holds everything recorded so far."""

    run: Any  # as in `Interrupted`

    def __init__(self, run: object, message: str) -> None:
        super().__init__(message)
        self.run = run


def divergence_message(epoch: int, learning_rate: float) -> str:
    """Return the error message of a run that diverged at an epoch."""
    if epoch == 0:
        fix = "Start from smaller numbers: the embeddings, keys or head overflow before the first step."
    else:
        fix = f"A learning rate below {learning_rate:g} may help; all epochs before this one are kept."
    return f"loss at epoch {epoch}: expected a finite number, got one that is not. {fix}"
