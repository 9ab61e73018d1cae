"""The products of replicates by compiled loops on numpy's arrays, word by word with the replicates side by side."""

from typing import Any

import array_api_compat.numpy as xp
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attn_dynamics.attention import SHARED_SPREAD
from attn_dynamics.batch.available import available_memory
from attn_dynamics.corpus import Corpus
from attn_dynamics.heads import Array
from attn_dynamics.kernels import replicates as kernels

COLUMNS = 32
"""Columns of an operand that go through a sentence together: with more, rows of hot words leave the cache."""


class Compiled:
    """numpy and numba, float64. Logical (R, k, V) lies in memory as (V, k, R): numpy's order "F"."""

    xp = xp
    itemsize = 8
    on_host = True
    words_at_once = 2048
    out_of_memory = (MemoryError,)

    def __init__(self) -> None:
        self.threads = numba.get_num_threads()

    def array(self, values: Any) -> Array:
        """Float64 of its own."""
        return np.array(values, np.float64, order="C")

    def numbers(self, array: Array) -> Array:
        """The array itself."""
        return array

    def by_words(self, array: Array) -> Array:
        """(V, k, R) in memory."""
        return np.asfortranarray(array)

    def rows(self, array: Array) -> Array:
        """(R, k, V) in memory."""
        return np.ascontiguousarray(array)

    def group(self, width: int) -> int:
        """As many replicates as fill `COLUMNS`."""
        return max(1, COLUMNS // (width + 1))

    def operand(self, replicates: int, width: int, n_words: int) -> "CompiledOperand":
        """Room for an operand."""
        return CompiledOperand(replicates, width, n_words)

    def products(self, corpus: Corpus, replicates: int, width: int, columns: NDArray[np.int64]) -> "CompiledProducts":
        """Room for the products."""
        return CompiledProducts(corpus, replicates, width, columns)

    def free_memory(self) -> int | None:
        """What the system calls available."""
        return available_memory()


class CompiledOperand:
    """The operand of all replicates, and those of each whose scores are spread too wide for one shift."""

    def __init__(self, replicates: int, width: int, n_words: int) -> None:
        self.replicates, self.width = replicates, width
        self.columns = np.zeros((n_words, kernels.columns_of(replicates, width)))
        self.apart = np.zeros(replicates, bool)
        self.scores = self.values = np.empty(0)
        self._low, self._high = np.empty(replicates), np.empty(replicates)

    def update(self, scores: Array, values: Array) -> None:
        """Take up scores (R, V) and values (R, k, V), both by words."""
        self.scores, self.values = scores, values
        kernels.extent(scores.T, self._low, self._high)
        # So written, what is no number counts as apart.
        self.apart = ~(self._high - self._low <= SHARED_SPREAD)
        shift = np.where(self.apart, self._high, 0.5 * (self._low + self._high))
        kernels.operand(scores.T, shift, values.T, self.columns)

    @property
    def weights(self) -> Array:
        """(V, R) e^(s - shift)."""
        return self.columns[:, self.width * self.replicates : (self.width + 1) * self.replicates]

    def alone(self, replicate: int) -> Array:
        """[P | 1] (V, columns) of one replicate."""
        values = np.ascontiguousarray(self.values[replicate].T)[:, :, None]
        out = np.zeros((len(values), kernels.columns_of(1, self.width)))
        kernels.operand(np.zeros((len(values), 1)), np.zeros(1), values, out)
        return out


class CompiledProducts:
    """The products of one corpus."""

    def __init__(self, corpus: Corpus, replicates: int, width: int, columns: NDArray[np.int64]) -> None:
        counts = corpus.counts
        self._shape = corpus.n_sentences, corpus.n_words
        self._pattern = counts.indptr.view(np.uint32), counts.indices.view(np.uint32)
        self._counts, self._labels = counts.data, corpus.labels
        self._contexts = np.empty((replicates, width, corpus.n_sentences))
        self._inverses = np.empty((replicates, corpus.n_sentences))
        self._columns = columns
        self._by_word = csr_array(counts.T, dtype=np.float64)
        self._followed = self._by_word[columns]
        self._apart: dict[int, tuple[Array, Array]] = {}
        self._room: tuple[Array, Array, Array] | None = None

    def attend(self, operand: CompiledOperand) -> Array:
        """v (R, k, N)."""
        kernels.attend(*self._pattern, self._counts, operand.columns, self._contexts, self._inverses)
        self._apart = {}
        for r in np.flatnonzero(operand.apart).tolist():
            weights = np.empty(self._counts.size)
            kernels.relative_weights(*self._pattern, self._counts, np.ascontiguousarray(operand.scores[r]), weights)
            self._apart[r] = weights, operand.alone(r)
            kernels.attend(*self._pattern, *self._apart[r], self._contexts[r : r + 1], self._inverses[r : r + 1])
        return self._contexts

    def attend_back(self, operand: CompiledOperand, slopes: Array) -> tuple[Array, Array]:
        """∂L/∂s (R, V) and ∂L/∂P (R, k, V), both by words."""
        replicates, width, _ = self._contexts.shape
        if self._room is None:  # a corpus that is only judged needs none
            size = self._shape[1]
            self._room = (
                np.empty_like(operand.columns),
                np.empty((size, width, replicates)),
                np.empty((size, replicates)),
            )
        sums, value_gradient, score_gradient = self._room
        kernels.attend_back(*self._pattern, self._counts, slopes, self._contexts, self._inverses, sums)
        kernels.gradients(sums, operand.columns, value_gradient, score_gradient)
        for r, (weights, columns) in self._apart.items():
            one, place = np.empty_like(columns), slice(r, r + 1)
            by_value, by_score = np.empty((len(one), width, 1)), np.empty((len(one), 1))
            where = slopes[place], self._contexts[place], self._inverses[place]
            kernels.attend_back(*self._pattern, weights, *where, one)
            kernels.gradients(one, columns, by_value, by_score)
            value_gradient[:, :, place], score_gradient[:, place] = by_value, by_score
        return score_gradient.T, value_gradient.T

    def cross_entropy(self, logits: Array) -> tuple[Array, Array]:
        """Mean loss and accuracy (R,)."""
        losses, correct = np.empty(len(logits)), np.empty(len(logits))
        kernels.cross_entropy(logits, self._labels, losses, correct)
        return losses, correct / self._labels.size

    def received(self, operand: CompiledOperand, columns: NDArray[np.int64] | None = None) -> Array:
        """Σ_i A_iw (R, words)."""
        pattern, words = (self._by_word, slice(None)) if columns is None else (self._followed, columns)
        out = (operand.weights[words] * (pattern @ self._inverses.T)).T
        for r, (weights, _) in self._apart.items():
            offsets, indices = (part.view(np.int32) for part in self._pattern)
            attention = csr_array((weights, indices, offsets), shape=self._shape).T
            out[r] = (attention @ self._inverses[r])[words]
        return out
