"""JSON read key by key: whatever is missing, or is not what it should be, is told with its place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from attn_dynamics.errors import InputError

Kind = TypeVar("Kind", dict, list, str, int)
_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
_FIX = "Write the file in the layout of SQuAD v1.1."


class Place(NamedTuple):
    """A place in a file."""

    file: str
    path: str = ""
    """The keys and numbers that lead there."""
    id: str = ""
    """Of the question there, where it has one."""

    def at(self, step: str) -> "Place":
        """One step further."""
        return self._replace(path=f"{self.path}.{step}" if self.path else step)

    def of(self, id: str) -> "Place":
        """At the question of that id."""
        return self._replace(id=id)

    def asked(self, question: Any) -> "Place":
        """The same with the id of the question there."""
        return self.of(text(self, question, "id"))

    def error(self, *, expected: str, given: object, fix: str = _FIX) -> InputError:
        """What to raise."""
        where = f"question {self.id}" if self.id else self.path
        return InputError(f"{self.file}, {where}" if where else self.file, expected=expected, given=given, fix=fix)

    def value(self, holder: Any, key: str, kind: type[Kind]) -> Kind:
        """What an object has under a key.

        Raises:
            InputError: no object, no such key, or something of another kind.
        """
        if not isinstance(holder, dict):
            raise self.error(expected="an object", given=type(holder).__name__)
        if key not in holder:
            raise self.error(expected=f"{key}, {_NAMES[kind]}", given="none")
        # True is an int to Python.
        if not isinstance(holder[key], kind) or isinstance(holder[key], bool):
            raise self.error(expected=f"{key}, {_NAMES[kind]}", given=type(holder[key]).__name__)
        return holder[key]


def members(place: Place, holder: Any, key: str) -> Iterator[tuple[Any, Place]]:
    """Each member of the list under a key, with its place.

    Raises:
        InputError: there is no list.
    """
    for number, each in enumerate(place.value(holder, key, list)):
        yield each, place.at(f"{key}[{number}]")


def text(place: Place, holder: Any, key: str) -> str:
    """The text under a key, fit for a tokenizer.

    Raises:
        InputError: there is none, or it has halves of surrogate pairs.
    """
    found = place.value(holder, key, str)
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise place.error(expected=f"{key} in whole characters", given=error.reason) from error
    return found


def parsed(path: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        InputError: it cannot be read, is empty, or is not JSON in UTF-8.
    """
    try:
        # A byte order mark is no part of the text.
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        given, fix = error.strerror or error, "Check its permissions, or name another path."
        raise InputError(str(path), expected="to read this file", given=given, fix=fix) from error
    except UnicodeDecodeError as error:
        raise InputError(str(path), expected="text encoded in UTF-8", given=error, fix="Save it as UTF-8.") from error
    if not content.strip():
        raise InputError(str(path), expected="JSON", given="an empty file", fix="Fill it, or name another.")
    try:
        return json.loads(content)
    # Lists too deep, and numbers too long, are JSON that Python does not read.
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), expected="JSON", given=error, fix="Fetch it again, or name another.") from error
