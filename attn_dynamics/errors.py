"""Errors whose messages say what was expected, what was given, and how to mend it."""

import errno
import os
import re
from functools import partial
from typing import Any

FULL = {os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)}
"""Messages of the operating system if no space is left."""


def _on_a_terminal(text: str) -> str:
    """Escape what a terminal does not show, such as the bytes of a damaged file that a library's message quotes."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what was expected, what came and how to mend it."""

    def __init__(self, subject: str, *, expected: str, given: object, fix: str) -> None:
        text = re.sub(r"(?<=[\w)\]])\.$", "", str(given))  # what libraries say may end as a sentence
        super().__init__(_on_a_terminal(f"{subject}: expected {expected}, got {text}. {fix}"))
        self.subject = subject
        self._told = {"expected": expected, "given": given, "fix": fix}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._told | {"given": str(self._told["given"])}), (self.subject,)

    def as_option(self) -> "InputError":
        """Return this error with the name of the option by which a command takes the argument."""
        return InputError("--" + self.subject.replace("_", "-"), **self._told)


class StorageError(OSError):
    """A file could not be written; whatever stood there before is untouched."""

    def __init__(self, path: object, reason: object) -> None:
        again = "free some space or name another folder, and run the command again, with --resume where it takes one"
        fix = again if str(reason) in FULL else "name a place that can be written to"
        kept = f"What was there before is untouched; {fix}."
        super().__init__(_on_a_terminal(f"{path}: expected to write this file, got: {reason}. {kept}"))
        self._told = path, reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(map(str, self._told))


class DrawingError(StorageError):
    """A figure could not be drawn; the numbers behind it are on the disk, as are the figures that could."""

    def __init__(self, path: object, reason: object) -> None:
        kept = "The numbers are kept, as is every figure that could be drawn."
        text = f"{path}: expected to draw this figure, got: {str(reason).rstrip('.')}. {kept}"
        OSError.__init__(self, _on_a_terminal(text))
        self._told = path, reason
