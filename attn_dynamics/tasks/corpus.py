"""Corpora: the words of each sentence as sparse counts, and its class."""

from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse

from attn_dynamics.check import integer, shown, words
from attn_dynamics.errors import InputError

LARGEST = 2**31 - 1
"""Largest value of the kernels' 32-bit integers."""
_VECTORS = {
    "labels": ("a sequence of integers or of names, one for each sentence", "Number the classes 0, 1, 2, …"),
    "tokens": ("a vector of integers, one for each token", "Number words by their index in the vocabulary."),
    "rows": ("a vector of integers, one for each sentence", "Number sentences by their index in the corpus."),
    "offsets": ("a vector of integers, N + 1 for N sentences", "Give numpy.cumsum([0, *lengths])."),
}
"""Expected form of each vector of integers, and the advice if it has another."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Corpus:
    """N labelled bags of words over a vocabulary of V words (theory §1).

    Sentences are ragged and may repeat words. `n_classes` may exceed the number of classes that occur.

    Raises:
        InputError: a sentence without words, a label outside 0 … n_classes - 1, fewer than two classes, counts beyond
            32 bits, a repeated word or class name, or shapes that do not fit together.

    Example:
        >>> corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], labels=["pos", "neg"])
        >>> corpus.vocabulary, corpus.class_names, corpus.labels.tolist()
        (('good', 'film', 'bad'), ('neg', 'pos'), [1, 0])
        >>> corpus.counts.toarray().tolist()
        [[1, 1, 0], [0, 1, 1]]
    """

    counts: csr_array
    """Counts C (N, V) of word w in sentence i; int32, sorted, one entry for each word of a sentence."""
    labels: NDArray[np.int64]
    """Labels y (N,): the class of each sentence."""
    vocabulary: tuple[Hashable, ...]
    """Vocabulary of V words in the order of the columns of `counts`."""
    n_classes: int
    """Number n of classes."""
    class_names: tuple[str, ...] = ()
    """Name of each class; empty if classes are only numbered."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _canonical(self.counts))
        object.__setattr__(self, "labels", _integers("labels", self.labels))
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        object.__setattr__(self, "n_classes", integer("n_classes", self.n_classes, 0))
        n_sentences, n_words = self.counts.shape  # pyright: ignore[reportGeneralTypeIssues]
        _check_labels(self.labels, n_sentences, self.n_classes)
        if n_words != len(self.vocabulary):
            expected, fix = f"{n_words} words, one a column of counts", "Give counts and vocabulary in the same order."
            raise InputError("vocabulary", expected=expected, given=f"{len(self.vocabulary)} words", fix=fix)
        if self.class_names and len(self.class_names) != self.n_classes:
            expected, fix = f"{self.n_classes} names, one for each class", "Name the classes that do not occur, too."
            raise InputError("class_names", expected=expected, given=len(self.class_names), fix=fix)
        _numbered("vocabulary", self.vocabulary)
        _numbered("class_names", self.class_names)
        _check_filled(self.counts.indptr)

    @classmethod
    def from_sentences(
        cls,
        sentences: Iterable[Sequence[Hashable]],
        labels: ArrayLike,
        *,
        vocabulary: Iterable[Hashable] | None = None,
        n_classes: int | None = None,
        class_names: Sequence[str] = (),
    ) -> Self:
        """Count the words of each sentence, in O(tokens) time and 4 bytes a token beside the result.

        Args:
            sentences: N sequences of hashable words.
            labels: (N,) integers from 0, or names of classes, which `class_names` keeps.
            vocabulary: the V words in the desired order; by default the order of first appearance.
            n_classes: number n of classes; by default the number of names, or the largest label + 1.
            class_names: the n names in the desired order; by default the names among the labels, sorted.

        Raises:
            InputError: as the class raises it, or a word or a class is not among those given.
        """
        if isinstance(sentences, str | bytes) or not isinstance(sentences, Iterable):
            raise InputError("sentences", expected="a collection", given=shown(sentences), fix="Give a list.")
        index = _numbered("vocabulary", words("vocabulary", () if vocabulary is None else vocabulary))
        tokens, offsets = array("i"), array("q", [0])
        for row, sentence in enumerate(sentences):
            if isinstance(sentence, str | bytes | bytearray) or not isinstance(sentence, Iterable):
                fix = "Split a text into its words: sentence.split()."
                raise InputError(f"sentence {row}", expected="a sequence of words", given=shown(sentence), fix=fix)
            if vocabulary is None:
                tokens.extend(_tally(index, sentence, row))
            else:
                tokens.extend(_look_up(index, sentence, f"sentence {row}"))
            offsets.append(len(tokens))
        numbers, ends = np.frombuffer(tokens, np.int32), np.frombuffer(offsets, np.int64)
        return cls.from_tokens(numbers, ends, labels, tuple(index), n_classes=n_classes, class_names=class_names)

    @classmethod
    def from_tokens(
        cls,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        labels: ArrayLike,
        vocabulary: Sequence[Hashable],
        *,
        n_classes: int | None = None,
        class_names: Sequence[str] = (),
    ) -> Self:
        """Make a corpus from numbered words: sentence i is tokens[offsets[i]:offsets[i + 1]].

        Args:
            tokens: index in the vocabulary of each word, sentence by sentence.
            offsets: (N + 1,) index of the first token of each sentence, then the number of tokens.
            labels: (N,) integers from 0, or names of classes.
            vocabulary: the V words.
            n_classes: number n of classes; by default the number of names, or the largest label + 1.
            class_names: the n names in the desired order; by default the names among the labels, sorted.

        Raises:
            InputError: as the class raises it, a token is outside 0 … V - 1, or offsets omit tokens.
        """
        labels, class_names = _classes(labels, tuple(class_names))
        numbers, offsets = _vector("tokens", tokens), _integers("offsets", offsets)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(vocabulary):
            expected = f"word numbers from 0 to {len(vocabulary) - 1}"
            given = f"numbers from {numbers.min()} to {numbers.max()}"
            raise InputError("tokens", expected=expected, given=given, fix=_VECTORS["tokens"][1])
        if numbers.size > LARGEST:
            given, fix = f"{numbers.size:,}", "Split the corpus."
            raise InputError("tokens", expected="fewer than 2³¹ tokens", given=given, fix=fix)
        _check_offsets(offsets, numbers.size)
        counts = csr_array(
            (np.ones(numbers.size, np.int32), numbers.astype(np.int32), offsets.astype(np.int32)),
            shape=(len(offsets) - 1, len(vocabulary)),
        )
        # In place, because a copy would double the peak of memory.
        counts.sum_duplicates()
        if n_classes is None:
            n_classes = len(class_names) or int(labels.max(initial=-1)) + 1
        return cls(
            counts=counts, labels=labels, vocabulary=tuple(vocabulary), n_classes=n_classes, class_names=class_names
        )

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the sentences of some rows, in their order, over the same vocabulary and classes.

        Raises:
            InputError: there are no rows, or a row has no sentence.
        """
        rows = _integers("rows", rows)
        if not (rows.size and 0 <= rows.min() and rows.max() < self.n_sentences):
            expected = f"numbers of sentences, from 0 to {self.n_sentences - 1}"
            given = f"numbers from {rows.min()} to {rows.max()}" if rows.size else "none"
            raise InputError("rows", expected=expected, given=given, fix=_VECTORS["rows"][1])
        # A copy skips the checks of a new corpus, which part of a checked one does not need.
        taken = copy(self)
        object.__setattr__(taken, "counts", self.counts[rows])
        object.__setattr__(taken, "labels", self.labels[rows])
        return taken

    @property
    def n_sentences(self) -> int:
        """Return the number N of sentences."""
        return len(self.labels)

    @property
    def n_words(self) -> int:
        """Return the size V of the vocabulary, including words that occur in no sentence."""
        return len(self.vocabulary)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Return the number of tokens in each sentence (N,), repeats included."""
        return self.counts.sum(axis=1)

    @property
    def n_tokens(self) -> int:
        """Return the number of tokens over all sentences, repeats included."""
        return int(self.counts.data.sum(dtype=np.int64))

    def check_alike(self, other: "Corpus", name: str) -> None:
        """Check that this corpus has the words and classes of another one, in the same order.

        Args:
            other: training corpus.
            name: name of this corpus in the error message.

        Raises:
            InputError: words or classes differ.
        """
        _check_same(name, "words", self.vocabulary, other.vocabulary)
        if self.class_names and other.class_names:
            _check_same(name, "classes", self.class_names, other.class_names)
        _check_same(name, "classes", range(self.n_classes), range(other.n_classes))

    def columns(self, words: Iterable[Hashable], name: str = "words") -> NDArray[np.int64]:
        """Return the columns of the given words; `name` is the argument that the error message names.

        Raises:
            InputError: a word is not in the vocabulary.
        """
        words = list(words)
        index = {word: column for column, word in enumerate(self.vocabulary if words else ())}
        return np.array(list(_look_up(index, words, name)), dtype=np.int64)


def _check_same(name: str, kind: str, ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> None:
    if ours is theirs or ours == theirs:
        return
    pairs = enumerate(zip(ours, theirs, strict=False))
    differing = (f", of which number {k} is {our!r} instead of {their!r}" for k, (our, their) in pairs if our != their)
    expected = f"the {len(theirs)} {kind} of the training data"
    fix = "Build every corpus with the same vocabulary=, n_classes= and class_names=."
    raise InputError(name, expected=expected, given=f"{len(ours)}{next(differing, '')}", fix=fix)


def _tally(index: dict[Hashable, int], words: Iterable[Hashable], row: int) -> Iterable[int]:
    """Yield the index of each word; a new word gets the next index."""
    for word in words:
        try:
            yield index.setdefault(word, len(index))
        except TypeError:
            fix = "Give texts or numbers."
            raise InputError(f"sentence {row}", expected="hashable words", given=shown(word), fix=fix) from None


def _look_up(index: Mapping[Hashable, int], words: Iterable[Hashable], name: str) -> Iterable[int]:
    for word in words:
        try:
            yield index[word]
        except (KeyError, TypeError):  # TypeError if the word cannot be hashed
            expected = f"words of the vocabulary ({len(index)} words)"
            fix = "Leave that word out, or add it to the vocabulary."
            raise InputError(name, expected=expected, given=shown(word), fix=fix) from None


def _numbered(name: str, names: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return the index of each name, and refuse repeated names."""
    index = {each: number for number, each in enumerate(names)}
    if len(index) < len(names):
        repeated = next(each for number, each in enumerate(names) if index[each] != number)
        expected = "each word once" if name == "vocabulary" else "each name once"
        fix = "Drop the repetitions, for example by dict.fromkeys."
        raise InputError(name, expected=expected, given=f"{repeated!r} more than once", fix=fix)
    return index


def _classes(labels: ArrayLike, names: tuple[str, ...]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return labels as integers, and the names of the classes if the labels are names."""
    array = _array("labels", labels)
    given = list(labels) if array.ndim == 1 and array.dtype.kind in "UO" else []  # pyright: ignore[reportArgumentType]
    if not (given and all(isinstance(label, str) for label in given)):
        return _integers("labels", labels), names
    given = list(map(str, given))  # converts numpy's strings too
    names = names or tuple(sorted(set(given)))
    index = _numbered("class_names", names)
    unknown = next((label for label in given if label not in index), None)
    if unknown is not None:
        fix = "Give class_names that hold every label."
        raise InputError("labels", expected=f"names among {', '.join(names[:20])}", given=repr(unknown), fix=fix)
    return np.array([index[label] for label in given], np.int64), names


def _array(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        expected, fix = _VECTORS[name]
        raise InputError(name, expected=expected, given=shown(values), fix=fix) from None


def _vector(name: str, values: ArrayLike) -> NDArray[np.integer]:
    """Return a vector of integers unchanged; a masked array is none."""
    given, masked = _array(name, values), isinstance(values, np.ma.MaskedArray)
    if masked or given.ndim != 1 or not (given.dtype.kind in "iu" or given.size == 0):
        kind = f"masked {given.dtype}" if masked else f"{given.dtype}"
        expected, fix = _VECTORS[name]
        raise InputError(name, expected=expected, given=f"shape {given.shape} of {kind}", fix=fix)
    return given if given.size else given.astype(np.int64)


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Return a vector of integers as a copy in 64 bits."""
    given = _vector(name, values)
    if given.size and int(given.max()) > np.iinfo(np.int64).max:
        expected, fix = _VECTORS[name]
        raise InputError(name, expected=expected, given=f"{given.max()}, beyond 64 bits", fix=fix)
    return given.astype(np.int64)


def _canonical(counts: csr_array) -> csr_array:
    """Return counts in 32 bits, sorted, one entry for each word of a sentence; counts of this form are not copied."""
    _check_structure(counts)
    if issparse(counts) and counts.format != "csr" and counts.dtype.kind in "iu":
        counts = csr_array(counts.astype(np.int64))  # conversion sums entries at the same index
    counts = csr_array(counts)
    if counts.ndim != 2:
        fix = "Give one row for each sentence."
        raise InputError("counts", expected="an array of N sentences × V words", given=f"shape {counts.shape}", fix=fix)
    if counts.dtype.kind not in "iu" or (counts.nnz and counts.data.min() < 1):
        fix = "Leave out entries that are 0, and give whole numbers."
        given = f"{counts.dtype} from {counts.data.min(initial=1)}"
        raise InputError("counts", expected="whole numbers from 1", given=given, fix=fix)
    if not counts.has_canonical_format:
        counts = csr_array(counts.astype(np.int64, copy=True))
        counts.sum_duplicates()
    _check_largest(counts.data)
    if max(*counts.shape, counts.nnz) > LARGEST:  # pyright: ignore[reportGeneralTypeIssues]
        given = f"an array of shape {counts.shape} with {counts.nnz:,} entries"
        raise InputError("counts", expected="sizes below 2³¹", given=given, fix="Split the corpus.")
    narrow = (part.astype(np.int32, copy=False) for part in (counts.data, counts.indices, counts.indptr))
    return csr_array(tuple(narrow), shape=counts.shape)


def _check_structure(counts: csr_array) -> None:
    """Check counts before their conversion, which would lose masks, wrap large counts, and crash on bad indices."""
    entries = getattr(counts, "data", None)
    if isinstance(counts, np.ma.MaskedArray) or isinstance(entries, np.ma.MaskedArray):
        fix = "Fill the masked entries, or leave them out."
        raise InputError("counts", expected="numbers", given="a masked array", fix=fix)
    if isinstance(entries, np.ndarray) and entries.dtype.kind in "iu":
        _check_largest(entries)
    try:
        if hasattr(counts, "check_format"):
            counts.check_format(full_check=True)
    except ValueError as error:
        fix = "Build counts by scipy from rows, columns and values."
        raise InputError("counts", expected="a sparse array of N sentences × V words", given=error, fix=fix) from None


def _check_largest(entries: NDArray[Any]) -> None:
    largest = entries.max(initial=0)
    if largest > LARGEST:
        given, fix = f"{largest:,}", "Split the sentences that repeat a word so often."
        raise InputError("counts", expected="counts below 2³¹", given=given, fix=fix)


def _check_offsets(offsets: NDArray[np.int64], n_tokens: int) -> None:
    if not (offsets.size and offsets[0] == 0 and offsets[-1] == n_tokens and (np.diff(offsets) >= 0).all()):
        expected = f"offsets that rise from 0 to the {n_tokens} tokens"
        given = f"{offsets.size} offsets, {offsets[:1]} to {offsets[-1:]}"
        raise InputError("offsets", expected=expected, given=given, fix=_VECTORS["offsets"][1])


def _check_labels(labels: NDArray[np.int64], n_sentences: int, n_classes: int) -> None:
    if labels.shape != (n_sentences,) or n_sentences == 0:
        expected = "one label for each sentence, and at least one sentence"
        given = f"{labels.size} labels for {n_sentences} sentences"
        raise InputError("labels", expected=expected, given=given, fix="Give as many labels as sentences.")
    if n_classes < 2:
        fix = "Add sentences of another class, or say n_classes if it is absent from this data."
        raise InputError("labels", expected="at least two classes", given=f"n_classes = {n_classes}", fix=fix)
    if not 0 <= labels.min() <= labels.max() < n_classes:
        given = f"labels from {labels.min()} to {labels.max()}"
        fix = "Number the classes 0, 1, 2, …, or raise n_classes."
        raise InputError("labels", expected=f"classes from 0 to {n_classes - 1}", given=given, fix=fix)


def _check_filled(offsets: NDArray[np.integer]) -> None:
    empty = np.flatnonzero(np.diff(offsets) == 0)
    if empty.size:
        given = f"{empty.size} without words, the first at index {empty[0]}"
        fix = "Drop them together with their labels."
        raise InputError("sentences", expected="at least one word in each", given=given, fix=fix)
