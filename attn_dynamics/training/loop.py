"""The training loop: it drives any model that takes steps, its record, and its stopping rule."""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.system.threads import Pace
from attn_dynamics.training.checkpoint import Checkpoint, with_prefix, without_prefix
from attn_dynamics.training.interface import Layout, Stepping
from attn_dynamics.training.recording import Recorder
from attn_dynamics.training.run import Diverged, Ended, Ending, Interrupted
from attn_dynamics.training.settings import Training
from attn_dynamics.training.stopping import EVERY, Patience


class Loop:
    """One run: a model in training, its record, and its stopping rule.

    Args:
        dynamics: the model.
        layout: layout of the record.
        training: learning rate, number of epochs, and patience.
    """

    def __init__(self, dynamics: Stepping, layout: Layout, training: Training) -> None:
        self._dynamics, self._recorder, self._training = dynamics, Recorder(dynamics, layout), training
        self._stopping = None if training.patience is None else Patience(training.patience)
        self._epoch = 0
        self._checkpoint: tuple[Checkpoint, str] | None = None

    def save_to(self, checkpoint: Checkpoint, identity: str) -> None:
        """Save to this checkpoint from now on, and resume from it if it holds this run."""
        self._checkpoint = checkpoint, identity
        saved = checkpoint.resume(identity, self._training.epochs)
        if saved is None:
            return
        self._epoch = int(saved["epoch"])
        self._dynamics.restore(without_prefix(saved, "dynamics."))
        self._recorder.restore(without_prefix(saved, "recorder."), self._epoch)
        if self._stopping is not None:
            self._stopping.restore(without_prefix(saved, "stopping."))

    def run(self, meter: Callable[[int, float], None] | None, interrupted: Callable[[], bool], pace: Pace) -> Any:
        """Continue to the last epoch, or until the stopping rule, Ctrl-C or a loss that is not finite ends the run."""
        with np.errstate(over="ignore", invalid="ignore"):
            rows = self._recorder.rows(self._epoch, self._epoch + 1)
            if not self._dynamics.record(rows[0]):
                self._diverge(self._epoch)
            if self._stopping is not None and self._epoch == 0:
                self._stopping.keep(0, self._dynamics.state())
            self._watch(self._epoch, rows)
            while True:
                if meter is not None:
                    meter(self._epoch, self._recorder.rows(self._epoch, self._epoch + 1)[0, 0])
                ended = self._ended(interrupted())
                if ended is not None or self._recorder.layout.snapshot_due(self._epoch):
                    self._recorder.snapshot(self._epoch)
                if ended is not None:
                    break
                self._save(only_if_due=True)
                self._advance(pace)
            run = self._finish(ended)
        if ended == "interrupted":
            raise Interrupted(run, f"epoch {self._epoch}")
        return run

    def _ended(self, interrupted: bool) -> Ended | None:
        if self._stopping is not None and self._epoch >= self._stopping.limit:
            return "patience"
        if self._epoch >= self._training.epochs:
            return "epochs"
        return "interrupted" if interrupted else None

    def _advance(self, pace: Pace) -> None:
        """Take as many steps as `pace` says, but stop at the next epoch at which the state itself is needed."""
        due = self._recorder.layout.next_snapshot(self._epoch)
        stop = min(self._training.epochs, due, self._epoch + pace.epochs)
        if self._stopping is not None:
            if self._epoch % EVERY == 0:
                self._stopping.keep(self._epoch, self._dynamics.state())
            stop = min(stop, self._stopping.limit, self._epoch + EVERY - self._epoch % EVERY)
        first = self._epoch + 1
        rows = self._recorder.rows(first, stop + 1)
        with pace.timed(len(rows)) as threads:
            done = self._dynamics.advance(rows, self._training.learning_rate, threads=threads)
        self._epoch += done
        self._watch(first, rows[:done])
        if done < len(rows):
            self._diverge(self._epoch + 1)

    def _watch(self, first: int, rows: Array) -> None:
        if self._stopping is not None and len(rows):
            self._stopping.update(first, rows[:, self._recorder.layout.losses["dev"]])

    def _diverge(self, epoch: int) -> NoReturn:
        """Raise the error of a run whose state is not finite at this epoch; it has no parameters."""
        ending = Ending(parameters=None, ended="diverged", best_epoch=max(epoch - 1, 0))
        run = self._recorder.run(epoch, self._training, **ending)
        raise Diverged(run, self._dynamics.divergence(epoch, self._training.learning_rate))

    def _finish(self, ended: Ended) -> Any:
        """Save the run and return it, with the parameters of its best epoch."""
        best, stopping, dynamics = self._epoch, self._stopping, self._dynamics
        self._save(over=ended == "patience")
        if stopping is not None and stopping.best_epoch >= 0:
            best = stopping.best_epoch
            dynamics.restore(stopping.kept)
            again = np.empty((best - stopping.kept_epoch + 1, self._recorder.layout.width))
            dynamics.record(again[0])
            dynamics.advance(again[1:], self._training.learning_rate)
        ending = Ending(parameters=dynamics.parameters(), ended=ended, best_epoch=best)
        return self._recorder.run(self._epoch + 1, self._training, **ending)

    def _save(self, *, over: bool = False, only_if_due: bool = False) -> None:
        if self._checkpoint is None:
            return
        checkpoint, identity = self._checkpoint
        if only_if_due and not checkpoint.due():
            return
        arrays = {"epoch": np.array(self._epoch), "over": np.array(over)} | with_prefix(
            "dynamics.", self._dynamics.state()
        )
        arrays |= with_prefix("recorder.", self._recorder.state(self._epoch))
        if self._stopping is not None:
            arrays |= with_prefix("stopping.", self._stopping.state())
        checkpoint.save(identity, arrays)
