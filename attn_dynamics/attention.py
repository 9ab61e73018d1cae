"""The attention block on one corpus: contexts forward, gradients backward, by two sparse products an epoch (theory §1)."""

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.corpus import Corpus
from attn_dynamics.kernels import products, softmax

SHARED_SPREAD = 64.0
"""Spread of scores up to which one shift serves all sentences.

e^(s - shift) then loses spread/2 · 2⁻⁵² of relative accuracy at most; beyond it each sentence takes off its own largest
score, so that nothing overflows and no sentence of low scores becomes 0/0."""


class Operand:
    """[e^s ⊙ P | e^s] (V, k + 1) for scores s and values P (V, k): shared by all corpora over one vocabulary."""

    def __init__(self, n_words: int, width: int) -> None:
        self.columns = np.empty((n_words, width + 1))
        self.scores: NDArray[np.float64] | None = None

    def update(self, scores: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        """Take up new scores (V,) and values (V, k)."""
        low, high = scores.min(), scores.max()
        if high - low <= SHARED_SPREAD:
            self.scores = None
            softmax.word_operand(scores, 0.5 * (low + high), values, self.columns)
        else:
            self.scores = scores
            self.columns[:, :-1] = values
            self.columns[:, -1] = 1.0

    @property
    def weights(self) -> NDArray[np.float64]:
        """(V,) what a word's entries in the pattern are multiplied with: e^s up to a shift, or 1."""
        return self.columns[:, -1]


class Attention:
    """Contexts v = A P of one corpus and the gradient through them. Owns its buffers: results live until the next call."""

    def __init__(self, corpus: Corpus, width: int) -> None:
        counts = corpus.counts
        self._pattern = counts.indptr.view(np.uint32), counts.indices.view(np.uint32)
        self._counts = counts.data
        self._data: NDArray = counts.data
        self._sentences = np.empty((corpus.n_sentences, width + 1))
        self._normalisers = np.empty(corpus.n_sentences)
        self._width = width
        self._n_words = corpus.n_words
        self._backward: tuple[NDArray, ...] | None = None

    def contexts(self, operand: Operand) -> NDArray[np.float64]:
        """v (N, k): the attended mean of the values of each sentence's words."""
        if operand.scores is None:
            self._data = self._counts
        else:
            self._data = np.empty(self._counts.size)
            softmax.sentence_softmax(*self._pattern, self._counts, operand.scores, self._data)
        products.gather(*self._pattern, self._data, operand.columns, self._sentences)
        softmax.normalise(self._sentences, self._normalisers)
        return self._sentences[:, :-1]

    def gradient(
        self, operand: Operand, values: NDArray[np.float64], slopes: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(∂L/∂s (V,), ∂L/∂P (V, k)) from slopes ∂L/∂v (N, k), at the operand of the last `contexts`, which it consumes."""
        if self._backward is None:
            parts = products.scatter_parts(self._pattern[0], self._n_words, self._width + 1)
            shape = (self._n_words, self._width)
            self._backward = *parts, np.empty((shape[0], shape[1] + 1)), np.empty(shape), np.empty(shape[0])
        bounds, partial, sums, value_gradient, score_gradient = self._backward
        softmax.sentence_operand(slopes, self._normalisers, self._sentences)
        products.scatter(*self._pattern, self._data, self._sentences, bounds, partial, sums)
        softmax.word_gradients(sums, operand.columns, values, value_gradient, score_gradient)
        return score_gradient, value_gradient

    def places(self, columns: NDArray[np.int64]) -> tuple[NDArray, ...]:
        """Where a few words stand, for `mean_weights`: their columns, and bounds, entries and rows of those entries."""
        found = [np.flatnonzero(self._pattern[1] == column) for column in columns]
        entries = np.concatenate([*found, np.empty(0, np.int64)]).astype(np.int64)
        rows = np.searchsorted(self._pattern[0], entries, side="right") - 1
        return columns, np.cumsum([0, *(place.size for place in found)]), entries, rows

    def mean_weights(self, operand: Operand, places: tuple[NDArray, ...]) -> NDArray[np.float64]:
        """Mean attention (words,) that a few words receive in the sentences that hold them, at the last `contexts`.

        Not a number for a word that stands in no sentence."""
        columns, bounds, entries, rows = places
        out = np.empty(columns.size)
        weights = operand.weights[columns]
        softmax.mean_attention(bounds, entries, rows, self._data, weights, self._normalisers, out)
        return out

    def received(self, operand: Operand) -> NDArray[np.float64]:
        """Σ_i A_iw (V,): the attention that each word receives over all sentences, at the last `contexts`."""
        out = np.empty((self._n_words, 1))
        parts = products.scatter_parts(self._pattern[0], self._n_words, 1)
        products.scatter(*self._pattern, self._data, 1.0 / self._normalisers[:, None], *parts, out)
        return out[:, 0] * operand.weights
