"""Bounds on the embedding norm from both sides, where sentences have unequal lengths (theory B8)."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.sen import ATOL, SMOOTH, start_of_topic_words
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen_lengths import sen_norm_bounds
from attn_dynamics.training.flow import flow

LENGTHS = (3, 8, 30)
"""Numbers m_i of other words in the sentences of each topic word."""
TIME = 200.0


class Course(NamedTuple):
    """Scores and embedding norms (times,) of one topic word along a flow from zero, and the query norm ‖q‖."""

    score: Array
    norm: Array
    query_norm: float


@cache
def course(model: str, *, hold: bool, contrary: int) -> list[Course]:
    """Follow two topic words along flow, each in sentences of all lengths.

    Args:
        model: name of the head.
        hold: whether the other words stay at 0. Otherwise each sentence has its own, which learn it by heart.
        contrary: number of further sentences of the shortest length that have the other class.
    """
    rows = [(topic, topic, length) for topic in range(2) for length in LENGTHS for _ in range(2)]
    rows += [(topic, 1 - topic, min(LENGTHS)) for topic in range(2) for _ in range(contrary)]
    others = [[f"w{'' if hold else f'{row}.'}{k}" for k in range(length)] for row, (_, _, length) in enumerate(rows)]
    sentences = [[f"t{topic}", *rest] for (topic, _, _), rest in zip(rows, others, strict=True)]
    corpus, words = Corpus.from_sentences(sentences, [label for _, label, _ in rows]), ["t0", "t1"]
    rest = [word for word in corpus.vocabulary if word not in words]
    start = start_of_topic_words(corpus, words, model, key=0.0, embedding=0.0)
    run = flow(
        corpus, start, time=TIME, follow=words, frozen_words=rest if hold else (), rtol=RTOL, atol=ATOL
    ).trajectory.isel(time=slice(1, None))
    q = float(np.linalg.norm(start.query))
    return [Course(run.score.values[:, k], run.embedding_norm.values[:, k], q) for k in range(len(words))]


def at_mean(_: float) -> float:
    """Return the mean of `LENGTHS`, which replaces one end of their range."""
    return float(np.mean(LENGTHS))


@claims(
    "B8",
    control("the mean length for the shortest", ends=lambda fewest, most: (at_mean(fewest), most)),
    control("the mean length for the longest", ends=lambda fewest, most: (fewest, at_mean(most))),
    control("the shortest for the longest", ends=lambda fewest, most: (fewest, fewest)),
    control("short sentences of the other class", contrary=3),
    name="SEN, unequal lengths",
    foundations=("B1",),
    statement=r"I(m) = s + e^s/m - \frac{1}{2}\|q\|^2 \|\nu\|^2: \ I(\min_i m_i) \geq I_0, \ I(\max_i m_i) \leq I_0",
    assumptions="the query is fixed. The topic word stands once in each of its sentences, among m_i others, and its "
    "embedding lowers the loss of each, ν·g_i ≤ 0. For the first inequality the others stay at score 0 and embedding "
    "0. For the second they may also be trained where that lowers the loss of their sentence",
    quantity="above: largest ratio of ‖ν‖ to its upper bound. Below: largest ratio of its lower bound to ‖ν‖. Both are "
    "over times, words and heads, with the other words frozen. Below if all are trained: the second ratio, with other "
    "words that belong to one sentence each and are trained",
    tolerance="1 + 100 rtol, where rtol = 1e-11 is the solver's tolerance per step",
)
def between_two_curves(
    *,
    quick: bool,
    ends: Callable[[float, float], tuple[float, float]] = lambda fewest, most: (fewest, most),
    contrary: int = 0,
) -> Measured:
    """Measure gradient flow from zero."""
    fewest, most = ends(min(LENGTHS), max(LENGTHS))
    ratios: dict[str, list[Array]] = {"above": [], "below": [], "below_if_all_are_trained": []}
    seen = []
    for model in SMOOTH:
        for each in course(model, hold=True, contrary=contrary):
            low, high = sen_norm_bounds(each.score, fewest, most, each.query_norm)
            ratios["above"].append(each.norm / high)
            ratios["below"].append(low / each.norm)
            seen.append(effective(each))
        for each in course(model, hold=False, contrary=contrary):
            low, _ = sen_norm_bounds(each.score, fewest, most, each.query_norm)
            # Below score 0 the lower bound is NaN, and no norm is too small.
            ratios["below_if_all_are_trained"].append(np.nan_to_num(low) / each.norm)
    return together(
        f"one m that fits the end: {min(seen):.1f} to {max(seen):.1f}",
        **{name: Measured(largest(each.max() for each in found), 1.0 + 100 * RTOL) for name, found in ratios.items()},
    )


def effective(course: Course) -> float:
    """Return the m for which the SEN relation (B1) gives the final norm: (e^s - 1)/(‖q‖²‖ν‖²/2 - s)."""
    s, gained = course.score[-1], 0.5 * (course.query_norm * course.norm[-1]) ** 2
    return float(np.expm1(s) / (gained - s))
