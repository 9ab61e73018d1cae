"""The products of replicates by compiled loops on numpy's arrays, word by word, with the replicates side by side."""

from functools import cached_property
from typing import Any

import array_api_compat.numpy as xp
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attn_dynamics.kernels import replicates as kernels
from attn_dynamics.model.attention import SHARED_SPREAD
from attn_dynamics.model.heads import Array
from attn_dynamics.system.memory import available_memory
from attn_dynamics.tasks.corpus import Corpus


class Compiled:
    """The engine of numpy and numba in float64. Logical (R, k, V) lies in memory as (V, k, R): numpy's order "F"."""

    xp = xp
    itemsize = 8
    on_host = True
    words_at_once = 2048
    abreast: int | None = kernels.LANES
    """One block of lanes: with more replicates, data would leave the cache before they are needed again."""
    out_of_memory = (MemoryError,)

    def __init__(self) -> None:
        self.threads = numba.get_num_threads()

    def array(self, values: Any) -> Array:
        """Return a float64 copy."""
        return np.array(values, np.float64, order="C")

    def numbers(self, array: Array) -> Array:
        """Return the array itself."""
        return array

    def by_words(self, array: Array) -> Array:
        """Return the array in memory order (V, k, R)."""
        return np.asfortranarray(array)

    def rows(self, array: Array) -> Array:
        """Return the array in memory order (R, k, V)."""
        return np.ascontiguousarray(array)

    def squares(self, array: Array) -> Array:
        """Return the sums of squares (R,) by replicate; the array must lie by words."""
        out = np.empty(len(array))
        kernels.squares(_by_places(array), out)
        return out

    def subtract(self, array: Array, rate: float | Array, step: Array) -> None:
        """Subtract rate × step in place; both arrays must lie by words."""
        kernels.subtract(_by_places(array), np.full(len(array), rate), _by_places(step))

    def operand(self, replicates: int, width: int, n_words: int) -> "CompiledOperand":
        """Return an operand with its buffers."""
        return CompiledOperand(replicates, width, n_words)

    def products(self, corpus: Corpus, replicates: int, width: int, columns: NDArray[np.int64]) -> "CompiledProducts":
        """Return the products of a corpus with their buffers."""
        return CompiledProducts(corpus, replicates, width, columns)

    def free_memory(self) -> int | None:
        """Return the memory that the system reports as available."""
        return available_memory()


def _by_places(array: Array) -> Array:
    """Return (R, …), which lies by words, as (rows, R) in the same memory."""
    return array.T.reshape(-1, len(array))


class CompiledOperand:
    """The operand of all replicates, and a mask of those whose scores are spread too wide for one shift."""

    def __init__(self, replicates: int, width: int, n_words: int) -> None:
        self.columns = _columns(replicates, width, n_words)
        self.apart = np.zeros(replicates, bool)
        self.scores = self.values = np.empty(0)
        self._low, self._high = np.empty(replicates), np.empty(replicates)

    def update(self, scores: Array, values: Array) -> None:
        """Set the scores (R, V) and the values (R, k, V), both by words."""
        self.scores, self.values = scores, values
        kernels.extent(scores.T, self._low, self._high)
        # Negated comparison, so that NaN counts as wide.
        self.apart = ~(self._high - self._low <= SHARED_SPREAD)
        kernels.operand(scores.T, self._high, values.T, self.columns)

    def weights(self, words: NDArray[np.int64] | slice) -> Array:
        """Return the weights e^(s - shift) (R, words)."""
        return np.concatenate(self.columns[:, words, -1].swapaxes(1, 2))[: self.apart.size]

    def alone(self, replicate: int) -> Array:
        """Return the columns [P | 1] of one replicate."""
        values = np.ascontiguousarray(self.values[replicate].T)[:, :, None]
        out = _columns(1, values.shape[1], len(values))
        kernels.operand(np.zeros((len(values), 1)), np.zeros(1), values, out)
        return out


def _columns(replicates: int, width: int, n_words: int) -> Array:
    """Return a buffer for an operand; its lanes without a replicate hold weight 1, so that they divide by no 0."""
    out = np.zeros((kernels.blocks_of(replicates), n_words, width + 1, kernels.LANES))
    out[:, :, width] = 1.0
    return out


class CompiledProducts:
    """The products of one corpus."""

    def __init__(self, corpus: Corpus, replicates: int, width: int, columns: NDArray[np.int64]) -> None:
        counts = corpus.counts
        self._counts, self._labels, self._size = counts, corpus.labels, (corpus.n_sentences, corpus.n_words)
        self._pattern = *_places(counts), counts.data
        self._contexts = np.empty((replicates, width, corpus.n_sentences))
        self._inverses = np.empty((replicates, corpus.n_sentences))
        self._deviations = np.zeros((replicates, width, corpus.n_sentences))
        self._leads = np.empty((replicates, corpus.n_sentences), np.int64)
        self._columns = columns
        self._apart: dict[int, tuple[Array, Array]] = {}

    def attend(self, operand: CompiledOperand) -> Array:
        """Return the contexts v (R, k, N)."""
        kernels.attend(*self._pattern, operand.columns, *self._told)
        self._apart = {}
        for r in np.flatnonzero(operand.apart).tolist():
            weights = np.empty(self._counts.nnz)
            kernels.relative_weights(*self._pattern, np.ascontiguousarray(operand.scores[r]), weights)
            self._apart[r] = weights, operand.alone(r)
            kernels.attend(*self._pattern[:2], *self._apart[r], *(each[r : r + 1] for each in self._told))
        return self._contexts

    def attend_back(self, operand: CompiledOperand, slopes: Array) -> tuple[Array, Array]:
        """Return ∂L/∂s (R, V) and ∂L/∂P (R, k, V), both by words."""
        by_score, by_value = self._gradients
        pattern = (*_places(self._by_word), self._by_word.data)
        kernels.attend_back(*pattern, slopes, *self._told, operand.columns, self._rows, by_value, by_score)
        for r, (weights, columns) in self._apart.items():
            place, one = slice(r, r + 1), (np.empty_like(by_value[:, :, :1]), np.empty_like(by_score[:, :1]))
            contexts, inverses, deviations, leads = (each[place] for each in self._told)
            where = slopes[place], contexts, inverses, deviations, leads
            weighed = self._weighed(weights).data
            kernels.attend_back(*pattern[:2], weighed, *where, columns, self._rows, *one)
            by_value[:, :, place], by_score[:, place] = one
        return by_score.T, by_value.T

    def cross_entropy(self, logits: Array) -> tuple[Array, Array]:
        """Return mean loss and accuracy (R,); the logits become the gradient of the mean."""
        losses, correct = np.empty(len(logits)), np.empty(len(logits))
        kernels.cross_entropy(logits, self._labels, losses, correct)
        return losses, correct / self._labels.size

    def received(self, operand: CompiledOperand, columns: NDArray[np.int64] | None = None) -> Array:
        """Return the attention received, Σ_i A_iw (R, words)."""
        pattern, words = (self._by_word, slice(None)) if columns is None else (self._followed, columns)
        out = operand.weights(words) * (pattern @ self._inverses.T).T
        for r, (weights, _) in self._apart.items():
            out[r] = (self._weighed(weights) @ self._inverses[r])[words]
        return out

    @property
    def _told(self) -> tuple[Array, Array, Array, NDArray[np.int64]]:
        """Return the results of the forward product that the backward product needs."""
        return self._contexts, self._inverses, self._deviations, self._leads

    # Computed on first use, because a corpus that is only evaluated needs none of these.
    @cached_property
    def _by_word(self) -> csr_array:
        return csr_array(self._counts.T)

    @cached_property
    def _followed(self) -> csr_array:
        return self._by_word[self._columns]

    @cached_property
    def _gradients(self) -> tuple[Array, Array]:
        replicates, width, _ = self._contexts.shape
        return np.empty((self._size[1], replicates)), np.empty((self._size[1], width, replicates))

    @cached_property
    def _rows(self) -> Array:
        return np.zeros((self._size[0], self._contexts.shape[1] + 3, kernels.LANES))

    def _weighed(self, weights: Array) -> csr_array:
        """Return the weights (nnz,), given in the order of the sentences, as a sparse matrix by words."""
        return csr_array(csr_array((weights, self._counts.indices, self._counts.indptr), shape=self._size).T)


def _places(pattern: csr_array) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return offsets and indices as unsigned integers."""
    return pattern.indptr.view(np.uint32), pattern.indices.view(np.uint32)
