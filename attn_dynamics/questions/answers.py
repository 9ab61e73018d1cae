"""Answers from logits: the span of tokens whose start and end logits have the largest sum."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.questions.features import Features

LONGEST = 30
"""Largest number of tokens of an answer."""


class Spans(NamedTuple):
    """Best span of each of F windows."""

    first: NDArray[np.int64]
    """(F,) index of the first token of the span within the window."""
    last: NDArray[np.int64]
    """(F,) index of the last token of the span, at least that of the first."""
    score: NDArray[np.float64]
    """(F,) sum of the two logits; -∞ if the window has no token of the passage."""


def best_spans(starts: ArrayLike, ends: ArrayLike, passage: ArrayLike, *, longest: int = LONGEST) -> Spans:
    """Return the span in each window whose start and end logits have the largest sum, within the passage.

    Of spans with equal sums, the function returns the first, and of these the shortest.

    Args:
        starts: (F, L) logit of each token as the first; values at padding are ignored.
        ends: (F, L) logit of each token as the last.
        passage: (F, 2) index of the first token of the passage and of the token after it, as in `Features.passage`.
        longest: largest number of tokens of a span.

    Raises:
        InputError: shapes do not fit, a logit of the passage is NaN or infinite, or `longest` is below 1.
    """
    start, end = (np.asarray(each, np.float64) for each in (starts, ends))
    bounds = np.asarray(passage, np.int64)
    if start.ndim != 2 or start.shape != end.shape or bounds.shape != (len(start), 2):
        given, fix = f"{start.shape}, {end.shape} and {bounds.shape}", "Give one logit for each token."
        raise InputError("logits", expected="shapes (F, L), (F, L) and (F, 2)", given=given, fix=fix)
    if longest < 1:
        raise InputError("longest", expected="1 token or more", given=longest, fix="Give a larger number.")
    token = np.arange(start.shape[1])
    inside = (bounds[:, :1] <= token) & (token < bounds[:, 1:])
    if not np.isfinite(np.stack([start[inside], end[inside]])).all():
        fix = "Training has diverged: lower the learning rate."
        raise InputError("logits", expected="finite numbers", given="NaN or infinite logits", fix=fix)
    start, end = (np.where(inside, each, -np.inf) for each in (start, end))
    sums, further = start + end, np.zeros(start.shape, np.int64)
    for more in range(1, min(longest, start.shape[1])):
        longer, best = start[:, :-more] + end[:, more:], sums[:, :-more]
        better = longer > best
        best[better], further[:, :-more][better] = longer[better], more
    first = sums.argmax(axis=1)
    rows = np.arange(len(first))
    return Spans(first, first + further[rows, first], sums[rows, first])


def answers(features: Features, spans: Spans) -> dict[str, str]:
    """Return the best span over all windows of each question as a text, "" if there is none, by question id.

    Raises:
        InputError: the number of spans is not the number of windows.
    """
    if len(spans.score) != len(features):
        given, fix = f"{len(spans.score):,}", "Give the spans of all batches, in the order of the windows."
        raise InputError("spans", expected=f"one for each of {len(features):,} windows", given=given, fix=fix)
    # A stable sort keeps the first of equal scores; windows are in the order of their questions.
    order = np.lexsort((-spans.score, features.owner))
    best = order[np.searchsorted(features.owner, np.arange(len(features.questions)))]
    begins = features.offsets[features.begins[best] + spans.first[best], 0]
    ends = features.offsets[features.begins[best] + spans.last[best], 1]
    found = {}
    for question, begin, end, score in zip(features.questions, begins, ends, spans.score[best], strict=True):
        # Some tokenizers include the white space before a word.
        found[question.id] = question.context[begin:end].strip() if np.isfinite(score) else ""
    return found
