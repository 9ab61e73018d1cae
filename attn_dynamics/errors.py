"""Errors whose messages say what was expected, what was given, and how to mend it."""

import errno
import os
import re
from functools import partial
from typing import Any

FULL = {os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)}
"""Messages of the operating system when the disk or the quota is full."""


def _on_a_terminal(text: str) -> str:
    """Return a text with escapes for characters that a terminal cannot show, such as bytes of a damaged file."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


class InputError(ValueError):
    """An input cannot be used; the message says what was expected, what was given, and how to mend it.

    Example:
        >>> from attn_dynamics import Training
        >>> try:
        ...     Training(epochs=-1)
        ... except InputError as error:
        ...     print(error)
        epochs: expected 0 or more, got -1. Give the number of steps.
    """

    def __init__(self, subject: str, *, expected: str, given: object, fix: str) -> None:
        text = re.sub(r"(?<=[\w)\]])\.$", "", str(given))  # messages of libraries may end with a full stop
        super().__init__(_on_a_terminal(f"{subject}: expected {expected}, got {text}. {fix}"))
        self.subject = subject
        self._parts = {"expected": expected, "given": str(given), "fix": fix}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._parts), (self.subject,)

    def as_option(self) -> "InputError":
        """Return this error with the name of the option by which a command takes the argument."""
        return InputError("--" + self.subject.replace("_", "-"), **self._parts)


class StorageError(OSError):
    """A file could not be written; an earlier version of it is untouched.

    Example:
        >>> from pathlib import Path
        >>> from attn_dynamics import Checkpoint
        >>> try:
        ...     Checkpoint(Path("/nowhere/run.npz")).save("a run", {})
        ... except StorageError as error:
        ...     print(str(error).split(":")[0])
        /nowhere/run.npz
    """

    def __init__(self, path: object, reason: object) -> None:
        again = "free some space or name another folder, and run the command again, with --resume where it takes one"
        fix = again if str(reason) in FULL else "name a folder that can be written to"
        kept = f"An earlier version of the file is untouched; {fix}."
        super().__init__(_on_a_terminal(f"{path}: expected to write this file, got: {reason}. {kept}"))
        self._parts = str(path), str(reason)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._parts


class DrawingError(StorageError):
    """A figure could not be drawn; the numbers behind it are written, and so are all figures that could be drawn."""

    def __init__(self, path: object, reason: object) -> None:
        kept = "The numbers are kept, and so is every figure that could be drawn."
        text = f"{path}: expected to draw this figure, got: {str(reason).rstrip('.')}. {kept}"
        OSError.__init__(self, _on_a_terminal(text))
        self._parts = str(path), str(reason)
