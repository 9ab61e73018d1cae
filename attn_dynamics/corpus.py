"""What a model learns from: sparse word counts per sentence, and the class of each sentence."""

from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from attn_dynamics.check import integer, shown
from attn_dynamics.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class Corpus:
    """N labelled bags of words over a vocabulary of V words (theory §1).

    Sentences are ragged and may repeat words. `n_classes` may exceed the classes that occur.

    Raises:
        InputError: a sentence without words, a label outside 0 … n_classes - 1, fewer than two classes,
            or shapes that do not fit together.
    """

    counts: csr_array
    """C (N, V): how often word w stands in sentence i; int32, one entry a word and sentence, sorted."""
    labels: NDArray[np.int64]
    """y (N,): the class of each sentence."""
    vocabulary: tuple[Hashable, ...]
    """The V words in the order of the columns of `counts`."""
    n_classes: int
    """n: the number of classes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _canonical(self.counts))
        object.__setattr__(self, "labels", _integers("labels", self.labels))
        object.__setattr__(self, "n_classes", integer("n_classes", self.n_classes, 0))
        n_sentences, n_words = self.counts.shape  # pyright: ignore[reportGeneralTypeIssues]
        _check_labels(self.labels, n_sentences, self.n_classes)
        if n_words != len(self.vocabulary):
            raise InputError(
                "vocabulary",
                expected=f"{n_words} words, one a column of counts",
                given=f"{len(self.vocabulary)} words",
                fix="Give counts and vocabulary in the same order.",
            )
        _check_filled(self.counts.indptr)

    @classmethod
    def from_sentences(
        cls,
        sentences: Iterable[Sequence[Hashable]],
        labels: ArrayLike,
        *,
        vocabulary: Iterable[Hashable] | None = None,
        n_classes: int | None = None,
    ) -> Self:
        """Count the words of each sentence; O(tokens) time, 4 bytes a token beside the result.

        Args:
            sentences: N sequences of hashable words.
            labels: (N,) integers from 0.
            vocabulary: the V words in the order wanted; otherwise the order of first appearance.
            n_classes: n; otherwise the largest label + 1.

        Raises:
            InputError: as the class, and where a word is not in the vocabulary that was given.
        """
        for name, value in (("sentences", sentences), ("vocabulary", () if vocabulary is None else vocabulary)):
            if not isinstance(value, Iterable):
                raise InputError(name, expected="a collection", given=shown(value), fix="Give a list.")
        given = tuple(vocabulary if vocabulary is not None else ())
        index = {word: column for column, word in enumerate(given)}
        if len(index) < len(given):
            repeated = next(word for column, word in enumerate(given) if index[word] != column)
            raise InputError(
                "vocabulary",
                expected="each word once",
                given=f"{repeated!r} more than once",
                fix="Drop the repetitions, for example by dict.fromkeys.",
            )
        tokens, offsets = array("i"), array("q", [0])
        for row, sentence in enumerate(sentences):
            if isinstance(sentence, str | bytes) or not isinstance(sentence, Iterable):
                raise InputError(
                    f"sentence {row}",
                    expected="a sequence of words",
                    given=f"the text {sentence[:40]!r}, whose items are letters"
                    if isinstance(sentence, str)
                    else shown(sentence),
                    fix="Split it: sentence.split().",
                )
            if vocabulary is None:
                tokens.extend(_numbered(index, sentence, row))
            else:
                tokens.extend(_look_up(index, sentence, f"sentence {row}"))
            offsets.append(len(tokens))
        return cls.from_tokens(
            np.frombuffer(tokens, np.int32), np.frombuffer(offsets, np.int64), labels, tuple(index), n_classes=n_classes
        )

    @classmethod
    def from_tokens(
        cls,
        tokens: NDArray[np.int32],
        offsets: NDArray[np.int64],
        labels: ArrayLike,
        vocabulary: Sequence[Hashable],
        *,
        n_classes: int | None = None,
    ) -> Self:
        """The same from numbered words: sentence i is tokens[offsets[i]:offsets[i + 1]].

        Raises:
            InputError: as the class, and for tokens outside 0 … V - 1 or too many for 32-bit offsets.
        """
        labels = _integers("labels", labels)
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < len(vocabulary):
            raise InputError(
                "tokens",
                expected=f"word numbers from 0 to {len(vocabulary) - 1}",
                given=f"numbers from {tokens.min()} to {tokens.max()}",
                fix="Number words by their place in the vocabulary.",
            )
        if tokens.size >= 2**31:
            raise InputError(
                "tokens", expected="fewer than 2³¹ tokens", given=f"{tokens.size:,}", fix="Split the corpus."
            )
        counts = csr_array(
            (np.ones(tokens.size, np.int32), tokens.astype(np.int32), np.asarray(offsets).astype(np.int32)),
            shape=(len(offsets) - 1, len(vocabulary)),
        )
        # In place, for these arrays are ours: a copy would be the most memory that is ever held.
        counts.sum_duplicates()
        classes = n_classes if n_classes is not None else int(labels.max(initial=-1)) + 1
        return cls(counts=counts, labels=labels, vocabulary=tuple(vocabulary), n_classes=classes)

    @property
    def n_sentences(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def n_words(self) -> int:
        """V, the size of the vocabulary, words of no sentence included."""
        return len(self.vocabulary)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens in each sentence, repeats counted."""
        return self.counts.sum(axis=1)

    @property
    def n_tokens(self) -> int:
        """Tokens over all sentences, repeats counted."""
        return int(self.counts.data.sum(dtype=np.int64))

    def columns(self, words: Iterable[Hashable], name: str = "words") -> NDArray[np.int64]:
        """Return the columns of the words given; `name` is that of the argument which they came by.

        Raises:
            InputError: for a word that the vocabulary does not hold.
        """
        index = {word: column for column, word in enumerate(self.vocabulary)}
        return np.array(list(_look_up(index, words, name)), dtype=np.int64)


def _numbered(index: dict[Hashable, int], words: Iterable[Hashable], row: int) -> Iterable[int]:
    """Yield the number of each word, a new one for a new word."""
    for word in words:
        try:
            yield index.setdefault(word, len(index))
        except TypeError:
            fix = "Give texts or numbers."
            raise InputError(f"sentence {row}", expected="hashable words", given=shown(word), fix=fix) from None


def _look_up(index: dict[Hashable, int], words: Iterable[Hashable], name: str) -> Iterable[int]:
    for word in words:
        try:
            yield index[word]
        except (KeyError, TypeError):  # the latter of what cannot be hashed
            raise InputError(
                name,
                expected=f"words of the vocabulary ({len(index)} words)",
                given=shown(word),
                fix="Leave that word out, or give a vocabulary that holds it.",
            ) from None


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    try:
        given = np.asarray(values)
    except ValueError:
        fix = "Give one number a sentence."
        raise InputError(name, expected="a sequence of integers", given=shown(values), fix=fix) from None
    if given.ndim != 1 or not (np.issubdtype(given.dtype, np.integer) or given.size == 0):
        raise InputError(
            name,
            expected="a sequence of integers, one a sentence",
            given=f"shape {given.shape} of {given.dtype}",
            fix="Number the classes 0, 1, 2, …",
        )
    return given.astype(np.int64)


def _canonical(counts: csr_array) -> csr_array:
    """Sorted, one entry a word and sentence, all in 32 bits; a copy only where it was not so."""
    counts = csr_array(counts)
    if not np.issubdtype(counts.dtype, np.integer) or (counts.nnz and counts.data.min() < 1):
        raise InputError(
            "counts",
            expected="whole numbers from 1",
            given=f"{counts.dtype} from {counts.data.min(initial=1)}",
            fix="Leave out entries that are 0, and give weights no sign and no fraction.",
        )
    if not counts.has_canonical_format:
        counts = counts.copy()
        counts.sum_duplicates()
    narrow = (part.astype(np.int32, copy=False) for part in (counts.data, counts.indices, counts.indptr))
    return csr_array(tuple(narrow), shape=counts.shape)


def _check_labels(labels: NDArray[np.int64], n_sentences: int, n_classes: int) -> None:
    if labels.shape != (n_sentences,) or n_sentences == 0:
        raise InputError(
            "labels",
            expected="one label for each sentence, and at least one sentence",
            given=f"{labels.size} labels for {n_sentences} sentences",
            fix="Give as many labels as sentences.",
        )
    if n_classes < 2:
        raise InputError(
            "labels",
            expected="at least two classes",
            given=f"n_classes = {n_classes}",
            fix="Add sentences of another class, or say n_classes if it is absent from this data.",
        )
    if not 0 <= labels.min() <= labels.max() < n_classes:
        raise InputError(
            "labels",
            expected=f"classes from 0 to {n_classes - 1}",
            given=f"labels from {labels.min()} to {labels.max()}",
            fix="Number the classes 0, 1, 2, …, or raise n_classes.",
        )


def _check_filled(offsets: NDArray[np.integer]) -> None:
    empty = np.flatnonzero(np.diff(offsets) == 0)
    if empty.size:
        raise InputError(
            "sentences",
            expected="at least one word in each",
            given=f"{empty.size} without words, the first at index {empty[0]}",
            fix="Drop them together with their labels.",
        )
