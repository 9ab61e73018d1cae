"""Gradient descent of many replicates in step, each recorded and stopped as if it ran alone."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from attn_dynamics.batch.engine import Engine, engine_for
from attn_dynamics.batch.equations import Gradient, Replicates
from attn_dynamics.batch.memory import Needed, bytes_needed, check_memory, too_large
from attn_dynamics.batch.record import Records
from attn_dynamics.batch.stopping import Patiences
from attn_dynamics.corpus import Corpus
from attn_dynamics.descent import check_settings
from attn_dynamics.dynamics import Coordinates, held_columns
from attn_dynamics.errors import InputError
from attn_dynamics.gradient import Fit, check_fit
from attn_dynamics.heads import Array
from attn_dynamics.interrupt import deferred_interrupt
from attn_dynamics.parameters import Parameters
from attn_dynamics.record import Layout, snapshot_due
from attn_dynamics.run import Ended, Run, RunsInterrupted


def descend_many(
    corpus: Corpus,
    parameters: Sequence[Parameters],
    *,
    learning_rate: float = 0.1,
    epochs: int = 5000,
    train: Collection[str] = ("keys", "embeddings", "head"),
    judge: Mapping[str, Corpus] | None = None,
    follow: Sequence[Hashable] = (),
    hold: Sequence[Hashable] = (),
    patience: int | None = None,
    reduced: bool = True,
    device: str = "numpy",
    precision: str = "float64",
    meter: Callable[[int, float], None] | None = None,
) -> list[Run]:
    """What `descend` gives for each of R starts, to round-off, in one pass over the data for all of them (theory §1).

    Replicates are columns of the sparse products. Each stops at its own patience, or where its loss is no longer
    finite (its run says "diverged"), and leaves the others to go on.

    Args:
        corpus: N sentences over V words to train on.
        parameters: the R starts, of one head and one shape; not changed.
        learning_rate: η > 0; time = η × epoch.
        epochs: steps, at least 0.
        train: any of query, keys, embeddings, head.
        judge: further corpora by name, judged at every epoch; "dev" is what `patience` watches.
        follow: words that are recorded at every epoch.
        hold: words whose scores and embeddings stay at their start.
        patience: stop after so many epochs without a lower dev loss, and return to the best state.
        reduced: use law A6 where it holds.
        device: "numpy" (compiled loops, all cores), or torch's "cpu" or "cuda".
        precision: "float64", or with torch "float32".
        meter: called with epoch and the mean training loss of those that still run.

    Returns:
        R runs, in the order of the starts.

    Raises:
        InputError: a bad argument, starts of different shapes, more replicates than memory holds, or no torch.
        RunsInterrupted: on Ctrl-C, with the runs so far.
    """
    judge = dict(judge or {})
    check_settings(learning_rate, epochs, patience, judge)
    engine = engine_for(device, precision)
    starts = _coordinates(corpus, parameters, train, judge, reduced=reduced)
    if not starts:
        return []
    held = np.unique(np.concatenate([held_columns(corpus, each, train, hold) for each in parameters]))
    corpora = {"train": corpus} | judge
    layout = Layout(corpus, judge, follow)
    needed = bytes_needed(engine, [*corpora.values()], starts[0], layout, epochs=epochs, patience=patience is not None)
    check_memory(engine, needed, len(starts))
    with _memory_told(engine, needed, len(starts)), _one_blas_thread(engine):
        records = Records(len(starts), layout)
        models = [
            (Replicates(engine, corpora, [starts[m] for m in members], held, layout.columns), members)
            for members in _groups(engine, starts)
        ]
        patiences = [Patiences(engine, patience, len(each)) if patience else None for _, each in models]
        groups = [
            _Group(engine, each, members, records, stopping, learning_rate)
            for (each, members), stopping in zip(models, patiences, strict=True)
        ]
        return _run(groups, len(starts), epochs, records, meter)


def _run(
    groups: Sequence["_Group"],
    replicates: int,
    epochs: int,
    records: Records,
    meter: Callable[[int, float], None] | None,
) -> list[Run]:
    runs: dict[int, Run] = {}
    epoch = 0
    ending: Ended | None = None
    with deferred_interrupt() as interrupted, ThreadPoolExecutor(groups[0].threads) as pool:
        while len(runs) < replicates:
            ending = "epochs" if epoch == epochs else "interrupted" if interrupted() else None
            records.make_room(epoch)
            running = [group for group in groups if len(group)]
            # One group needs no other thread, in which numpy and torch would be somebody else's.
            across = pool.map if len(running) > 1 else map
            for ended in across(partial(_Group.advance, epoch=epoch, ending=ending), running):
                runs |= ended
            if meter is not None:
                losses = np.concatenate([group.losses for group in running])
                meter(epoch, float(np.mean(losses[np.isfinite(losses)])) if np.isfinite(losses).any() else np.nan)
            epoch += 1
    result = [runs[member] for member in range(replicates)]
    if any(run.ended == "interrupted" for run in result):  # not where all ended by themselves in that epoch
        raise RunsInterrupted(result, f"epoch {epoch - 1}")
    return result


class _Group:
    """Replicates that go through an epoch together."""

    def __init__(
        self,
        engine: Engine,
        models: Replicates,
        members: NDArray[np.int64],
        records: Records,
        stopping: Patiences | None,
        learning_rate: float,
    ) -> None:
        self.threads = engine.threads
        self.losses = np.empty(0)
        """Training losses at the last epoch of those that were running."""
        self._models, self._members, self._records = models, members, records
        self._stopping, self._learning_rate = stopping, learning_rate
        self._frequency = engine.array(records.layout.frequency)
        self._followed_frequency = engine.array(records.layout.frequency[records.layout.columns])
        self._dev = list(models.corpora).index("dev") * len(Fit._fields) if "dev" in models.corpora else None

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
            for place in np.flatnonzero(leaving).tolist():
                reason = "diverged" if not finite[place] else "patience" if stops[place] else ending
                assert reason is not None
                ended[int(self._members[place])] = self._finish(place, epoch, reason)
            if not leaving.all():
                self._models.step(gradient, self._learning_rate)
            if leaving.any():
                self._keep(np.flatnonzero(~leaving))
            return ended

    def _evaluate(self) -> tuple[Array, Gradient, NDArray[np.bool_]]:
        fits, gradient, signals = self._models.evaluate()
        rows = self._models.row(fits, gradient, signals, self._followed_frequency)
        self.losses = rows[:, 0]
        scalars = self._records.layout.scalars
        # The training loss and the two signals, as `Dynamics.is_finite` has it.
        told = rows[:, [0, scalars - 4, scalars - 2]]
        return rows, gradient, np.isfinite(told).all(axis=1) & ~self._models.spread_wide()

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
        return Run(
            parameters=self._models.parameters(place, state) if ended != "diverged" else None,
            trajectory=self._records.dataset(int(self._members[place]), self._learning_rate),
            ended=ended,
            best_epoch=best,
        )

    def _keep(self, places: NDArray[np.int64]) -> None:
        self._members = self._members[places]
        if not places.size:
            return
        self._models.keep(places)
        if self._stopping is not None:
            self._stopping.keep(places)


def _coordinates(
    corpus: Corpus,
    parameters: Sequence[Parameters],
    train: Collection[str],
    judge: Mapping[str, Corpus],
    *,
    reduced: bool,
) -> list[Coordinates]:
    for start in parameters:
        for each in (corpus, *judge.values()):
            check_fit(each, start)
        if _shapes(start) != _shapes(parameters[0]):
            raise InputError(
                "parameters",
                expected=f"replicates of one head and one shape, {_shapes(parameters[0])}",
                given=f"one of {_shapes(start)}",
                fix="Train replicates of different shapes in different calls.",
            )
    return [Coordinates(start, train, reduced=reduced) for start in parameters]


def _shapes(parameters: Parameters) -> str:
    arrays = parameters.head.arrays()
    shapes = {"keys": parameters.keys.shape, "embeddings": parameters.embeddings.shape}
    shapes |= {name: array.shape for name, array in arrays.items()}
    return f"{type(parameters.head).__name__}: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _groups(engine: Engine, starts: Sequence[Coordinates]) -> list[NDArray[np.int64]]:
    """Replicates by number, in groups of about equal size, as many for each thread."""
    if engine.group is None:
        return [np.arange(len(starts))]
    threads = max(1, min(engine.threads, len(starts)))
    rounds = -(-len(starts) // (engine.group * threads))
    return np.array_split(np.arange(len(starts)), min(rounds * threads, len(starts)))


@contextmanager
def _one_blas_thread(engine: Engine) -> Iterator[None]:
    """Groups have the cores; threads of BLAS would only wait for them."""
    with threadpool_limits(1 if engine.threads > 1 else None, user_api="blas"):
        yield


@contextmanager
def _memory_told(engine: Engine, needed: Needed, replicates: int) -> Iterator[None]:
    """Say how many replicates would fit where memory runs out all the same."""
    free = engine.free_memory()
    try:
        yield
    except engine.out_of_memory:
        raise too_large(needed, replicates, free or 0) from None
