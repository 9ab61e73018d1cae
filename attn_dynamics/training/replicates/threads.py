"""Replicates on processors: single runs on threads, each with its own record, patience and checkpoint."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import numba
import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.memory import available_memory
from attn_dynamics.system.threads import Pace, one_blas_thread
from attn_dynamics.training.checkpoint import Checkpoint, with_prefix, without_prefix
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.rules import Rule
from attn_dynamics.training.run import Diverged, Interrupted, Run, RunsInterrupted

POLL = 0.1
"""Seconds between two reports of progress."""


class Threads:
    """Processors as a device: how many replicates are computed at once, and the memory for them."""

    on_host = True
    out_of_memory = (MemoryError,)

    @property
    def at_once(self) -> int:
        """Return the largest number of replicates that are computed at once."""
        return int(numba.get_num_threads())

    def check_rule(self, rule: Rule, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Accept any rule, because each replicate is a run of numpy."""

    def free_memory(self) -> int | None:
        """Return the memory that the system reports as available."""
        return available_memory()


def run_on_threads(
    make_loop: Callable[[int], Loop],
    replicates: int,
    epochs: int,
    *,
    saving: tuple[Checkpoint, str] | None,
    meter: Callable[[int, float], None] | None,
) -> list[Run]:
    """Run all replicates, as many at a time as there are threads.

    Args:
        make_loop: function that returns the loop of a replicate, given its number.
        replicates: number R of replicates.
        epochs: number of steps.
        saving: checkpoint of all replicates and the identity of their runs, or None.
        meter: function called every `POLL` seconds with the mean epoch and the mean training loss of all replicates.

    Raises:
        RunsInterrupted: Ctrl-C was pressed; the exception holds the runs so far.
        CheckpointMismatch: the checkpoint belongs to other runs.
        InputError: the saved runs already have more epochs.
    """
    checkpoint, identity = saving or (None, "")
    saved = (checkpoint and checkpoint.resume(identity, epochs)) or {}
    states = [without_prefix(saved, f"{replicate}.") for replicate in range(replicates)]
    reached, losses, stop = np.zeros(replicates, np.int64), np.full(replicates, np.nan), threading.Event()

    def run(replicate: int) -> Run:
        def note(epoch: int, loss: float) -> None:
            reached[replicate], losses[replicate] = epoch, loss

        loop = make_loop(replicate)
        if checkpoint is not None:
            loop.save_to(_Member(checkpoint, states, replicate), identity)
        try:
            return loop.run(note, lambda: interrupted() or stop.is_set(), Pace(single=True))
        except (Diverged, Interrupted) as ended:
            return ended.run

    def save(*, only_if_due: bool = False) -> None:
        if checkpoint is not None and (checkpoint.due() or not only_if_due):
            checkpoint.save(identity, common_state(states))

    with (
        one_blas_thread(),
        deferred_interrupt() as interrupted,
        ThreadPoolExecutor(Threads().at_once) as pool,
    ):
        try:
            futures = [pool.submit(run, replicate) for replicate in range(replicates)]
            left = {*futures}
            while left:
                done, left = wait(left, POLL, FIRST_COMPLETED)
                for future in done:
                    future.result()  # an error of one ends all
                save(only_if_due=True)
                if meter is not None:
                    meter(int(reached.mean()), mean_of_finite(losses))
            runs = [future.result() for future in futures]
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            save()
    if any(run.ended == "interrupted" for run in runs):
        low, high = reached.min(), reached.max()
        raise RunsInterrupted(runs, f"epoch {low}" if low == high else f"epochs {low} to {high} of different runs")
    return runs


class _Member(Checkpoint):
    """The part of a common checkpoint that belongs to one replicate, which hands in its state twice for each write.

    A replicate that diverged hands in nothing at its end: resumed, it diverges again.

    Args:
        common: the checkpoint of all replicates.
        states: states that the replicates handed in last, empty before the first.
        replicate: number of the replicate.
    """

    def __init__(self, common: Checkpoint, states: list[dict[str, np.ndarray]], replicate: int) -> None:
        super().__init__(common.path, common.every / 2)
        self._states, self._replicate = states, replicate

    def write(self, identity: str, arrays: dict[str, np.ndarray]) -> None:
        """Hand in a copy of the state."""
        self._states[self._replicate] = {name: np.array(array) for name, array in arrays.items()}

    def resume(self, identity: str, epochs: int) -> dict[str, np.ndarray] | None:
        """Return the state to resume from, or None."""
        return self._states[self._replicate] or None


def common_state(states: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the content of the common checkpoint: the state of each replicate, and where all of them stand."""
    states = [*states]  # a copy, because replicates replace theirs meanwhile
    epochs = np.array([int(state["epoch"]) if state else 0 for state in states])
    over = np.array([bool(state) and bool(state["over"]) for state in states])
    arrays = {"epochs": epochs, "epoch": epochs.max(initial=0), "over": over}
    for replicate, state in enumerate(states):
        arrays |= with_prefix(f"{replicate}.", state)
    return arrays


def mean_of_finite(losses: Array) -> float:
    """Return the mean of the losses that are finite, which a report of progress shows; NaN if there are none."""
    known = losses[np.isfinite(losses)]
    return float(known.mean()) if known.size else np.nan
