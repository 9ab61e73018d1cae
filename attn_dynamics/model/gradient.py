"""Loss and exact gradient of any head on any corpus (theory §1)."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attn_dynamics.check import instance, mapping
from attn_dynamics.errors import InputError
from attn_dynamics.kernels import words
from attn_dynamics.kernels.loss import cross_entropy
from attn_dynamics.model.attention import Attention, Operand
from attn_dynamics.model.heads import Array, Head
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.kernel_threads import one_under_workqueue
from attn_dynamics.tasks.corpus import Corpus


class Fit(NamedTuple):
    """Loss and accuracy of a model on a corpus."""

    loss: float
    """Mean cross-entropy, in nats."""
    accuracy: float
    """Share of sentences whose largest logit is that of their class."""


class Gradient(NamedTuple):
    """The gradient of the mean loss; that of the embeddings is kept in its smallest form until it is requested."""

    scores: Array
    """Gradient ∂L/∂s (V,)."""
    values: Array
    """Gradient (∂L/∂P)ᵀ (k, V) with respect to the attended values P: E R, or E itself."""
    head: dict[str, Array]
    """Gradients with respect to arrays of the head: all that may be trained, perhaps more."""
    readout_matrix: Array | None
    """Readout matrix R (d, k) if P = E R, so that ∂L/∂E = (∂L/∂P) Rᵀ; None if P = E."""
    score_signal: float
    """Training signal T_s = ‖∂L/∂s‖₂ (theory §4)."""
    embedding_signal: float
    """Training signal T_ν = ‖∂L/∂E‖_F (theory §4)."""

    @property
    def embeddings(self) -> Array:
        """Return ∂L/∂E (V, d) = Σ_i A_iw g_i."""
        return self.values.T.copy() if self.readout_matrix is None else self.values.T @ self.readout_matrix.T


class Objective:
    """Mean cross-entropy of one corpus under one shape of model; its results stay in its buffers until the next call.

    The loss depends on a context v through (W H)ᵀ v alone, W (d, r) the first layer and H (r, k) the head's contrasts.
    If k < d the products run on P = E W H (V, k), which is exact because (A E) W H = A (E W H). Otherwise they run
    on E. Embeddings are given as their axes Eᵀ (d, V).
    """

    def __init__(self, corpus: Corpus, head: Head) -> None:
        d, k = head.readout_matrix.shape
        self._narrows = k < d
        self._trains_first = head.first in head.trained
        self.attention = Attention(corpus, min(d, k))
        self._labels = corpus.labels
        self._losses = np.empty(corpus.n_sentences)
        self._blocks = [(b, self._labels[b.rows], self._losses[b.rows]) for b in self.attention.blocks]
        self._identity = np.eye(min(d, k))
        self._values = np.empty((k, corpus.n_words if self._narrows else 0))
        self._pulled = np.empty((words.PARTS, d, k)), np.empty((d, k))

    def values(self, axes: Array, head: Head) -> Array:
        """Return the attended values Pᵀ (k, V)."""
        if not self._narrows:
            return axes
        words.project(axes, head.readout_matrix, self._values)
        return self._values

    def step(self, axes: Array, gradient: "Gradient", learning_rate: float, head: Head) -> Array:
        """Step the embeddings in place, after the head has been stepped; return the `values` at the new state."""
        if gradient.readout_matrix is None:
            words.subtract(axes, learning_rate, gradient.values)
            return axes
        words.descend(axes, gradient.values, gradient.readout_matrix, learning_rate, head.readout_matrix, self._values)
        return self._values

    def fit(self, operand: Operand, head: Head) -> Fit:
        """Return loss and accuracy at an operand made of `values`."""
        self.attention.prepare(operand)
        entry = self._entry(head)
        correct = 0
        for block, labels, losses in self._blocks:
            logits, _ = head.forward(entry @ self.attention.contexts(operand, block).T)
            correct += cross_entropy(logits, labels, self._labels.size, losses)
        return self._fit(correct)

    def fit_and_gradient(self, operand: Operand, axes: Array, head: Head) -> tuple[Fit, Gradient]:
        """Return loss and accuracy at an operand made of `values`, and the gradient of everything."""
        self.attention.prepare(operand)
        entry = self._entry(head)
        correct, head_gradient = 0, {}
        for block, labels, losses in self._blocks:
            contexts = self.attention.contexts(operand, block)
            slopes, kept = head.forward(entry @ contexts.T)
            correct += cross_entropy(slopes, labels, self._labels.size, losses)
            slopes, gradients = head.backward(kept, slopes)
            if self._trains_first and not self._narrows:
                gradients[head.first] = contexts.T @ slopes.T
            for name, gradient in gradients.items():
                head_gradient[name] = head_gradient[name] + gradient if name in head_gradient else gradient
            self.attention.add_gradient(entry.T @ slopes, block)
        readout_matrix = head.readout_matrix if self._narrows else None
        metric = self._identity if readout_matrix is None else readout_matrix.T @ readout_matrix
        score_gradient, value_gradient, squares = self.attention.gradient(operand, metric)
        if self._trains_first and self._narrows:
            # ∂L/∂W = vᵀ (∂L/∂u) = Eᵀ Aᵀ (∂L/∂u), so that no context in d dimensions is formed.
            words.pull_back(axes, value_gradient, *self._pulled)
            head_gradient[head.first] = self._pulled[1] @ head.contrasts.T
        signals = _root(squares[0], score_gradient[None]), _root(squares[1], value_gradient, readout_matrix)
        return self._fit(correct), Gradient(score_gradient, value_gradient, head_gradient, readout_matrix, *signals)

    def _entry(self, head: Head) -> Array:
        """Return the matrix that maps attended values to u = Wᵀ v, up to what the loss does not see: H, or Wᵀ."""
        return head.contrasts if self._narrows else head.first_layer.T

    def _fit(self, correct: int) -> Fit:
        return Fit(float(np.add.reduce(self._losses)) / self._labels.size, correct / self._labels.size)


def norm(columns: Array, readout_matrix: Array | None = None) -> float:
    """Return ‖R B‖_F of columns B (k, V) and R (d, k), or ‖B‖_F without R; scaling keeps squares from underflow."""
    columns, size = _in_shares(columns)
    readout_matrix, factor = _in_shares(np.eye(len(columns)) if readout_matrix is None else readout_matrix)
    square = float((readout_matrix.T @ readout_matrix @ columns * columns).sum())
    return size * factor * math.sqrt(max(square, 0.0))


def _in_shares(array: Array) -> tuple[Array, float]:
    """Return an array divided by its largest magnitude, and that magnitude; if it is 0 or infinite, the array and 1."""
    largest = float(np.abs(array).max(initial=0.0))
    return (array / largest, largest) if 0.0 < largest < np.inf else (array, 1.0)


def _root(square: float, columns: Array, readout_matrix: Array | None = None) -> float:
    """Return the root of a square, or the norm computed anew if the square underflows."""
    return math.sqrt(square) if not square <= words.SMALLEST_SQUARE else norm(columns, readout_matrix)


def loss_and_gradient(corpus: Corpus, parameters: Parameters) -> tuple[float, Parameters]:
    """Return the mean cross-entropy and its exact gradient in every parameter, in float64 (theory §1).

    `model/reference.py` computes the same in ten lines of numpy.

    Args:
        corpus: N sentences over V words.
        parameters: query (d_k,), keys (V, d_k), embeddings (V, d), head.

    Returns:
        The loss in nats, and the gradient in the shape of `parameters`: zero for arrays that cannot be trained.

    Raises:
        InputError: `parameters` are for another vocabulary or number of classes.
    """
    check_fit(corpus, parameters)
    head, axes = parameters.head, np.ascontiguousarray(parameters.embeddings.T)
    objective = Objective(corpus, head)
    with one_under_workqueue():
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


def check_fit(corpus: Corpus, parameters: Parameters, judge: Mapping[str, Corpus] | None = None) -> None:
    """Refuse parameters, and further corpora, that do not fit this corpus.

    Args:
        corpus: training corpus.
        parameters: query, keys, embeddings, head.
        judge: further corpora by name, whose words and classes must be those of `corpus`, in the same order.

    Raises:
        InputError: no corpus, no parameters, or other words or classes.
    """
    instance("corpus", corpus, Corpus, fix="Corpus.from_sentences makes one.")
    instance("parameters", parameters, Parameters, fix="draw(…) makes them.")
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
    for name, other in (judge or {}).items():
        other.check_alike(corpus, f"judge {name!r}")


def corpora(judge: Mapping[str, Corpus] | None) -> dict[str, Corpus]:
    """Return the further corpora to evaluate, by name.

    Raises:
        InputError: `judge` does not map names to corpora, or names one "train", which is always evaluated.
    """
    fix = 'Pass judge={"dev": corpus}.'
    found = mapping("judge", judge, fix=fix)
    for name, corpus in found.items():
        instance("judge", name, str, fix=fix)
        instance(f"judge[{name!r}]", corpus, Corpus, fix=fix)
    if "train" in found:
        raise InputError(
            "judge", expected="names other than 'train'", given=", ".join(found), fix="That one is always judged."
        )
    return found
