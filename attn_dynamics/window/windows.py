"""What queries see: the tokens within a half-width of each, ragged, one after the other (theory §D)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from attn_dynamics.check import LARGEST, integer, integers, shown
from attn_dynamics.errors import InputError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Windows:
    """The pairs (query i, token j) with |Δ_ij| ≤ w, query by query."""

    words: Integers
    """Word of each pair's token (P,)."""
    distances: Integers
    """Δ = j - i (P,), tokens."""
    offsets: Integers
    """Where each query's pairs begin, and their number (R + 1,)."""
    labels: Integers
    """What each query should answer (R,)."""
    n_words: int
    """V."""

    @classmethod
    def of(
        cls,
        sequences: Sequence[ArrayLike],
        queries: ArrayLike,
        labels: ArrayLike,
        *,
        n_words: int,
        half_width: int | None = None,
    ) -> Self:
        """The windows of some queries.

        Args:
            sequences: words from 0 to V - 1, of any lengths.
            queries: sequence and position of each query (R, 2).
            labels: (R,).
            n_words: V.
            half_width: w, the farthest token that is seen; all of the sequence without it.

        Raises:
            InputError: no query, one outside of its sequence, a word that is not of the V, or a w below 0.
        """
        if isinstance(sequences, str) or not isinstance(sequences, Iterable):
            fix = "Give a list of arrays."
            raise InputError("sequences", expected="sequences of words", given=shown(sequences), fix=fix)
        tokens = [integers("sequences", each).ravel() for each in sequences]
        at, wanted, n_words = integers("queries", queries), integers("labels", labels), integer("n_words", n_words, 1)
        at = at if at.size else at.reshape(0, 2)
        if at.ndim != 2 or at.shape[1] != 2:
            given, fix = f"shape {at.shape}", "Give the sequence and the position of each."
            raise InputError("queries", expected="shape (R, 2)", given=given, fix=fix)
        lengths = np.array([each.size for each in tokens])
        _check(tokens, lengths, at, wanted, n_words, half_width)
        reach = int(lengths.max()) if half_width is None else half_width
        sequence, position = at.T
        first, last = np.maximum(position - reach, 0), np.minimum(position + reach + 1, lengths[sequence])
        offsets = np.concatenate([[0], np.cumsum(last - first)])
        # Where a pair stands in its window, and that window in its sequence.
        places = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first, last - first)
        begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        words = np.concatenate(tokens)[places + np.repeat(begins[sequence], last - first)]
        distances = places - np.repeat(position, last - first)
        return cls(words=words, distances=distances, offsets=offsets, labels=wanted, n_words=n_words)

    @property
    def n_queries(self) -> int:
        """R."""
        return self.labels.size

    def sums(self, pairs: NDArray) -> NDArray:
        """Over the pairs (..., P) of each query, (..., R)."""
        return np.add.reduceat(pairs, self.offsets[:-1], axis=-1)

    def largest(self, pairs: NDArray) -> NDArray:
        """Of the pairs (P,) of each query, (R,)."""
        return np.maximum.reduceat(pairs, self.offsets[:-1])

    def leads(self, pairs: NDArray) -> Integers:
        """The place of the first largest among the pairs (P,) of each query, (R,)."""
        places = np.where(pairs == self.spread(self.largest(pairs)), np.arange(pairs.size), pairs.size - 1)
        return np.minimum.reduceat(places, self.offsets[:-1])

    def spread(self, queries: NDArray) -> NDArray:
        """To every pair (..., P) what its query (..., R) has."""
        return np.repeat(queries, np.diff(self.offsets), axis=-1)

    def matrix(self, pairs: NDArray) -> csr_array:
        """Pairs (P,) as queries × words (R, V), words that a window repeats left apart."""
        return csr_array((pairs, self.words, self.offsets), shape=(self.n_queries, self.n_words))

    def products(self, queries: Array, words: Array) -> Array:
        """q_i·x_w of each pair (P,), of (d, R) and (V, d)."""
        found = np.zeros(self.words.size)
        # One dimension at a time stays in cache.
        for query, word in zip(queries, words.T, strict=True):
            found += self.spread(query) * word[self.words]
        return found

    def by_word(self, pairs: Array) -> Array:
        """Sums over all pairs (P,) of each word (V,)."""
        return np.bincount(self.words, pairs, self.n_words).astype(float, copy=False)


def check_window(window: int) -> None:
    """Refuse what is no number of tokens with the query in their middle.

    Raises:
        InputError: an even number, none, or no integer.
    """
    fix = "A window has its query in the middle."
    if integer("window", window, -LARGEST) < 1 or window % 2 == 0:
        raise InputError("window", expected="an odd number of tokens, 1 or more", given=window, fix=fix)


def half_width_of(window: int, length: int) -> int:
    """w of a window of 2w + 1 tokens.

    Raises:
        InputError: an even number of tokens, none, or more than a sequence has.
    """
    check_window(window)
    if window > length:
        fix = "Make the window shorter or the sequences longer."
        raise InputError("window", expected=f"at most the {length} tokens of a sequence", given=window, fix=fix)
    return window // 2


def _check(
    tokens: list[Integers], lengths: Integers, at: Integers, labels: Integers, n_words: int, half_width: int | None
) -> None:
    if half_width is not None:
        integer("half_width", half_width, 0, fix="0 sees the query's own token.")
    if not len(at) or labels.shape != (len(at),):
        fix = "Give a label for each."
        raise InputError("queries", expected="at least one, each with a label", given=labels.shape, fix=fix)
    if at[:, 0].min() < 0 or at[:, 0].max() >= len(tokens) or np.any((at[:, 1] < 0) | (at[:, 1] >= lengths[at[:, 0]])):
        raise InputError("queries", expected="positions within their sequences", given="others", fix="Count from 0.")
    words = np.concatenate(tokens)
    if words.min() < 0 or words.max() >= n_words:
        fix = "Number words from 0."
        raise InputError(
            "sequences", expected=f"words below {n_words}", given=f"{words.min()} to {words.max()}", fix=fix
        )
