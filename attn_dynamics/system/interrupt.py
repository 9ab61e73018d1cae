"""Ctrl-C before a command starts, and within an epoch, so that no state is left half updated."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""


def command_starts() -> bool:
    """Return whether Python is about to run a module of this package with `python -m`.

    `sys.argv[0]` is "-m" only while the packages of that module are imported.
    """
    return sys.argv[:1] == ["-m"] and threading.current_thread() is threading.main_thread()


def end_at_once() -> None:
    """Let Ctrl-C end this process with one line until the command starts, because its imports take seconds."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: object) -> None:
    # Exit without an exception, because a library may catch one during its import.
    os.write(2, b"interrupted before anything was computed\n")
    os._exit(INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt again within the block; after the block, with all work done, ignore it.

    A plain kill (SIGTERM) acts like Ctrl-C within the block, so that it saves and reports as much.
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
    """Let Ctrl-C within the block only make the yielded function return True; a second one interrupts at once.

    Outside the main thread, or if the program handles the signal itself, nothing changes and it returns False.
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
    """Hide Ctrl-C, which a terminal sends to all, from threads and processes started within, not from this process."""
    resource_tracker.ensure_running()  # otherwise a thread within starts it and unblocks the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
