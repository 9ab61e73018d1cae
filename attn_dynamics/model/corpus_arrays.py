"""Corpora as arrays for the compiled loops: by sentence for the forward pass, by word for the backward pass."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from attn_dynamics.kernels.epochs import PARTS, Sentences, Words
from attn_dynamics.kernels.sentences import LEADING
from attn_dynamics.tasks.corpus import Corpus

SHARED_SPREAD = 64.0
"""Largest spread of scores, in nats, at which all sentences share one shift.

Up to it, e^(s - shift) loses at most spread · 2⁻⁵³ of relative accuracy. Beyond it each sentence subtracts its own
largest score, so that nothing overflows and no sentence of low scores becomes 0/0."""
ENTRIES_A_PART = 50_000
"""Number of entries of the counts in each part of the sums; for fewer, a thread of its own would not pay."""
WORK_A_WORD = 4
"""Fixed cost of a word in the backward product, in units of the cost of an entry."""
NO_WORDS = np.empty(0, np.int64)


class Data(NamedTuple):
    """The training corpus and other corpora as arrays for the compiled loops; many objectives may share them."""

    sentences: Sentences
    """Training corpus sentence by sentence."""
    words: Words
    """Training corpus word by word."""
    others: Sentences
    """Corpora that are only evaluated, one after the other."""
    followed: NDArray[np.int64]
    """Columns of the words in every recorded row."""
    parts: int
    """Number of parts of the sums over the training corpus, which threads may share."""

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        others: Collection[Corpus],
        frozen: NDArray[np.int64],
        followed: NDArray[np.int64] = NO_WORDS,
    ) -> Self:
        """Return the arrays of a training corpus, whose words in the `frozen` columns do not move, and of others."""
        parts, frozen_mask = parts_of(corpus), np.zeros(corpus.n_words if frozen.size else 0, np.bool_)
        frozen_mask[frozen] = True
        return cls(by_sentence([corpus]), by_word(corpus, frozen_mask, parts), by_sentence(others), followed, parts)

    def alone(self) -> Self:
        """Return the arrays of the training corpus alone, without other corpora and followed words."""
        return self._replace(others=by_sentence([]), followed=NO_WORDS)

    def batch(self, rows: NDArray[np.int64]) -> Self:
        """Return the arrays with the sentences of some rows instead of all, without scipy, which would take longer."""
        whole, n_words, order = self.sentences, self.words.offsets.size - 1, np.arange(rows.size)
        starts, stops = (whole.offsets[each].astype(np.int64) for each in (rows, rows + 1))
        lengths = stops - starts
        offsets = _offsets(lengths)
        entries = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        words, counts = whole.words[entries], whole.counts[entries]
        bounds = np.array([0, rows.size])
        by_word = np.argsort(words, kind="stable")
        word_offsets = _offsets(np.bincount(words, minlength=n_words))
        pattern = word_offsets, np.repeat(order.astype(np.uint32), lengths)[by_word], counts[by_word]
        return self._replace(
            sentences=Sentences(offsets, words, counts, whole.labels[rows], bounds, whole.limits[rows]),
            words=Words(*pattern, _bounds_of_parts(word_offsets, self.parts), self.words.frozen),
        )


def parts_of(corpus: Corpus) -> int:
    """Return the number of parts of the sums over a training corpus, which depends on its size alone."""
    return min(PARTS, max(1, corpus.counts.nnz // ENTRIES_A_PART))


def by_sentence(corpora: Collection[Corpus]) -> Sentences:
    """Return corpora sentence by sentence; a single corpus is not copied."""
    if len(corpora) == 1:
        (corpus,) = corpora
        pattern, labels = _pattern(corpus.counts), np.asarray(corpus.labels, np.int64)
    else:
        before = np.cumsum([0, *(corpus.counts.nnz for corpus in corpora)])
        starts = (corpus.counts.indptr[:-1] + shift for corpus, shift in zip(corpora, before, strict=False))
        pattern = (
            _joined([*starts, before[-1:]], np.uint32),
            _joined([corpus.counts.indices for corpus in corpora], np.uint32),
            _joined([corpus.counts.data for corpus in corpora], np.int32),
        )
        labels = _joined([corpus.labels for corpus in corpora], np.int64)
    # A word that stands c times leads a sentence only while the normaliser is at most c/LEADING times its largest e^s.
    largest = [np.maximum.reduceat(corpus.counts.data, corpus.counts.indptr[:-1]) for corpus in corpora]
    bounds = np.cumsum([0, *(corpus.n_sentences for corpus in corpora)])
    return Sentences(*pattern, labels, bounds, _joined(largest, np.float64) / LEADING)


def by_word(corpus: Corpus, frozen: NDArray[np.bool_], parts: int) -> Words:
    """Return the training corpus word by word, in parts of about equal work; `frozen` marks words, or is empty."""
    columns = _pattern(corpus.counts.tocsc())
    return Words(*columns, _bounds_of_parts(columns[0], parts), frozen)


def columns_of(width: int) -> int:
    """Return the width of an operand's rows, for k + 1 numbers in a row: 2 for k = 1, else a multiple of four.

    The compiled loops read a row in fours, or in twos for k = 1.
    """
    return 2 if width == 1 else 4 * (width // 4 + 1)


def _pattern(matrix: csr_array | csc_array) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
    """Return offsets, indices and counts of a sparse matrix, without copies."""
    return matrix.indptr.view(np.uint32), matrix.indices.view(np.uint32), np.asarray(matrix.data, np.int32)


def _bounds_of_parts(offsets: NDArray[np.uint32], parts: int) -> NDArray[np.int64]:
    """Return the bounds (parts + 1,) of words with about equal work, given the bounds (V + 1,) of their entries."""
    work = np.cumsum(np.diff(offsets).astype(np.int64) + WORK_A_WORD)
    inner = np.searchsorted(work, work[-1] * np.arange(1, parts) // parts)
    return np.array([0, *inner, offsets.size - 1])


def _offsets(sizes: NDArray[np.integer]) -> NDArray[np.uint32]:
    """Return the bounds (n + 1,) of n runs of entries of some sizes (n,), one after the other."""
    return np.concatenate([np.zeros(1, np.uint32), np.cumsum(sizes)], dtype=np.uint32, casting="unsafe")


def _joined(arrays: Sequence[NDArray], dtype: type[np.generic]) -> NDArray:
    return np.concatenate([np.empty(0, dtype), *arrays], dtype=dtype, casting="unsafe")
