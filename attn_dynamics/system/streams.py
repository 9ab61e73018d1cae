"""Standard streams on which printing never fails: closed ones, departed readers, characters they cannot show."""

import io
import os
import sys
from typing import Any


class _Pipe(io.FileIO):
    """Stream of bytes that discards output once its reader has left, or after its first error."""

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

    A closed stream becomes one that discards output, as does one whose reader leaves. Characters outside the encoding
    are written as escapes. Streams that replaced the process's own stay.
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
