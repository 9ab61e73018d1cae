"""Loss and exact gradient of any head on any corpus (theory §1)."""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from attn_dynamics.attention import Attention, Block, Operand
from attn_dynamics.corpus import Corpus
from attn_dynamics.errors import InputError
from attn_dynamics.heads import Array, Head
from attn_dynamics.kernels import words
from attn_dynamics.kernels.loss import cross_entropy
from attn_dynamics.parameters import Parameters


class Fit(NamedTuple):
    """How well a corpus is classified."""

    loss: float
    """Mean cross-entropy, nats."""
    accuracy: float
    """Share of sentences whose largest logit is their class."""


class Gradient(NamedTuple):
    """Gradient of the mean loss, with that of the embeddings kept in its smallest form until it is asked for."""

    scores: Array
    """∂L/∂s (V,)."""
    values: Array
    """(∂L/∂P)ᵀ (k, V) by the values P that were attended: E R, or E itself."""
    head: dict[str, Array]
    """∂L/∂ the arrays of the head: all that may be trained, perhaps more."""
    reading: Array | None
    """R (d, k) if P = E R, so that ∂L/∂E = (∂L/∂P) Rᵀ; None if P = E."""

    @property
    def embeddings(self) -> Array:
        """∂L/∂E (V, d) = Σ_i A_iw g_i."""
        return self.values.T.copy() if self.reading is None else self.values.T @ self.reading.T

    def norms(self) -> tuple[float, float]:
        """‖∂L/∂s‖₂ and ‖∂L/∂E‖_F, the training signals T_s and T_ν (theory §4), without forming ∂L/∂E."""
        metric = _identity(len(self.values)) if self.reading is None else self.reading.T @ self.reading
        squares = words.squared_norms(self.scores, self.values, metric, np.empty((words.PARTS, 2)))
        return math.sqrt(squares[0]), math.sqrt(max(squares[1], 0.0))


class Objective:
    """Mean cross-entropy of one corpus under one shape of model; owns its buffers, so results live until the next call.

    The loss sees a context v through (W H)ᵀ v alone, W (d, r) the first layer and H (r, k) the head's contrasts. Where
    k < d the products run on P = E W H (V, k), which is exact because (A E) W H = A (E W H); otherwise on E itself.
    Embeddings come as their axes Eᵀ (d, V).
    """

    def __init__(self, corpus: Corpus, head: Head) -> None:
        d, k = head.reading.shape
        self._narrows = k < d
        self._trains_first = head.first in head.trained
        self.attention = Attention(corpus, min(d, k))
        self._labels = corpus.labels
        self._losses = np.empty(corpus.n_sentences)
        self._values = np.empty((k, corpus.n_words if self._narrows else 0))
        self._pulled = np.empty((words.PARTS, d, k)), np.empty((d, k))

    def values(self, axes: Array, head: Head) -> Array:
        """Pᵀ (k, V), what is attended."""
        if not self._narrows:
            return axes
        words.project(axes, head.reading, self._values)
        return self._values

    def fit(self, operand: Operand, head: Head) -> Fit:
        """Loss and accuracy at an operand made of `values`."""
        self.attention.prepare(operand)
        correct = 0
        for block in self.attention.blocks:
            logits = head.logits(self._project(self.attention.contexts(operand, block), head))
            correct += self._judge(logits, block)
        return self._fit(correct)

    def fit_and_gradient(self, operand: Operand, axes: Array, head: Head) -> tuple[Fit, Gradient]:
        """The same, with the gradient of everything."""
        self.attention.prepare(operand)
        correct, head_gradient = 0, {}
        for block in self.attention.blocks:
            contexts = self.attention.contexts(operand, block)
            projected = self._project(contexts, head)
            slopes = head.logits(projected)
            correct += self._judge(slopes, block)
            slopes, gradients = head.backward(projected, slopes)
            if self._trains_first and not self._narrows:
                gradients[head.first] = contexts.T @ slopes.T
            for name, gradient in gradients.items():
                head_gradient[name] = head_gradient[name] + gradient if name in head_gradient else gradient
            self.attention.add_gradient((head.contrasts.T if self._narrows else head.first_layer) @ slopes, block)
        score_gradient, value_gradient = self.attention.gradient(operand)
        if self._trains_first and self._narrows:
            # ∂L/∂W = vᵀ (∂L/∂u) = Eᵀ Aᵀ (∂L/∂u): no context in d dimensions is ever formed.
            words.pull_back(axes, value_gradient, *self._pulled)
            head_gradient[head.first] = self._pulled[1] @ head.contrasts.T
        reading = head.reading if self._narrows else None
        return self._fit(correct), Gradient(score_gradient, value_gradient, head_gradient, reading)

    def _project(self, contexts: Array, head: Head) -> Array:
        """u = Wᵀ v (r, N), up to what the loss does not see."""
        return (head.contrasts if self._narrows else head.first_layer.T) @ contexts.T

    def _judge(self, logits: Array, block: Block) -> int:
        """Correct sentences of a block; turns its logits (n, N) into ∂L/∂logits."""
        return cross_entropy(logits, self._labels[block.rows], self._labels.size, self._losses[block.rows])

    def _fit(self, correct: int) -> Fit:
        return Fit(float(self._losses.sum()) / self._labels.size, correct / self._labels.size)


def loss_and_gradient(corpus: Corpus, parameters: Parameters) -> tuple[float, Parameters]:
    """Mean cross-entropy and its exact gradient by every parameter, in float64 (theory §1).

    Args:
        corpus: N sentences over V words.
        parameters: query (d_k,), keys (V, d_k), embeddings (V, d), head.

    Returns:
        The loss in nats, and the gradient in the shape of `parameters`, zero where nothing can be trained.

    Raises:
        InputError: `parameters` are for another vocabulary or number of classes.
    """
    check_fit(corpus, parameters)
    head, axes = parameters.head, np.ascontiguousarray(parameters.embeddings.T)
    objective = Objective(corpus, head)
    values = objective.values(axes, head)
    operand = Operand(*values.shape)
    operand.update(parameters.scores, values)
    fit, gradient = objective.fit_and_gradient(operand, axes, head)
    zeros = {name: np.zeros_like(array) for name, array in head.arrays().items()}
    trained = {name: gradient.head[name] for name in head.trained}
    return fit.loss, Parameters(
        query=parameters.keys.T @ gradient.scores,
        keys=np.outer(gradient.scores, parameters.query),
        embeddings=gradient.embeddings,
        head=head.replace(**zeros | trained),
    )


def check_fit(corpus: Corpus, parameters: Parameters) -> None:
    """Refuse parameters that are not for this corpus.

    Raises:
        InputError: another vocabulary size or number of classes.
    """
    for name, wanted, given in (
        ("words", corpus.n_words, parameters.keys.shape[0]),
        ("classes", corpus.n_classes, parameters.head.n_classes),
    ):
        if wanted != given:
            raise InputError(
                "parameters",
                expected=f"{wanted} {name}, as the corpus has",
                given=f"{given}",
                fix="Draw the parameters with the corpus's n_words and n_classes.",
            )


@cache
def _identity(size: int) -> Array:
    return np.eye(size)
