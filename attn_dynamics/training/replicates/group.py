"""Replicates that go through an epoch together, each recorded, stopped and restored as if it ran alone."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.gradient import Fit
from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import with_prefix, without_prefix
from attn_dynamics.training.recording import snapshot_due
from attn_dynamics.training.replicates.engine import Engine
from attn_dynamics.training.replicates.equations import Gradient, Replicates
from attn_dynamics.training.replicates.recording import Members, Records
from attn_dynamics.training.replicates.stopping import Patiences
from attn_dynamics.training.run import Ended, Run
from attn_dynamics.training.settings import Training


class Group:
    """One group of replicates: the numbers of its members in the order of the models."""

    def __init__(
        self,
        engine: Engine,
        models: Replicates,
        members: Members,
        records: Records,
        stopping: Patiences | None,
        training: Training,
    ) -> None:
        self.losses = np.empty(0)
        """Training losses of the running members at the last epoch."""
        self._engine, self._models, self._members, self._records = engine, models, members, records
        self._stopping, self._training = stopping, training
        self._frequency = engine.array(records.layout.frequency)
        self._followed_frequency = engine.array(records.layout.frequency[records.layout.columns])
        self._dev = list(models.corpora).index("dev") * len(Fit._fields) if "dev" in models.corpora else None
        self._left: dict[int, dict[str, Array]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def advance(self, epoch: int, ending: Ended | None) -> dict[int, Run]:
        """Advance all members by one epoch; return the runs of those that end in it."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            rows, gradient, finite = self._evaluate()
            whole = np.flatnonzero(finite)
            self._records.row(epoch, self._members[whole], rows[whole])
            stops = self._stops(epoch, rows)
            leaving = ~finite | stops | (ending is not None)
            if snapshot_due(epoch) or (leaving & finite).any():
                keeps = np.flatnonzero(finite) if snapshot_due(epoch) else np.flatnonzero(finite & leaving)
                self._records.snapshot(epoch, self._members[keeps], self._models.snapshot(self._frequency)[keeps])
            ended = {}
            for place in np.flatnonzero(leaving).tolist():
                reason = "diverged" if not finite[place] else "patience" if stops[place] else ending
                assert reason is not None
                ended[int(self._members[place])] = self._finish(place, epoch, reason)
            if not leaving.all():
                self._models.step(gradient, self._training.learning_rate)
            if leaving.any():
                self._keep(np.flatnonzero(~leaving))
            return ended

    def states(self) -> dict[str, np.ndarray]:
        """Return the unrecorded state of every replicate that was ever here, by number and name, for a checkpoint."""
        found = {member: with_prefix("state.", state) for member, state in self._left.items()}
        if len(self):
            stopping = [{}] * len(self) if self._stopping is None else self._stopping.states()
            for member, state, kept in zip(self._members.tolist(), self._models.states(), stopping, strict=True):
                found[member] = with_prefix("state.", state) | with_prefix("stopping.", kept)
        return {
            name: array for member, arrays in found.items() for name, array in with_prefix(f"{member}.", arrays).items()
        }

    def restore(self, saved: Mapping[str, np.ndarray], ended: Mapping[int, tuple[Ended, int]]) -> dict[int, Run]:
        """Resume from the arrays of `states`; return the runs of the `ended` members (reason, best epoch)."""
        mine = [without_prefix(saved, f"{member}.") for member in self._members.tolist()]
        self._models.restore([without_prefix(each, "state.") for each in mine])
        if self._stopping is not None:
            self._stopping.restore([without_prefix(each, "stopping.") for each in mine], self._models.moving())
        over = np.array([member in ended for member in self._members.tolist()])
        runs = {}
        for place in np.flatnonzero(over).tolist():
            member = int(self._members[place])
            self._left[member] = without_prefix(mine[place], "state.")
            runs[member] = self._run(place, self._models.moving(), *ended[member])
        if over.any():
            self._keep(np.flatnonzero(~over))
        return runs

    def _evaluate(self) -> tuple[Array, Gradient, NDArray[np.bool_]]:
        fits, gradient, signals = self._models.evaluate()
        rows = self._models.row(fits, gradient, signals, self._followed_frequency)
        self.losses = rows[:, 0]
        scalars = self._records.layout.scalars
        # The training loss and the two signals, as in `kernels.epochs`.
        watched = rows[:, [0, scalars - 4, scalars - 2]]
        return rows, gradient, np.isfinite(watched).all(axis=1) & ~self._models.has_nonfinite_scores()

    def _stops(self, epoch: int, rows: Array) -> NDArray[np.bool_]:
        if self._stopping is None or self._dev is None:
            return np.zeros(len(self._members), bool)
        return self._stopping.update(epoch, rows[:, self._dev], self._models.moving())

    def _finish(self, place: int, epoch: int, ended: Ended) -> Run:
        state, best = self._models.moving(), epoch
        if ended == "diverged":
            best = max(epoch - 1, 0)
        elif self._stopping is not None and self._stopping.best_epoch[place] >= 0:
            state, best = self._stopping.best, int(self._stopping.best_epoch[place])
        if ended == "patience":  # a diverged run has no state to keep, and all others can be resumed
            self._left[int(self._members[place])] = {
                name: self._engine.numbers(array[place]).copy() for name, array in state.items()
            }
        return self._run(place, state, ended, best)

    def _run(self, place: int, state: Mapping[str, Array], ended: Ended, best_epoch: int) -> Run:
        return Run(
            parameters=self._models.parameters(place, state) if ended != "diverged" else None,
            trajectory=self._records.dataset(int(self._members[place]), self._training.learning_rate),
            ended=ended,
            best_epoch=best_epoch,
            training=self._training,
        )

    def _keep(self, places: NDArray[np.int64]) -> None:
        self._members = self._members[places]
        if not places.size:
            return
        self._models.keep(places)
        if self._stopping is not None:
            self._stopping.keep(places)
