"""Loss and exact gradient of any head on any corpus (theory §1)."""

from typing import NamedTuple

import numpy as np

from attn_dynamics.attention import Attention, Operand
from attn_dynamics.corpus import Corpus
from attn_dynamics.errors import InputError
from attn_dynamics.heads import Array, Head
from attn_dynamics.kernels.softmax import cross_entropy
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
    """∂L/∂P (V, k) by the values P that were attended: E W in r columns, or E itself."""
    head: dict[str, Array]
    """∂L/∂ every array of the head, trained or not."""
    projection: Array | None
    """W (d, r) if P = E W, so that ∂L/∂E = (∂L/∂P) Wᵀ; None if P = E."""

    @property
    def embeddings(self) -> Array:
        """∂L/∂E (V, d) = Σ_i A_iw g_i."""
        return self.values.copy() if self.projection is None else self.values @ self.projection.T

    @property
    def embeddings_norm(self) -> float:
        """‖∂L/∂E‖_F, without forming it."""
        if self.projection is None:
            return float(np.linalg.norm(self.values))
        inner = np.vdot(self.values.T @ self.values, self.projection.T @ self.projection)
        return float(np.sqrt(max(inner, 0.0)))


class Objective:
    """Mean cross-entropy of one corpus under one shape of model; owns its buffers, so results live until the next call.

    The products run in the smaller of d and r columns: on P = E W (V, r) where the head's first layer W (d, r) narrows,
    which is exact because v W = A (E W), and on E otherwise.
    """

    def __init__(self, corpus: Corpus, head: Head) -> None:
        d, r = head.first_layer.shape
        self._projects = r < d
        self._labels = corpus.labels
        self.attention = Attention(corpus, min(d, r))

    def values(self, embeddings: Array, head: Head) -> Array:
        """P (V, k), what is attended."""
        return embeddings @ head.first_layer if self._projects else embeddings

    def fit(self, operand: Operand, head: Head) -> Fit:
        """Loss and accuracy at an operand made of `values`."""
        contexts = self.attention.contexts(operand)
        logits = head.logits(contexts if self._projects else contexts @ head.first_layer)
        loss, correct = cross_entropy(logits, self._labels)
        return Fit(loss, correct / self._labels.size)

    def fit_and_gradient(self, operand: Operand, values: Array, embeddings: Array, head: Head) -> tuple[Fit, Gradient]:
        """The same, with the gradient of everything; `operand` must hold these `values`."""
        contexts = self.attention.contexts(operand)
        projected = contexts if self._projects else contexts @ head.first_layer
        slopes = head.logits(projected)
        loss, correct = cross_entropy(slopes, self._labels)
        slopes, head_gradient = head.backward(projected, slopes)
        if self._projects:
            score_gradient, value_gradient = self.attention.gradient(operand, values, slopes)
            # ∂L/∂W = vᵀ (∂L/∂u) = Eᵀ Aᵀ (∂L/∂u): no context in d dimensions is ever formed.
            head_gradient[head.first] = embeddings.T @ value_gradient
        else:
            head_gradient[head.first] = contexts.T @ slopes
            score_gradient, value_gradient = self.attention.gradient(operand, values, slopes @ head.first_layer.T)
        projection = head.first_layer if self._projects else None
        return Fit(loss, correct / self._labels.size), Gradient(score_gradient, value_gradient, head_gradient, projection)


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
    head, embeddings = parameters.head, parameters.embeddings
    objective = Objective(corpus, head)
    values = objective.values(embeddings, head)
    operand = Operand(*values.shape)
    operand.update(parameters.scores, values)
    fit, gradient = objective.fit_and_gradient(operand, values, embeddings, head)
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
