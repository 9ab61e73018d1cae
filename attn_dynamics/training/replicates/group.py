"""Replicates that go through an epoch together: each recorded, stopped, and put back from a checkpoint as if alone."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.gradient import Fit
from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import named, part
from attn_dynamics.training.recording import snapshot_due
from attn_dynamics.training.replicates.engine import Engine
from attn_dynamics.training.replicates.equations import Gradient, Replicates
from attn_dynamics.training.replicates.recording import Members, Records
from attn_dynamics.training.replicates.stopping import Patiences
from attn_dynamics.training.run import Ended, Run


class Group:
    """One group: its members by number, in the order in which the models hold them; one may be there twice."""

    def __init__(
        self,
        engine: Engine,
        models: Replicates,
        members: Members,
        records: Records,
        stopping: Patiences | None,
        learning_rate: float,
    ) -> None:
        self.losses = np.empty(0)
        """Training losses at the last epoch of those that were running."""
        self._engine, self._models, self._members, self._records = engine, models, members, records
        self._stopping, self._learning_rate = stopping, learning_rate
        self._frequency = engine.array(records.layout.frequency)
        self._followed_frequency = engine.array(records.layout.frequency[records.layout.columns])
        self._dev = list(models.corpora).index("dev") * len(Fit._fields) if "dev" in models.corpora else None
        self._left: dict[int, dict[str, Array]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def advance(self, epoch: int, ending: Ended | None) -> dict[int, Run]:
        """One epoch of all; the runs of those that end in it."""
        # A thread of a pool has numpy's own settings.
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
            for place in self._once(np.flatnonzero(leaving)):
                reason = "diverged" if not finite[place] else "patience" if stops[place] else ending
                assert reason is not None
                ended[int(self._members[place])] = self._finish(place, epoch, reason)
            if not leaving.all():
                self._models.step(gradient, self._learning_rate)
            if leaving.any():
                self._keep(np.flatnonzero(~leaving))
            return ended

    def states(self) -> dict[str, np.ndarray]:
        """Of every replicate that was ever here all that is not recorded, for a checkpoint, by number and name."""
        found = {member: named("state.", state) for member, state in self._left.items()}
        if len(self):
            stopping = [{}] * len(self) if self._stopping is None else self._stopping.states()
            for member, state, kept in zip(self._members.tolist(), self._models.states(), stopping, strict=True):
                found[member] = named("state.", state) | named("stopping.", kept)
        return {name: array for member, arrays in found.items() for name, array in named(f"{member}.", arrays).items()}

    def restore(self, saved: Mapping[str, np.ndarray], ended: Mapping[int, tuple[Ended, int]]) -> dict[int, Run]:
        """Go on from what `states` gave; the runs of those that `ended`, of each how, and its best epoch."""
        mine = [part(saved, f"{member}.") for member in self._members.tolist()]
        self._models.restore([part(each, "state.") for each in mine])
        if self._stopping is not None:
            self._stopping.restore([part(each, "stopping.") for each in mine], self._models.moving())
        over = np.array([member in ended for member in self._members.tolist()])
        runs = {}
        for place in self._once(np.flatnonzero(over)):
            member = int(self._members[place])
            self._left[member] = part(mine[place], "state.")
            runs[member] = self._run(place, self._models.moving(), *ended[member])
        if over.any():
            self._keep(np.flatnonzero(~over))
        return runs

    def _evaluate(self) -> tuple[Array, Gradient, NDArray[np.bool_]]:
        fits, gradient, signals = self._models.evaluate()
        rows = self._models.row(fits, gradient, signals, self._followed_frequency)
        self.losses = rows[self._once(np.arange(len(rows))), 0]
        scalars = self._records.layout.scalars
        # The training loss and the two signals, as `Dynamics.is_finite` has it.
        told = rows[:, [0, scalars - 4, scalars - 2]]
        return rows, gradient, np.isfinite(told).all(axis=1) & ~self._models.has_nonfinite_scores()

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
        if ended == "patience":  # of one that diverged nothing is left, and all others go on where there is more to do
            self._left[int(self._members[place])] = {
                name: self._engine.numbers(array[place]).copy() for name, array in state.items()
            }
        return self._run(place, state, ended, best)

    def _run(self, place: int, state: Mapping[str, Array], ended: Ended, best_epoch: int) -> Run:
        return Run(
            parameters=self._models.parameters(place, state) if ended != "diverged" else None,
            trajectory=self._records.dataset(int(self._members[place]), self._learning_rate),
            ended=ended,
            best_epoch=best_epoch,
        )

    def _once(self, places: NDArray[np.int64]) -> list[int]:
        """Of these places one for each member."""
        return places[np.unique(self._members[places], return_index=True)[1]].tolist()

    def _keep(self, places: NDArray[np.int64]) -> None:
        places = in_company(self._engine, places)
        self._members = self._members[places]
        if not places.size:
            return
        self._models.keep(places)
        if self._stopping is not None:
            self._stopping.keep(places)


def in_company(engine: Engine, replicates: Members) -> Members:
    """A group of these; one that is alone is there twice, where its sums would not be those it has in company.

    numpy adds up an array of one column in another order than one of several, so that round-off would tell who was
    trained beside whom, or on how many threads.
    """
    return np.repeat(replicates, 2) if len(replicates) == 1 and engine.abreast is not None else replicates
