"""Ctrl-C that waits for the end of an epoch, so that no state is left half stepped."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
