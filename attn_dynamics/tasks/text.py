"""Tasks from labelled text: from files of lines or tables, or from streams of labels and texts."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attn_dynamics.check import instance, integer, one_of, reals, shown
from attn_dynamics.errors import InputError
from attn_dynamics.tasks.class_labels import can_be_written, check_classes, check_label, class_notes, in_order, left_out
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.preparation import PREPARATIONS, SpellingWatch
from attn_dynamics.tasks.split_files import choose_files
from attn_dynamics.tasks.table_files import Columns, Label
from attn_dynamics.tasks.task import Task
from attn_dynamics.tasks.text_decoding import UTF_8, check_encoding
from attn_dynamics.tasks.text_rows import RowReader

VOCABULARIES = ("all", "train")
"""Vocabularies by name: the words of all splits, or of the training data alone."""

_SPLITS = ("train", "dev", "test")
_ENOUGH = 10
"""Smallest number of training sentences of which most should not be single words."""

_Rows = Iterable[tuple[Label, str]]


def text_task(
    path: str | Path,
    *,
    preparation: str = "lmn21",
    vocabulary: str = "all",
    split: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    encoding: str = UTF_8,
    text_column: str | None = None,
    label_column: str | None = None,
    name: str | None = None,
    prefer: str | None = None,
) -> Task:
    """Read labelled texts: lines of "LABEL text", tables (CSV, TSV) or JSON (lines or a list), compressed or not.

    Labels are integers or names. Sorted, they become the classes 0 … n - 1, and `Corpus.class_names` keeps them.
    Sentences without words are dropped. `Task.notes` reports what was dropped, guessed or left out.

    Args:
        path: a file, which is shuffled and split; a folder with files `…train…`, `…test…` and perhaps `…dev…` (or
            `…val…`, `…valid…`, `…validation…`); or, if a folder holds several such sets, folder/prefix of one:
            `sst/stsa.binary`.
        preparation: a name in PREPARATIONS.
        vocabulary: a name in VOCABULARIES; "train" drops other words from dev and test.
        split: (3,) shares of train, dev and test in a single file; a split of share 0 is omitted.
        seed: random seed of the shuffle of a single file.
        encoding: encoding of the files; a byte order mark overrides it.
        text_column: name of a table's column of texts; by default one with a usual name, such as "text".
        label_column: name of a table's column of labels; by default one with a usual name, such as "label".
        name: name of the task; by default the path.
        prefer: prefix of the set to take if a folder holds several.

    Raises:
        InputError: a path, a line, an encoding, an option or the labels cannot be used.

    Example:
        >>> import pandas as pd
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> films = pd.DataFrame({"text": ["a good film", "a bad film"] * 5, "label": ["pos", "neg"] * 5})
        >>> with TemporaryDirectory() as folder:
        ...     films.to_csv(Path(folder, "films.csv"), index=False)
        ...     task = text_task(Path(folder, "films.csv"))
        >>> task.train.n_sentences, task.train.class_names
        (8, ('neg', 'pos'))
        >>> task.notes[0]
        'Texts are read from the column "text" and labels from "label".'
    """
    if not isinstance(path, str | Path):
        raise InputError("path", expected="a path", given=shown(path), fix="Give a text or a pathlib.Path.")
    path, name, seed = Path(path), name or str(path), integer("seed", seed, 0, most=None)
    _check_options(preparation, vocabulary)
    check_encoding(encoding)
    for option, column in {"text_column": text_column, "label_column": label_column}.items():
        if column is not None:
            instance(option, column, str, fix="Give the name of a column, or leave it out.")
    reader = RowReader(encoding, Columns(text_column, label_column))
    try:
        if path.is_dir() or not path.exists():
            files, unread = choose_files(path, prefer)
            if unread:
                reader.notes.append(f"Not read, because no split of this task has such a name: {', '.join(unread)}.")
            splits = {part: reader.rows(file, needs_labels=part == "train") for part, file in files.items()}
            return _from_splits(name, splits, preparation, vocabulary, reader.notes)
        _check_fractions(split)
        sentences = _number([reader.rows(path)], preparation)
    except OSError as error:
        given, fix = error.strerror or error, "Check its permissions, or name another path."
        raise InputError(str(error.filename or path), expected="to read this path", given=given, fix=fix) from error
    order = np.random.default_rng(seed).permutation(sentences.codes.size)
    parts = np.split(order, np.rint(np.cumsum(split[:2]) * order.size).astype(np.int64))
    named = {part: rows for part, rows, fraction in zip(_SPLITS, parts, split, strict=True) if fraction > 0}
    return _assemble(name, sentences, named, preparation, vocabulary, reader.notes)


def task_from_splits(
    name: str, splits: Mapping[str, _Rows], *, preparation: str = "lmn21", vocabulary: str = "all"
) -> Task:
    """Make a task from streams of (label, text), by split: "train" and perhaps "dev" and "test".

    Raises:
        InputError: an option is unknown, a split keeps no sentence, or there is a single class.
    """
    _check_options(preparation, vocabulary)
    return _from_splits(name, splits, preparation, vocabulary, [])


def _from_splits(name: str, splits: Mapping[str, _Rows], preparation: str, vocabulary: str, notes: list[str]) -> Task:
    names = [part for part in _SPLITS if part in splits]
    sentences = _number((splits[part] for part in names), preparation)
    parts = np.split(np.arange(sentences.codes.size), sentences.ends[:-1])
    return _assemble(name, sentences, dict(zip(names, parts, strict=True)), preparation, vocabulary, notes)


class _Sentences(NamedTuple):
    """All N sentences, including those without words."""

    tokens: csr_array
    """Tokens (N, V), an entry for each, so that repeated words are not summed."""
    codes: NDArray[np.int64]
    """Indices (N,) into `labels`."""
    labels: tuple[Label, ...]
    """Labels that occur, in order of first appearance."""
    words: tuple[str, ...]
    ends: list[int]
    """Number of sentences in each stream and those before it."""
    notes: list[str]


def _number(streams: Iterable[_Rows], preparation: str) -> _Sentences:
    # Word numbers take a tenth of the memory of strings.
    tokens, offsets, codes, words, ends = array("i"), array("i", [0]), array("q"), dict[str, int](), list[int]()
    labels, prepare, watch = dict[Label, int](), PREPARATIONS[preparation], SpellingWatch(preparation)
    for rows in streams:
        for label, text in rows:
            if not can_be_written(text):
                given = f"a NUL character or half a surrogate pair in {text[:40]!r}"
                fix = "Delete it, or name the encoding of the file."
                raise InputError("text", expected="characters that files of results can hold", given=given, fix=fix)
            watch.see(text)
            tokens.extend(words.setdefault(word, len(words)) for word in prepare(text))
            offsets.append(len(tokens))
            if label not in labels:
                labels[check_label(label)] = len(labels)
            codes.append(labels[label])
        ends.append(len(codes))
    entries = (np.ones(len(tokens), np.int8), np.asarray(tokens), np.asarray(offsets))
    counts = csr_array(entries, shape=(len(codes), len(words)))
    return _Sentences(counts, np.asarray(codes), tuple(labels), tuple(words), ends, watch.notes)


def _assemble(
    name: str,
    sentences: _Sentences,
    parts: Mapping[str, NDArray[np.int64]],
    preparation: str,
    vocabulary: str,
    notes: Sequence[str],
) -> Task:
    without = left_out(sentences.labels, {part: sentences.codes[rows] for part, rows in parts.items()})
    parts = {part: rows for part, rows in parts.items() if part not in without}
    counted = parts if vocabulary == "all" else ["train"]
    spoken = (memoryview(sentences.tokens[parts[part]].indices) for part in counted)
    order = list(dict.fromkeys(chain.from_iterable(spoken)))  # in order of first appearance
    tokens, codes, dropped, found_notes = {}, {}, {}, []
    for part, rows in parts.items():
        prepared = sentences.tokens[rows]
        known = prepared[:, order]
        filled = np.diff(known.indptr) > 0
        tokens[part], codes[part] = known[filled], sentences.codes[rows][filled]
        dropped[part] = np.count_nonzero(~filled)
        found_notes += _dropped(part, np.diff(prepared.indptr) > 0, filled, preparation)
        if not filled.any():
            subject, fix = f"{name}, {part} data", "Add sentences, or choose another preparation, vocabulary or split."
            raise InputError(subject, expected="at least one sentence with known words", given="none", fix=fix)
    names, ranks = in_order(sentences.labels, codes)
    classes = {part: ranks[each] for part, each in codes.items()}
    check_classes(name, names, classes)
    words = tuple(sentences.words[number] for number in order)
    corpora = {
        part: Corpus.from_tokens(kept.indices, kept.indptr, classes[part], words, class_names=names)
        for part, kept in tokens.items()
    }
    found_notes += [*sentences.notes, *_one_word_notes(tokens["train"]), *class_notes(names, classes)]
    found_notes = [*dict.fromkeys(notes), *without.values(), *found_notes]
    dev, test = corpora.get("dev"), corpora.get("test")
    return Task(name=name, train=corpora["train"], dev=dev, test=test, notes=tuple(found_notes), dropped=dropped)


def _dropped(part: str, prepared: NDArray[np.bool_], known: NDArray[np.bool_], preparation: str) -> list[str]:
    reasons = {
        f'without words after the preparation "{preparation}"': np.count_nonzero(~prepared),
        "without words of the training vocabulary": np.count_nonzero(prepared & ~known),
    }
    dropped = " and ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return [f"Of {known.size:,} {part} sentences, dropped {dropped}."] if dropped else []


def _one_word_notes(train: csr_array) -> list[str]:
    """Return a note if most training sentences are single words, as in scripts without spaces."""
    words = np.diff(train.indptr)
    n_sentences, single = words.size, np.count_nonzero(words == 1)
    if n_sentences < _ENOUGH or 2 * single <= n_sentences:
        return []
    return [
        f"{single:,} of {n_sentences:,} training sentences are a single word, so attention has nothing to choose. "
        "A text without spaces between its words must be segmented first."
    ]


def _check_options(preparation: str, vocabulary: str) -> None:
    one_of("preparation", preparation, PREPARATIONS)
    one_of("vocabulary", vocabulary, VOCABULARIES)


def _check_fractions(split: Sequence[float]) -> None:
    shares = reals("split", split)
    if not (shares.shape == (3,) and shares[0] > 0 and min(shares) >= 0 and abs(sum(shares) - 1) <= 1e-9):
        subject, expected = "split", "fractions for train (above 0), dev and test that sum to 1"
        raise InputError(subject, expected=expected, given=tuple(shares.tolist()), fix="Give for example 0.8 0.1 0.1.")
