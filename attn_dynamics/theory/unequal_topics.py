"""Training in mean field with topics of unequal frequency, for any linear head and start (theory C9, C10).

All sentences of a topic word are alike. With its embedding ν, the embedding ν_w of each of the m other words of such a
sentence, the context v = a ν + (1-a) ν_w, the logits z = Uᵀ v and δ = e_k - softmax(z), gradient flow is

    ds/dτ   =  ‖q‖² ρ a (1-a) (ν - ν_w)·U δ            dν/dτ   = ρ a U δ
    ds_w/dτ = -‖q‖² a (1-a) (ν - ν_w)·U δ / (m N)      dν_w/dτ = (1-a) U δ / (m N)
    dU/dτ   =  Σ_t ρ v δᵀ, over all topic words        a = e^s / (e^s + m e^{s_w})

This is exact if no two sentences share one of the other words. Words interact only through U. From ν = 0, only the n
dimensions move that U spans at the start (law A6). So U = u·1 (n, n) represents every head of orthogonal columns. If
all frequencies are equal, the equations reduce to the five coordinates of `mean_field`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.check import Array, some_of
from attn_dynamics.theory.domain import settings_within
from attn_dynamics.theory.mean_field import TRAINED
from attn_dynamics.theory.ode import flow, logistic


class TopicTrajectory(NamedTuple):
    """Trajectory of the topic words of a task, of the other words and of the head."""

    score: Array
    """Scores s (times, words)."""
    embedding: Array
    """Embeddings ν (times, words, d)."""
    other_score: Array
    """Scores s_w (times, words) of the other words."""
    other_embedding: Array
    """Embeddings ν_w (times, words, d) of the other words."""
    head: Array
    """Head U (times, d, n)."""
    attention: Array
    """Attention a (times, words)."""
    loss: Array
    """Loss -ln π of the word's sentences (times, words), in nats; the task's loss is their mean, weighted by ρ."""

    @property
    def norm(self) -> Array:
        """Return the embedding norms ‖ν‖ (times, words)."""
        return np.linalg.norm(self.embedding, axis=-1)


@dataclass(frozen=True, eq=False, kw_only=True)
class UnequalTopics:
    """All topic words of one task, in mean field.

    Raises:
        InputError: an argument is out of its range, or a name in `train` is unknown.
    """

    frequency: Array
    """Frequency ρ (words,): share of the sentences that hold each topic word; a word of frequency 0 never moves."""
    topic: NDArray[np.integer]
    """Topic k (words,): the class of each word."""
    head: Array
    """Initial head U (d, n)."""
    others: float
    """Number m > 0 of other words."""
    query_norm: float = 1.0
    """Query norm ‖q‖."""
    sentences: float = np.inf
    """Number N of sentences; infinite if nothing is memorised."""
    train: Collection[str] = ("keys", "embeddings", "head")
    """Trained parts, any of keys, embeddings, head."""

    def __post_init__(self) -> None:
        some_of("train", self.train, TRAINED)
        settings_within("from 0 to 1", frequency=self.frequency)
        settings_within("0 or above", query_norm=self.query_norm)
        settings_within("above 0", others=self.others, sentences=self.sentences)

    def start(self, score: ArrayLike = 0.0, embedding: ArrayLike = 0.0) -> Array:
        """Return the state (size,) of s (words,) and ν (words, d), with s_w = 0 and ν_w = 0; see `TopicTrajectory`."""
        given = (score, embedding, 0.0, 0.0, self.head)
        return _packed([np.broadcast_to(part, shape) for part, shape in zip(given, self._shapes, strict=True)])

    def velocity(self, state: NDArray) -> NDArray:
        """Return the time derivative of a state (size,), real or complex."""
        _, embedding, _, other_embedding, head = self._unpacked(state)
        a, rest, context, odds, others = self._sentence(state)
        # δ = e_k - softmax(z), computed from 1 - π, because π rounds to 1.
        slope = logistic(odds)[:, None] * (self._own - others)
        pull = slope @ head.T
        lift = self.query_norm**2 * a * rest * ((embedding - other_embedding) * pull).sum(axis=-1)
        rho, own = np.asarray(self.frequency, float), 1 / (self.others * self.sentences)
        keys, embeddings, trained = (name in self.train for name in ("keys", "embeddings", "head"))
        # Theory C10, for topics that differ.
        rates = [
            keys * rho * lift,
            embeddings * (rho * a)[:, None] * pull,
            -keys * own * lift,
            embeddings * (own * rest)[:, None] * pull,
            trained * (rho[:, None] * context).T @ slope,
        ]
        return _packed(rates)

    def flow(
        self,
        times: ArrayLike,
        *,
        score: ArrayLike = 0.0,
        embedding: ArrayLike = 0.0,
        learning_rate: float = 0.0,
        tolerance: float = 1e-10,
        most: int = 1_000_000,
    ) -> TopicTrajectory:
        """Return the trajectory from s (words,) and ν (words, d) at time 0; `theory.ode.flow` explains the others."""
        start = self.start(score, embedding)
        options = {"learning_rate": learning_rate, "tolerance": tolerance, "most": most}
        return self.trajectory(flow(self.velocity, start, times, **options))

    def trajectory(self, states: Array) -> TopicTrajectory:
        """Return the trajectory of states (times, size)."""
        attention, _, _, odds, _ = self._sentence(states)
        return TopicTrajectory._make([*self._unpacked(states), attention, np.logaddexp(0.0, odds)])

    @cached_property
    def _own(self) -> Array:
        """Return the one-hot topic of each word (words, n)."""
        return np.eye(self.head.shape[1])[self.topic]

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        words, d = np.size(self.frequency), self.head.shape[0]
        return [(words,), (words, d), (words,), (words, d), self.head.shape]

    @cached_property
    def _slices(self) -> list[slice]:
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in self._shapes]).tolist()
        return [slice(*each) for each in pairwise([0, *ends])]

    def _unpacked(self, states: NDArray) -> list[NDArray]:
        kept = states.shape[:-1]
        return [
            states[..., each].reshape(*kept, *shape) for each, shape in zip(self._slices, self._shapes, strict=True)
        ]

    def _sentence(self, states: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
        """Return a, 1 - a, v, the log odds ln((1 - π)/π) against the topic, and shares of the other topics in 1 - π."""
        score, embedding, other_score, other_embedding, head = self._unpacked(states)
        above = score - other_score - np.log(self.others)
        a, rest = logistic(above), logistic(-above)
        context = a[..., None] * embedding + rest[..., None] * other_embedding
        logits = context @ head
        own = self._own
        gaps = np.where(own, -np.inf, logits - (logits * own).sum(axis=-1, keepdims=True))
        shift = np.real(gaps).max(axis=-1, keepdims=True)
        weights = np.exp(gaps - shift)
        total = weights.sum(axis=-1, keepdims=True)
        return a, rest, context, (shift + np.log(total))[..., 0], weights / total


def _packed(parts: list[NDArray]) -> NDArray:
    return np.concatenate([part.ravel() for part in parts])
