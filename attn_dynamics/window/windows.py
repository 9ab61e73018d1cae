"""Windows: the tokens within a half-width of each query, stored query by query (theory §D)."""

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
    """The pairs of query i and token j with |Δ_ij| ≤ w, query by query."""

    words: Integers
    """Word of each pair's token (P,)."""
    distances: Integers
    """Distance Δ = j - i of each pair (P,), in tokens."""
    offsets: Integers
    """Index (R + 1,) of the first pair of each query, and the number of pairs at the end."""
    labels: Integers
    """Correct answer to each query (R,)."""
    n_words: int
    """Size V of the vocabulary."""
    exempt: NDArray[np.bool_] | None = None
    """Mask (P,) of pairs without a bell, because the query or the token is exempt; None if there are none."""

    @classmethod
    def of(
        cls,
        sequences: Sequence[ArrayLike],
        queries: ArrayLike | Sequence[tuple[int, int]],
        labels: ArrayLike,
        *,
        n_words: int,
        half_width: int | None = None,
        exempt: Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Return the windows of queries.

        Args:
            sequences: words from 0 to V - 1, of any lengths.
            queries: sequence and position of each query (R, 2).
            labels: correct answer to each query (R,).
            n_words: size V of the vocabulary.
            half_width: distance w of the farthest visible token; None for the whole sequence.
            exempt: a mask for each sequence, true at tokens that see all tokens and are seen by all, without a bell.

        Raises:
            InputError: there is no query, a query is outside its sequence, a word is not among the V, w is below 0, or
                a mask has another length than its sequence.
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
        masks = None if exempt is None else _masks(exempt, lengths)
        places, offsets = _near(at, lengths, reach) if masks is None else _near_or_exempt(at, masks, reach)
        # Places of tokens and queries among all tokens, by pair.
        begins = (np.cumsum(lengths) - lengths)[at[:, 0]]
        own = np.repeat(np.arange(len(at)), np.diff(offsets))
        token, query = places + begins[own], (at[:, 1] + begins)[own]
        free = None if masks is None else np.concatenate(masks)
        return cls(
            words=np.concatenate(tokens)[token],
            distances=token - query,
            offsets=offsets,
            labels=wanted,
            n_words=n_words,
            exempt=None if free is None else free[token] | free[query],
        )

    @property
    def n_queries(self) -> int:
        """Return the number R of queries."""
        return self.labels.size

    @property
    def arrays(self) -> tuple[NDArray, ...]:
        """Return the arrays that distinguish these windows from others over the same vocabulary."""
        exempt = () if self.exempt is None else (self.exempt,)
        return self.words, self.distances, self.offsets, self.labels, *exempt

    def where_bells(self, pairs: NDArray) -> NDArray:
        """Return values of pairs (P,), such as ln U, with 0 at pairs without a bell."""
        return pairs if self.exempt is None else np.where(self.exempt, 0.0, pairs)

    def sums(self, pairs: NDArray) -> NDArray:
        """Return the sums (..., R) over the pairs (..., P) of each query."""
        return np.add.reduceat(pairs, self.offsets[:-1], axis=-1)

    def largest(self, pairs: NDArray) -> NDArray:
        """Return the largest value (R,) among the pairs (P,) of each query."""
        return np.maximum.reduceat(pairs, self.offsets[:-1])

    def leads(self, pairs: NDArray) -> Integers:
        """Return the index (R,) of the first largest value among the pairs (P,) of each query."""
        places = np.where(pairs == self.spread(self.largest(pairs)), np.arange(pairs.size), pairs.size - 1)
        return np.minimum.reduceat(places, self.offsets[:-1])

    def spread(self, queries: NDArray) -> NDArray:
        """Return the value of its query for every pair: (..., P) from (..., R)."""
        return np.repeat(queries, np.diff(self.offsets), axis=-1)

    def matrix(self, pairs: NDArray) -> csr_array:
        """Return pairs (P,) as a matrix of queries × words (R, V); words repeated in a window stay separate entries."""
        return csr_array((pairs, self.words, self.offsets), shape=(self.n_queries, self.n_words))

    def products(self, queries: Array, words: Array) -> Array:
        """Return q_i·x_w of each pair (P,), from queries (d, R) and words (V, d)."""
        found = np.zeros(self.words.size)
        # A loop over dimensions stays in the cache.
        for query, word in zip(queries, words.T, strict=True):
            found += self.spread(query) * word[self.words]
        return found

    def by_word(self, pairs: Array) -> Array:
        """Return the sums (V,) of pairs (P,) by word."""
        return np.bincount(self.words, pairs, self.n_words).astype(float, copy=False)


def check_window(window: int) -> None:
    """Check that a window is an odd number of tokens, with the query in the middle.

    Raises:
        InputError: the window is even, below 1, or not an integer.
    """
    fix = "Give an odd number: the query is in the middle."
    if integer("window", window, -LARGEST) < 1 or window % 2 == 0:
        raise InputError("window", expected="an odd number of tokens, 1 or more", given=window, fix=fix)


def half_width_of(window: int, length: int) -> int:
    """Return the half-width w of a window of 2w + 1 tokens.

    Raises:
        InputError: the window is even, below 1, or longer than a sequence.
    """
    check_window(window)
    if window > length:
        fix = "Make the window shorter or the sequences longer."
        raise InputError("window", expected=f"at most the {length} tokens of a sequence", given=window, fix=fix)
    return window // 2


def _near(at: Integers, lengths: Integers, reach: int) -> tuple[Integers, Integers]:
    """Return the token's position of each pair (P,) and the offsets (R + 1,), for tokens within a half-width."""
    first, last = np.maximum(at[:, 1] - reach, 0), np.minimum(at[:, 1] + reach + 1, lengths[at[:, 0]])
    offsets = np.concatenate([[0], np.cumsum(last - first)])
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first, last - first), offsets


def _near_or_exempt(at: Integers, masks: Sequence[NDArray[np.bool_]], reach: int) -> tuple[Integers, Integers]:
    """Return positions (P,) and offsets (R + 1,), as `_near`, with exempt tokens and all tokens of exempt queries."""
    seen = [
        np.flatnonzero((np.abs(np.arange(mask.size) - place) <= reach) | mask | mask[place])
        for mask, place in ((masks[sequence], place) for sequence, place in at)
    ]
    return np.concatenate(seen), np.concatenate([[0], np.cumsum([each.size for each in seen])])


def _masks(exempt: Sequence[ArrayLike], lengths: Integers) -> list[NDArray[np.bool_]]:
    """Return a mask for each sequence.

    Raises:
        InputError: there are more or fewer masks than sequences, or one has another length than its sequence.
    """
    masks = [np.asarray(each).ravel().astype(bool) for each in exempt]
    sizes = [each.size for each in masks]
    if sizes != lengths.tolist():
        fix = "Give a mask of its tokens for each sequence."
        raise InputError("exempt", expected=f"masks of {shown(lengths.tolist())} tokens", given=shown(sizes), fix=fix)
    return masks


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
