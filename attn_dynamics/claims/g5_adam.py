"""Adam on two classes from zero: two numbers for each word in any dimension, and no line (theory G5)."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from attn_dynamics.claims._support.distances import EPS, apart
from attn_dynamics.claims._support.sen import topic_words_among
from attn_dynamics.claims._support.two_classes import drawn_text, from_zero
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sign_rules import AdamCourse, adam_course, adam_slope, in_one_dimension
from attn_dynamics.training.descent import descend
from attn_dynamics.training.rules import Adam, Rule, SignDescent

OTHERS, DIMENSIONS, RATE = 3, 5, 1e-3
"""Number of frozen words beside the topic word; dimension d = d_k; learning rate η of all runs except those for the
slope."""
SLOW = 1e-5
"""Learning rate η of the runs for the slope, which is a limit for η → 0."""
NO_EPSILON = 1e-300
"""Adam's ε, so small that it changes no divisor except 0."""


@claims(
    "G5",
    control("the steps of sign descent", course=lambda *given: adam_course(*given, beta1=0.0, beta2=0.0)),
    control("squares are forgotten ten times as fast", course=lambda *given: adam_course(*given, beta2=0.99)),
    control("ε of 1e-4", epsilon=1e-4),
    control("‖q‖₂ for ‖q‖₁", reduced=lambda start: replace(in_one_dimension(start), query=_length(start.query))),
    control("the slope of sign descent", slope=lambda steps: 1.0 - 1.0 / np.arange(1.0, steps + 1.0)),
    control("a slope whose mean does not lag", slope=lambda steps: adam_slope(steps, 0.0, 0.999)),
    name="Adam",
    foundations=("M2", "M3"),
    statement=r"E = x \, \mathrm{sgn}(D)^T, \ K = y \, \mathrm{sgn}(q)^T; \quad "
    r"\frac{s}{\|\nu\|} \to \frac{\|q\|_1}{\sqrt{d}} \, \frac{1}{k} \sum_{j \leq k} \frac{\hat m_j}{\sqrt{\hat v_j}} "
    r"\ (\eta \to 0)",
    assumptions="two classes, Attn-FC, keys and embeddings from 0, ε = 0; D is the difference of the head's columns. "
    "Slope: a topic word at fixed k, where m̂ and v̂ are Adam's means of the gradients 0, 1, …, k - 1 and of their "
    "squares",
    quantity="recursion: largest relative distance of a topic word's score and norm from their closed recursion. One "
    "dimension: largest distance of all scores on drawn texts, under Adam and sign descent, from those of a layer with "
    "d = d_k = 1, relative to the largest. Slope: largest relative distance of s/‖ν‖ from its limit",
    tolerance="recursion, one dimension: ε √k after k steps with ε = 2⁻⁵², because each step rounds. Slope: twice its "
    "change when η is halved, because it is a limit",
)
def two_numbers_a_word(
    *,
    quick: bool,
    course: Callable[..., AdamCourse] = adam_course,
    slope: Callable[[int], Array] = adam_slope,
    reduced: Callable[[Parameters], Parameters] = in_one_dimension,
    epsilon: float = NO_EPSILON,
) -> Measured:
    """Measure a topic word among frozen words, and drawn texts with all words trained."""
    steps, seeds = (300, range(2)) if quick else (3000, range(5))
    closed = [_off_recursion(seed, steps, course, epsilon) for seed in seeds]
    rules = Adam(epsilon=epsilon), SignDescent()
    narrow = [_off_one_dimension(seed, steps // 3, rule, reduced) for seed in seeds for rule in rules]
    ends = [end for end in (30, 100, 300, 1000, 3000) if end <= steps]
    expected, fine, coarse = slope(steps)[np.array(ends) - 1], *(_slopes(rate, ends) for rate in (SLOW, 2.0 * SLOW))
    seen = ", ".join(
        f"{found:.4f} ({said:.4f}) at k = {k}" for k, found, said in zip(ends, fine, expected, strict=True)
    )
    return together(
        f"slopes {seen}",
        recursion=Measured(largest(closed), EPS * steps**0.5, within=SCATTER),
        one_dimension=Measured(largest(narrow), EPS * (steps // 3) ** 0.5, within=SCATTER),
        slope=Measured(float(np.abs(fine / expected - 1.0).max()), 2.0 * float(np.abs(fine / coarse - 1.0).max())),
    )


@cache
def topic_word(seed: int, steps: int, rate: float, epsilon: float) -> tuple[Parameters, AdamCourse]:
    """Return a start, and the trajectory of a topic word under Adam among words that are frozen at 0."""
    corpus, words, rest = topic_words_among(OTHERS, topics=2)
    start = from_zero(corpus, seed, d=DIMENSIONS)
    run = _trained(corpus, start, steps, Adam(epsilon=epsilon), rate, follow=words[:1], frozen_words=rest)
    return start, AdamCourse(run.score.values[:, 0], run.embedding_norm.values[:, 0] / DIMENSIONS**0.5)


def _off_recursion(seed: int, steps: int, course: Callable[..., AdamCourse], epsilon: float) -> float:
    """Return the largest relative distance of score and norm from the recursion, after the second step."""
    start, run = topic_word(seed, steps, RATE, epsilon)
    contrast = start.head.first_layer[:, 0] - start.head.first_layer[:, 1]
    said = course(steps, RATE, OTHERS, np.abs(start.query).sum(), np.abs(contrast).sum())
    return apart(*((one[2:], other[2:]) for one, other in zip(said, run, strict=True)))


def _off_one_dimension(seed: int, steps: int, rule: Rule, reduced: Callable[[Parameters], Parameters]) -> float:
    """Return the largest distance of a score from that in one dimension, relative to the largest."""
    corpus = drawn_text(seed)
    start = from_zero(corpus, seed, d=DIMENSIONS)
    wide, narrow = (_trained(corpus, each, steps, rule, RATE).all_score.values for each in (start, reduced(start)))
    return float(np.abs(wide - narrow).max() / np.abs(wide).max())


def _slopes(rate: float, ends: list[int]) -> Array:
    """Return s/‖ν‖ after these numbers of steps, in units of ‖q‖₁/√d."""
    start, run = topic_word(0, ends[-1], rate, NO_EPSILON)
    return (run.score[ends] / run.travelled[ends]) / np.abs(start.query).sum()


def _trained(corpus: Corpus, start: Parameters, steps: int, rule: Rule, rate: float, **options: Any) -> xr.Dataset:
    """Train keys and embeddings, and return the trajectory."""
    train = ("keys", "embeddings")
    return descend(corpus, start, learning_rate=rate, epochs=steps, rule=rule, train=train, **options).trajectory


def _length(vector: Array) -> Array:
    """Return the norm of a vector as an array (1,)."""
    return np.array([float(np.linalg.norm(vector))])
