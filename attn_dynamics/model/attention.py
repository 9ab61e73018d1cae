"""The attention block on one corpus: contexts forward, gradients back, two sparse products an epoch (theory §1)."""

from functools import cached_property
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from attn_dynamics.kernels import sentences, words
from attn_dynamics.model.heads import Array
from attn_dynamics.system.kernel_threads import before_kernels
from attn_dynamics.tasks.corpus import Corpus

SHARED_SPREAD = 64.0
"""Spread of scores up to which one shift serves all sentences.

Up to it, e^(s - shift) loses at most spread · 2⁻⁵³ of relative accuracy. Beyond it each sentence subtracts its own
largest score, so that nothing overflows and no sentence of low scores becomes 0/0."""


ENTRIES_A_PART = 4
"""Entries of a mean sentence that each thread of the backward product should find in its part of the vocabulary."""


MOST_THREADS: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore
BLOCK = 1 << 13
"""Number of sentences in a block."""


class Operand:
    """Columns [e^s ⊙ P | e^s] (V, k + 1) of scores s and values Pᵀ (k, V), shared by all corpora of one vocabulary."""

    def __init__(self, width: int, n_words: int) -> None:
        self.width = width
        self.columns = np.zeros((n_words, _columns(width)))
        self.apart: Array | None = None
        """Scores (V,) if they are spread too wide for one shift; the columns are then [P | 1]. None otherwise."""

    def update(self, scores: Array, values: Array) -> None:
        """Set new scores (V,) and values Pᵀ (k, V)."""
        shared = words.operand(scores, values, SHARED_SPREAD, self.columns)
        self.apart = None if shared else scores

    @property
    def weights(self) -> Array:
        """Return the factor (V,) of a word's entries in the pattern: e^s up to a shift, or 1."""
        return self.columns[:, self.width]


class Places(NamedTuple):
    """Positions of a few words in a corpus."""

    columns: NDArray[np.int64]
    """Columns (words,) of the words in the pattern."""
    bounds: NDArray[np.int64]
    """Bounds (words + 1,) of each word in the two arrays below."""
    entries: NDArray[np.int64]
    """Entries of the pattern, counted by sentences."""
    rows: NDArray[np.int64]
    """Sentences of these entries."""


class Block(NamedTuple):
    """A range of sentences whose arrays stay in the cache; the arrays are views of those of the whole corpus."""

    rows: slice
    """Range of its B sentences in the corpus."""
    offsets: NDArray[np.uint32]
    """Bounds (B + 1,) of the entries of its sentences."""
    sentences: Array
    """Columns (B, k + 1 and padding): contexts, later the operands of the backward product."""
    contexts: Array
    """Contexts (B, k), the first columns of `sentences`."""
    deviations: Array
    """Deviations (B, k): contexts minus the value of the leading word, if a word leads the sentence."""
    normalisers: Array
    """Normalisers (B,): Σ_w C_iw e^{s_w} up to the shift."""
    leads: NDArray[np.uint32]
    """Entries (B,) of the word that takes nearly all attention, or `sentences.NO_LEAD`."""


class Attention:
    """Contexts v = A P of one corpus and the gradient through them; results stay in its buffers until the next call.

    Sentences are processed in blocks, so that the memory beside the pattern, and the time per token, do not grow with
    the corpus.
    """

    def __init__(self, corpus: Corpus, width: int) -> None:
        before_kernels()
        self._corpus = corpus
        counts = corpus.counts
        self._pattern = counts.indptr.view(np.uint32), counts.indices.view(np.uint32)
        self._counts: NDArray = counts.data
        self._data = self._counts
        self._normalisers = np.empty(corpus.n_sentences)
        self._width = width
        size = min(BLOCK, corpus.n_sentences)
        buffers = np.empty((size, _columns(width))), np.empty((size, width)), np.empty(size, np.uint32)
        starts = range(0, corpus.n_sentences, BLOCK)
        self.blocks = [self._block(slice(start, start + BLOCK), *buffers) for start in starts]

    def prepare(self, operand: Operand) -> None:
        """Set an operand, before the contexts of the first block are computed."""
        self._data = self._counts
        if operand.apart is not None:
            self._data = np.empty(self._counts.size)
            sentences.relative_weights(*self._pattern, self._counts, operand.apart, self._data)

    def contexts(self, operand: Operand, block: Block) -> Array:
        """Return the contexts v (B, k) of a block's sentences: attention-weighted means of their words' values."""
        sentences.attend(
            block.offsets,
            self._pattern[1],
            self._data,
            operand.columns,
            self._width,
            block.sentences,
            block.deviations,
            block.normalisers,
            block.leads,
        )
        return block.contexts

    def add_gradient(self, slopes: Array, block: Block) -> None:
        """Add slopes ∂L/∂v (k, B) of a block, right after its `contexts`, which are overwritten."""
        bounds, splits, sums, leading, *_ = self._backward
        sentences.attend_back(
            self._pattern[1],
            self._data,
            slopes,
            block.normalisers,
            block.sentences,
            block.deviations,
            block.leads,
            bounds,
            splits,
            block.rows.start,
            sums,
            leading,
        )

    def gradient(self, operand: Operand, metric: Array) -> tuple[Array, Array, tuple[float, float]]:
        """Return ∂L/∂s (V,), (∂L/∂P)ᵀ (k, V) and their squared norms, the second by a metric, after the last block."""
        _, _, sums, leading, value_gradient, score_gradient, partial = self._backward
        squares = words.gradients(sums, leading, operand.columns, metric, value_gradient, score_gradient, partial)
        return score_gradient, value_gradient, squares

    def received(self, operand: Operand) -> Array:
        """Return Σ_i A_iw (V,): the attention that each word receives over all sentences, at the last `contexts`."""
        out = np.empty(self._corpus.n_words)
        sentences.received(*self._pattern, self._data, self._normalisers, out)
        return out * operand.weights

    def places(self, columns: NDArray[np.int64]) -> Places:
        """Find the positions of a few words, for `mean_weights`."""
        offsets, indices = self._pattern
        found = [np.flatnonzero(indices == column) for column in columns]
        entries = np.concatenate([np.empty(0, np.int64), *found])
        rows = np.searchsorted(offsets, entries, side="right") - 1
        return Places(columns, np.cumsum([0, *(place.size for place in found)]), entries, rows)

    def mean_weights(self, operand: Operand, places: Places) -> Array:
        """Return the mean attention (words,) of words in the sentences that hold them, at the last `contexts`.

        The mean is NaN for a word that occurs in no sentence.
        """
        out = np.empty(places.columns.size)
        where = places.bounds, places.entries, places.rows
        sentences.mean_attention(*where, self._data, places.columns, operand.weights, self._normalisers, out)
        return out

    @cached_property
    def _backward(self) -> tuple[NDArray, ...]:
        # Computed on first use, because a corpus that is only evaluated needs none of these.
        counts, size, width = self._corpus.counts, self._corpus.n_words, self._width
        parts = max(min(MOST_THREADS, counts.nnz // (ENTRIES_A_PART * self._corpus.n_sentences)), 1)
        gradients = (
            np.empty((size, _columns(width))),
            np.empty((size, width + 1)),
            np.empty((width, size)),
            np.empty(size),
            np.empty((words.PARTS, 2)),
        )
        return *sentences.split_words(counts, parts), *gradients

    def _block(self, rows: slice, sentences: Array, deviations: Array, leads: NDArray[np.uint32]) -> Block:
        normalisers = self._normalisers[rows]
        size = normalisers.size
        offsets = self._pattern[0][rows.start : rows.start + size + 1]
        contexts = sentences[:size, : self._width]
        return Block(rows, offsets, sentences[:size], contexts, deviations[:size], normalisers, leads[:size])


def _columns(width: int) -> int:
    """Return k + 1, or one more if that fills a vector of four: three single columns cost more than one vector."""
    return width + 1 + ((width + 1) % 4 == 3)
