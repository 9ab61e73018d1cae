"""The sentences of corpora as arrays for the compiled loops: by sentences forward, by words back (theory §1)."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from attn_dynamics.kernels.epochs import PARTS, Array, Sentences, Words
from attn_dynamics.kernels.sentences import LEADING
from attn_dynamics.tasks.corpus import Corpus

SHARED_SPREAD = 64.0
"""Spread of scores up to which one shift serves all sentences.

Up to it, e^(s - shift) loses at most spread · 2⁻⁵³ of relative accuracy. Beyond it each sentence subtracts its own
largest score, so that nothing overflows and no sentence of low scores becomes 0/0."""
ENTRIES_A_PART = 50_000
"""Entries of the pattern that make a part of the sums worth a thread of its own."""
WORK_A_WORD = 4
"""Work of the backward product for a word beside its entries, in entries."""


class Data(NamedTuple):
    """A training corpus and judged corpora as arrays for the compiled loops; many objectives may share them."""

    sentences: Sentences
    """Training corpus sentence by sentence."""
    words: Words
    """Training corpus word by word."""
    judged: Sentences
    """Corpora that are only evaluated, one after the other."""
    parts: int
    """Number of parts of the sums over the training corpus, which threads may share."""

    @classmethod
    def of(cls, corpus: Corpus, judged: Collection[Corpus], held: NDArray[np.int64]) -> Self:
        """Return the arrays of a training corpus, in which the words in `held` columns do not move, and of others."""
        return cls(by_sentence([corpus]), by_word(corpus, held), by_sentence(judged), parts_of(corpus))


def parts_of(corpus: Corpus) -> int:
    """Return the number of parts of the sums over a training corpus: its size alone decides."""
    return min(PARTS, max(1, corpus.counts.nnz // ENTRIES_A_PART))


def by_sentence(corpora: Collection[Corpus]) -> Sentences:
    """Return corpora sentence by sentence; a single corpus is not copied."""
    if len(corpora) == 1:
        (corpus,) = corpora
        pattern = _pattern(corpus.counts)
        return Sentences(
            *pattern, np.asarray(corpus.labels, np.int64), np.array([0, corpus.n_sentences]), _limits([corpus])
        )
    before = np.cumsum([0, *(corpus.counts.nnz for corpus in corpora)])
    starts = (corpus.counts.indptr[:-1] + shift for corpus, shift in zip(corpora, before, strict=False))
    counts = _joined([corpus.counts.data for corpus in corpora], np.int32)
    return Sentences(
        _joined([*starts, before[-1:]], np.uint32),
        _joined([corpus.counts.indices for corpus in corpora], np.uint32),
        counts,
        _joined([corpus.labels for corpus in corpora], np.int64),
        np.cumsum([0, *(corpus.n_sentences for corpus in corpora)]),
        _limits(corpora),
    )


def by_word(corpus: Corpus, held: NDArray[np.int64]) -> Words:
    """Return the training corpus word by word, in parts of about equal work; words in `held` columns do not move."""
    columns, parts = corpus.counts.tocsc(), parts_of(corpus)
    work = np.cumsum(np.diff(columns.indptr) + WORK_A_WORD)
    inner = np.searchsorted(work, work[-1] * np.arange(1, parts) // parts)
    mask = np.zeros(corpus.n_words if held.size else 0, np.bool_)
    mask[held] = True
    return Words(*_pattern(columns), np.array([0, *inner, corpus.n_words]), mask)


def columns_of(width: int) -> int:
    """Return k + 1 rounded up to a multiple of 4, or 2 if k is 1: columns are processed in fours, or as a pair."""
    return 2 if width == 1 else 4 * (width // 4 + 1)


def _limits(corpora: Collection[Corpus]) -> Array:
    """Return the largest count of each sentence, in units of LEADING."""
    largest = (np.maximum.reduceat(corpus.counts.data, corpus.counts.indptr[:-1]) for corpus in corpora)
    return np.concatenate([np.empty(0), *largest]) / LEADING


def _pattern(matrix: csr_array | csc_array) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
    """Return offsets, indices and counts of a sparse matrix, without copies."""
    return matrix.indptr.view(np.uint32), matrix.indices.view(np.uint32), np.asarray(matrix.data, np.int32)


def _joined(arrays: Sequence[NDArray], dtype: type[np.generic]) -> NDArray:
    return np.concatenate([np.empty(0, dtype), *arrays], dtype=dtype, casting="unsafe")
