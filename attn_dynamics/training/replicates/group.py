"""Replicates as columns on a device of torch: each has a loop of its own, and all step together."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.threads import Pace
from attn_dynamics.training.checkpoint import Checkpoint, without_prefix
from attn_dynamics.training.coordinates import Coordinates
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.recording import SIGNALS, Layout
from attn_dynamics.training.replicates.equations import Replicates
from attn_dynamics.training.replicates.tensors import numbers
from attn_dynamics.training.replicates.threads import common_state, mean_of_finite
from attn_dynamics.training.run import Ended, Run, RunsInterrupted, divergence_message
from attn_dynamics.training.settings import Training
from attn_dynamics.training.stopping import Patience


class Column:
    """One of the replicates, as the model of a loop: it has computed whatever all of them have."""

    divergence = staticmethod(divergence_message)

    def __init__(self, models: Replicates, start: Coordinates, layout: Layout, place: int) -> None:
        self._models, self._start, self.place = models, start, place
        # Training loss, both signals and the sum of scores are finite if all is, as in `kernels.epochs`.
        signals = layout.scalars - len(SIGNALS)
        self._watched = [0, signals, signals + 2, signals + 3]

    def record(self, row: Array) -> bool:
        """Fill a row of the record; return whether it is finite."""
        return self.advance(row[None], 0.0) == 1

    def advance(self, rows: Array, learning_rate: float, *, threads: bool = False) -> int:
        """Fill rows with those of the epochs to which all replicates have advanced.

        Returns:
            The number of rows before the first that is not finite.
        """
        rows[:] = self._models.rows[:, self.place]
        finite = np.isfinite(rows[:, self._watched]).all(axis=1)
        return len(rows) if finite.all() else int(finite.argmin())

    def snapshot(self, frequency: Array) -> Array:
        """Return score, embedding norm and mean attention (3, V) of all words."""
        return self._models.snapshots()[self.place].copy()

    def state(self) -> dict[str, Array]:
        """Return all that the replicate needs to resume, by name, as copies on the host."""
        return {name: numbers(array[self.place]) for name, array in self._models.state().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state that `state` returned."""
        self._models.restore(self.place, state)

    def go_back(self) -> None:
        """Return to the best state."""
        self._models.go_back(self.place)

    def parameters(self) -> Parameters:
        """Return the present state as parameters of the same shapes as the start."""
        moved = {name: numbers(array[self.place]) for name, array in self._models.moving().items()}
        return self._start.parameters(moved)


class ColumnLoop(Loop):
    """The loop of a replicate, whose best state the models copy whenever there is a better one."""

    dynamics: Column

    def _keep(self) -> None:
        pass

    def _go_back(self, stopping: Patience) -> None:
        self.dynamics.go_back()


class Group:
    """Replicates that go through an epoch together, and the checkpoint they are saved to.

    Args:
        models: the models; those that have ended leave them.
        starts: start of each.
        layout: layout of the record.
        training: learning rate, number of epochs, and patience.
    """

    def __init__(self, models: Replicates, starts: Sequence[Coordinates], layout: Layout, training: Training) -> None:
        self._models, self._training = models, training
        columns = [Column(models, start, layout, place) for place, start in enumerate(starts)]
        self._loops = [ColumnLoop(column, layout, training) for column in columns]
        self._running = self._loops
        """Loops of the replicates that still run, in the order of the models."""
        self._runs: dict[Loop, Run] = {}
        self._left: dict[Loop, dict[str, np.ndarray]] = {}
        """Last states of the replicates that ended, if they are saved."""
        self._checkpoint: tuple[Checkpoint, str] | None = None

    def save_to(self, checkpoint: Checkpoint, identity: str) -> None:
        """Save to this checkpoint from now on, and resume from it if it holds these runs."""
        self._checkpoint = checkpoint, identity
        saved = checkpoint.resume(identity, self._training.epochs)
        if saved is None:
            return
        for member, loop in enumerate(self._loops):
            state = without_prefix(saved, f"{member}.")
            ended = cast("Ended", str(state["ended"]))
            # Whoever reached the same epoch is evaluated again with the others, as it was.
            left = ended == "diverged" or (ended == "patience" and int(state["epoch"]) < int(saved["epoch"]))
            loop.restore(state, recorded=left)
            loop.ended = ended if left else None
        self._leave([loop for loop in self._loops if loop.ended is not None])

    def run(self, meter: Callable[[int, float], None] | None) -> list[Run]:
        """Continue to the last epoch, or until Ctrl-C, or until every replicate has ended by itself.

        Raises:
            RunsInterrupted: Ctrl-C was pressed; the exception holds the runs so far.
        """
        pace = Pace(single=True)
        with deferred_interrupt() as interrupted, np.errstate(over="ignore", invalid="ignore"):
            self._models.record()
            for loop in self._running:
                loop.begin()
            while self._running:
                # Saved before any leaves, because sums may depend on how many are computed together.
                self._save(only_if_due=True)
                if meter is not None:
                    losses = [loop.loss for loop in self._running if loop.ended is None]
                    meter(self._epoch, mean_of_finite(np.array(losses)))
                now = interrupted()
                self._leave([loop for loop in self._running if loop.look_up(interrupted=now)])
                if self._running:
                    self._advance(pace)
            self._save()
        runs = [self._runs[loop] for loop in self._loops]
        if any(run.ended == "interrupted" for run in runs):  # false if all ended by themselves in that epoch
            raise RunsInterrupted(runs, f"epoch {self._epoch}")
        return runs

    @property
    def _epoch(self) -> int:
        """Return the epoch that all replicates have reached that did not end before."""
        return max(loop.epoch for loop in self._loops)

    def _leave(self, loops: Collection[Loop]) -> None:
        """End the runs of some loops, and continue with the others."""
        if not loops:
            return
        for loop in loops:
            if self._checkpoint is not None:
                self._left[loop] = loop.state()
            self._runs[loop] = loop.finish()
        self._running = [loop for loop in self._running if loop.ended is None]
        self._models.keep([loop.dynamics.place for loop in self._running])
        for place, loop in enumerate(self._running):
            loop.dynamics.place = place

    def _advance(self, pace: Pace) -> None:
        stop = min(loop.stop(pace.epochs) for loop in self._running)
        with pace.timed(stop - self._epoch):
            self._models.advance(self._epoch, stop)
        for loop in self._running:
            loop.advance(stop)

    def _save(self, *, only_if_due: bool = False) -> None:
        if self._checkpoint is None:
            return
        checkpoint, identity = self._checkpoint
        if checkpoint.due() or not only_if_due:
            checkpoint.save(identity, common_state([self._left.get(loop) or loop.state() for loop in self._loops]))
