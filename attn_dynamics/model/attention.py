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

e^(s - shift) then loses spread · 2⁻⁵³ of relative accuracy at most; beyond it each sentence takes off its own largest
score, so that nothing overflows and no sentence of low scores becomes 0/0."""


ENTRIES_A_PART = 4
"""Entries of a mean sentence that one thread of the backward product should find in its part of the vocabulary."""


MOST_THREADS: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore
BLOCK = 1 << 13
"""Sentences to a block."""


class Operand:
    """[e^s ⊙ P | e^s] (V, k + 1) for scores s and values Pᵀ (k, V): shared by all corpora over one vocabulary."""

    def __init__(self, width: int, n_words: int) -> None:
        self.width = width
        self.columns = np.zeros((n_words, _columns(width)))
        self.apart: Array | None = None
        """The scores (V,), where they are spread too wide for one shift; the operand is [P | 1] then."""

    def update(self, scores: Array, values: Array) -> None:
        """Take up new scores (V,) and values Pᵀ (k, V)."""
        shared = words.operand(scores, values, SHARED_SPREAD, self.columns)
        self.apart = None if shared else scores

    @property
    def weights(self) -> Array:
        """(V,) what a word's entries in the pattern are multiplied with: e^s up to a shift, or 1."""
        return self.columns[:, self.width]


class Places(NamedTuple):
    """Where a few words stand in a corpus."""

    columns: NDArray[np.int64]
    """(words,) their columns in the pattern."""
    bounds: NDArray[np.int64]
    """(words + 1,) bounds of each word in the two arrays below."""
    entries: NDArray[np.int64]
    """Entries of the pattern by sentences."""
    rows: NDArray[np.int64]
    """Sentences of those entries."""


class Block(NamedTuple):
    """A run of sentences, few enough that what belongs to them stays in the cache; views of the arrays of the whole."""

    rows: slice
    """Its B sentences in the corpus."""
    offsets: NDArray[np.uint32]
    """(B + 1,) bounds of their entries."""
    sentences: Array
    """(B, k + 1 and padding): contexts, later the operands of the backward product."""
    contexts: Array
    """(B, k), the first columns of `sentences`."""
    deviations: Array
    """(B, k): contexts less the value of the word that leads the sentence, where one leads."""
    normalisers: Array
    """(B,), Σ_w C_iw e^{s_w} up to the shift."""
    leads: NDArray[np.uint32]
    """(B,) the entry of the word that takes nearly all attention, or `sentences.NO_LEAD`."""


class Attention:
    """Contexts v = A P of one corpus and the gradient through them; results live in its buffers until the next call.

    Sentences go block by block: memory beside the pattern, and time a token, do not grow with the corpus.
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
        """Take up an operand, before the contexts of the first block."""
        self._data = self._counts
        if operand.apart is not None:
            self._data = np.empty(self._counts.size)
            sentences.relative_weights(*self._pattern, self._counts, operand.apart, self._data)

    def contexts(self, operand: Operand, block: Block) -> Array:
        """v (B, k) of the sentences of a block: the attended mean of the values of their words."""
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
        """Take in slopes ∂L/∂v (k, B) of a block, right after its `contexts`, which are lost."""
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
        """Once all blocks are in: ∂L/∂s (V,), (∂L/∂P)ᵀ (k, V), and their squared norms, the latter by a metric."""
        _, _, sums, leading, value_gradient, score_gradient, partial = self._backward
        squares = words.gradients(sums, leading, operand.columns, metric, value_gradient, score_gradient, partial)
        return score_gradient, value_gradient, squares

    def received(self, operand: Operand) -> Array:
        """Σ_i A_iw (V,): the attention that each word receives over all sentences, at the last `contexts`."""
        out = np.empty(self._corpus.n_words)
        sentences.received(*self._pattern, self._data, self._normalisers, out)
        return out * operand.weights

    def places(self, columns: NDArray[np.int64]) -> Places:
        """Find a few words, for `mean_weights`."""
        offsets, indices = self._pattern
        found = [np.flatnonzero(indices == column) for column in columns]
        entries = np.concatenate([np.empty(0, np.int64), *found])
        rows = np.searchsorted(offsets, entries, side="right") - 1
        return Places(columns, np.cumsum([0, *(place.size for place in found)]), entries, rows)

    def mean_weights(self, operand: Operand, places: Places) -> Array:
        """Mean attention (words,) that a few words receive in the sentences that hold them, at the last `contexts`.

        Not a number for a word that stands in no sentence.
        """
        out = np.empty(places.columns.size)
        where = places.bounds, places.entries, places.rows
        sentences.mean_attention(*where, self._data, places.columns, operand.weights, self._normalisers, out)
        return out

    @cached_property
    def _backward(self) -> tuple[NDArray, ...]:
        # Made on first use: a corpus that is only judged needs none.
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
    """k + 1, or one more where that fills another vector of four: three single columns cost more than one vector."""
    return width + 1 + ((width + 1) % 4 == 3)
