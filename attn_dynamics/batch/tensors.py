"""The products of replicates by torch, on a processor or a GPU; imported only where a device of torch is asked for."""

import warnings
from typing import Any

import array_api_compat.torch as xp
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from attn_dynamics.attention import SHARED_SPREAD
from attn_dynamics.available import available_memory
from attn_dynamics.corpus import Corpus
from attn_dynamics.errors import InputError
from attn_dynamics.heads import Array


class Torch:
    """torch on one device, all replicates in one group.

    Raises:
        InputError: the device is not there.
    """

    xp = xp
    threads = 1
    words_at_once = 1 << 14
    abreast: int | None = None
    """All of them: a large product is what torch is good at."""
    out_of_memory = (torch.OutOfMemoryError, MemoryError)

    def __init__(self, device: str, precision: str) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("device", expected="a GPU that torch can use", given="none", fix="Take 'numpy' or 'cpu'.")
        self._device, self._dtype = torch.device(device), getattr(torch, precision)
        self.itemsize, self.on_host = self._dtype.itemsize, device == "cpu"

    def array(self, values: Any) -> Tensor:
        """A tensor of its own."""
        return torch.tensor(np.asarray(values), dtype=self._dtype, device=self._device)

    def numbers(self, array: Tensor) -> Array:
        """On the host, as float64."""
        return array.detach().cpu().numpy().astype(np.float64)

    def by_words(self, array: Tensor) -> Tensor:
        """As it is: torch's products bring their operands into shape themselves."""
        return array.contiguous()

    rows = by_words

    def squares(self, array: Tensor) -> Tensor:
        """By replicates (R,)."""
        return (array * array).flatten(1).sum(dim=1)

    def subtract(self, array: Tensor, rate: float | Tensor, step: Tensor) -> None:
        """In place; uses up the step."""
        step *= rate.reshape(-1, *[1] * (step.ndim - 1)) if isinstance(rate, Tensor) else rate
        array -= step

    def operand(self, replicates: int, width: int, n_words: int) -> "TorchOperand":
        """An operand."""
        return TorchOperand()

    def products(self, corpus: Corpus, replicates: int, width: int, columns: NDArray[np.int64]) -> "TorchProducts":
        """The products of a corpus."""
        return TorchProducts(corpus, columns, self._device, self._dtype)

    def free_memory(self) -> int | None:
        """Of the device; what torch keeps for later use counts as free."""
        if self._device.type == "cpu":
            return available_memory()
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return torch.cuda.mem_get_info(self._device)[0] + kept


class TorchOperand:
    """The operand of all replicates."""

    apart: NDArray[np.bool_]
    scores: Tensor
    values: Tensor
    weights: Tensor
    """(R, V) e^(s - shift)."""
    columns: Tensor
    """(V, R (k + 1)), a replicate's values and weight side by side."""

    def update(self, scores: Tensor, values: Tensor) -> None:
        """Take up scores (R, V) and values (R, k, V)."""
        self.scores, self.values = scores, values
        low, high = scores.amin(dim=1), scores.amax(dim=1)
        apart = ~(high - low <= SHARED_SPREAD)
        self.apart = apart.cpu().numpy()
        shift = torch.where(apart, high, 0.5 * (low + high))
        self.weights = torch.exp((scores - shift[:, None]).clip(min=-700.0))
        self.columns = _side_by_side(self.weights[:, None] * values, self.weights)


class TorchProducts:
    """The products of one corpus: torch's sparse CSR with dense columns."""

    def __init__(self, corpus: Corpus, columns: NDArray[np.int64], device: torch.device, dtype: torch.dtype) -> None:
        counts = csr_array(corpus.counts, dtype=np.float64)
        by_word = csr_array(counts.T)

        def sparse(matrix: csr_array) -> Tensor:
            parts = torch.as_tensor(matrix.indptr), torch.as_tensor(matrix.indices), torch.as_tensor(matrix.data)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse ", category=UserWarning)  # CSR is called beta
                return torch.sparse_csr_tensor(
                    *parts, size=matrix.shape, dtype=dtype, device=device, check_invariants=True
                )

        self._pattern, self._by_word, self._followed = sparse(counts), sparse(by_word), sparse(by_word[columns])
        rows = np.repeat(np.arange(corpus.n_sentences), np.diff(counts.indptr))
        self._entries = tuple(
            torch.as_tensor(part, dtype=torch.int64, device=device) for part in (rows, counts.indices)
        )
        self._counts = torch.as_tensor(counts.data, dtype=dtype, device=device)
        self._labels = torch.as_tensor(corpus.labels, device=device)
        self._places = torch.arange(corpus.n_sentences, device=device)
        self._apart: dict[int, Tensor] = {}

    def attend(self, operand: TorchOperand) -> Tensor:
        """v (R, k, N)."""
        sums = _apart_again(self._pattern @ operand.columns, len(operand.apart))
        self._apart = {r: self._relative_weights(operand.scores[r]) for r in np.flatnonzero(operand.apart).tolist()}
        for r, weights in self._apart.items():
            sums[r] = self._gather(torch.cat([operand.values[r], torch.ones_like(operand.weights[r : r + 1])]), weights)
        self._inverses = 1.0 / sums[:, -1]
        self._contexts = sums[:, :-1] * self._inverses[:, None]
        return self._contexts

    def attend_back(self, operand: TorchOperand, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """∂L/∂s (R, V) and ∂L/∂P (R, k, V)."""
        shares = slopes * self._inverses[:, None]
        along = (shares * self._contexts).sum(dim=1)
        sums = _apart_again(self._by_word @ _side_by_side(shares, along), len(operand.apart))
        sums *= operand.weights[:, None]
        for r, weights in self._apart.items():
            sums[r] = self._scatter(torch.cat([shares[r], along[r : r + 1]]), weights, sums.shape[2])
        by_value, by_score = sums[:, :-1], (operand.values * sums[:, :-1]).sum(dim=1) - sums[:, -1]
        return by_score, by_value

    def cross_entropy(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy (R,); logits (R, n, N) become the gradient of the mean."""
        correct = (logits.argmax(dim=1) == self._labels).to(logits.dtype).mean(dim=1)
        logits -= logits.amax(dim=1, keepdim=True)
        own = logits[:, self._labels, self._places]
        logits.exp_()
        total = logits.sum(dim=1, keepdim=True)
        losses = (total[:, 0].log() - own).mean(dim=1)
        logits /= total * len(self._labels)
        logits[:, self._labels, self._places] -= 1.0 / len(self._labels)
        return losses, correct

    def received(self, operand: TorchOperand, columns: NDArray[np.int64] | None = None) -> Tensor:
        """Σ_i A_iw (R, words)."""
        pattern, words = (self._by_word, slice(None)) if columns is None else (self._followed, columns)
        out = operand.weights[:, words] * (pattern @ self._inverses.T).T
        for r, weights in self._apart.items():
            out[r] = self._scatter(self._inverses[r : r + 1], weights, operand.weights.shape[1])[0, words]
        return out

    def _relative_weights(self, scores: Tensor) -> Tensor:
        """c e^(s - the largest s of the sentence) of every entry (nnz,) of one replicate."""
        rows, words = self._entries
        largest = scores.new_full((len(self._labels),), -torch.inf).scatter_reduce_(0, rows, scores[words], "amax")
        return self._counts * torch.exp(scores[words] - largest[rows])

    def _gather(self, columns: Tensor, weights: Tensor) -> Tensor:
        """(k, N) of one replicate from its columns (k, V)."""
        rows, words = self._entries
        out = columns.new_zeros((len(columns), len(self._labels)))
        return out.index_add_(1, rows, columns[:, words] * weights)

    def _scatter(self, columns: Tensor, weights: Tensor, n_words: int) -> Tensor:
        """(k, V) of one replicate from what its sentences hold (k, N)."""
        rows, words = self._entries
        return columns.new_zeros((len(columns), n_words)).index_add_(1, words, columns[:, rows] * weights)


def _side_by_side(values: Tensor, weights: Tensor) -> Tensor:
    """(places, R (k + 1)) from (R, k, places) and (R, places)."""
    columns = torch.cat([values, weights[:, None]], dim=1)
    return columns.flatten(0, 1).T.contiguous()


def _apart_again(columns: Tensor, replicates: int) -> Tensor:
    """(R, k + 1, places) from (places, R (k + 1))."""
    return columns.T.reshape(replicates, -1, len(columns))
