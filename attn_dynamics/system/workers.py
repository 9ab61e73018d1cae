"""Processes that work for this one: spawned, of one thread each, deaf to Ctrl-C, and ended together with it.

Both kinds are a `concurrent.futures.Executor`: `spawned` starts processes here, `clustered` connects to Dask. A process
is never forked, because compiled kernels lose their threads in a fork.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

import numba

from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import imported
from attn_dynamics.system.interrupt import killing, out_of_earshot

Given = TypeVar("Given")
Found = TypeVar("Found")
STOP = signal.SIGUSR1
"""Signal that tells a process to keep what it has and to stop; a terminal and `timeout` do not send it."""
PATIENCE = 10.0
"""Longest time in seconds for a Dask scheduler, and for its first worker, to answer."""
ENVIRONMENT = {f"{library}_NUM_THREADS": "1" for library in ("NUMBA", "OMP", "OPENBLAS", "MKL")}
"""Environment of a Dask worker on this machine, set before it imports anything."""


def finished(
    pool: Executor, work: Callable[[Given], Found], items: Iterable[Given], *, at_once: int
) -> Iterator[set[Future[Found]]]:
    """Let a pool work on items, and yield those that have ended, a set at a time.

    No more than `at_once` are handed over at a time, for those that a pool has taken cannot be taken back.
    """
    left, running = iter(items), set[Future[Found]]()
    while running := running | {pool.submit(work, each) for each in islice(left, at_once - len(running))}:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield done


@contextmanager
def spawned(processes: int, *, resumes: bool = False) -> Iterator[Executor]:
    """Start processes and kill them at the end of the block, or when this process ends.

    If an exception leaves the block, Ctrl-C among them, work that `resumes` is interrupted and waited for, so that it
    keeps what it has; other work is killed.

    Raises:
        InputError: a process was killed.
    """
    with _Spawned(processes, get_context("spawn"), initializer=begin_process) as pool, killing() as send:
        try:
            yield pool
        except BrokenProcessPool:
            fix = "Give it more memory, or --workers 1" + ("; --resume goes on with what is kept." if resumes else ".")
            raise InputError("--workers", expected="processes that live", given="a killed one", fix=fix) from None
        except BaseException:
            if resumes:
                send(STOP)
                wait(pool.taken)
            raise


class _Spawned(ProcessPoolExecutor):
    """Pool that hides Ctrl-C and a plain kill from its processes, which it starts as it is given work."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.taken: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Found], /, *args: Any, **kwargs: Any) -> Future[Found]:
        with out_of_earshot(signal.SIGTERM, STOP):
            future = super().submit(_stoppable, fn, *args, **kwargs)
            self.taken.append(future)
        return future


def _stoppable(work: Callable[..., Found], *given: Any, **settings: Any) -> Found:
    """Do some work in a process that was begun for it, and hear `STOP` meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP})
    try:
        return work(*given, **settings)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {STOP})


def begin_process() -> None:
    """Let this process have one thread, be interrupted by `STOP`, and end with the one that spawned it."""
    numba.set_num_threads(1)
    signal.signal(STOP, signal.default_int_handler)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent was killed, because it would otherwise wait for work forever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def clustered(processes: int, scheduler: str | None) -> Iterator[Any]:
    """Connect to the Dask scheduler at an address, or start that many processes on this machine; yield the client.

    `client.get_executor()` is the pool. If a process dies, Dask gives its work to another, up to `allowed-failures`
    times (three by default).

    Raises:
        InputError: Dask is missing, no scheduler answers, or it has no workers, or workers with several threads.
    """
    distributed = imported("distributed", "distributed")
    if scheduler is not None:
        with _connected(distributed, scheduler) as client:
            yield client
        return
    with out_of_earshot():
        local = distributed.LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any free port, because the usual one may be taken
            scheduler_kwargs={"dashboard": False},
            memory_limit=None,  # the system limits memory
            silence_logs=logging.CRITICAL,
            env=ENVIRONMENT,
        )
    with local, distributed.Client(local) as client:
        yield client


@contextmanager
def _connected(distributed: Any, address: str) -> Iterator[Any]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        expected, fix = "the address of a Dask scheduler", "Start one by dask scheduler, and give the address it says."
        given = f"{address!r}, where none answers ({in_line(error)})"
        raise InputError("--scheduler", expected=expected, given=given, fix=fix) from None
    with client:
        _check_workers(client, address)
        yield client


def _check_workers(client: Any, address: str) -> None:
    fix = f"Start some by dask worker {address} --nthreads 1 --nworkers 2."
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise InputError("--scheduler", expected="a scheduler with workers", given="none", fix=fix) from None
    threads = max(client.nthreads().values())
    if threads > 1:
        # Numba's threads serve one caller per process.
        given = f"a worker of {threads} threads"
        raise InputError("--scheduler", expected="workers of one thread each", given=given, fix=fix)


def error_of(future: Future[Any]) -> BaseException | None:
    """Return what work raised, also that of a scheduler that is gone; None if it returned."""
    return CancelledError("the scheduler gave it up") if future.cancelled() else future.exception()


def in_line(error: BaseException) -> str:
    """Write an error in one line, with the name of its class."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
