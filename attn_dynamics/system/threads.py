"""One thread or all of them, whichever is currently faster; results are equal to the bit."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import numba

TRIAL, TERM = 0.03, 1.0
"""Seconds to try each number of threads, and seconds to keep the faster one."""


@contextmanager
def fastest_threads() -> Iterator[Callable[[], None]]:
    """Yield a function to call once an epoch; it chooses the faster number of threads.

    Threads save a fifth on a small corpus on an idle machine. They cost a factor if another program uses the same
    cores, because each epoch then waits for a thread that does not run. So both are tried repeatedly.
    """
    most = numba.get_num_threads()
    trials = _trials(most)
    next(trials)
    try:
        yield (lambda: trials.send(None)) if most > 1 else (lambda: None)
    finally:
        numba.set_num_threads(most)


def _trials(most: int) -> Generator[None, None, None]:
    while True:
        speeds = {}
        for threads in (1, most):
            numba.set_num_threads(threads)
            speeds[threads] = yield from _epochs(TRIAL)
        numba.set_num_threads(max(speeds, key=speeds.__getitem__))
        yield from _epochs(TERM)


def _epochs(seconds: float) -> Generator[None, None, float]:
    """Measure epochs per second over a time; the first epoch, in which threads wake up, does not count."""
    yield
    begun, epochs = time.perf_counter(), 0
    while True:
        yield
        epochs += 1
        passed = time.perf_counter() - begun
        if passed >= seconds:
            return epochs / passed
