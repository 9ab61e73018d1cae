"""One thread or all of them, whichever is faster at the moment; the results are the same to the bit."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import numba

TRIAL, TERM = 0.03, 1.0
"""Seconds that a number of threads is tried for, and that the faster one is then kept."""


@contextmanager
def fastest_threads() -> Iterator[Callable[[], None]]:
    """Within the block, call what it gives once an epoch.

    Threads save a fifth on a small corpus in a quiet machine, and cost a factor where another program wants the same
    cores: each epoch then waits for a thread that is not running. So both are tried, again and again.
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
    """Epochs a second over so many seconds; the first epoch, in which threads wake up, does not count."""
    yield
    begun, epochs = time.perf_counter(), 0
    while True:
        yield
        epochs += 1
        passed = time.perf_counter() - begun
        if passed >= seconds:
            return epochs / passed
