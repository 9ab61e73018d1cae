"""Worker processes: of one thread each, shielded from Ctrl-C, and ended together with this process.

Both kinds are a `concurrent.futures.Executor`: `spawned` starts processes here, `clustered` connects to Dask. Processes
are never forked, because compiled kernels lose their threads in a fork.
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
from attn_dynamics.system.interrupt import killing, signals_blocked

Given = TypeVar("Given")
Found = TypeVar("Found")
STOP = signal.SIGUSR1
"""Signal that makes a process save its results and stop; neither a terminal nor `timeout` sends it."""
PATIENCE = 10.0
"""Longest time in seconds for a Dask scheduler, and for its first worker, to answer."""
ENVIRONMENT = {f"{library}_NUM_THREADS": "1" for library in ("NUMBA", "OMP", "OPENBLAS", "MKL")}
"""Environment of a Dask worker on this machine, set before it imports anything."""


def finished(
    pool: Executor, work: Callable[[Given], Found], items: Iterable[Given], *, at_once: int
) -> Iterator[set[Future[Found]]]:
    """Let a pool work on items, and yield sets of futures as they end.

    The pool has at most `at_once` items at a time, because items that it has taken cannot be taken back.
    """
    left, running = iter(items), set[Future[Found]]()
    while running := running | {pool.submit(work, each) for each in islice(left, at_once - len(running))}:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield done


@contextmanager
def spawned(processes: int, *, resumes: bool = False) -> Iterator[Executor]:
    """Start processes that end with the block; if it is left early, or this process ends, they are killed.

    Args:
        processes: number of processes.
        resumes: whether the work can resume. If Ctrl-C or an error ends the block, such work is interrupted and may
            save its results; other work is killed.

    Raises:
        InputError: a process was killed.
    """
    with _Spawned(processes, get_context("spawn"), initializer=begin_process) as pool, killing() as send:
        try:
            yield pool
            pool.shutdown()  # processes that end by themselves leave no semaphores behind, of which Python would warn
        except BrokenProcessPool:
            fix = "Give it more memory, or --workers 1" + ("; --resume keeps finished work." if resumes else ".")
            raise InputError("--workers", expected="processes that live", given="a killed one", fix=fix) from None
        except BaseException:
            if resumes:
                send(STOP)
                wait(pool.taken)
            raise


class _Spawned(ProcessPoolExecutor):
    """Pool that shields its processes from Ctrl-C and a plain kill; it starts them when work is submitted."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.taken: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Found], /, *args: Any, **kwargs: Any) -> Future[Found]:
        with signals_blocked(signal.SIGTERM, STOP):
            future = super().submit(_stoppable, fn, *args, **kwargs)
            self.taken.append(future)
        return future


def _stoppable(work: Callable[..., Found], *given: Any, **settings: Any) -> Found:
    """Do some work in a worker process, which `STOP` interrupts meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP})
    try:
        return work(*given, **settings)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {STOP})


def begin_process() -> None:
    """Prepare a worker process: one thread, interrupted by `STOP`, and ended together with its parent."""
    numba.set_num_threads(1)
    signal.signal(STOP, signal.default_int_handler)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent ends, because it would otherwise wait for work forever."""
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
    with signals_blocked():
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
        expected, fix = "the address of a Dask scheduler", "Start dask scheduler, and give the address that it prints."
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
    """Return the exception of a future, CancelledError if its scheduler is gone; None if the work returned."""
    return CancelledError("the scheduler gave it up") if future.cancelled() else future.exception()


def in_line(error: BaseException) -> str:
    """Return an error as one line, with the name of its class."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
