"""Replicates as columns on a device of torch: their loop, in which each is recorded, stopped and saved as if alone."""

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import Array
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.training.checkpoint import Checkpoint, with_prefix, without_prefix
from attn_dynamics.training.recording import SIGNALS, Layout, snapshot_due
from attn_dynamics.training.replicates.equations import Replicates, apart, put_back
from attn_dynamics.training.replicates.recording import Records, mean_of_finite
from attn_dynamics.training.replicates.stopping import Patiences
from attn_dynamics.training.replicates.tensors import Tensors, numbers
from attn_dynamics.training.run import Ended, Ending, Run, RunsInterrupted
from attn_dynamics.training.settings import Training


class Group:
    """Replicates that go through an epoch together, and the checkpoint they are saved to.

    Args:
        models: the models; those that have ended leave them.
        layout: layout of the record.
        training: learning rate, number of epochs, and patience.
    """

    def __init__(self, models: Replicates, layout: Layout, training: Training) -> None:
        self._models, self._layout, self._training = models, layout, training
        self._replicates, self._epoch = len(models), 0
        self._members = np.arange(self._replicates)
        """Numbers of the replicates that still run, in the order of the models."""
        self._records, self._stopping = Records(self._replicates, layout), None
        if training.patience is not None:
            self._stopping = Patiences(training.patience, self._replicates, models.moving())
        self._runs: dict[int, Run] = {}
        self._left: dict[int, dict[str, Array]] = {}
        """States of the replicates that lost patience; a diverged run has none, and all others can be resumed."""
        # Training loss, both signals and the sum of scores are finite if all is, as in `kernels.epochs`.
        signals = layout.scalars - len(SIGNALS)
        self._watched = [0, signals, signals + 2, signals + 3]
        self._checkpoint: tuple[Checkpoint, str] | None = None

    def save_to(self, checkpoint: Checkpoint, identity: str) -> None:
        """Save to this checkpoint from now on, and resume from it if it holds these runs."""
        self._checkpoint = checkpoint, identity
        saved = checkpoint.resume(identity, self._training.epochs)
        if saved is None:
            return
        self._epoch = int(saved["epoch"])
        self._records.restore(without_prefix(saved, "records."))
        each = [without_prefix(saved, f"{member}.") for member in self._members]
        states = [without_prefix(mine, "state.") for mine in each]
        put_back(self._models.state(), states)
        if self._stopping is not None:
            put_back(self._stopping.state(), [without_prefix(mine, "stopping.") for mine in each])
        for member in np.flatnonzero(saved["over"]).tolist():
            self._left[member] = states[member]
            ended = cast("Ended", str(saved["ended"][member]))
            self._end(member, self._models.moving(), ended, int(saved["best_epoch"][member]))
        self._keep(np.flatnonzero(~saved["over"]))

    def run(self, meter: Callable[[int, float], None] | None) -> list[Run]:
        """Continue to the last epoch, or until Ctrl-C, or until every replicate has ended by itself.

        Raises:
            RunsInterrupted: Ctrl-C was pressed; the exception holds the runs so far.
        """
        with deferred_interrupt() as interrupted, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            while self._members.size:
                last = self._epoch == self._training.epochs
                ending: Ended | None = "epochs" if last else "interrupted" if interrupted() else None
                # Saved before the evaluation, so that a longer run can resume replicates that end at the last epoch.
                self._save(only_if_due=ending is None)
                losses = self._advance(ending)
                if meter is not None:
                    meter(self._epoch, mean_of_finite(losses))
                if self._members.size:
                    self._epoch += 1
                elif ending is None:
                    self._save()
        runs = [self._runs[member] for member in range(self._replicates)]
        if any(run.ended == "interrupted" for run in runs):  # false if all ended by themselves in that epoch
            raise RunsInterrupted(runs, f"epoch {self._epoch}")
        return runs

    def _advance(self, ending: Ended | None) -> Array:
        """Advance all running replicates by one epoch; return their training losses before the step."""
        models, epoch = self._models, self._epoch
        rows, gradient = models.record()
        finite = np.asarray(np.isfinite(rows[:, self._watched]).all(axis=1))
        stops = np.zeros(len(rows), bool)
        if self._stopping is not None:
            stops = self._stopping.update(epoch, rows[:, self._layout.losses["dev"]], models.moving())
        leaving = ~finite | stops | (ending is not None)
        self._records.row(epoch, self._members[finite], rows[finite])
        kept = finite if snapshot_due(epoch) else finite & leaving
        if kept.any():
            self._records.snapshot(epoch, self._members[kept], models.snapshot()[kept])
        for place in np.flatnonzero(leaving).tolist():
            ended = "diverged" if not finite[place] else "patience" if stops[place] else ending
            self._finish(place, cast("Ended", ended))
        if not leaving.all():
            models.train(gradient, epoch)
        if leaving.any():
            self._keep(np.flatnonzero(~leaving))
        return rows[:, 0]

    def _finish(self, place: int, ended: Ended) -> None:
        """End the replicate at an index at this epoch, with the parameters of its best epoch."""
        state, best = self._models.moving(), self._epoch
        if ended == "diverged":
            best = max(best - 1, 0)
        elif self._stopping is not None and self._stopping.best_epoch[place] >= 0:
            state, best = self._stopping.best, int(self._stopping.best_epoch[place])
        if ended == "patience":
            self._left[int(self._members[place])] = {name: numbers(array[place]) for name, array in state.items()}
        self._end(place, state, ended, best)

    def _end(self, place: int, state: Tensors, ended: Ended, best_epoch: int) -> None:
        member = int(self._members[place])
        parameters = None if ended == "diverged" else self._models.parameters(place, state)
        ending = Ending(parameters=parameters, ended=ended, best_epoch=best_epoch)
        self._runs[member] = self._records.run(member, self._training, **ending)

    def _keep(self, places: NDArray[np.int64]) -> None:
        """Continue with the replicates at these indices only."""
        self._members = self._members[places]
        self._models.keep(places)
        if self._stopping is not None:
            self._stopping.keep(places)

    def _save(self, *, only_if_due: bool = False) -> None:
        """Save the replicates that ended by themselves at their end, and all others at the start of this epoch."""
        if self._checkpoint is None:
            return
        checkpoint, identity = self._checkpoint
        if only_if_due and not checkpoint.due():
            return
        runs = [self._runs.get(member) for member in range(self._replicates)]
        arrays = {
            "epoch": np.array(self._epoch),
            "epochs": np.full(self._replicates, self._epoch),
            "over": np.array([run is not None for run in runs]),
            "ended": np.array(["" if run is None else run.ended for run in runs]),
            "best_epoch": np.array([-1 if run is None else run.best_epoch for run in runs]),
        } | with_prefix("records.", self._records.state())
        states = self._left | dict(zip(self._members.tolist(), apart(self._models.state()), strict=True))
        for member, state in states.items():
            arrays |= with_prefix(f"{member}.state.", state)
        if self._stopping is not None:
            for member, kept in zip(self._members.tolist(), apart(self._stopping.state()), strict=True):
                arrays |= with_prefix(f"{member}.stopping.", kept)
        checkpoint.save(identity, arrays)
