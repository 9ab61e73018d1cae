"""The equations of theory §1 for R replicates at once, on a device of torch; imported only if one is requested.

Replicates are the first axis: scores (R, V), embeddings (R, d, V), logits (R, n, N). As in `Dynamics`, only
coordinates that can move are kept. If the head reads fewer dimensions, the products run on P = E W H (`Objective`).
Plain descent steps in place; any other rule is given whole gradients.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attn_dynamics.model.gradient import NO_WORDS, Gradient
from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import with_prefix, without_prefix
from attn_dynamics.training.coordinates import SOME_WORDS, Coordinates
from attn_dynamics.training.moving import Moving
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.steps import ManySteps
from attn_dynamics.training.replicates.tensors import Tensors, Torch, TorchOperand, TorchProducts, numbers
from attn_dynamics.training.settings import Training


class Replicates(Moving):
    """Models of one shape in training on one corpus.

    Args:
        device: device and precision.
        starts: start of each replicate, all with the same shapes and the same trained parts.
        training: learning rate, trained parts, update rule, weight decay and mini-batches.
        frozen: columns of the words that keep their initial values.
        layout: corpora, and layout of the recorded rows.
    """

    def __init__(
        self,
        device: Torch,
        starts: Sequence[Coordinates],
        training: Training,
        frozen: NDArray[np.int64],
        layout: Layout,
    ) -> None:
        head = starts[0].head
        self._device, self._corpus = device, layout.corpus
        self._kind, self._trains_first = type(head), head.first in head.trained
        d, read = head.readout_matrix.shape
        self._narrows = read < d
        self._contrasts = device.array(head.contrasts)
        self._followed, self._frequency = layout.columns, device.array(layout.frequency)
        self._followed_frequency = self._frequency[layout.columns]
        self._operand = TorchOperand()
        self._products, *self._others = [TorchProducts(corpus, layout.columns, device) for corpus in layout.corpora]
        each = [_arrays(start) for start in starts]
        arrays = {name: device.array(np.stack([one[name] for one in each])) for name in each[0]}
        frozen_words = torch.as_tensor(frozen, device=device.device)
        super().__init__(starts[0], arrays, training, frozen_words, ManySteps)
        self._best: Tensors = {}
        """Copies of the best states, and their dev losses (R,), under early stopping."""
        if training.patience is not None:
            losses, self._dev = torch.full_like(arrays["scores"][:, 0], torch.inf), layout.losses["dev"]
            self._best = {name: array.clone() for name, array in self.moving().items()} | {"loss": losses}
        self.rows = np.empty((0, len(starts), layout.width))
        """Rows (epochs, R, numbers) of the epochs of the last `advance`, or of the state recorded last."""
        self._snapshots: Array | None = None
        self._latest: Any = None
        """Gradient at the state evaluated last, until it is stepped along."""

    def record(self) -> None:
        """Evaluate the present state, and set `rows` (1, R, numbers) to it, in the order of `Layout`."""
        self.rows = numbers(self._row()[None])

    def advance(self, epoch: int, stop: int) -> None:
        """Train from an epoch, whose state was recorded last, to another; set `rows` to those of all epochs after."""
        rows, self._snapshots = [], None
        for each in range(epoch, stop):
            self._train(each)
            rows.append(self._row())
        self.rows = numbers(torch.stack(rows))

    def _row(self) -> Tensor:
        """Evaluate the present state; return the row of each replicate (R, numbers)."""
        fits, self._latest = self.evaluate()
        scores, words, slopes = self._arrays["scores"], self._followed, self._latest.scores
        embedding_signal = _embedding_signal(self._latest.values, self._latest.readout_matrix)
        signals = [_lengths(slopes), _lengths(slopes[:, words]), embedding_signal, scores.sum(dim=1)]
        attention = self._products.received(self._operand, words) / self._followed_frequency
        followed = scores[:, words], self._norms(words), attention, slopes[:, words]
        row = torch.cat([*fits, torch.stack(signals, dim=1), *followed], dim=1)
        if self._best:
            self._copy_best(row[:, self._dev])
        return row

    def _copy_best(self, losses: Tensor) -> None:
        """Copy the states whose dev loss (R,) is the lowest so far, always into the same arrays."""
        better = losses < self._best["loss"]
        if better.any():
            places = slice(None) if better.all() else better.nonzero()[:, 0]
            for name, array in (self.moving() | {"loss": losses}).items():
                self._best[name][places] = array[places]

    def evaluate(self) -> tuple[list[Tensor], Gradient]:
        """Return losses and accuracies (R, 2) on each corpus, and the gradient."""
        fit, gradient = self._derive(self._products)
        return [fit, *(self._fit(each)[-1] for each in self._others)], gradient

    def _derive(self, products: TorchProducts) -> tuple[Tensor, Gradient]:
        """Return losses and accuracies (R, 2) on the sentences of some products, and the gradient."""
        head, entry, axes = self._head(), self._entry(), self._arrays["axes"]
        readout_matrix = head.first_layer @ self._contrasts if self._narrows else None
        self._operand.update(self._arrays["scores"], axes if readout_matrix is None else readout_matrix.mT @ axes)
        contexts, slopes, kept, fit = self._fit(products)
        slopes, gradients = head.backward(kept, slopes)
        by_score, by_value = products.attend_back(self._operand, entry.mT @ slopes)
        if self._trains_first:
            gradients[head.first] = (axes @ by_value.mT) @ self._contrasts.mT if self._narrows else contexts @ slopes.mT
        if len(self._frozen):
            by_score[:, self._frozen] = 0.0
            by_value[:, :, self._frozen] = 0.0
        parts: Any = by_score, by_value, gradients, readout_matrix
        return fit, Gradient(*parts)

    def snapshots(self) -> Array:
        """Return scores, embedding norms ‖ν‖ and mean attention of all words (R, 3, V) at the state recorded last."""
        if self._snapshots is None:
            attention = self._products.received(self._operand) / self._frequency
            scores, some = self._arrays["scores"], SOME_WORDS  # because norms copy the embeddings
            norms = torch.cat([self._norms(slice(at, at + some)) for at in range(0, scores.shape[1], some)], dim=1)
            self._snapshots = numbers(torch.stack([scores, norms, attention], dim=1))
        return self._snapshots

    def _train(self, epoch: int) -> None:
        """Take the steps of an epoch: one on all sentences, or one on each mini-batch."""
        training, gradient = self._training, self._latest
        self._latest = None  # so that memory holds one gradient at a time
        if training.plain:
            self._descend(gradient, training.learning_rate)
        elif training.batch_size is None:
            self.step(gradient, training.learning_rate)
        else:
            for rows in training.batches(self._corpus.n_sentences, epoch):
                products = TorchProducts(self._corpus.take(rows), NO_WORDS, self._device)
                self.step(self._derive(products)[1], training.learning_rate)

    def state(self) -> Tensors:
        """Return moving arrays, buffers of the rule, best states, and scores, which are not summed again from keys."""
        return super().state() | with_prefix("best.", self._best) | {"scores": self._arrays["scores"]}

    def keep(self, places: Sequence[int]) -> None:
        """Continue with the replicates at these indices only."""
        self._latest = None
        for arrays in (self._arrays, self._stepper.buffers, self._best):
            arrays |= {name: array[places] for name, array in arrays.items()}
        if places:
            self._latest = self.evaluate()[1]

    def restore(self, place: int, state: Mapping[str, Array]) -> None:
        """Set one replicate to its part of what `state` returned."""
        for name, array in self.state().items():
            array[place] = torch.as_tensor(state[name])

    def go_back(self, place: int) -> None:
        """Return one replicate to its best state."""
        for name, array in self.moving().items():
            array[place] = self._best[name][place]

    def _head(self) -> Any:
        """Return one head that stands for those of all replicates."""
        return self._kind.stacked(without_prefix(self._arrays, "head."))

    def _entry(self) -> Any:
        """Return the matrix that takes contexts to u: Wᵀ, or the contrasts H if the contexts are read through W H."""
        return self._contrasts if self._narrows else self._head().first_layer.mT

    def _fit(self, products: TorchProducts) -> tuple[Any, Any, Any, Tensor]:
        contexts = products.attend(self._operand)
        logits, kept = self._head().forward(self._entry() @ contexts)
        return contexts, logits, kept, torch.stack(products.cross_entropy(logits), dim=1)

    def _descend(self, gradient: Gradient, learning_rate: float) -> None:
        """Take one step of plain descent in place, without arrays of the size of E."""
        for name, slope in self.slopes(gradient, axes=False).items():
            self._arrays[name].sub_(slope, alpha=learning_rate)
        axes, values, readout_matrix = self._arrays["axes"], gradient.values, gradient.readout_matrix
        if "embeddings" in self._training.train and readout_matrix is None:
            axes.sub_(values, alpha=learning_rate)
        elif "embeddings" in self._training.train:
            axes.baddbmm_(readout_matrix, values, alpha=-learning_rate)
        self.follow_keys()

    def _norms(self, words: Any) -> Tensor:
        axes, still = self._arrays["axes"][:, :, words], self._arrays["still"][:, None, words]
        return _lengths(torch.cat([axes, still], dim=1))


def _arrays(start: Coordinates) -> dict[str, Array]:
    """Return the arrays of a start by name; keys only if they are stepped or the query is."""
    given = {"scores": start.scores, "axes": start.axes, "still": start.still_norm, "query": start.start.query}
    keys = {"keys": start.start.keys} if start.by_keys else {}
    return given | keys | with_prefix("head.", start.head.arrays())


def _lengths(vectors: Tensor) -> Tensor:
    """Return the norms ‖·‖ along the second axis."""
    return _root(lambda each: (each * each).sum(dim=1), vectors, axis=(1,))


def _squares(array: Tensor) -> Tensor:
    """Return the sums of squares (R,) by replicate."""
    return (array * array).flatten(1).sum(dim=1)


def _embedding_signal(by_value: Tensor, readout_matrix: Tensor | None) -> Tensor:
    """Return ‖∂L/∂E‖_F (R,)."""
    if readout_matrix is None:
        return _root(_squares, by_value, axis=(1, 2))
    return _root(_joint_squares, by_value, readout_matrix, axis=(1, 2))


def _joint_squares(by_value: Tensor, readout_matrix: Tensor) -> Tensor:
    """Return ‖∂L/∂E‖_F² = Σ_w b_wᵀ (W H)ᵀ(W H) b_w, b_w the columns of (∂L/∂P)ᵀ."""
    return ((by_value @ by_value.mT) * (readout_matrix.mT @ readout_matrix)).sum(dim=(1, 2))


def _root(squares: Callable[..., Tensor], *factors: Tensor, axis: tuple[int, ...]) -> Tensor:
    """Return roots of squares; squares that underflow are computed again from factors divided by their largest."""
    found = squares(*factors)
    limits = torch.finfo(found.dtype)
    small = found <= limits.smallest_normal / limits.eps**2
    roots = found.clamp(min=0.0).sqrt()
    if 0 in factors[0].shape or not small.any():
        return roots
    largest = [each.abs().amax(dim=axis, keepdim=True) for each in factors]
    largest = [torch.where(each > 0.0, each, 1.0) for each in largest]
    again = squares(*(each / size for each, size in zip(factors, largest, strict=True)))
    scaled = math.prod(each.reshape(found.shape) for each in largest) * again.clamp(min=0.0).sqrt()
    return torch.where(small, scaled, roots)
