"""Standard streams that never cost results: closed ones, readers that leave, and letters that they cannot show."""

import io
import os
import sys
from typing import Any


class _Pipe(io.FileIO):
    """A stream of bytes that goes nowhere once its reader has left, or once it has said that it cannot be written."""

    _lost = False

    def write(self, content: Any, /) -> int | None:
        if not self._lost:
            try:
                return super().write(content)
            except BrokenPipeError:
                self._lost = True
            except OSError:
                self._lost = True
                raise
        return len(memoryview(content).cast("B"))


def steady_streams() -> None:
    """Make the streams of this process safe to print to.

    A closed stream becomes one that goes nowhere, as does one whose reader leaves, and letters that an encoding does
    not have are written by their numbers. Streams that something else put in the place of the process's own stay.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            stream.flush()
            setattr(sys, name, _steady(stream))


def _steady(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Pipe(stream.fileno(), "wb", closefd=False)
    unbuffered = stream.line_buffering or stream.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, errors="backslashreplace", line_buffering=unbuffered
    )
