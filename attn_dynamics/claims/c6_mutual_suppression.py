"""Mutual suppression: a misaligned topic word first loses score, and may regain it (theory C6)."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from scipy.special import softmax

from attn_dynamics.claims._support.drawn import preset_start
from attn_dynamics.claims._support.synthetic_run import PUBLISHED, TIME
from attn_dynamics.claims.claim import Measured, claims, control, largest
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.initial import PRESETS
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.synthetic import Synthetic
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.sen import sen_score
from attn_dynamics.training.descent import descend

SMALL = Synthetic(topics=3, other_words=5, dictionary=200, sentences=100, test_sentences=0)
"""Synthetic task of the quick measurement."""


def misalignment(corpus: Corpus, parameters: Parameters) -> Array:
    """Return the misalignment M_w = Σ_i A_iw g_i·(ν_w - v_i) of each word (V,), by dense arrays."""
    attention = attention_of(corpus, parameters.scores)
    contexts = attention @ parameters.embeddings
    slopes = _slopes(corpus, parameters, contexts)
    along = slopes @ parameters.embeddings.T - (slopes * contexts).sum(axis=1, keepdims=True)
    return (attention * along).sum(axis=0)


def without_contexts(corpus: Corpus, parameters: Parameters) -> Array:
    """Return Σ_i A_iw g_i·ν_w (V,), the misalignment without its contexts v_i."""
    attention = attention_of(corpus, parameters.scores)
    slopes = _slopes(corpus, parameters, attention @ parameters.embeddings)
    return (attention * (slopes @ parameters.embeddings.T)).sum(axis=0)


@claims(
    "C6",
    control("the sign of M is lost", law=lambda corpus, start: -misalignment(corpus, start)),
    control("the contexts are lost from M", law=without_contexts),
    control("embeddings of the other sign", law=lambda corpus, start: misalignment(corpus, mirrored(start))),
    control("a wait that does not know m", wait=lambda m, lowest: 1.0 + np.exp(-lowest)),
    control("a wait that does not know how far s falls", wait=lambda m, lowest: 1.0 + m),
    name="mutual suppression",
    foundations=("B1", "C1"),
    statement=r"M_t = \sum_i A_{it} \, g_i \cdot (\nu_t - v_i) \neq 0: \ "
    r"\mathrm{sign}\,\dot s_t(0) = -\mathrm{sign}\,M_t; \quad x(0) = x_0 < 0: \ "
    r"s\ \mathrm{turns\ by}\ \tau = \frac{n |x_0|}{(n-1) \rho u^2} (1 + m e^{-s_{\min}})",
    source="LMN21; how long it takes: here",
    assumptions="falling, rising: the query is fixed, under any head. Starts are those of LMN21's text, except that "
    "all embeddings are N(0, 1). From E(0) = 0 every M is 0, and E1 says which words fall. Turns: C1, from an "
    "embedding along the contrast of its topic",
    quantity="falling, rising: share of first moves of the wrong sign, among the words that fall and among those that "
    "rise. Turns: largest ratio of the time at which s turns in mean field to the stated time, over m, ‖ν₀‖ and ‖q‖",
    tolerance="falling, rising: 0, because the first step of descent goes along the gradient; a measurement without "
    "falling or without rising words fails. Turns: 1, because until the turn a is at least its value at s_min, and 1 - "
    "π is at least 1 - 1/n",
)
def first_moves(
    *,
    quick: bool,
    law: Callable[[Corpus, Parameters], Array] = misalignment,
    wait: Callable[[Array, Array], Array] = lambda m, lowest: 1.0 + m * np.exp(-lowest),
) -> Measured:
    """Measure descent at learning rate 0.5, each start on its own data.

    The detail counts recovered words; the claim does not judge them.
    """
    task, seeds, time = (SMALL, 3, 100.0) if quick else (PUBLISHED, 10, TIME)
    starts = [(task, model, seed) for model in HEADS for seed in range(seeds)]
    topic_words = slice(task.topics * task.topic_words)
    predicted = -np.concatenate([law(*suppressed(*start))[topic_words] for start in starts])
    moves, recovered = np.concatenate([trained(*start, time) for start in starts], axis=1)
    wrong, fell = np.sign(predicted) != np.sign(moves), moves < 0
    kinds = {"falling": fell, "rising": ~fell}
    with np.errstate(invalid="ignore"):
        parts = {name: Measured(wrong[each].sum() / each.sum(), 0.0) for name, each in kinds.items()}
    turns = Measured(float((turn() / waited(wait)).max()), 1.0, within=3.0)
    detail = f"{fell.sum()} of {fell.size} fell first, {int(recovered[fell].sum())} of them recovered by time {time:g}"
    signs = largest(each.value for each in parts.values())
    return Measured(signs if signs > 0.0 else largest(0.0, turns.value - 1.0), 0.0, detail, parts | {"turns": turns})


OTHERS, BEHIND, QUERY = (each.ravel() for each in np.meshgrid([1.0, 5.0, 20.0], [1.0, 2.0, 3.0], [0.5, 1.0, 1.4]))
"""Numbers m, norms ‖ν₀‖ and query norms ‖q‖ of words that start at s = 0 with an embedding opposite to their topic."""
CLASSES, FREQUENCY = 4, 1 / 8
"""Number n of classes and frequency ρ of these words; the head's columns have norm u = 1."""


@cache
def turn() -> Array:
    """Return the time (words,) at which s is lowest in mean field, where the signed norm r passes 0."""
    bounds, words = waited(lambda m, lowest: 1.0 + m * np.exp(-lowest)), range(OTHERS.size)
    field = MeanField(frequency=FREQUENCY, classes=CLASSES, others=OTHERS, query_norm=QUERY)
    times = np.geomspace(1e-2, 2.0 * bounds.max(), 2000)
    norms = field.flow(times, norm=-BEHIND).norm
    return np.array([np.interp(0.0, norms[:, word], times) for word in words])


def waited(wait: Callable[[Array, Array], Array]) -> Array:
    """Return the stated time (words,): n|x₀|/((n-1) ρ u²) times `wait` of m and s_min.

    s_min is the score that the SEN relation (B1) gives at ν = 0. The initial logit is x₀ = -‖ν₀‖ u √((n-1)/n).
    """
    lowest = sen_score(np.zeros_like(BEHIND), OTHERS, QUERY, 0.0, BEHIND)
    return np.sqrt(CLASSES / (CLASSES - 1)) * BEHIND / FREQUENCY * wait(OTHERS, lowest)


def suppressed(task: Synthetic, model: str, seed: int, scale: float = 1.0) -> tuple[Corpus, Parameters]:
    """Draw data with topic words first, and LMN21's start with embeddings N(0, scale²) of all words."""
    corpus = task.draw(seed).train
    start = preset_start("paper", model, corpus, [seed, 0])
    return corpus, replace(start, embeddings=start.embeddings * (scale / PRESETS["paper"].embedding_scale))


@cache
def trained(task: Synthetic, model: str, seed: int, time: float) -> Array:
    """Return the first change of each topic word's score, and whether it ends no lower than it started (2, words)."""
    corpus, start = suppressed(task, model, seed)
    words = corpus.vocabulary[: task.topics * task.topic_words]
    score = descend(corpus, start, learning_rate=0.5, epochs=round(time / 0.5), follow=words).trajectory.score.values
    return np.stack([score[1] - score[0], score[-1] >= score[0]])


def mirrored(start: Parameters) -> Parameters:
    """Return the start with all embeddings negated."""
    return replace(start, embeddings=-start.embeddings)


def attention_of(corpus: Corpus, scores: Array) -> Array:
    """Return the attention weights A (N, V)."""
    weights = corpus.counts.toarray() * np.exp(scores)
    return weights / weights.sum(axis=1, keepdims=True)


def _slopes(corpus: Corpus, parameters: Parameters, contexts: Array) -> Array:
    """Return the gradients g_i = ∂L/∂v_i of the loss by the contexts (N, d)."""
    head = parameters.head
    logits, kept = head.forward(head.first_layer.T @ contexts.T)
    errors = (softmax(logits, axis=0) - np.eye(corpus.n_classes)[:, corpus.labels]) / corpus.n_sentences
    return (head.first_layer @ head.backward(kept, errors)[0]).T
