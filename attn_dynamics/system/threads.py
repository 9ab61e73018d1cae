"""The pace of compiled epochs: how many to compute at a time, on one thread or on all of them."""

import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache

import numba
from threadpoolctl import ThreadpoolController

TURN = 0.05
"""Seconds of epochs computed at a time; between them, progress is shown and Ctrl-C is heard."""
TRIAL, TERM = 0.03, 1.0
"""Seconds to try a number of threads, and seconds to keep the faster one."""
SAFE = ("tbb", "omp")
"""Threading layers of numba that several Python threads may use at once."""


_FORKED = threading.Event()
"""Set in a process that is a fork, which lacks the threads of the process it was forked from."""


class Pace:
    """Number of epochs to compute at a time, and whether on all threads; the results are equal to the bit.

    Threads save time on a large corpus on an idle machine. They cost much more if another program uses the same cores,
    because each epoch then waits for a thread that does not run. So the faster way is found by trying both repeatedly.

    Args:
        single: whether to compute on one thread only.
    """

    def __init__(self, *, single: bool) -> None:
        self.epochs = 1
        """Number of epochs to compute next."""
        self._single = single or numba.get_num_threads() == 1
        self._threads = False
        self._costs = {False: math.inf, True: math.inf}
        self._until = time.perf_counter() + TRIAL

    @contextmanager
    def timed(self, epochs: int) -> Iterator[bool]:
        """Measure the time of a number of epochs; yield whether to compute them on all threads."""
        threads, begun = self._threads and threads_are_usable(), time.perf_counter()
        yield threads
        ended = time.perf_counter()
        cost = max((ended - begun) / epochs, 1e-9)
        # Grow slowly, because the first call also loads or compiles the loop.
        self.epochs = max(1, min(4 * epochs, int(TURN / cost)))
        self._costs[threads] = min(self._costs[threads], cost)
        if not self._single and ended >= self._until:
            self._choose(ended)

    def _choose(self, now: float) -> None:
        if math.inf in self._costs.values():
            self._threads, self._until = not self._threads, now + TRIAL
        else:
            self._threads, self._until = self._costs[True] < self._costs[False], now + TERM
            self._costs = {False: math.inf, True: math.inf}


def one_blas_thread() -> AbstractContextManager[object]:
    """Keep BLAS to one thread: more would wait for the compiled loops, and change the last bits of small products.

    Blocks of several Python threads may overlap; the last to end lifts the limit.
    """
    return _ONE_BLAS_THREAD


class _OneBlasThread:
    def __init__(self) -> None:
        self._lock, self._inside, self._limits = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        libraries = _libraries("scipy.linalg" in sys.modules)
        with self._lock:
            self._limits.enter_context(libraries.limit(limits=1, user_api="blas"))
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limits.close()


_ONE_BLAS_THREAD = _OneBlasThread()


@cache
def _libraries(_with_scipy: bool) -> ThreadpoolController:
    """Find the libraries once, and again when scipy has loaded its own; a search takes as long as a short run."""
    return ThreadpoolController()


def threads_are_usable() -> bool:
    """Return whether this Python thread may start numba's threads: not in a fork, nor beside another such thread."""
    if _FORKED.is_set():
        return False
    return threading.current_thread() is threading.main_thread() or threading_layer() in SAFE


def threading_layer() -> str:
    """Return the layer that parallel loops use, or the configured one if none has run."""
    try:
        return numba.threading_layer()  # pyright: ignore[reportPrivateImportUsage]
    except ValueError:  # no parallel loop has run yet
        return str(numba.config.THREADING_LAYER)  # pyright: ignore


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FORKED.set)
