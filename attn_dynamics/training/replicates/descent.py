"""Gradient descent of many replicates in step, each recorded and stopped as if it ran alone."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from attn_dynamics.check import function, shown
from attn_dynamics.errors import InputError
from attn_dynamics.model.gradient import check_fit
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import Checkpoint, identity, named, part
from attn_dynamics.training.descent import checked_checkpoint, checked_settings, course
from attn_dynamics.training.dynamics import Coordinates, checked_choices, held_columns
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.engine import Engine, engine_for
from attn_dynamics.training.replicates.equations import Replicates
from attn_dynamics.training.replicates.group import Group, in_company
from attn_dynamics.training.replicates.memory import MemoryNeed, bytes_needed, check_memory, fitting, rooms, too_large
from attn_dynamics.training.replicates.recording import Members, Records
from attn_dynamics.training.replicates.stopping import Patiences
from attn_dynamics.training.run import Ended, Run, RunsInterrupted


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
    checkpoint: Checkpoint | None = None,
    meter: Callable[[int, float], None] | None = None,
) -> list[Run]:
    """Train each of R starts as `descend` would, to round-off, in one pass over the data for all (theory §1).

    Replicates are columns of the sparse products. Each stops at its own patience, or when its loss is no longer finite
    (its run then says "diverged"), and the others continue.

    Args:
        corpus: N sentences over V words to train on.
        parameters: the R starts, with one kind of head and the same shapes; not changed.
        learning_rate: learning rate η > 0; time = η × epoch.
        epochs: number of steps, at least 0.
        train: parts to train, any of query, keys, embeddings, head.
        judge: further corpora by name, evaluated at every epoch; `patience` watches "dev".
        follow: words recorded at every epoch.
        hold: words whose scores and embeddings keep their initial values.
        patience: number of epochs without a lower dev loss after which to stop and return to the best state.
        reduced: whether to use law A6 if it holds.
        device: "numpy" (compiled loops on all cores), or "cpu" or "cuda" of torch.
        precision: "float64", or "float32" with torch.
        checkpoint: file to save all replicates to, and to resume from. A resumed run is the same to the bit, except on
            a GPU, whose sums vary.
        meter: function called with epoch and the mean training loss of the replicates still running.

    Returns:
        R runs, in the order of the starts.

    Raises:
        InputError: an argument is invalid, the starts differ in shape, memory is too small, or torch is not installed.
        RunsInterrupted: Ctrl-C was pressed; carries the runs so far.
    """
    train, judge, follow, hold, reduced = checked_choices(train, judge, follow, hold, reduced=reduced)
    function("meter", meter)
    learning_rate, epochs, patience = checked_settings(learning_rate, epochs, patience, judge)
    engine, parameters, checkpoint = engine_for(device, precision), _starts(parameters), checked_checkpoint(checkpoint)
    _check_starts(corpus, parameters, judge)
    if not parameters:
        return []
    layout = Layout(corpus, judge, follow)
    judged = {"train": corpus} | judge
    needed = bytes_needed(
        engine,
        [*judged.values()],
        parameters[0],
        layout,
        train=train,
        reduced=reduced,
        epochs=epochs,
        patience=patience,
    )
    check_memory(engine, needed, len(parameters))
    held = np.unique(np.concatenate([held_columns(corpus, each, train, hold) for each in parameters]))
    with _memory_told(engine, needed, len(parameters)), _one_blas_thread(engine):
        starts = [Coordinates(each, train, reduced=reduced) for each in parameters]
        records = Records(len(starts), layout)

        def together(members: Members) -> Group:
            models = Replicates(engine, judged, [starts[m] for m in members], held, layout.columns)
            stopping = Patiences(engine, patience, len(members)) if patience else None
            return Group(engine, models, members, records, stopping, learning_rate)

        groups = [together(members) for members in _divided(engine, len(starts))]
        batch = _Batch(groups, records, len(starts), engine.threads)
        if checkpoint is not None:
            settings = course(learning_rate, train, judge, follow, hold, patience, reduced=reduced)
            mark = identity([*judged.values()], parameters, *settings, device, precision)
            batch.save_to(checkpoint, mark, epochs)
        return batch.run(epochs, meter)


def max_replicates(
    corpus: Corpus,
    start: Parameters,
    *,
    share: float = 1.0,
    epochs: int = 5000,
    train: Collection[str] = ("keys", "embeddings", "head"),
    judge: Mapping[str, Corpus] | None = None,
    follow: Sequence[Hashable] = (),
    patience: int | None = None,
    reduced: bool = True,
    device: str = "numpy",
    precision: str = "float64",
) -> int | None:
    """Return how many starts like this one, not drawn yet, `descend_many` can take in a share of the free memory.

    The result is None if the free memory is unknown.

    Raises:
        InputError: the corpus does not hold a followed word, or the device is not available.
    """
    engine, judge = engine_for(device, precision), dict(judge or {})
    judged, layout = [corpus, *judge.values()], Layout(corpus, judge, follow)
    needed = bytes_needed(engine, judged, start, layout, train=train, reduced=reduced, epochs=epochs, patience=patience)
    return fitting(engine, needed, share)


def resume_points(checkpoint: Checkpoint, epochs: int) -> tuple[int, bool] | None:
    """Return the epoch `descend_many` would resume at, and whether nothing is left to do; None without a checkpoint.

    Raises:
        InputError: the file is no checkpoint.
    """
    saved = checkpoint.peek("epoch", "ended")
    return (int(saved["epoch"]), bool(saved["epoch"] >= epochs or all(saved["ended"]))) if saved else None


def replicates_in(checkpoint: Checkpoint) -> int | None:
    """Return how many replicates `descend_many` saved; None without a checkpoint.

    Raises:
        InputError: the file is no checkpoint.
    """
    saved = checkpoint.peek("ended")
    return len(saved["ended"]) if saved else None


class _Batch:
    """All replicates in groups, and the checkpoint they are saved to."""

    def __init__(self, groups: Sequence[Group], records: Records, replicates: int, threads: int) -> None:
        self._groups, self._records, self._replicates, self._threads = groups, records, replicates, threads
        self._epoch = 0
        self._runs: dict[int, Run] = {}
        self._checkpoint: tuple[Checkpoint, str] | None = None

    def save_to(self, checkpoint: Checkpoint, identity: str, epochs: int) -> None:
        """Save to this checkpoint from now on, and resume from it if it holds these runs."""
        self._checkpoint = checkpoint, identity
        saved = checkpoint.resume(identity, epochs)
        if saved is None:
            return
        self._epoch = int(saved["epoch"])
        self._records.restore(part(saved, "records."))
        ends = zip(saved["ended"].tolist(), saved["best_epoch"].tolist(), strict=True)
        ended = {member: end for member, end in enumerate(ends) if end[0]}
        for group in self._groups:
            self._runs |= group.restore(saved, ended)

    def run(self, epochs: int, meter: Callable[[int, float], None] | None) -> list[Run]:
        """Continue to `epochs`, or until Ctrl-C, or until every replicate has ended by itself."""
        with deferred_interrupt() as interrupted, ThreadPoolExecutor(self._threads) as pool:
            while len(self._runs) < self._replicates:
                ending: Ended | None = "epochs" if self._epoch == epochs else "interrupted" if interrupted() else None
                # Saved before the evaluation, so that a longer run can resume replicates that end at the last epoch.
                self._save(only_if_due=ending is None)
                self._advance(pool, ending, meter)
                if len(self._runs) < self._replicates:
                    self._epoch += 1
                elif ending is None:
                    self._save()
        result = [self._runs[member] for member in range(self._replicates)]
        if any(run.ended == "interrupted" for run in result):  # false if all ended by themselves in that epoch
            raise RunsInterrupted(result, f"epoch {self._epoch}")
        return result

    def _advance(
        self, pool: ThreadPoolExecutor, ending: Ended | None, meter: Callable[[int, float], None] | None
    ) -> None:
        """Advance all running replicates by one epoch."""
        self._records.make_room(self._epoch)
        running = [group for group in self._groups if len(group)]
        # A single group runs in this thread, because numpy and torch would have other settings in another one.
        across = pool.map if len(running) > 1 else map
        for ended in across(partial(Group.advance, epoch=self._epoch, ending=ending), running):
            self._runs |= ended
        if meter is not None:
            losses = np.concatenate([group.losses for group in running])
            meter(self._epoch, float(np.mean(losses[np.isfinite(losses)])) if np.isfinite(losses).any() else np.nan)

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
            "ended": np.array(["" if run is None else run.ended for run in runs]),
            "best_epoch": np.array([-1 if run is None else run.best_epoch for run in runs]),
        } | named("records.", self._records.state())
        for group in self._groups:
            arrays |= group.states()
        checkpoint.save(identity, arrays)


def _starts(parameters: Iterable[Parameters]) -> Sequence[Parameters]:
    """Return the starts as a list; a generator is accepted too."""
    if isinstance(parameters, Parameters | str) or not isinstance(parameters, Iterable):
        fix = "Put them into a list, or call descend for a single start."
        raise InputError("parameters", expected="a list of Parameters", given=shown(parameters), fix=fix)
    return list(parameters)


def _check_starts(corpus: Corpus, parameters: Sequence[Parameters], judge: Mapping[str, Corpus]) -> None:
    for start in parameters:
        check_fit(corpus, start, judge)
        if _shapes(start) != _shapes(parameters[0]):
            raise InputError(
                "parameters",
                expected=f"replicates of one head and one shape, {_shapes(parameters[0])}",
                given=f"one of {_shapes(start)}",
                fix="Train replicates of different shapes in different calls.",
            )


def _shapes(parameters: Parameters) -> str:
    arrays = parameters.head.arrays()
    shapes = {"keys": parameters.keys.shape, "embeddings": parameters.embeddings.shape}
    shapes |= {name: array.shape for name, array in arrays.items()}
    return f"{type(parameters.head).__name__}: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _divided(engine: Engine, replicates: int) -> list[Members]:
    """Return the numbers of the replicates in groups of about equal size, the same number of groups for each thread."""
    if engine.abreast is None:
        return [np.arange(replicates)]
    threads = max(1, min(engine.threads, replicates))
    rounds = -(-replicates // (engine.abreast * threads))
    parts = np.array_split(np.arange(replicates), min(rounds * threads, replicates))
    return [in_company(engine, each) for each in parts]


@contextmanager
def _one_blas_thread(engine: Engine) -> Iterator[None]:
    """Limit BLAS to one thread: groups use all cores, and BLAS threads would change the last bits of small products."""
    with threadpool_limits(1 if engine.abreast is not None else None, user_api="blas"):
        yield


@contextmanager
def _memory_told(engine: Engine, needed: Sequence[MemoryNeed], replicates: int) -> Iterator[None]:
    """Raise an error that says how many replicates would fit, if memory runs out during the run."""
    first, room = next(iter(rooms(engine, needed, replicates)), (needed[0], 0))
    try:
        yield
    except engine.out_of_memory:
        raise too_large(first, replicates, room) from None
