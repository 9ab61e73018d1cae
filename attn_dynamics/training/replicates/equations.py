"""The equations of theory §1 for R replicates at once, on a device of torch; imported only if one is requested.

Replicates are the first axis: scores (R, V), embeddings (R, d, V), logits (R, n, N). As in `Dynamics`, only
coordinates that can move are kept. If the head reads fewer dimensions, the products run on P = E W H (`Objective`).
Plain descent steps in place, some words at a time; any other rule is given whole gradients.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attn_dynamics.model.gradient import NO_WORDS
from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import with_prefix, without_prefix
from attn_dynamics.training.dynamics import SOME_WORDS, Coordinates, take_step
from attn_dynamics.training.memory import WORDS_AT_ONCE
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.steps import ManySteps
from attn_dynamics.training.replicates.tensors import Tensors, Torch, TorchOperand, TorchProducts, numbers
from attn_dynamics.training.settings import Training


class Gradient(NamedTuple):
    """Gradients of the mean losses of R replicates, valid until the next evaluation; a step overwrites them."""

    scores: Tensor
    """Gradient ∂L/∂s (R, V)."""
    values: Tensor
    """Gradient ∂L/∂P (R, k, V)."""
    head: dict[str, Any]
    """Gradients with respect to the arrays of the head, by name."""
    readout_matrix: Tensor | None
    """Readout matrix W H (R, d, k) if P = E W H, so that ∂L/∂E = (∂L/∂P)(W H)ᵀ; None if P = E."""


class Replicates:
    """Models of one shape in training on one corpus.

    Args:
        device: device and precision.
        corpora: the training corpus first, then the corpora to evaluate.
        starts: start of each replicate, all with the same shapes and the same trained parts.
        training: learning rate, trained parts, update rule, weight decay and mini-batches.
        frozen: columns of the words that keep their initial values.
        layout: layout of the recorded rows.
    """

    def __init__(
        self,
        device: Torch,
        corpora: Sequence[Corpus],
        starts: Sequence[Coordinates],
        training: Training,
        frozen: NDArray[np.int64],
        layout: Layout,
    ) -> None:
        head, self._trained_head, self._by_keys = starts[0].head, starts[0].trained_head, starts[0].by_keys
        self._device, self._corpus, self._training = device, corpora[0], training
        self._starts, self._shapes, self._train = list(starts), starts[0].shapes, training.train
        self._frozen = torch.as_tensor(frozen, device=device.device)
        self._kind, self._trains_first = type(head), head.first in head.trained
        d, read = head.readout_matrix.shape
        self._narrows = read < d
        self._contrasts = device.array(head.contrasts)
        self._followed, self._frequency = layout.columns, device.array(layout.frequency)
        self._followed_frequency = self._frequency[layout.columns]
        self._operand = TorchOperand()
        self._products, *self._others = [TorchProducts(corpus, layout.columns, device) for corpus in corpora]
        arrays = [_arrays(start) for start in starts]
        self._arrays = {name: device.array(np.stack([each[name] for each in arrays])) for name in arrays[0]}
        moving: Any = self.moving()
        self._stepper = ManySteps(training.rule, moving)

    def __len__(self) -> int:
        return len(self._starts)

    def record(self) -> tuple[Array, Gradient]:
        """Evaluate all replicates; return the recorded row of each (R, numbers), in the order of `Layout`."""
        fits, gradient = self.evaluate()
        scores, words, readout_matrix = self._arrays["scores"], self._followed, gradient.readout_matrix
        slopes = gradient.scores[:, words]
        if readout_matrix is None:
            embedding_signal = _root(_squares, gradient.values, axis=(1, 2))
        else:
            embedding_signal = _root(_joint_squares, gradient.values, readout_matrix, axis=(1, 2))
        signals = [_lengths(gradient.scores), _lengths(slopes), embedding_signal, scores.sum(dim=1)]
        attention = self._products.received(self._operand, words) / self._followed_frequency
        parts = [*fits, torch.stack(signals, dim=1), scores[:, words], self._norms(words), attention, slopes]
        return numbers(torch.cat(parts, dim=1)), gradient

    def evaluate(self) -> tuple[list[Tensor], Gradient]:
        """Return losses and accuracies (R, 2) on each corpus, and the gradient."""
        fit, gradient = self._gradient(self._products)
        return [fit, *(self._fit(each)[-1] for each in self._others)], gradient

    def _gradient(self, products: TorchProducts) -> tuple[Tensor, Gradient]:
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
        return fit, Gradient(by_score, by_value, gradients, readout_matrix)

    def snapshot(self) -> Array:
        """Return scores, embedding norms ‖ν‖ and mean attention of all words (R, 3, V)."""
        attention = self._products.received(self._operand) / self._frequency
        scores, some = self._arrays["scores"], SOME_WORDS  # because norms copy the embeddings
        norms = torch.cat([self._norms(slice(at, at + some)) for at in range(0, scores.shape[1], some)], dim=1)
        return numbers(torch.stack([scores, norms, attention], dim=1))

    def step(self, gradient: Gradient, epoch: int) -> None:
        """Take the steps of an epoch: one along the gradient, which is overwritten, or one on each mini-batch."""
        if self._training.plain:
            self._descend(gradient, self._training.learning_rate)
        elif self._training.batch_size is None:
            self._update(gradient)
        else:
            for rows in self._training.batches(self._corpus.n_sentences, epoch):
                products = TorchProducts(self._corpus.take(rows), NO_WORDS, self._device)
                self._update(self._gradient(products)[1])

    def moving(self) -> Tensors:
        """Return everything that moves, by name, replicates first: the arrays themselves, not copies."""
        return {name: self._arrays[name] for name in self._shapes}

    def state(self) -> Tensors:
        """Return moving arrays, buffers of the rule, and scores, which a resumed run need not sum again from keys."""
        return self.moving() | with_prefix("rule.", self._stepper.buffers) | {"scores": self._arrays["scores"]}

    def keep(self, places: NDArray[np.int64]) -> None:
        """Continue with the replicates at these indices only."""
        self._starts = [self._starts[place] for place in places]
        self._arrays = {name: array[places] for name, array in self._arrays.items()}
        self._stepper.keep(places)

    def parameters(self, place: int, state: Tensors) -> Parameters:
        """Return the parameters of one replicate at a state that `moving` returned, in the shapes of its start."""
        start = self._starts[place]
        moved = {name: numbers(array[place]) for name, array in state.items()}
        return start.parameters(
            scores=moved.get("scores", start.scores),
            axes=moved.get("axes", start.axes),
            head=start.head.replace(**without_prefix(moved, "head.")),
            keys=moved.get("keys", start.start.keys),
            query=moved.get("query", start.start.query),
        )

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

    def _update(self, gradient: Gradient) -> None:
        """Take one step of the update rule in all trained parameters at once."""
        state: Any = self.moving()
        slopes: Any = self._slopes(gradient)
        take_step(self._stepper, self._training, state, slopes, self._frozen, self._training.learning_rate)
        if self._by_keys:
            self._follow_keys()

    def _slopes(self, gradient: Gradient) -> Tensors:
        """Return the gradients of all arrays that move, by name, as `Dynamics` has them."""
        arrays, by_score, slopes = self._arrays, gradient.scores, {}
        if "query" in self._train:
            slopes["query"] = self._query_slopes(by_score)
        if "keys" in self._train and self._by_keys:
            slopes["keys"] = by_score[:, :, None] * arrays["query"][:, None, :]
        elif "keys" in self._train:
            slopes["scores"] = arrays["speed"][:, None] * by_score
        if "embeddings" in self._train:
            values, readout_matrix = gradient.values, gradient.readout_matrix
            slopes["axes"] = values if readout_matrix is None else readout_matrix @ values
        return slopes | {f"head.{name}": gradient.head[name] for name in self._trained_head}

    def _descend(self, gradient: Gradient, learning_rate: float) -> None:
        """Take one step of plain descent, without arrays of the size of E."""
        arrays, slopes = self._arrays, gradient.scores
        if "embeddings" in self._train:
            self._step_embeddings(gradient, learning_rate)
        for name in self._trained_head:
            arrays[f"head.{name}"] -= learning_rate * gradient.head[name]
        if "query" in self._train:
            query_slopes = self._query_slopes(slopes)
            if "keys" in self._train:
                arrays["keys"] -= learning_rate * slopes[:, :, None] * arrays["query"][:, None, :]
            arrays["query"] -= learning_rate * query_slopes
            self._follow_keys()
        elif "keys" in self._train:
            arrays["scores"] -= (learning_rate * arrays["speed"])[:, None] * slopes

    def _step_embeddings(self, gradient: Gradient, learning_rate: float) -> None:
        axes, values, readout_matrix = self._arrays["axes"], gradient.values, gradient.readout_matrix
        if readout_matrix is None:
            axes -= values.mul_(learning_rate)
            return
        for start in range(0, axes.shape[2], WORDS_AT_ONCE):
            words = slice(start, start + WORDS_AT_ONCE)
            axes[:, :, words] -= (learning_rate * readout_matrix) @ values[:, :, words]

    def _query_slopes(self, by_score: Tensor) -> Tensor:
        return (by_score[:, None, :] @ self._arrays["keys"])[:, 0]

    def _follow_keys(self) -> None:
        self._arrays["scores"][...] = (self._arrays["keys"] @ self._arrays["query"][:, :, None])[:, :, 0]

    def _norms(self, words: Any) -> Tensor:
        axes, still = self._arrays["axes"][:, :, words], self._arrays["still"][:, None, words]
        return _lengths(torch.cat([axes, still], dim=1))


def apart(arrays: Mapping[str, Any]) -> list[dict[str, Array]]:
    """Return arrays whose first axis is that of replicates as one mapping a replicate, on the host."""
    found = {name: numbers(array) if isinstance(array, Tensor) else array for name, array in arrays.items()}
    return [{name: array[place] for name, array in found.items()} for place in range(len(next(iter(found.values()))))]


def put_back(arrays: Mapping[str, Any], states: Sequence[Mapping[str, Array]]) -> None:
    """Set arrays to what `apart` returned; a replicate with an empty state is not changed."""
    for place, state in enumerate(states):
        for name, values in state.items():
            arrays[name][place] = torch.tensor(values)


def _arrays(start: Coordinates) -> dict[str, Array]:
    """Return the arrays of a start by name; "speed" is ‖q‖², at which scores move if the query is fixed."""
    query, keys = start.start.query, start.start.keys
    along = {"query": query, "keys": keys} if start.by_keys else {"speed": query @ query}
    given = {"scores": start.scores, "axes": start.axes, "still": start.still_norm}
    return given | along | with_prefix("head.", start.head.arrays())


def _lengths(vectors: Tensor) -> Tensor:
    """Return the norms ‖·‖ along the second axis."""
    return _root(lambda each: (each * each).sum(dim=1), vectors, axis=(1,))


def _squares(array: Tensor) -> Tensor:
    """Return the sums of squares (R,) by replicate."""
    return (array * array).flatten(1).sum(dim=1)


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
