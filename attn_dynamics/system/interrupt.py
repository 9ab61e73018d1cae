"""Handlers of Ctrl-C and of a plain kill, before a command starts, while it works, and in its worker processes."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children, resource_tracker
from types import FrameType

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""
AFTERWARDS = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}
"""Signals that a command treats as Ctrl-C, each with the handler that it gets once all work is done."""


def command_starts() -> bool:
    """Return whether Python is about to run a module of this package with `python -m`.

    `sys.argv[0]` is "-m" only while the packages of that module are imported.
    """
    return sys.argv[:1] == ["-m"] and threading.current_thread() is threading.main_thread()


def end_at_once() -> None:
    """Let Ctrl-C end this process with one line until the command starts, because its imports take seconds.

    An ignored signal stays ignored. A shell script ignores Ctrl-C in the jobs that it runs in the background.
    """
    for number in AFTERWARDS:
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _end)


def _end(number: int, frame: object) -> None:
    # Exit without an exception, because a library may catch one during its import.
    os.write(2, b"interrupted before anything was computed\n")
    os._exit(INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt again within the block; after the block all work is done, and ignore Ctrl-C.

    A plain kill (SIGTERM) acts like Ctrl-C within the block, so that the command saves and reports as much.
    """
    heard = [number for number in AFTERWARDS if signal.getsignal(number) is _end]
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, AFTERWARDS[number])


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Within the block, let Ctrl-C only make the yielded function return True; a second Ctrl-C interrupts at once.

    Every other signal that would raise KeyboardInterrupt acts alike. Outside the main thread, or if the program handles
    the signal itself, nothing changes and the function returns False.
    """
    heard = [each for each in signal.valid_signals() if signal.getsignal(each) is signal.default_int_handler]
    if threading.current_thread() is not threading.main_thread():
        heard = []
    asked = False

    def remember(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        handle(signal.default_int_handler)

    def handle(handler: Callable[[int, FrameType | None], None]) -> None:
        for number in heard:
            signal.signal(number, handler)

    handle(remember)
    try:
        yield lambda: asked
    finally:
        handle(signal.default_int_handler)


@contextmanager
def signals_blocked(*more: int) -> Iterator[None]:
    """Block Ctrl-C, which a terminal sends to all processes, and `more` signals in children started in the block."""
    resource_tracker.ensure_running()  # otherwise a thread within starts it and unblocks the signal
    found = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *more})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, found)


@contextmanager
def killing() -> Iterator[Callable[[int], None]]:
    """Kill the processes that start within the block when it ends; yield a function that sends them a signal."""
    others = active_children()

    def send(number: int) -> None:
        for child in {*active_children()} - {*others}:
            assert child.pid is not None
            with suppress(ProcessLookupError):
                os.kill(child.pid, number)

    try:
        yield send
    finally:
        send(signal.SIGKILL)
