"""Labels as written become classes 0 … n - 1; labels that cannot be classes are refused."""

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import index

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.table_files import Label

Codes = NDArray[np.int64]
"""Type of an array (N,) of indices into a sequence of labels."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_FEW = 10
"""Largest number of classes of which each may have a single sentence, as in an example by hand."""
_LISTED = 12
"""Number of classes listed in a note."""


def can_be_written(text: str) -> bool:
    """Return whether files of results can hold a text, which must have no NUL and no unpaired surrogate."""
    return "\0" not in text and (text.isascii() or _SURROGATE.search(text) is None)


def check_label(label: object) -> Label:
    """Return a label after a check that it is an integer, a name or None.

    Raises:
        InputError: the label is anything else.
    """
    if label is None or (isinstance(label, str) and label and can_be_written(label)):
        return label
    try:
        return index(label)  # pyright: ignore[reportArgumentType]
    except TypeError:
        fix = "Give the number or the name of a class."
        raise InputError("label", expected="an integer or a name", given=repr(label)[:40], fix=fix) from None


def left_out(labels: Sequence[Label], codes: Mapping[str, Codes]) -> dict[str, str]:
    """Return a note for each split to leave out, which has no labels, or a single label that training lacks.

    Args:
        labels: all labels.
        codes: index of each sentence's label by split, including "train".

    Raises:
        InputError: a split lacks some of its labels, or none of its several labels occurs in training.
    """
    found = {part: {labels[code] for code in np.unique(each)} for part, each in codes.items()}
    notes = {}
    for part, names in found.items():
        if names and names.isdisjoint(found["train"]):
            if len(names) > 1:
                given = _listed(names)
                fix = "Label all splits alike. A table without labels is left out."
                expected = f"labels of the training data ({_listed(found['train'])})"
                raise InputError(f"{part} data", expected=expected, given=given, fix=fix)
            only = "no labels" if names == {None} else f"only the label {_listed(names)}, which training lacks"
            stop = " Training does not stop early." if part == "dev" else ""
            notes[part] = f"The {part} data are left out, because they have {only}.{stop}"
        elif None in names:
            count = np.count_nonzero(codes[part] == labels.index(None))
            given, fix = f"{count:,} sentences without", "Delete these, or label them."
            raise InputError(f"{part} data", expected="a label for every sentence", given=given, fix=fix)
    return notes


def in_order(labels: Sequence[Label], codes: Mapping[str, Codes]) -> tuple[tuple[str, ...], Codes]:
    """Return the names of the classes, and the class of each label, -1 if the label does not occur.

    Integers are sorted as integers; if any label is a name, all labels are sorted as names.
    """
    used = np.unique(np.concatenate(list(codes.values())))
    plain = all(not isinstance(labels[code], str) for code in used)
    known = {code: int(labels[code] or 0) if plain else str(labels[code]) for code in used.tolist()}
    ordered = sorted(set(known.values()))
    rank = {name: number for number, name in enumerate(ordered)}
    return tuple(map(str, ordered)), np.array([rank[known[c]] if c in known else -1 for c in range(len(labels))])


def check_classes(name: str, names: Sequence[str], classes: Mapping[str, Codes]) -> None:
    """Check that labels can be classes.

    Args:
        name: name of the task.
        names: names of the n classes.
        classes: class of each sentence by split, including "train".

    Raises:
        InputError: training has one class, or most of many classes have a single sentence.
    """
    trained = np.unique(classes["train"])
    if trained.size < 2:
        given, fix = f"only the label {names[trained[0]]}", "Add sentences with another label."
        raise InputError(name, expected="at least two different labels in the training data", given=given, fix=fix)
    sizes = np.bincount(np.concatenate(list(classes.values())))
    single = np.count_nonzero(sizes == 1)
    if len(names) > _FEW and 2 * single > len(names):
        raise InputError(
            name,
            expected="labels that many sentences share",
            given=f"{len(names):,} labels for {sizes.sum():,} sentences, {single:,} of them for one sentence each",
            fix="Perhaps a row number, a measured value or a first word was taken for the label. "
            "Begin each line with the label, or name the column by --label-column.",
        )


def listed(names: Sequence[str]) -> str:
    """Return the first classes with their numbers, and the count of the others."""
    text = ", ".join(f"{name} = {number}" for number, name in enumerate(names[:_LISTED]))
    return text if len(names) <= _LISTED else f"{text} and {len(names) - _LISTED:,} more; summary.json lists all"


def class_notes(names: Sequence[str], classes: Mapping[str, Codes]) -> list[str]:
    """Return notes for the user about the classes."""
    notes, trained = [], np.unique(classes["train"])
    if not all(name.lstrip("+-").isdigit() for name in names):
        notes.append(f"Classes: {listed(names)}.")
    if all(":" in name.strip(":") for name in names):
        notes.append(
            f"All labels have two parts, as in {names[0]}, and each pair is a class. "
            "To classify by the first part, delete the colon and the second part."
        )
    if len(names) == sum(each.size for each in classes.values()):
        notes.append("There are as many classes as sentences: is the label a row number?")
    for part, each in classes.items():
        unknown = ~np.isin(each, trained)
        if unknown.any():
            labels = _listed([names[int(number)] for number in np.unique(each[unknown])])
            notes.append(
                f"Of {each.size:,} {part} sentences, {np.count_nonzero(unknown):,} have labels that training lacks "
                f"({labels}), so the model cannot learn them."
            )
    return notes


def _listed(labels: Iterable[Label]) -> str:
    names = sorted("none" if label is None else str(label) for label in labels)
    return ", ".join(names[:_LISTED]) + (" and more" if len(names) > _LISTED else "")
