"""The training loop: it drives any model that takes steps, its record, and its stopping rule."""

from collections.abc import Callable, Mapping
from typing import Any

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
        self.dynamics, self._recorder, self._training = dynamics, Recorder(dynamics, layout), training
        self.stopping = None if training.patience is None else Patience(training.patience)
        self.epoch = 0
        """Epoch of the present state."""
        self.ended: Ended | None = None
        """Reason why the run ended, or None while it goes on."""
        self._checkpoint: tuple[Checkpoint, str] | None = None

    @property
    def loss(self) -> float:
        """Return the training loss of the present state."""
        return self._recorder.rows(self.epoch, self.epoch + 1)[0, 0]

    def save_to(self, checkpoint: Checkpoint, identity: str) -> None:
        """Save to this checkpoint from now on, and resume from it if it holds this run."""
        self._checkpoint = checkpoint, identity
        saved = checkpoint.resume(identity, self._training.epochs)
        if saved is not None:
            self.restore(saved)

    def run(self, meter: Callable[[int, float], None] | None, interrupted: Callable[[], bool], pace: Pace) -> Any:
        """Continue to the last epoch, or until the stopping rule, Ctrl-C or a loss that is not finite ends the run.

        Raises:
            Interrupted, Diverged: the run ended so; the exception holds it.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            self.begin()
            while self.ended is None:
                if meter is not None:
                    meter(self.epoch, self.loss)
                if not self.look_up(interrupted=interrupted()):
                    self._save(only_if_due=True)
                    stop = self.stop(pace.epochs)
                    with pace.timed(stop - self.epoch) as threads:
                        self.advance(stop, threads=threads)
            if self.ended != "diverged":
                self._save()
            run = self.finish()
        if self.ended == "diverged":
            raise Diverged(run, self.dynamics.divergence(self.epoch, self._training.learning_rate))
        if self.ended == "interrupted":
            raise Interrupted(run, f"epoch {self.epoch}")
        return run

    def begin(self) -> None:
        """Record the state at which the run starts or resumes."""
        rows = self._recorder.rows(self.epoch, self.epoch + 1)
        if not self.dynamics.record(rows[0]):
            self.ended = "diverged"
            return
        if self.epoch == 0:
            self._keep()
        self._watch(self.epoch, rows)

    def look_up(self, *, interrupted: bool) -> bool:
        """Take a snapshot if one is due, and return whether the run ends here."""
        if self.ended is None:
            if self.stopping is not None and self.epoch >= self.stopping.limit:
                self.ended = "patience"
            elif self.epoch >= self._training.epochs:
                self.ended = "epochs"
            elif interrupted:
                self.ended = "interrupted"
            if self.ended is not None or self._recorder.layout.snapshot_due(self.epoch):
                self._recorder.snapshot(self.epoch)
        return self.ended is not None

    def stop(self, epochs: int) -> int:
        """Return the epoch to advance to: so many on, but no farther than where the state itself is needed."""
        stop = min(self._training.epochs, self._recorder.layout.next_snapshot(self.epoch), self.epoch + epochs)
        if self.stopping is not None:
            stop = min(stop, self.stopping.limit, self.epoch + EVERY - self.epoch % EVERY)
        return stop

    def advance(self, stop: int, *, threads: bool = False) -> None:
        """Train up to an epoch that `stop` returned, or to the first whose state is not finite."""
        self._keep()
        first = self.epoch + 1
        rows = self._recorder.rows(first, stop + 1)
        done = self.dynamics.advance(rows, self._training.learning_rate, threads=threads)
        self._watch(first, rows[:done])
        self.epoch = min(first + done, stop)
        if done < len(rows):
            self.ended = "diverged"

    def finish(self) -> Any:
        """Return the run that ended, with the parameters of its best epoch; one that diverged has none."""
        best, stopping = self.epoch, self.stopping
        if self.ended == "diverged":
            ending = Ending(parameters=None, ended="diverged", best_epoch=max(self.epoch - 1, 0))
            return self._recorder.run(self.epoch, self._training, **ending)
        if stopping is not None and stopping.best_epoch >= 0:
            best = stopping.best_epoch
            self._go_back(stopping)
        assert self.ended is not None
        ending = Ending(parameters=self.dynamics.parameters(), ended=self.ended, best_epoch=best)
        return self._recorder.run(self.epoch + 1, self._training, **ending)

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that the run needs to resume, for a checkpoint; arrays are not copied."""
        over = self.ended in ("patience", "diverged")
        arrays = {"epoch": np.array(self.epoch), "over": np.array(over), "ended": np.array(self.ended or "")}
        arrays |= with_prefix("dynamics.", self.dynamics.state())
        arrays |= with_prefix("recorder.", self._recorder.state(self.epoch + 1))
        return arrays | ({} if self.stopping is None else with_prefix("stopping.", self.stopping.state()))

    def restore(self, saved: Mapping[str, np.ndarray], *, recorded: bool = False) -> None:
        """Resume from the arrays of `state`, with the record of the epoch reached or, to be made again, without it."""
        self.epoch = int(saved["epoch"])
        self.dynamics.restore(without_prefix(saved, "dynamics."))
        self._recorder.restore(without_prefix(saved, "recorder."), self.epoch + recorded)
        if self.stopping is not None:
            self.stopping.restore(without_prefix(saved, "stopping."))

    def _keep(self) -> None:
        """Copy the state for the stopping rule, every so many epochs."""
        if self.stopping is not None and self.epoch % EVERY == 0:
            self.stopping.keep(self.epoch, self.dynamics.state())

    def _watch(self, first: int, rows: Array) -> None:
        if self.stopping is not None and len(rows):
            self.stopping.update(first, rows[:, self._recorder.layout.losses["dev"]])

    def _go_back(self, stopping: Patience) -> None:
        """Return to the best state, by steps from the copy before it."""
        self.dynamics.restore(stopping.kept)
        again = np.empty((stopping.best_epoch - stopping.kept_epoch + 1, self._recorder.layout.width))
        self.dynamics.record(again[0])
        self.dynamics.advance(again[1:], self._training.learning_rate)

    def _save(self, *, only_if_due: bool = False) -> None:
        if self._checkpoint is None:
            return
        checkpoint, identity = self._checkpoint
        if checkpoint.due() or not only_if_due:
            checkpoint.save(identity, self.state())
