"""The coordinates that move in training, and the way back to parameters.

Only coordinates that can move are stepped. With a fixed query these are the scores instead of the keys, because
K(τ) = K(0) + (s(τ) - s(0)) qᵀ/‖q‖². With a fixed first layer of the head they are F = E Q instead of E, where Q (d, k)
is an orthonormal basis of the directions that the head reads. The part of E orthogonal to Q never moves (law A6,
sharpened by the head's contrasts). From E(0) = 0 the same holds with a trained first layer W: the rows of E, and the
change of W, stay in the span of the directions that the head reads at the start.
"""

from functools import cached_property

import numpy as np

from attn_dynamics.kernels import words
from attn_dynamics.model.gradient import aligned
from attn_dynamics.model.heads import Array, Head
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.training.checkpoint import without_prefix
from attn_dynamics.training.settings import Training

SOME_WORDS = 512
"""Number of words whose embeddings stay in the cache."""


class Coordinates:
    """The initial values of one run in the coordinates that can move, and the way back to parameters.

    Args:
        start: the initial values.
        training: trained parts, whether to use law A6, and the rule, which decides whether keys or scores are stepped.
        from_zero: whether to use law A6 also for a trained first layer, if E(0) = 0.
    """

    def __init__(self, start: Parameters, training: Training, *, from_zero: bool = False) -> None:
        head, self.start = start.head, start
        self.train = train = training.train
        self.by_keys = "query" in train or ("keys" in train and not training.along_gradient)
        """Whether trained keys are stepped themselves instead of the scores."""
        self.trained_head = head.trained if "head" in train else ()
        closes = head.first not in self.trained_head or (from_zero and not start.embeddings.any())
        self._basis = _basis(head) if training.reduced and training.along_gradient and closes else None
        if self._basis is not None:
            head = head.replace(**{head.first: self._basis.T @ head.first_layer})
        self.head = _copied(head)
        """Head on the reduced embeddings, as copies."""
        self.scores = start.scores
        """Scores (V,) at the start."""

    @property
    def reduced(self) -> bool:
        """Return whether law A6 is used."""
        return self._basis is not None

    @cached_property
    def axes(self) -> Array:
        """Transposed coordinates Fᵀ (k, V), or Eᵀ (d, V) if law A6 is not used; computed when first asked for."""
        return aligned(self._embeddings.T)

    @cached_property
    def still_norm(self) -> Array:
        """Norm (V,) of the part of each embedding that is orthogonal to these axes."""
        out = np.zeros(len(self.start.embeddings))
        if self._basis is not None:
            _set_norms_outside(self.start.embeddings, self._basis, out)
        return out

    @property
    def axes_shape(self) -> tuple[int, int]:
        """Return the shape (k, V) or (d, V) of the axes, without computing them."""
        return self.head.first_layer.shape[0], len(self.start.embeddings)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array that moves, by name."""
        start, shapes = self.start, {}
        if "query" in self.train:
            shapes["query"] = start.query.shape
        if "keys" in self.train:
            shapes |= {"keys": start.keys.shape} if self.by_keys else {"scores": self.scores.shape}
        if "embeddings" in self.train:
            shapes["axes"] = self.axes_shape
        return shapes | {f"head.{name}": getattr(self.head, name).shape for name in self.trained_head}

    @cached_property
    def _embeddings(self) -> Array:
        """Embeddings in these coordinates (V, k), at the start."""
        return self.start.embeddings if self._basis is None else self.start.embeddings @ self._basis

    def parameters(self, moved: dict[str, Array]) -> Parameters:
        """Return the arrays that moved, by name, as parameters of the same shapes as the start, as copies."""
        start, query, axes = self.start, moved.get("query", self.start.query), moved.get("axes", self.axes)
        head, embeddings = _copied(self.head.replace(**without_prefix(moved, "head."))), axes.T.copy()
        if self._basis is not None:
            first = start.head.first_layer.copy()
            if head.first in self.trained_head:
                first += self._basis @ (head.first_layer - self._basis.T @ first)
            head = head.replace(**{head.first: first})
            embeddings = (embeddings - self._embeddings) @ self._basis.T
            embeddings += start.embeddings
        if "scores" in moved:
            keys = np.outer(moved["scores"] - self.scores, query / max(query @ query, np.finfo(float).tiny))
            keys += start.keys
        else:
            keys = moved.get("keys", start.keys).copy()
        return Parameters(query=query.copy(), keys=keys, embeddings=embeddings, head=head)


def _copied(head: Head) -> Head:
    return head.replace(**{name: array.copy() for name, array in head.arrays().items()})


def _basis(head: Head) -> Array | None:
    """Return an orthonormal basis (d, k) of the directions that a head reads, or None if it reads all d dimensions."""
    readout_matrix = head.readout_matrix
    return np.linalg.qr(readout_matrix)[0] if readout_matrix.shape[1] < readout_matrix.shape[0] else None


def _set_norms_outside(embeddings: Array, basis: Array, out: Array) -> None:
    """Set out (V,) to the norm of the part of each embedding orthogonal to a basis (d, k), some words at a time."""
    for start in range(0, len(out), SOME_WORDS):
        some = embeddings[start : start + SOME_WORDS]
        across = np.ascontiguousarray((some - some @ basis @ basis.T).T)
        words.all_norms(across, np.zeros(len(some)), out[start : start + SOME_WORDS])
