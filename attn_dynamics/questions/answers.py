"""From logits to answers: of all spans of tokens the one whose two logits have the largest sum."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.questions.features import Features

LONGEST = 30
"""Tokens of an answer at most."""


class Spans(NamedTuple):
    """The best span of each of F windows."""

    first: NDArray[np.int64]
    """(F,) its first token, a number within the window."""
    last: NDArray[np.int64]
    """(F,) its last token, not before the first."""
    score: NDArray[np.float64]
    """(F,) the sum of both logits; -∞ where the window has no token of the passage."""


def best_spans(starts: ArrayLike, ends: ArrayLike, passage: ArrayLike, *, longest: int = LONGEST) -> Spans:
    """The span of largest start + end logit in each window: within the passage, and of `longest` tokens at most.

    Of equals the first, and of these the shortest.

    Args:
        starts: (F, L) a logit for each token to be the first; what stands in padding does not matter.
        ends: (F, L) a logit for each token to be the last.
        passage: (F, 2) tokens from and to which the passage goes, as `Features.passage`.
        longest: tokens.

    Raises:
        InputError: shapes that do not fit, a logit of the passage that is no finite number, or no token allowed.
    """
    start, end = (np.asarray(each, np.float64) for each in (starts, ends))
    bounds = np.asarray(passage, np.int64)
    if start.ndim != 2 or start.shape != end.shape or bounds.shape != (len(start), 2):
        given = f"{start.shape}, {end.shape} and {bounds.shape}"
        raise InputError("logits", expected="shapes (F, L), (F, L) and (F, 2)", given=given, fix="Give one a token.")
    if longest < 1:
        raise InputError("longest", expected="1 token or more", given=longest, fix="Allow some.")
    place = np.arange(start.shape[1])
    inside = (bounds[:, :1] <= place) & (place < bounds[:, 1:])
    if not np.isfinite(np.stack([start[inside], end[inside]])).all():
        fix = "Lower the learning rate: training has diverged."
        raise InputError("logits", expected="finite numbers", given="others among them", fix=fix)
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
    """The text of each question's best span over all its windows, by the question's id; empty where there is none.

    Raises:
        InputError: not one span for each window.
    """
    if len(spans.score) != len(features):
        given, fix = f"{len(spans.score):,}", "Give those of all batches, in the order of the windows."
        raise InputError("spans", expected=f"one for each of {len(features):,} windows", given=given, fix=fix)
    # The first of equals, and windows are in the order of their questions.
    order = np.lexsort((-spans.score, features.owner))
    best = order[np.searchsorted(features.owner, np.arange(len(features.questions)))]
    begins = features.offsets[features.begins[best] + spans.first[best], 0]
    ends = features.offsets[features.begins[best] + spans.last[best], 1]
    found = {}
    for question, begin, end, score in zip(features.questions, begins, ends, spans.score[best], strict=True):
        # Some tokenizers count the white space before a word to it.
        found[question.id] = question.context[begin:end].strip() if np.isfinite(score) else ""
    return found
