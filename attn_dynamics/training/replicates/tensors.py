"""Devices of torch and the sparse products of replicates on them; imported only if such a device is requested."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array
from attn_dynamics.system.memory import available_memory
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.replicates.steps import ManySteps
from attn_dynamics.training.rules import Rule

Tensors = dict[str, Tensor]
"""Tensors by name, whose first axis is that of replicates."""
NEAR_SPREAD = 4.0
"""Spread of scores up to which one sparse product serves all replicates.

A word that occurs once then leaves a weight of e^-4 to each other word, so that round-off does not destroy their share.
A word that occurs c times costs them a factor c of accuracy. Beyond this spread, a sentence's leading word is kept
apart from the others, entry by entry (see `kernels.sentences.attend`)."""
ENTRIES_AT_ONCE = 1 << 20
"""Largest size of an array of entries by replicates; it limits how many of these replicates are taken at once."""


class Torch:
    """A device of torch in one precision.

    Raises:
        InputError: the device is not available.
    """

    out_of_memory = (torch.OutOfMemoryError, MemoryError)

    def __init__(self, device: str, precision: str) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("device", expected="a GPU that torch can use", given="none", fix="Take 'numpy' or 'cpu'.")
        self.device, self.dtype = torch.device(device), getattr(torch, precision)
        self.itemsize, self.on_host = self.dtype.itemsize, device == "cpu"

    def check_rule(self, rule: Rule, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse a rule that cannot step tensors, after a trial of two steps on arrays of one number.

        Args:
            rule: the rule.
            shapes: shape of each array that moves, by name; the trial takes the number of axes from it.

        Raises:
            InputError: the rule calls functions of numpy, reads a number out of an array, or does not step in place.
        """
        axes = {name: (2, *(1 for _ in shape)) for name, shape in shapes.items()}
        state: Any = {name: self.array(np.zeros(each)) for name, each in axes.items()}
        slopes: Any = {name: self.array(np.zeros(each)) for name, each in axes.items()}
        try:
            trial = ManySteps(rule, state)
            for _ in range(2):
                trial.step(state, slopes, rate=0.1)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                "rule",
                expected=f"a rule that steps tensors, which the device {self.device.type!r} needs",
                given=f"{type(rule).__name__}, which raises {type(error).__name__}: {str(error).partition('. ')[0]}",
                fix="Take its functions from array_api_compat.array_namespace(array) instead of numpy, and read no "
                "number out of an array; or take the device 'numpy'.",
            ) from None

    def array(self, values: Any) -> Tensor:
        """Return the values as a new tensor on the device."""
        return torch.tensor(np.asarray(values), dtype=self.dtype, device=self.device)

    def free_memory(self) -> int | None:
        """Return the free bytes of the device; memory that torch keeps for later use counts as free."""
        if self.device.type == "cpu":
            return available_memory()
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return torch.cuda.mem_get_info(self.device)[0] + kept


def numbers(array: Tensor) -> Array:
    """Return a tensor on the host, as float64."""
    return array.detach().cpu().numpy().astype(np.float64)


class TorchOperand:
    """The columns [e^s ⊙ P | e^s] of all replicates, side by side, shared by all corpora over one vocabulary."""

    scores: Tensor
    values: Tensor
    near: Tensor
    """Indices of replicates whose scores are close together; `far` has the others."""
    far: Tensor
    weights: Tensor
    """Weights e^(s - shift) (near, V)."""
    columns: Tensor
    """Columns (V, near (k + 1)) with each replicate's weighted values and weight side by side."""

    def update(self, scores: Tensor, values: Tensor) -> None:
        """Set the scores (R, V) and the values (R, k, V)."""
        self.scores, self.values = scores, values
        low, high = scores.amin(dim=1), scores.amax(dim=1)
        close = high - low <= NEAR_SPREAD  # false if a score is NaN
        self.near, self.far = (torch.nonzero(each)[:, 0] for each in (close, ~close))
        self.weights = torch.exp(scores[self.near] - high[self.near, None])
        self.columns = _side_by_side(self.weights[:, None] * values[self.near], self.weights)


class Leading(NamedTuple):
    """Results that `attend` keeps for some replicates whose scores are far apart."""

    replicates: Tensor
    """Indices (c,) of the replicates."""
    leads: Tensor
    """Entry (c, N) of the largest weight of each sentence."""
    deviations: Tensor
    """Deviations (c, k, N): contexts minus the value of the leading word."""


class TorchProducts:
    """The products of one corpus and all replicates: torch's sparse CSR matrices with dense columns.

    Args:
        corpus: N sentences over V words.
        columns: columns of the followed words.
        on: device and precision.
    """

    def __init__(self, corpus: Corpus, columns: NDArray[np.int64], on: Torch) -> None:
        device = on.device
        counts = csr_array(corpus.counts, dtype=np.float64)
        by_word = csr_array(counts.T)

        def sparse(matrix: csr_array) -> Tensor:
            parts = torch.as_tensor(matrix.indptr), torch.as_tensor(matrix.indices), torch.as_tensor(matrix.data)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse ", category=UserWarning)  # CSR is called beta
                where = {"dtype": on.dtype, "device": device}
                return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=True, **where)

        self._pattern, self._by_word, self._followed = sparse(counts), sparse(by_word), sparse(by_word[columns])
        rows = np.repeat(np.arange(corpus.n_sentences), np.diff(counts.indptr))
        self._entries = tuple(
            torch.as_tensor(part, dtype=torch.int64, device=device) for part in (rows, counts.indices)
        )
        self._counts = torch.as_tensor(counts.data, dtype=on.dtype, device=device)
        self._labels = torch.as_tensor(corpus.labels, device=device)
        self._places = torch.arange(corpus.n_sentences, device=device)
        self._leading: list[Leading] = []

    def attend(self, operand: TorchOperand) -> Tensor:
        """Return the contexts v (R, k, N)."""
        replicates, k = operand.values.shape[:2]
        self._contexts = operand.values.new_empty((replicates, k, len(self._labels)))
        self._inverses = self._contexts.new_empty((replicates, len(self._labels)))
        if len(operand.near):
            sums = _apart_again(self._pattern @ operand.columns, len(operand.near))
            self._inverses[operand.near] = 1.0 / sums[:, -1]
            self._contexts[operand.near] = sums[:, :-1] / sums[:, -1:]
        self._leading = [self._attend_far(operand, far) for far in self._some(operand)]
        return self._contexts

    def attend_back(self, operand: TorchOperand, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """Return ∂L/∂s (R, V) and ∂L/∂P (R, k, V) from slopes ∂L/∂v (R, k, N); call it right after `attend`."""
        by_score, by_value = torch.empty_like(operand.scores), torch.empty_like(operand.values)
        shares = slopes * self._inverses[:, None]
        along = (shares * self._contexts).sum(dim=1)
        near = operand.near
        if len(near):
            sums = _apart_again(self._by_word @ _side_by_side(shares[near], along[near]), len(near))
            sums *= operand.weights[:, None]
            by_value[near] = sums[:, :-1]
            by_score[near] = (operand.values[near] * sums[:, :-1]).sum(dim=1) - sums[:, -1]
        for far, leads, deviations in self._leading:
            weights, words = self._weights(operand.scores[far]), self._entries[1][leads]
            largest, rows = weights.gather(1, leads), torch.cat([shares[far], along[far, None]], dim=1)
            others = self._by_words(rows, weights.scatter(1, leads, 0.0), operand.scores.shape[1])
            # The leading word's slope is -A g·(v - P_lead): the difference A g·P_lead - A g·v would cancel to noise.
            aside = (shares[far] * deviations).sum(dim=1)
            by_score[far] = (operand.values[far] * others[:, :-1]).sum(dim=1) - others[:, -1]
            by_score[far] = by_score[far].scatter_add(1, words, -largest * aside)
            own = words[:, None].expand_as(deviations)
            by_value[far] = others[:, :-1].scatter_add(2, own, largest[:, None] * shares[far])
        return by_score, by_value

    def cross_entropy(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean loss and accuracy (R,); logits (R, n, N) become the gradient of the mean."""
        correct = (logits.argmax(dim=1) == self._labels).to(logits.dtype).mean(dim=1)
        losses = logits.amax(dim=1) - logits[:, self._labels, self._places]
        logits -= logits.amax(dim=1, keepdim=True)
        logits.exp_()
        own = logits[:, self._labels, self._places]
        # If the label leads, loss and slope come from the other logits alone: added to 1 they would be lost.
        logits[:, self._labels, self._places] = 0.0
        others = logits.sum(dim=1)
        losses = (losses + torch.log1p(others + (own - 1.0))).mean(dim=1)
        total = (others + own) * len(self._labels)
        logits /= total[:, None]
        logits[:, self._labels, self._places] = -others / total
        return losses, correct

    def received(self, operand: TorchOperand, columns: NDArray[np.int64] | None = None) -> Tensor:
        """Return the attention Σ_i A_iw (R, words) received by all words, or by the followed words in these columns."""
        pattern, words = (self._by_word, slice(None)) if columns is None else (self._followed, columns)
        out = torch.empty_like(operand.scores[:, words])
        near = operand.near
        out[near] = operand.weights[:, words] * (pattern @ self._inverses[near].T).T
        for far in self._some(operand):
            weights = self._weights(operand.scores[far])
            out[far] = self._by_words(self._inverses[far, None], weights, operand.scores.shape[1])[:, 0, words]
        return out

    def _some(self, operand: TorchOperand) -> Sequence[Tensor]:
        """Return the replicates whose scores are far apart, in parts small enough for `ENTRIES_AT_ONCE`."""
        size = len(self._counts) * (operand.values.shape[1] + 1)
        return operand.far.split(max(1, ENTRIES_AT_ONCE // size)) if len(operand.far) else ()

    def _attend_far(self, operand: TorchOperand, far: Tensor) -> Leading:
        """Compute the contexts of some replicates by sums over all words of a sentence except its leading word."""
        rows, words = self._entries
        values, weights = operand.values[far], self._weights(operand.scores[far])
        largest = self._by_sentences(weights, "amax")
        places = torch.arange(len(words), device=words.device)
        first = torch.where(weights == largest[:, rows], places, len(words) - 1)
        leads = self._by_sentences(first, "amin")
        weights.scatter_(1, leads, 0.0)
        others = self._by_sentences(weights, "sum")
        sums = self._by_sentences(values[:, :, words] * weights[:, None], "sum")
        leading = values.gather(2, words[leads][:, None].expand_as(sums))
        normalisers = (others + largest)[:, None]
        self._inverses[far] = 1.0 / normalisers[:, 0]
        self._contexts[far] = (sums + largest[:, None] * leading) / normalisers
        return Leading(far, leads, (sums - others[:, None] * leading) / normalisers)

    def _weights(self, scores: Tensor) -> Tensor:
        """Return the weight c e^(s - the largest s of the sentence) of every entry (c, nnz)."""
        rows, words = self._entries
        entries = scores[:, words]
        return self._counts * torch.exp(entries - self._by_sentences(entries, "amax")[:, rows])

    def _by_sentences(self, entries: Tensor, reduce: str) -> Tensor:
        """Return entries (..., nnz) reduced to sentences (..., N)."""
        out = entries.new_zeros((*entries.shape[:-1], len(self._labels)))
        index = self._entries[0].expand_as(entries)
        return out.scatter_reduce_(-1, index, entries, reduce, include_self=False)

    def _by_words(self, columns: Tensor, weights: Tensor, n_words: int) -> Tensor:
        """Return columns (c, k, N) of sentences, weighted by (c, nnz), summed to words (c, k, V)."""
        rows, words = self._entries
        entries = columns[:, :, rows] * weights[:, None]
        return columns.new_zeros((*columns.shape[:-1], n_words)).index_add_(2, words, entries)


def _side_by_side(values: Tensor, weights: Tensor) -> Tensor:
    """Return (rows, R (k + 1)) from (R, k, rows) and (R, rows)."""
    columns = torch.cat([values, weights[:, None]], dim=1)
    return columns.flatten(0, 1).T.contiguous()


def _apart_again(columns: Tensor, replicates: int) -> Tensor:
    """Return (R, k + 1, rows) from (rows, R (k + 1))."""
    return columns.T.reshape(replicates, -1, len(columns))
