"""The equations of theory §1 for R replicates at once, on a device of torch; imported only if one is requested.

Replicates are the first axis: scores (R, V), embeddings (R, d, V), logits (R, n, N). As in `Dynamics`, only
coordinates that can move are kept. If the head reads fewer dimensions, the products run on P = E W H (`Objective`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import with_prefix, without_prefix
from attn_dynamics.training.dynamics import Coordinates
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.tensors import Tensors, Torch, TorchOperand, TorchProducts, numbers

WORDS_AT_ONCE = 1 << 14
"""Number of words whose embeddings are stepped at once, so that their increments fit into memory."""


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
        frozen: columns of the words that keep their initial values.
        layout: layout of the recorded rows.
    """

    def __init__(
        self,
        device: Torch,
        corpora: Sequence[Corpus],
        starts: Sequence[Coordinates],
        frozen: NDArray[np.int64],
        layout: Layout,
    ) -> None:
        head, self._trained_head = starts[0].head, starts[0].trained_head
        self._starts, self._train, self._frozen = list(starts), starts[0].train, frozen
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
        head, axes = self._head(), self._arrays["axes"]
        readout_matrix = head.first_layer @ self._contrasts if self._narrows else None
        entry = self._contrasts if self._narrows else head.first_layer.mT
        self._operand.update(self._arrays["scores"], axes if readout_matrix is None else readout_matrix.mT @ axes)
        contexts, slopes, kept, fit = self._fit(self._products, head, entry)
        slopes, gradients = head.backward(kept, slopes)
        by_score, by_value = self._products.attend_back(self._operand, entry.mT @ slopes)
        if self._trains_first:
            gradients[head.first] = (axes @ by_value.mT) @ self._contrasts.mT if self._narrows else contexts @ slopes.mT
        if self._frozen.size:
            by_score[:, self._frozen] = 0.0
            by_value[:, :, self._frozen] = 0.0
        fits = [fit, *(self._fit(each, head, entry)[-1] for each in self._others)]
        return fits, Gradient(by_score, by_value, gradients, readout_matrix)

    def snapshot(self) -> Array:
        """Return scores, embedding norms ‖ν‖ and mean attention of all words (R, 3, V)."""
        attention = self._products.received(self._operand) / self._frequency
        return numbers(torch.stack([self._arrays["scores"], self._norms(slice(None)), attention], dim=1))

    def step(self, gradient: Gradient, learning_rate: float) -> None:
        """Take one step of gradient descent in all trained parameters at once; overwrites the gradient."""
        if "embeddings" in self._train:
            self._step_embeddings(gradient, learning_rate)
        for name in self._trained_head:
            array = self._arrays[f"head.{name}"]
            array -= learning_rate * gradient.head[name]
        if "query" in self._train:
            self._step_query(gradient.scores, learning_rate)
        elif "keys" in self._train:
            scores = self._arrays["scores"]
            scores -= (learning_rate * self._arrays["speed"])[:, None] * gradient.scores

    def moving(self) -> Tensors:
        """Return everything that moves, by name, replicates first: the arrays themselves, not copies."""
        keys = "keys" if "query" in self._train else "scores"
        parts = {"query": "query", keys: "keys", "axes": "embeddings"}
        names = [name for name, part in parts.items() if part in self._train]
        return {name: self._arrays[name] for name in [*names, *(f"head.{name}" for name in self._trained_head)]}

    def keep(self, places: NDArray[np.int64]) -> None:
        """Continue with the replicates at these indices only."""
        self._starts = [self._starts[place] for place in places]
        self._arrays = {name: array[places] for name, array in self._arrays.items()}

    def states(self) -> list[dict[str, Array]]:
        """Return for each replicate everything that moves, and its scores, by name, on the host."""
        return apart(self._all_that_moves())

    def restore(self, states: Sequence[Mapping[str, Array]]) -> None:
        """Set each replicate to its arrays of `states`; a replicate with an empty state is not changed."""
        put_back(self._all_that_moves(), states)

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

    def _all_that_moves(self) -> Tensors:
        """Return the moving arrays and the scores, which a resumed run need not sum again if the query is trained."""
        return self.moving() | {"scores": self._arrays["scores"]}

    def _head(self) -> Any:
        """Return one head that stands for those of all replicates."""
        return self._kind.stacked(without_prefix(self._arrays, "head."))

    def _fit(self, products: TorchProducts, head: Any, entry: Tensor) -> tuple[Any, Any, Any, Tensor]:
        contexts = products.attend(self._operand)
        logits, kept = head.forward(entry @ contexts)
        return contexts, logits, kept, torch.stack(products.cross_entropy(logits), dim=1)

    def _step_embeddings(self, gradient: Gradient, learning_rate: float) -> None:
        axes, values = self._arrays["axes"], gradient.values
        if gradient.readout_matrix is None:
            axes -= values.mul_(learning_rate)
            return
        for start in range(0, axes.shape[2], WORDS_AT_ONCE):
            words = slice(start, start + WORDS_AT_ONCE)
            axes[:, :, words] -= (learning_rate * gradient.readout_matrix) @ values[:, :, words]

    def _step_query(self, slopes: Tensor, learning_rate: float) -> None:
        keys, query = self._arrays["keys"], self._arrays["query"]
        query_slope = (slopes[:, None, :] @ keys)[:, 0]
        if "keys" in self._train:
            keys -= learning_rate * slopes[:, :, None] * query[:, None, :]
        query -= learning_rate * query_slope
        self._arrays["scores"][...] = (keys @ query[:, :, None])[:, :, 0]

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
    along = {"query": query, "keys": keys} if "query" in start.train else {"speed": query @ query}
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
