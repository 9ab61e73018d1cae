"""Labelled texts of a file, read one by one: lines of "LABEL text", a table, or JSON."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TextIO

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.table_files import Columns, Label, Labels, Row, TableFormat, json_rows, separator, table_rows
from attn_dynamics.tasks.text_decoding import UTF_8, open_text

_SPARSE = re.compile(r"\s*(?:\d+:[\d.eE+-]+\s*)+")
"""Pattern of word numbers and counts, such as `0:9 1:1`, in the format of LIBSVM."""
_SAMPLE = 5
"""Number of lines at the start of a file; if all of them are sparse counts, its format is LIBSVM."""


@dataclass(frozen=True)
class RowReader:
    """Reader of the files of one task; it collects notes for the user."""

    encoding: str = UTF_8
    columns: Columns = field(default_factory=Columns)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def labels(self) -> Labels:
        """Return the labels of all files of this reader."""
        return Labels(self.notes)

    def rows(self, path: Path, *, needs_labels: bool = True) -> Iterator[Row]:
        """Yield the label and the text of each line or row; without `needs_labels` a table may lack its labels.

        Raises:
            InputError: a line or row is no labelled text; the message names it.
            OSError: the file cannot be read.
        """
        none = True
        with open_text(path, self.encoding) as (stream, head):
            for row in self._parsed(path, stream, head, needs_labels):
                none = False
                yield row
        if none:
            fix = "Fill it, or name another."
            raise InputError(str(path), expected='lines of "LABEL text"', given="an empty file", fix=fix)

    def _parsed(self, path: Path, stream: TextIO, head: str, needs_labels: bool) -> Iterator[Row]:
        first = next((line for line in re.split("[\r\n]+", head) if line.strip()), "")
        beginning, shared = first.lstrip()[:1], (self.columns, self.labels, self.notes)
        if beginning == "{" or (beginning == "[" and ".json" in path.suffixes):
            in_list = beginning == "["
            return json_rows(path, stream, *shared, needs_labels=needs_labels, in_list=in_list)
        mark = separator(path, first, self.columns)
        if mark is not None:
            quoted = mark != "\t" or first.startswith('"')  # a TSV file has quotes only if it begins with one
            # If lines end in \n alone, a carriage return is white space within a text.
            form = TableFormat(mark, quoted=quoted, line_end="\n" if "\n" in head and "\r\n" not in head else None)
            return table_rows(path, stream, form, *shared, needs_labels=needs_labels)
        return labelled_lines(str(path), stream, self.labels)


def labelled_lines(name: str, stream: TextIO, known: Labels) -> Iterator[Row]:
    """Yield label and text of lines "LABEL text"; either all labels are integers or none is.

    Args:
        name: name of the file in error messages.
        stream: lines with their ends as in the file.
        known: labels of the task so far.

    Raises:
        InputError: a line is no labelled text; the message names it.
    """
    labels: dict[str, Label] = {}
    rows, sparse, first_end, text = 0, 0, "", ""
    for number, line in enumerate(stream, 1):
        end = line[-1:]
        if end in ("\n", "\r"):
            first_end = first_end or end
            if end != first_end:
                raise _mixed_line_ends(name, number)
        fields = line.split(maxsplit=1)
        if not fields:
            continue
        if len(fields) < 2:
            raise _no_labelled_line(f"{name}, line {number}", line, next(iter(labels.values()), None))
        label, text = fields
        if label not in labels:
            found = known.read(label)
            of_another_kind = labels and type(found) is not type(next(iter(labels.values())))
            if of_another_kind or "," in label or '"' in label:
                raise _no_labelled_line(f"{name}, line {number}", line, next(iter(labels.values()), None))
            labels[label] = found
        if sparse == rows and _SPARSE.fullmatch(text):
            sparse += 1
            if sparse == _SAMPLE:
                raise _sparse_counts(name, text)
        rows += 1
        yield labels[label], text
    if sparse and sparse == rows:
        raise _sparse_counts(name, text)


def _no_labelled_line(where: str, line: str, earlier: Label) -> InputError:
    label = "an integer label" if isinstance(earlier, int) else "a label"
    given, fix = repr(" ".join(line.split())[:40]), "Write the line as LABEL text, or delete it."
    if earlier is None:
        fix += " The first line of a table must name its columns."
    else:
        fix += " Either all labels are integers, or none is."
    return InputError(where, expected=f"{label}, white space and text", given=given, fix=fix)


def _mixed_line_ends(name: str, number: int) -> InputError:
    fix = "End all lines alike, for example with \\n."
    given = "a lone carriage return beside other line ends"
    return InputError(f"{name}, line {number}", expected="one kind of line end", given=given, fix=fix)


def _sparse_counts(name: str, text: str) -> InputError:
    fix = "Write the words themselves; from Python, Corpus.from_tokens takes numbered words."
    return InputError(
        name, expected='lines of "LABEL text"', given=f"sparse counts, as in {text.strip()[:40]!r}", fix=fix
    )
