"""Training in mean field: a topic word, the other words of its sentences, and the head (theory C1, C9–C11, G6).

A sentence of topic k holds one topic word, which occurs in a share ρ of the N sentences, and m other words of its own.
The head is a product of D linear layers that start with orthogonal columns of norm u (D = 1: Attn-FC, Attn-TC). All
topics are alike, and so are the p words of a topic. Let ê_k be column k minus the mean column, normalised. Every
embedding starts along ê_k and stays there: ν = r ê_k for the topic word, ν_w = r_w ê_k for the others. Let
c = sqrt(n/(n-1)), the context v = a r + (1-a) r_w, the margin M = c u^D v, 1 - π = 1/(1 + e^M/(n-1)), and the pull
h = (1-π) c u^D. Gradient flow then has five coordinates:

    ds/dτ   =  ‖q‖² ρ a (1-a) h (r - r_w)             dr/dτ   = ρ a h
    ds_w/dτ = -‖q‖² a (1-a) h (r - r_w) / (m N)       dr_w/dτ = (1-a) h / (m N)
    du/dτ   =  p ρ (1-π) c³ u^{D-1} v                 a = e^s / (e^s + m e^{s_w})

This is exact if no two sentences share one of the other words. With N = ∞ nothing is memorised, and these are the
equations of C1 (whose x is u r / c). If a share ε of a word's sentences has a wrong label, 1-π becomes 1-π-ε (G6).
Under a fixed head words do not interact, and each may have its own ρ. For a trained head and topics that differ see
`unequal_topics`. Every coordinate is linear in the parameters, so a step of gradient descent is a step of Euler's
method. The flow conserves u² - c² p (r² + ρ m N r_w²) (law A3) and s + ρ m N s_w (law A1).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.check import Array, some_of
from attn_dynamics.errors import InputError
from attn_dynamics.theory.domain import settings_within
from attn_dynamics.theory.ode import flow, logistic

TRAINED = ("keys", "embeddings", "head")
"""Names of the parts that may be trained in mean field; the query is fixed."""


class Trajectory(NamedTuple):
    """Trajectory of topic words; every array is (times, ...)."""

    score: Array
    """Score s."""
    norm: Array
    """Signed embedding norm r = ‖ν‖, negative if ν points away from its topic."""
    other_score: Array
    """Score s_w of the other words."""
    other_norm: Array
    """Signed embedding norm r_w of the other words."""
    head_norm: Array
    """Norm u of each layer; it may change its sign."""
    attention: Array
    """Attention a."""
    margin: Array
    """Margin M, the logit of the topic minus any other."""
    loss: Array
    """Loss -ln π of the word's sentences, in nats; the loss of several words is their mean, weighted by ρ."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MeanField:
    """Topic words in mean field, in as many settings as the arguments broadcast to.

    Raises:
        InputError: an argument is out of its range.
    """

    frequency: ArrayLike
    """Frequency ρ: share of the sentences that hold the topic word."""
    classes: ArrayLike
    """Number n ≥ 2 of classes."""
    others: ArrayLike
    """Number m > 0 of other words."""
    query_norm: ArrayLike = 1.0
    """Query norm ‖q‖."""
    head_norm: ArrayLike = 1.0
    """Initial norm u > 0 of each layer."""
    sentences: ArrayLike = np.inf
    """Number N of sentences; infinite if nothing is memorised."""
    topic_words: ArrayLike = 1
    """Number p of words of a topic; it matters only if the head is trained."""
    depth: ArrayLike = 1
    """Number D ≥ 1 of the head's linear layers, equal at the start and so balanced; from r < 0 they may die, u → 0."""
    label_noise: ArrayLike = 0.0
    """Share ε of the word's sentences that have a wrong label, all wrong classes alike; needs N = ∞ (theory G6)."""
    train: Collection[str] = ("keys", "embeddings")
    """Trained parts, any of keys, embeddings, head."""

    def __post_init__(self) -> None:
        some_of("train", self.train, TRAINED)
        settings_within("above 0 and at most 1", frequency=self.frequency)
        settings_within("2 or above", classes=self.classes)
        settings_within("1 or above", depth=self.depth)
        settings_within("0 or above", query_norm=self.query_norm)
        settings_within("above 0", others=self.others, sentences=self.sentences, topic_words=self.topic_words)
        settings_within("from 0 to 1", label_noise=self.label_noise)
        if np.any(self.label_noise) and np.isfinite(self.sentences).any():
            given = "sentences that memorise labels of their own"
            raise InputError("label_noise", expected="N = ∞", given=given, fix="Leave out sentences.")

    def start(self, score: ArrayLike = 0.0, norm: ArrayLike = 0.0) -> Array:
        """Return the state (..., 5) of given s and r, in the order of `Trajectory`, with s_w = r_w = 0."""
        settings = [value for name, value in vars(self).items() if name != "train"]
        s, r, u, *_ = np.broadcast_arrays(score, norm, self.head_norm, *settings)
        return np.stack([s, r, 0 * s, 0 * r, u], axis=-1).astype(float)

    def velocity(self, state: NDArray) -> NDArray:
        """Return the time derivative of a state (..., 5), real or complex."""
        _, r, _, r_other, u = np.moveaxis(state, -1, 0)
        a, rest, context, gain, margin = self._sentence(state)
        rho, n, m, depth = (np.asarray(each, float) for each in (self.frequency, self.classes, self.others, self.depth))
        wrong = logistic(np.log(n - 1) - margin) - np.asarray(self.label_noise, float)
        pull = wrong * gain
        lift = np.square(self.query_norm) * a * rest * pull * (r - r_other)
        own = 1 / (m * np.asarray(self.sentences, float))
        keys, embeddings, head = (name in self.train for name in ("keys", "embeddings", "head"))
        # theory C1, C9, C10
        rates = (
            keys * rho * lift,
            embeddings * rho * a * pull,
            -keys * own * lift,
            embeddings * own * rest * pull,
            head * rho * self.topic_words * wrong * (n / (n - 1)) ** 1.5 * u ** (depth - 1) * context,
        )
        return np.stack(np.broadcast_arrays(*rates), axis=-1)

    def flow(
        self,
        times: ArrayLike,
        *,
        score: ArrayLike = 0.0,
        norm: ArrayLike = 0.0,
        learning_rate: float = 0.0,
        tolerance: float = 1e-10,
    ) -> Trajectory:
        """Return the trajectory from s and r at time 0.

        Args:
            times: learning rate × epoch (times,), ascending from 0 or later, up to 1e300.
            score: initial s.
            norm: initial r, which is c x / u for the x of C1.
            learning_rate: learning rate η of the descent to follow up to O(η²); 0 for the flow.
            tolerance: relative error of the solver, per step.

        Raises:
            InputError: times do not ascend from 0 or later.
            ArithmeticError: the solver failed.
        """
        start = self.start(score, norm)
        return self.trajectory(
            flow(self.velocity, start, times, learning_rate=learning_rate, tolerance=tolerance, bandwidth=4)
        )

    def trajectory(self, states: Array) -> Trajectory:
        """Return the trajectory of states (times, ..., 5)."""
        attention, _, _, _, margin = self._sentence(states)
        loss = np.logaddexp(0.0, np.log(np.asarray(self.classes, float) - 1) - margin) + self.label_noise * margin
        return Trajectory._make([*np.moveaxis(states, -1, 0), attention, margin, loss])

    def _sentence(self, state: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
        """Return a, 1 - a, the context v, the gain c u^D of the head, and the margin."""
        s, r, s_other, r_other, u = np.moveaxis(state, -1, 0)
        n, odds = np.asarray(self.classes, float), s - s_other - np.log(self.others)
        a, rest = logistic(odds), logistic(-odds)
        context = a * r + rest * r_other
        gain = np.sqrt(n / (n - 1)) * u ** np.asarray(self.depth, float)
        return a, rest, context, gain, gain * context
