"""Access to JSON key by key, with errors that name the position of a missing or wrong value."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from attn_dynamics.errors import InputError

Kind = TypeVar("Kind", dict, list, str, int)
_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
_FIX = "Write the file in the layout of SQuAD v1.1."


class Node(NamedTuple):
    """A value in a JSON file, with its position for error messages."""

    value: Any
    file: str
    path: str = ""
    """Keys and indices that lead to the value; "" at the top of the file."""
    id: str = ""
    """Id of the question that holds the value, if it is known."""

    def error(self, *, expected: str, given: object, fix: str = _FIX) -> InputError:
        """Return an error about this position."""
        where = f"question {self.id}" if self.id else self.path
        return InputError(f"{self.file}, {where}" if where else self.file, expected=expected, given=given, fix=fix)

    def get(self, key: str, kind: type[Kind]) -> Kind:
        """Return the value under a key of this object.

        Raises:
            InputError: this is no object, or the value is missing or of another kind.
        """
        if not isinstance(self.value, dict):
            raise self.error(expected="an object", given=type(self.value).__name__)
        if key not in self.value:
            raise self.error(expected=f"{key}, {_NAMES[kind]}", given="none")
        found = self.value[key]
        # In Python True is an int, too.
        if not isinstance(found, kind) or isinstance(found, bool):
            raise self.error(expected=f"{key}, {_NAMES[kind]}", given=type(found).__name__)
        return found

    def text(self, key: str) -> str:
        """Return the text under a key, fit for a tokenizer.

        Raises:
            InputError: the value is not a text, or contains an unpaired surrogate.
        """
        found = self.get(key, str)
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise self.error(expected=f"{key} in whole characters", given=error.reason) from error
        return found

    def members(self, key: str) -> Iterator["Node"]:
        """Yield the members of the list under a key.

        Raises:
            InputError: the value is not a list.
        """
        path = f"{self.path}.{key}" if self.path else key
        for number, each in enumerate(self.get(key, list)):
            yield self._replace(value=each, path=f"{path}[{number}]")

    def question(self) -> "Node":
        """Return this object as a question, whose id errors name from now on."""
        return self._replace(id=self.text("id"))


def parsed(path: Path) -> Node:
    """Return the content of a JSON file.

    Raises:
        InputError: the file cannot be read, is empty, or is not JSON in UTF-8.
    """
    try:
        # A byte order mark is not part of the text.
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        given, fix = error.strerror or error, "Check its permissions, or name another path."
        raise InputError(str(path), expected="to read this file", given=given, fix=fix) from error
    except UnicodeDecodeError as error:
        raise InputError(str(path), expected="text encoded in UTF-8", given=error, fix="Save it as UTF-8.") from error
    if not content.strip():
        raise InputError(str(path), expected="JSON", given="an empty file", fix="Fill it, or name another.")
    try:
        return Node(json.loads(content), str(path))
    # RecursionError if lists are too deep for Python.
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), expected="JSON", given=error, fix="Download it again, or name another.") from error
