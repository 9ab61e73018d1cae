"""Access to JSON key by key, with errors that name the position of a missing or wrong value."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from attn_dynamics.errors import InputError

Kind = TypeVar("Kind", dict, list, str, int)
_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
_FIX = "Write the file in the layout of SQuAD v1.1."


class Place(NamedTuple):
    """A position in a file."""

    file: str
    path: str = ""
    """Keys and indices that lead to the position; "" at the top of the file."""
    id: str = ""
    """Id of the question at the position, if it has one."""

    def at(self, step: str) -> "Place":
        """Return the position one step deeper."""
        return self._replace(path=f"{self.path}.{step}" if self.path else step)

    def of(self, id: str) -> "Place":
        """Return the position with a question id."""
        return self._replace(id=id)

    def asked(self, question: Any) -> "Place":
        """Return the position with the id of the question there."""
        return self.of(text(self, question, "id"))

    def error(self, *, expected: str, given: object, fix: str = _FIX) -> InputError:
        """Return an error about this position."""
        where = f"question {self.id}" if self.id else self.path
        return InputError(f"{self.file}, {where}" if where else self.file, expected=expected, given=given, fix=fix)

    def value(self, holder: Any, key: str, kind: type[Kind]) -> Kind:
        """Return the value of an object under a key.

        Raises:
            InputError: the holder is no object, or the value is missing or of another kind.
        """
        if not isinstance(holder, dict):
            raise self.error(expected="an object", given=type(holder).__name__)
        if key not in holder:
            raise self.error(expected=f"{key}, {_NAMES[kind]}", given="none")
        # In Python True is an int, too.
        if not isinstance(holder[key], kind) or isinstance(holder[key], bool):
            raise self.error(expected=f"{key}, {_NAMES[kind]}", given=type(holder[key]).__name__)
        return holder[key]


def members(place: Place, holder: Any, key: str) -> Iterator[tuple[Any, Place]]:
    """Yield each member of the list under a key, with its position.

    Raises:
        InputError: the value is not a list.
    """
    for number, each in enumerate(place.value(holder, key, list)):
        yield each, place.at(f"{key}[{number}]")


def text(place: Place, holder: Any, key: str) -> str:
    """Return the text under a key, fit for a tokenizer.

    Raises:
        InputError: the value is not a text, or contains an unpaired surrogate.
    """
    found = place.value(holder, key, str)
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise place.error(expected=f"{key} in whole characters", given=error.reason) from error
    return found


def parsed(path: Path) -> Any:
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
        return json.loads(content)
    # RecursionError if lists are too deep for Python.
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), expected="JSON", given=error, fix="Download it again, or name another.") from error
