"""Threads of compiled kernels: a fork loses them, and some layers serve only one Python thread."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

from attn_dynamics.errors import InputError

_TRAINING = threading.RLock()
"""Lock of the thread whose kernels run, if only one may."""
SAFE = "tbb"
"""Threading layer of numba that survives a fork."""


class _Process:
    """State of this process."""

    ran = False
    """Whether kernels ran in this process, or in the one it was forked from."""
    forked = False
    """Whether this process was forked after kernels had run."""


def before_kernels() -> None:
    """Refuse to call parallel kernels if a fork lost their threads.

    Raises:
        InputError: this process was forked from one in which kernels had run.
    """
    if _Process.forked:
        raise InputError(
            "this process",
            expected="one that was started anew, where compiled kernels run",
            given="a fork of one in which they ran already, and whose threads it lacks",
            fix='Start workers by multiprocessing.get_context("spawn").',
        )
    _Process.ran = True


@contextmanager
def one_under_workqueue() -> Iterator[None]:
    """Refuse a second Python thread if numba's layer serves only one, because it would abort the process.

    Raises:
        InputError: another thread already trains under the layer "workqueue".
    """
    if threading_layer() != "workqueue":
        yield
        return
    if not _TRAINING.acquire(blocking=False):
        raise InputError(
            "NUMBA_THREADING_LAYER",
            expected="tbb or omp, where several threads train at once",
            given="workqueue",
            fix="Leave it unset, or train in processes.",
        )
    try:
        yield
    finally:
        _TRAINING.release()


def _after_fork() -> None:
    _Process.forked = _Process.forked or (_Process.ran and threading_layer() != SAFE)


def threading_layer() -> str:
    """Return the layer that parallel kernels use, or the configured one if none has run."""
    try:
        return numba.threading_layer()  # pyright: ignore[reportPrivateImportUsage]
    except ValueError:  # no kernel has run yet
        return str(numba.config.THREADING_LAYER)  # pyright: ignore


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
