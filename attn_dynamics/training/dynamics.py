"""The coordinates that move in training, their velocity under the gradient, and the way back to parameters.

Only coordinates that can move are stepped. With a fixed query these are the scores instead of the keys, because
K(τ) = K(0) + (s(τ) - s(0)) qᵀ/‖q‖². With a fixed first layer of the head they are F = E Q instead of E, where Q (d, k)
is an orthonormal basis of the directions that the head reads. The part of E orthogonal to Q never moves (law A6,
sharpened by the head's contrasts). From E(0) = 0 the same holds with a trained first layer W: the rows of E, and the
change of W, stay in the span of the directions that the head reads at the start.
"""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.kernels import words
from attn_dynamics.kernels.epochs import Rates
from attn_dynamics.model.corpus_arrays import Data
from attn_dynamics.model.gradient import NO_WORDS, Fit, Gradient, Objective, aligned, check_fit
from attn_dynamics.model.heads import Array, Head
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import with_prefix
from attn_dynamics.training.rules import Arrays, Stepper
from attn_dynamics.training.run import divergence_message
from attn_dynamics.training.settings import PLAIN, Training

SOME_WORDS = 512
"""Number of words whose embeddings stay in the cache."""
PARTS = {"query": "query", "keys": "keys", "scores": "keys", "axes": "embeddings", "head": "head"}
"""Trained part, as `train` names it, that each moving array belongs to, by the first word of the array's name."""


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

    def parameters(self, *, scores: Array, axes: Array, head: Head, keys: Array, query: Array) -> Parameters:
        """Return a later state as parameters of the same shapes as the start, as copies."""
        start, head, embeddings = self.start, _copied(head), axes.T.copy()
        if self._basis is not None:
            first = start.head.first_layer.copy()
            if head.first in self.trained_head:
                first += self._basis @ (head.first_layer - self._basis.T @ first)
            head = head.replace(**{head.first: first})
            embeddings = (embeddings - self._embeddings) @ self._basis.T
            embeddings += start.embeddings
        if "keys" in self.train and not self.by_keys:
            moved = np.outer(scores - self.scores, query / max(query @ query, np.finfo(float).tiny))
            moved += keys
            keys = moved
        else:
            keys = keys.copy()
        return Parameters(query=query.copy(), keys=keys, embeddings=embeddings, head=head)


class Dynamics:
    """A model in training on one corpus: its present state, its gradient, and steps by an update rule.

    Args:
        corpus: sentences on which the gradient is computed.
        parameters: the initial values, which are copied.
        training: trained parts, frozen words, whether to use law A6, update rule, weight decay and mini-batches.
        others: further corpora, evaluated with every recorded row.
        followed: columns of the words in every recorded row.
        data: the arrays of the corpora, with frozen and followed words, if they exist already.

    Raises:
        InputError: the parameters fit another corpus, a frozen word is unknown, or a trained query would move its
            score.
    """

    def __init__(
        self,
        corpus: Corpus,
        parameters: Parameters,
        training: Training = PLAIN,
        *,
        others: Collection[Corpus] = (),
        followed: NDArray[np.int64] = NO_WORDS,
        data: Data | None = None,
    ) -> None:
        check_fit(corpus, parameters)
        self._corpus, self._training = corpus, training
        self._frozen = frozen_columns(corpus, parameters, training)
        self._coordinates = begin = Coordinates(parameters, training, from_zero=True)
        self._train, self._trained_head = begin.train, begin.trained_head
        self.head, self._axes, self.scores = begin.head, begin.axes, aligned(begin.scores)
        steps_keys = "keys" in self._train and begin.by_keys
        self._keys = parameters.keys.copy() if steps_keys else parameters.keys
        self._query = parameters.query.copy()
        self.objective = Objective(
            corpus,
            self.scores,
            self._axes,
            self.head,
            still=begin.still_norm,
            frozen=self._frozen,
            others=others,
            followed=followed,
            data=data,
        )
        self._stepper = Stepper(training.rule, self._moving())
        self._passes = np.zeros(())
        """Number of passes over mini-batches so far, which decides the order of the next one."""

    def evaluate(self) -> tuple[Fit, Gradient]:
        """Return loss, accuracy and gradient of the present state."""
        return self.objective.evaluate()

    def advance(self, rows: Array, learning_rate: float, *, threads: bool = False) -> int:
        """Train for as many epochs as there are rows, and record each state that they lead to.

        The present state must have been recorded or evaluated last.

        Returns:
            The number of rows before the first that is not finite.
        """
        if self._training.plain and self.head.compiled and "query" not in self._train:
            return self.objective.descend(rows, self.rates(learning_rate), threads=threads)
        for index, row in enumerate(rows):
            self._epoch(learning_rate)
            if not self.record(row):
                return index
        return len(rows)

    def record(self, row: Array) -> bool:
        """Fill a row of the record at the present state; return whether loss, signals and scores are finite."""
        return self.objective.record(row)

    def step(self, gradient: Gradient, learning_rate: float) -> None:
        """Take one step of the update rule in all trained parameters at once."""
        state, slopes = self._moving(), self._slopes(gradient)
        take_step(self._stepper, self._training, state, slopes, self._frozen, learning_rate)
        self._follow_keys()

    def state(self) -> Arrays:
        """Return all arrays that move and all buffers of the rule, by name; they are not copied."""
        passes = {} if self._training.batch_size is None else {"passes": self._passes}
        return self._moving() | with_prefix("rule.", self._stepper.buffers) | passes

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state that `state` returned."""
        for name, array in self.state().items():
            array[...] = state[name]
        self._follow_keys()

    def velocity(self, gradient: Gradient) -> Arrays:
        """Return the velocity d/dτ of all arrays that move, by name, along gradient flow."""
        return {name: -slope for name, slope in self._slopes(gradient).items()}

    def parameters(self) -> Parameters:
        """Return the present state as parameters of the same shapes as the start, as copies."""
        return self._coordinates.parameters(
            scores=self.scores, axes=self._axes, head=self.head, keys=self._keys, query=self._query
        )

    def embedding_norms(self) -> Array:
        """Return the embedding norms ‖ν_w‖ of all words (V,)."""
        out = np.empty(self.scores.size)
        words.all_norms(self._axes, self._coordinates.still_norm, out)
        return out

    divergence = staticmethod(divergence_message)

    def rates(self, learning_rate: float) -> Rates:
        """Return the factor on the gradient of each part in a step of the compiled loop."""
        return Rates(
            scores=learning_rate * float(self._query @ self._query) if "keys" in self._train else 0.0,
            embeddings=learning_rate if "embeddings" in self._train else 0.0,
            head=learning_rate if self._trained_head else 0.0,
        )

    def _moving(self) -> Arrays:
        """Return everything that moves, by name: the arrays themselves, not copies."""
        arrays = {"query": self._query, "keys": self._keys, "scores": self.scores, "axes": self._axes}
        arrays |= {f"head.{name}": getattr(self.head, name) for name in self._trained_head}
        return {name: arrays[name] for name in self._coordinates.shapes}

    def _slopes(self, gradient: Gradient) -> Arrays:
        """Return the gradient of all arrays that move, by name; for scores ‖q‖² ∂L/∂s, because keys move along q."""
        slopes = {}
        if "query" in self._train:
            slopes["query"] = self._keys.T @ gradient.scores
        if "keys" in self._train and self._coordinates.by_keys:
            slopes["keys"] = np.outer(gradient.scores, self._query)
        elif "keys" in self._train:
            slopes["scores"] = (self._query @ self._query) * gradient.scores
        if "embeddings" in self._train:
            slopes["axes"] = gradient.axes
        return slopes | {f"head.{name}": gradient.head[name] for name in self._trained_head}

    def _epoch(self, learning_rate: float) -> None:
        """Take the steps of one epoch: one on all sentences, or one on each mini-batch."""
        if self._training.batch_size is None:
            self.step(self.objective.gradient(), learning_rate)
            return
        for rows in self._training.batches(self._corpus.n_sentences, int(self._passes)):
            self.step(self.objective.evaluate(rows)[1], learning_rate)
        self._passes += 1.0

    def _follow_keys(self) -> None:
        if "query" in self._train or self._coordinates.by_keys:
            self.scores[...] = self._keys @ self._query


def take_step(
    stepper: Stepper, training: Training, state: Arrays, slopes: Arrays, frozen: Any, learning_rate: float
) -> None:
    """Take one step of an update rule in all trained parameters, with weight decay; frozen words stay.

    Decay shrinks arrays before the step if it is decoupled. Otherwise it is added to their slopes.

    Args:
        stepper: the rule at work.
        training: weight decay of each part.
        state: moving arrays by name: scores (…, V), keys (…, V, d_k), axes (…, d, V), and others.
        slopes: gradient of each array, by the same names.
        frozen: columns of the frozen words, as an array that can index those of the state.
        learning_rate: learning rate η.
    """
    of_words = {"scores", "keys", "axes"} & state.keys() if len(frozen) else ()
    by_word = {name: _words_last(name, state[name]) for name in of_words}
    start = {name: array[..., frozen] for name, array in by_word.items()}
    for name, array in state.items():
        decay = training.decay_of(PARTS[name.split(".")[0]])
        if not decay:
            continue
        shrinking = decay * array
        if name in by_word:
            _words_last(name, shrinking)[..., frozen] = 0.0
        if training.decoupled:
            array -= learning_rate * shrinking
        else:
            slopes[name] = slopes[name] + shrinking
    stepper.step(state, slopes, learning_rate)
    for name, array in by_word.items():  # A rule with a decay of its own also moves entries of slope 0.
        array[..., frozen] = start[name]


def _words_last(name: str, array: Any) -> Any:
    """Return a view of a moving array whose last axis is that of words."""
    return array.mT if name == "keys" else array


def frozen_columns(corpus: Corpus, parameters: Parameters, training: Training) -> NDArray[np.int64]:
    """Return the columns of the words that keep their initial values.

    Raises:
        InputError: a word is unknown, or a trained query would move its score.
    """
    frozen = corpus.columns(training.frozen_words, "frozen_words")
    if "query" in training.train and (keys := parameters.keys[frozen]).any():
        raise InputError(
            "frozen_words",
            expected="words whose key is 0, because a trained query moves the scores of all others",
            given=f"{np.count_nonzero(keys.any(axis=1))} whose key is not",
            fix="Leave the query out of `train`.",
        )
    return frozen


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
