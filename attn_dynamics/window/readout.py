"""Losses of a context: a classifier's cross-entropy, or the context as a probability or its logarithm (theory §D)."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.kernels.loss import cross_entropy
from attn_dynamics.model.heads import Array, Head


class Read(NamedTuple):
    """Loss of the contexts, its gradient in the contexts, and its gradient in the readout's arrays."""

    loss: float
    """Mean loss over queries, in nats; for `Reward`, minus the mean probability."""
    slopes: Array
    """Gradient g_i = ∂L/∂v_i (d, R)."""
    gradient: dict[str, Array]
    """Gradients of the trained arrays of a head."""
    accuracy: float | None
    """Share of queries answered correctly; None if there are no answers."""


class Readout(Protocol):
    """A loss of contexts."""

    def read(self, contexts: Array, labels: NDArray[np.int64]) -> Read:
        """Return the loss of contexts (d, R) with labels (R,), and its gradients."""
        ...

    def loss(self, contexts: NDArray, labels: NDArray[np.int64]) -> Any:
        """Return the loss alone, an analytic function of the contexts, which may be complex."""
        ...


@final
@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Mean cross-entropy of a head (theory §1)."""

    head: Head

    def read(self, contexts: Array, labels: NDArray[np.int64]) -> Read:
        """Return the loss and its gradients, as in `Readout`."""
        first, losses = self.head.first_layer, np.empty(labels.size)
        logits, kept = self.head.forward(first.T @ contexts)
        slopes = np.array(logits, order="C")
        right = cross_entropy(slopes, labels, labels.size, losses) / labels.size
        inward, gradient = self.head.backward(kept, slopes)
        if self.head.first in self.head.trained:
            gradient = gradient | {self.head.first: contexts @ inward.T}
        return Read(float(losses.mean()), first @ inward, gradient, right)

    def loss(self, contexts: NDArray, labels: NDArray[np.int64]) -> Any:
        """Return the loss, as in `Readout`; it is analytic if the head is smooth."""
        logits = self.head.forward(self.head.first_layer.T @ contexts)[0]
        logits = logits - logits.real.max(axis=0)
        return (np.log(np.exp(logits).sum(axis=0)) - logits[labels, np.arange(labels.size)]).mean()


@final
@dataclass(frozen=True)
class Likelihood:
    """The loss L = -mean ln v_{i, y_i}, with the context as the probability of each answer (theory D4)."""

    def read(self, contexts: Array, labels: NDArray[np.int64]) -> Read:
        """Return the loss and its gradients, as in `Readout`."""
        chances, slopes = _chances(contexts, labels), np.zeros_like(contexts)
        with np.errstate(divide="ignore"):
            slopes[labels, np.arange(labels.size)] = -1.0 / (labels.size * chances)
            return Read(float(-np.log(chances).mean()), slopes, {}, None)

    def loss(self, contexts: NDArray, labels: NDArray[np.int64]) -> Any:
        """Return the loss, as in `Readout`."""
        return -np.log(_chances(contexts, labels)).mean()


@final
@dataclass(frozen=True)
class Reward:
    """The loss L = -mean v_{i, y_i}, minus the mean probability, which is bounded (theory D5)."""

    def read(self, contexts: Array, labels: NDArray[np.int64]) -> Read:
        """Return the loss and its gradients, as in `Readout`."""
        slopes = np.zeros_like(contexts)
        slopes[labels, np.arange(labels.size)] = -1.0 / labels.size
        return Read(float(-_chances(contexts, labels).mean()), slopes, {}, None)

    def loss(self, contexts: NDArray, labels: NDArray[np.int64]) -> Any:
        """Return the loss, as in `Readout`."""
        return -_chances(contexts, labels).mean()


def _chances(contexts: NDArray, labels: NDArray[np.int64]) -> NDArray:
    return contexts[labels, np.arange(labels.size)]
