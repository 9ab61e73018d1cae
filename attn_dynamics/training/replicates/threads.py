"""Replicates on processors: single runs on threads, each with its own record, patience and checkpoint."""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import numba
import numpy as np

from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.memory import available_memory
from attn_dynamics.system.threads import Pace, one_blas_thread
from attn_dynamics.training.checkpoint import Checkpoint, with_prefix, without_prefix
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.replicates.recording import mean_of_finite
from attn_dynamics.training.run import Diverged, Interrupted, Run, RunsInterrupted

POLL = 0.1
"""Seconds between two reports of progress."""


class Threads:
    """Processors as a device: how many replicates are computed at once, and the memory for them."""

    itemsize = 8
    on_host = True
    out_of_memory = (MemoryError,)

    @property
    def at_once(self) -> int:
        """Return the number of replicates that are computed at once."""
        return int(numba.get_num_threads())

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
    """
    store = Store(*saving, replicates, epochs) if saving is not None else None
    reached, losses, stop = np.zeros(replicates, np.int64), np.full(replicates, np.nan), threading.Event()

    def run(replicate: int) -> Run:
        def note(epoch: int, loss: float) -> None:
            reached[replicate], losses[replicate] = epoch, loss

        loop = make_loop(replicate)
        if store is not None:
            loop.save_to(store.member(replicate), store.identity)
        try:
            return loop.run(note, lambda: interrupted() or stop.is_set(), Pace(single=True))
        except (Diverged, Interrupted) as ended:
            return ended.run
        finally:
            if store is not None:
                store.leave(replicate)

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
                if meter is not None:
                    meter(int(reached.mean()), mean_of_finite(losses))
            runs = [future.result() for future in futures]
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            if store is not None:
                store.write()
    if any(run.ended == "interrupted" for run in runs):
        raise RunsInterrupted(runs, f"epoch {int(reached.max())}")
    return runs


class Store:
    """One checkpoint file for all replicates, written once every running one has handed in its state.

    A replicate that diverged hands in nothing at its end: resumed, it diverges again.

    Args:
        checkpoint: the file.
        identity: identity of the runs.
        replicates: number R of replicates.
        epochs: number of steps.

    Raises:
        CheckpointMismatch: the file belongs to other runs.
        InputError: the runs already have more epochs.
    """

    def __init__(self, checkpoint: Checkpoint, identity: str, replicates: int, epochs: int) -> None:
        self.identity = identity
        self._checkpoint = checkpoint
        saved = checkpoint.resume(identity, epochs) or {}
        self._states = [without_prefix(saved, f"{replicate}.") for replicate in range(replicates)]
        self._lock, self._waiting, self._running = threading.Lock(), set[int](), set[int]()

    def member(self, replicate: int) -> "Member":
        """Return the checkpoint of one replicate, which is about to run."""
        with self._lock:
            self._running.add(replicate)
        return Member(self, replicate)

    def state(self, replicate: int) -> dict[str, np.ndarray] | None:
        """Return the state that a replicate handed in last, or None."""
        return self._states[replicate] or None

    def due(self, replicate: int) -> bool:
        """Return whether a replicate should hand in its state."""
        with self._lock:
            if not self._waiting and self._checkpoint.due():
                self._waiting = set(self._running)
            return replicate in self._waiting

    def take(self, replicate: int, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of a replicate; the last one that was waited for writes the file."""
        copied = {name: np.array(array) for name, array in arrays.items()}
        with self._lock:
            self._states[replicate] = copied
            self._write_if_complete(replicate)

    def leave(self, replicate: int) -> None:
        """Wait for a replicate no longer, because its run has ended."""
        with self._lock:
            self._running.discard(replicate)
            self._write_if_complete(replicate)

    def write(self) -> None:
        """Write the file with the latest state of each replicate."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        arrays = {"epochs": np.array([int(state["epoch"]) if state else 0 for state in self._states])}
        arrays |= {
            "epoch": arrays["epochs"].max(initial=0),
            "over": np.array([bool(state) and bool(state["over"]) for state in self._states]),
        }
        for replicate, state in enumerate(self._states):
            arrays |= with_prefix(f"{replicate}.", state)
        self._checkpoint.save(self.identity, arrays)

    def _write_if_complete(self, replicate: int) -> None:
        if replicate in self._waiting:
            self._waiting.discard(replicate)
            if not self._waiting:
                self._write()


class Member(Checkpoint):
    """The part of a common checkpoint that belongs to one replicate."""

    def __init__(self, store: Store, replicate: int) -> None:
        self._store, self._replicate = store, replicate

    def due(self) -> bool:
        """Return whether to hand in the state."""
        return self._store.due(self._replicate)

    def save(self, identity: str, arrays: dict[str, np.ndarray]) -> None:
        """Hand in the state."""
        self._store.take(self._replicate, arrays)

    def resume(self, identity: str, epochs: int) -> dict[str, np.ndarray] | None:
        """Return the state to resume from, or None."""
        return self._store.state(self._replicate)
