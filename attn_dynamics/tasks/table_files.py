"""Tables of labelled texts in CSV, TSV or JSON, with columns found by name."""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from attn_dynamics.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Label = int | str | None
"""Type of a label: an integer, a name, or None if there is no label."""
Row = tuple[Label, str]
"""Type of a row: a label and a text."""

USUAL = {
    "text": ("text", "sentence", "review", "content", "document", "question", "tweet", "comment", "message", "body"),
    "label": ("label", "labels", "class", "category", "target", "sentiment", "polarity", "intent", "topic", "stars"),
}
"""Usual names of columns, tried in this order if no column is named."""
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_CHUNK = 20_000
"""Number of rows of a table in memory at a time."""
LONGEST_FIELD = 2**31 - 1
"""Number of characters that the csv module lets a field have; by default it refuses texts above 131,072."""


class Columns(NamedTuple):
    """Names of the columns of texts and labels; None to look for the usual names."""

    text: str | None = None
    label: str | None = None

    def find(self, part: str, names: Sequence[str]) -> str | None:
        """Return the column of the part "text" or "label" among the names of a table; None if there is none.

        A named column may be written in another case, if only one column has that name in any case.
        """
        asked, stripped = getattr(self, part), {name.strip(): name for name in reversed(names)}
        if asked is not None:
            alike = [whole for name, whole in stripped.items() if name.casefold() == asked.strip().casefold()]
            return stripped.get(asked.strip(), alike[0] if len(alike) == 1 else None)
        lower = {name.lower(): whole for name, whole in stripped.items()}
        return next((lower[usual] for usual in USUAL[part] if usual in lower), None)

    def choose(
        self, path: Path, names: Sequence[str], notes: list[str], *, needs_labels: bool
    ) -> tuple[str, str | None]:
        """Return the columns of texts and labels of a table, and note those that were guessed.

        Raises:
            InputError: there is no text column, or with `needs_labels` no label column.
        """
        text, label = self.find("text", names), self.find("label", names)
        missing = [part for part, lacks in (("text", text is None), ("label", needs_labels and label is None)) if lacks]
        if missing:
            named = [part for part in missing if getattr(self, part) is not None]
            raise self._not_found(path, (named or missing)[0], names)
        if None in self and label is not None:
            notes.append(f'Texts are read from the column "{text}" and labels from "{label}".')
        assert text is not None
        return text, label

    def _not_found(self, path: Path, part: str, names: Sequence[str]) -> InputError:
        asked, option = getattr(self, part), f"--{part}-column"
        present = "the columns " + ", ".join(repr(name[:40]) for name in names[:20])
        if asked is not None:
            given, fix = f"{asked!r}, which {path} does not hold", f"It holds {present}."
            return InputError(f"{part}_column", expected="the name of a column", given=given, fix=fix)
        fix = f"Name the column by {option}, or write the names of the columns into the first line."
        expected = f"a column of {part}s named {', '.join(USUAL[part])}"
        return InputError(str(path), expected=expected, given=present, fix=fix)


def as_label(text: str) -> Label:
    """Return the integer that a text spells, or else the text as a name; None if it is empty."""
    stripped = text.strip()
    return int(stripped) if _INTEGER.fullmatch(stripped) else stripped or None


class Labels:
    """Labels of a task, each read from its spelling in a file.

    Args:
        notes: list that receives a note if one integer has several spellings.
    """

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._read: dict[str, Label] = {}
        self._first: dict[Label, str] = {}

    def read(self, text: str) -> Label:
        """Return the label that a text spells, as `as_label` does, and note a second spelling."""
        if text not in self._read:
            label, written = as_label(text), text.strip()
            if (first := self._first.setdefault(label, written)) != written:
                self._notes.append(f"The labels {first} and {written} are one class, the same integer.")
            self._read[text] = label
        return self._read[text]


def separator(path: Path, first_line: str, columns: Columns) -> str | None:
    """Return the separator of the columns of a table; None for a file of "LABEL text" lines.

    A table is recognised by the columns that its first line names, or by the suffix of the file.
    """
    usual = next((_SEPARATORS[end] for end in map(str.lower, path.suffixes[-2:]) if end in _SEPARATORS), None)
    for mark in (",", "\t", ";"):
        names = [name.strip() for name in next(csv.reader([first_line], delimiter=mark), [])]
        found = [columns.find(part, names) is not None for part in ("text", "label")]
        if all(found) or (usual and found[0]):
            return mark
    lines_of_text = re.match(r"\s*[+-]?\d+\s", first_line) or (usual and usual not in first_line)
    if usual and not lines_of_text:
        return usual
    return ("\t" if "\t" in first_line else ",") if any(columns) else None


class TableFormat(NamedTuple):
    """Format of a table of separated columns."""

    separator: str
    """Separator between two columns."""
    quoted: bool = True
    """Whether fields may be in double quotes."""
    line_end: str | None = None
    """Line end; None for any usual one."""


def table_rows(
    path: Path,
    stream: TextIO,
    form: TableFormat,
    columns: Columns,
    labels: Labels,
    notes: list[str],
    *,
    needs_labels: bool,
) -> Iterator[Row]:
    """Yield the label and the text of each row of a table whose first line names its columns.

    Args:
        path: path of the file in error messages.
        stream: text of the table.
        form: format of the table.
        columns: columns of texts and labels.
        labels: labels of the task.
        notes: list that receives notes for the user.
        needs_labels: whether the table must have labels.

    Raises:
        InputError: a column is missing, there are no rows, a row is too long, or a needed label is missing.
    """
    chosen: tuple[str, str | None] | None = None
    number, unlabelled = 0, list[int]()
    for chunk in _chunks(path, stream, form):
        text, label = chosen = chosen or columns.choose(path, [*chunk], notes, needs_labels=needs_labels)
        written = chunk[label].tolist() if label is not None else repeat("", len(chunk))
        for given, content in zip(written, chunk[text].tolist(), strict=True):
            number += 1
            found = labels.read(given)
            if found is None and label is not None and needs_labels:
                unlabelled.append(number)
            elif not unlabelled:
                yield found, content
    if not number:
        fix = "Write rows below the header, or name another file."
        raise InputError(str(path), expected="labelled texts", given="a header and no rows", fix=fix)
    if unlabelled and chosen is not None:
        line, _ = next(islice(_records(stream, form), unlabelled[0], None))
        raise _no_label(f"{path}, line {line}", str(chosen[1]), more=len(unlabelled) - 1)


def _chunks(path: Path, stream: TextIO, form: TableFormat) -> Iterator[pd.DataFrame]:
    """Yield a table in chunks of rows, with strings as values."""
    import pandas as pd  # here, because it loads slowly and few tasks are tables

    chunks = None
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas would cut off surplus fields
                chunks = chunks or iter(pd.read_csv(stream, sep=form.separator, chunksize=_CHUNK, **_options(form)))
                chunk = next(chunks, None)
        except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
            raise _bad_row(path, stream, form, unclosed="EOF inside string" in str(error)) from None
        if chunk is None:
            return
        yield chunk


def _bad_row(path: Path, stream: TextIO, form: TableFormat, *, unclosed: bool) -> InputError:
    """Return the error on the first row that is longer than the header, or on the quote that is never closed."""
    line, width = 1, 0
    for line, row in _records(stream, form):
        width = width or len(row)
        if len(row) > width and not unclosed:
            given, fix = f"{len(row)} fields", "Put fields that hold the separator in double quotes."
            return InputError(
                f"{path}, line {line}", expected=f"{width} fields, as in the header", given=given, fix=fix
            )
    given, fix = "a double quote that is never closed", "Close it, or write a double quote within a text twice."
    return InputError(f"{path}, line {line}", expected="rows of separated fields", given=given, fix=fix)


def _records(stream: TextIO, form: TableFormat) -> Iterator[tuple[int, list[str]]]:
    """Yield the header and the rows of a table from its beginning, each after its line in the file.

    It tells where an error is, because pandas counts neither blank lines nor lines within quotes.
    """
    stream.seek(0)
    # The csv module ends a line at any carriage return.
    lines = (each.replace("\r", " ") for each in stream.read().split("\n")) if form.line_end == "\n" else stream
    quoting = csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE
    reader, line = csv.reader(lines, delimiter=form.separator, quoting=quoting), 1
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                yield line, row
            line = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def _options(form: TableFormat) -> Any:
    written = {"quoting": csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE, "lineterminator": form.line_end}
    return {**written, "dtype": str, "keep_default_na": False, "index_col": False}


def json_rows(
    path: Path,
    stream: TextIO,
    columns: Columns,
    labels: Labels,
    notes: list[str],
    *,
    needs_labels: bool,
    in_list: bool,
) -> Iterator[Row]:
    """Yield the label and the text of JSON objects, one a line or all in one list.

    Args:
        path: path of the file in error messages.
        stream: text of the file.
        columns: columns of texts and labels.
        labels: labels of the task.
        notes: list that receives notes for the user.
        needs_labels: whether every object must have a label.
        in_list: whether the file is one list.

    Raises:
        InputError: the file is not JSON, or an object lacks its text or a needed label.
    """
    chosen: tuple[str, str | None] | None = None
    for where, row in _objects(path, stream, in_list=in_list):
        text_column, label_column = chosen = chosen or columns.choose(path, [*row], notes, needs_labels=needs_labels)
        # If a split needs no labels, the first object or all objects may lack the key of the label.
        label_column = label_column or columns.find("label", [*row])
        text, label = row.get(text_column), _json_label(where, row.get(label_column or ""), labels)
        if not isinstance(text, str):
            fix = "Delete the row, or name another column by --text-column."
            raise InputError(where, expected=f"a text under {text_column!r}", given=json.dumps(text)[:40], fix=fix)
        if label is None and label_column is not None and needs_labels:
            raise _no_label(where, label_column)
        yield label, text


def _objects(path: Path, stream: TextIO, *, in_list: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of a JSON list, or of lines of JSON, after its position for error messages."""
    rows = enumerate(_parsed(str(path), stream.read()) if in_list else stream, 1)
    for number, row in rows:
        where = f"{path}, {'row' if in_list else 'line'} {number}"
        if not in_list:
            if not row.strip():
                continue
            row = _parsed(where, row)
        if not isinstance(row, dict):
            fix = 'Write each row as {"text": …, "label": …}.'
            raise InputError(where, expected="a JSON object", given=json.dumps(row)[:40], fix=fix)
        if row and all(isinstance(value, list) for value in row.values()):
            fix = "Write a list of rows, or one row on each line."
            raise InputError(where, expected="one text and its label", given="an object of whole columns", fix=fix)
        yield where, row


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = "JSON lines hold one whole object on each line."
        raise InputError(where, expected="JSON", given=error, fix=fix) from None


def _json_label(where: str, label: Any, labels: Labels) -> Label:
    match label:
        case None:
            return None
        case bool():
            return str(label).lower()
        case int():
            return label
        case float() if label.is_integer():
            return int(label)
        case str():
            return labels.read(label)
    fix = "Name the column of labels by --label-column."
    raise InputError(where, expected="a label, an integer or a name", given=json.dumps(label)[:40], fix=fix)


def _no_label(where: str, column: str, more: int = 0) -> InputError:
    fix = "Delete the row, or name another column by --label-column."
    given = f"none, nor in {more:,} more row{'s' * (more > 1)}" if more else "none"
    return InputError(where, expected=f"a label under {column!r}", given=given, fix=fix)
