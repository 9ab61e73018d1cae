"""Tasks from labelled text: files of "LABEL text" lines, or any streams of labels and texts."""

import codecs
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attn_dynamics.check import one_of, reals, shown
from attn_dynamics.corpus import Corpus
from attn_dynamics.errors import InputError
from attn_dynamics.tasks.task import Task

PREPARATIONS: dict[str, Callable[[str], list[str]]] = {
    "lmn21": lambda text: re.sub(r"[^\w\s]", "", text).split(),
    "whitespace": str.split,
}
"""From a text to its words: LMN21 deletes punctuation and splits on white space, keeping upper case."""
VOCABULARIES = ("all", "train")
"""The words of all splits, or those of the training data alone."""
RENAME = 'Names become integers by: sed "s/^bad[[:space:]]/0 /; s/^good[[:space:]]/1 /" OLD > NEW.'
"""What to do where labels are names; it gives the files of one task the same integers."""

_SPLITS = ("train", "dev", "test")
# The prefix is greedy so that the last split name counts: "latest.train" is training data.
_FILE_NAME = re.compile(r"(?P<prefix>.*)(?P<split>train|dev|test)(?P<suffix>\.\w+)?")

_Rows = Iterable[tuple[int, str]]


def text_task(
    path: str | Path,
    *,
    preparation: str = "lmn21",
    vocabulary: str = "all",
    split: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    encoding: str = "utf-8",
    name: str | None = None,
    prefer: str | None = None,
) -> Task:
    """Read lines of "LABEL text"; any integers label, and their order over the sentences kept numbers the classes.

    Sentences without words are dropped; `Task.notes` says how many.

    Args:
        path: a file, which is shuffled and split; a folder with files `…train…`, `…test…` and perhaps `…dev…`;
            or, where a folder holds several such sets, folder/prefix of one: `sst/stsa.binary`.
        preparation: a name in PREPARATIONS.
        vocabulary: a name in VOCABULARIES; with "train", other words of dev and test are left out.
        split: (3,) fractions of a single file for train, dev and test; a split of fraction 0 is left out.
        seed: of the shuffle of a single file.
        encoding: of the files.
        name: of the task; otherwise the path.
        prefer: prefix of the set to take where a folder holds several.

    Raises:
        InputError: a path, a line, an encoding or an option cannot be used, or a split or all but one class is empty.
    """
    if not isinstance(path, str | Path):
        raise InputError("path", expected="a path", given=shown(path), fix="Give a text or a pathlib.Path.")
    path, name = Path(path), name or str(path)
    _check_options(preparation, vocabulary)
    try:
        if path.is_dir() or not path.exists():
            rows = {part: _rows(file, encoding) for part, file in _choose_set(path, prefer).items()}
            return task_from_splits(name, rows, preparation=preparation, vocabulary=vocabulary)
        _check_fractions(split)
        sentences = _number([_rows(path, encoding)], preparation)
    except OSError as error:
        given, fix = error.strerror or error, "Check its permissions, or name another path."
        raise InputError(str(error.filename or path), expected="to read this path", given=given, fix=fix) from error
    order = np.random.default_rng(seed).permutation(sentences.labels.size)
    parts = np.split(order, np.rint(np.cumsum(split[:2]) * order.size).astype(np.int64))
    named = {part: rows for part, rows, fraction in zip(_SPLITS, parts, split, strict=True) if fraction > 0}
    return _assemble(name, sentences, named, preparation, vocabulary)


def task_from_splits(
    name: str, splits: Mapping[str, _Rows], *, preparation: str = "lmn21", vocabulary: str = "all"
) -> Task:
    """Make the same from streams of (label, text), by split: "train" and perhaps "dev" and "test".

    Raises:
        InputError: an unknown option, a split in which no sentence is left, or a single class.
    """
    _check_options(preparation, vocabulary)
    names = [part for part in _SPLITS if part in splits]
    sentences = _number((splits[part] for part in names), preparation)
    parts = np.split(np.arange(sentences.labels.size), sentences.ends[:-1])
    return _assemble(name, sentences, dict(zip(names, parts, strict=True)), preparation, vocabulary)


class _Sentences(NamedTuple):
    """N sentences as they were read, those without words included."""

    tokens: csr_array
    """(N, V): an entry a token, repeats apart."""
    labels: NDArray[np.int64]
    words: tuple[str, ...]
    ends: list[int]
    """Sentences up to the end of each stream."""


def _number(streams: Iterable[_Rows], preparation: str) -> _Sentences:
    # Of the text only numbers are kept: strings would take ten times the memory.
    tokens, offsets, labels, words, ends = array("i"), array("i", [0]), array("q"), dict[str, int](), list[int]()
    for rows in streams:
        for label, text in rows:
            tokens.extend(words.setdefault(word, len(words)) for word in PREPARATIONS[preparation](text))
            offsets.append(len(tokens))
            labels.append(label)
        ends.append(len(labels))
    entries = (np.ones(len(tokens), np.int8), np.asarray(tokens), np.asarray(offsets))
    return _Sentences(csr_array(entries, shape=(len(labels), len(words))), np.asarray(labels), tuple(words), ends)


def _assemble(
    name: str, sentences: _Sentences, parts: Mapping[str, NDArray[np.int64]], preparation: str, vocabulary: str
) -> Task:
    counted = parts if vocabulary == "all" else ["train"]
    spoken = (memoryview(sentences.tokens[parts[part]].indices) for part in counted)
    order = list(dict.fromkeys(chain.from_iterable(spoken)))  # of first appearance
    tokens, labels, notes = {}, {}, []
    for part, rows in parts.items():
        prepared = sentences.tokens[rows]
        known = prepared[:, order]
        filled = np.diff(known.indptr) > 0
        tokens[part], labels[part] = known[filled], sentences.labels[rows][filled]
        notes += _notes(part, np.diff(prepared.indptr) > 0, filled, preparation)
    classes = _classes(name, labels)
    words = tuple(sentences.words[number] for number in order)
    corpora = {}
    for part, kept in tokens.items():
        ranks = np.searchsorted(classes, labels[part])
        corpora[part] = Corpus.from_tokens(kept.indices, kept.indptr, ranks, words, n_classes=classes.size)
    dev, test = corpora.get("dev"), corpora.get("test")
    return Task(name=name, train=corpora["train"], dev=dev, test=test, notes=tuple(notes))


def _classes(name: str, labels: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """(n,) the labels in order; class c is the c-th."""
    for part in labels:
        if labels[part].size == 0:
            subject, fix = f"{name}, {part} data", "Add sentences, or choose another preparation, vocabulary or split."
            raise InputError(subject, expected="at least one sentence with known words", given="none", fix=fix)
    classes = np.unique(np.concatenate(list(labels.values())))
    if classes.size < 2:
        given, fix = f"only the label {classes[0]}", "Add sentences with another label."
        raise InputError(name, expected="at least two different labels", given=given, fix=fix)
    return classes


def _notes(part: str, prepared: NDArray[np.bool_], known: NDArray[np.bool_], preparation: str) -> list[str]:
    reasons = {
        f'without words after the preparation "{preparation}"': np.count_nonzero(~prepared),
        "without words of the training vocabulary": np.count_nonzero(prepared & ~known),
    }
    dropped = " and ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return [f"Of {known.size:,} {part} sentences, dropped {dropped}."] if dropped else []


def _rows(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    blank = True
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            fields = _fields(line, encoding, f"{path}, line {number}")
            if fields:
                blank = False
                yield fields
    if blank:
        given, fix = "an empty file", "Fill it, or name another."
        raise InputError(str(path), expected='lines of "LABEL text"', given=given, fix=fix)


def _fields(line: bytes, encoding: str, where: str) -> tuple[int, str] | None:
    try:
        fields = line.decode(encoding).rstrip().split(maxsplit=1)
    except (LookupError, ValueError) as error:
        fix = "Name the encoding of the file, for example --encoding latin-1, or save it as UTF-8."
        raise InputError(where, expected=f"text encoded in {encoding}", given=error, fix=fix) from error
    try:
        return (int(np.int64(fields[0])), fields[1]) if fields else None
    except (ValueError, OverflowError, IndexError):
        given = repr(" ".join(fields)[:40])
        fix = f"Write the line as LABEL text with an integer for a label, or delete it. {RENAME}"
        raise InputError(where, expected="an integer label, white space and text", given=given, fix=fix) from None


def _choose_set(path: Path, prefer: str | None) -> dict[str, Path]:
    """The files of one set by split."""
    folder, wanted = (path, prefer) if path.is_dir() else (path.parent, path.name)
    found = _sets(folder)
    named = {key: files for key, files in found.items() if wanted is not None and _bare(key[0]) == _bare(wanted)}
    sets = named or (found if path == folder else {})
    sets = {key: files for key, files in sets.items() if "train" in files} or sets
    if prefer is not None and not named and len(sets) == 1 and _bare(next(iter(sets))[0]):
        given, fix = (
            f"only the set {next(iter(sets))[0]}*",
            "Name the set itself as the task, if that is what you want.",
        )
        raise InputError(str(path), expected=f"files named {prefer}.train and so on", given=given, fix=fix)
    if not sets:
        expected = "a file, a folder with files named like train.txt and test.txt, or the prefix of such files"
        fix = "Check the spelling, or name one file to have it split."
        raise InputError(str(path), expected=expected, given="no such file or set of files", fix=fix)
    if len(sets) > 1:
        given = f"{len(sets)} sets, {' and '.join(f'{prefix}*{suffix}' for prefix, suffix in sorted(sets))}"
        fix = f"Name one by its prefix, as in {folder / _bare(max(sets)[0])}, or move it to a folder of its own."
        raise InputError(str(path), expected="one set of files", given=given, fix=fix)
    (files,) = sets.values()
    if not {"train", "test"} <= files.keys():
        given = f"only {' and '.join(sorted(file.name for file in files.values()))}"
        fix = "Add the one that is missing, or name one file to have it split."
        raise InputError(str(path), expected="both a train and a test file", given=given, fix=fix)
    return files


def _sets(folder: Path) -> dict[tuple[str, str], dict[str, Path]]:
    """By prefix and suffix, the files of each set by split."""
    sets: dict[tuple[str, str], dict[str, Path]] = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        match = _FILE_NAME.fullmatch(file.name)
        if match and file.is_file():
            sets.setdefault((match["prefix"], match["suffix"] or ""), {})[match["split"]] = file
    return sets


def _bare(prefix: str) -> str:
    return prefix.rstrip("._-")


def _check_options(preparation: str, vocabulary: str) -> None:
    options = (("preparation", preparation, tuple(PREPARATIONS)), ("vocabulary", vocabulary, VOCABULARIES))
    for option, given, known in options:
        one_of(option, given, known)


def _check_fractions(split: Sequence[float]) -> None:
    split = reals("split", split)
    if not (split.shape == (3,) and split[0] > 0 and min(split) >= 0 and abs(sum(split) - 1) <= 1e-9):
        subject, expected = "split", "fractions for train (above 0), dev and test that sum to 1"
        raise InputError(subject, expected=expected, given=tuple(split.tolist()), fix="Give for example 0.8 0.1 0.1.")
