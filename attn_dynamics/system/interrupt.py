"""Ctrl-C: before a command has begun, and within an epoch, so that no state is left half stepped."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


def command_starts() -> bool:
    """Return whether Python is about to run a module of this package as a command, by `python -m`.

    `sys.argv[0]` is "-m" only while the packages of that module are imported.
    """
    return sys.argv[:1] == ["-m"] and threading.current_thread() is threading.main_thread()


def end_at_once() -> None:
    """Let Ctrl-C end this process in one line until the command begins: its imports take seconds."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: object) -> None:
    # No exception, for a library may catch one that is raised in the middle of its import.
    os.write(2, b"interrupted before anything was computed\n")
    os._exit(INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block Ctrl-C raises KeyboardInterrupt again; after it, with all work done, it does nothing.

    A plain kill (SIGTERM) is taken for Ctrl-C within the block, so that it keeps and tells as much.
    """
    starting = signal.getsignal(signal.SIGINT) is _end
    if starting:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        if starting:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C only makes the function that it gives answer True; a second one interrupts at once.

    Outside the main thread, or where the program handles the signal itself, nothing changes and the answer stays False.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield lambda: False
        return
    asked = False

    def take_note(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, signal.default_int_handler)

    signal.signal(signal.SIGINT, take_note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def out_of_earshot() -> Iterator[None]:
    """Threads and processes begun within never see Ctrl-C, which a terminal sends to all; this one does."""
    resource_tracker.ensure_running()  # else one of these threads would, and hear again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
