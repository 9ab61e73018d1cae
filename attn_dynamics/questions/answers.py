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
    """(F,) first token of the span, an index within the window."""
    last: NDArray[np.int64]
    """(F,) last token of the span, not before the first."""
    score: NDArray[np.float64]
    """(F,) sum of both logits; -∞ if the window has no token of the passage."""


def best_spans(starts: ArrayLike, ends: ArrayLike, passage: ArrayLike, *, longest: int = LONGEST) -> Spans:
    """Return the span of largest start + end logit in each window, within the passage and up to `longest` tokens.

    Among equal sums the first span wins, and then the shortest.

    Args:
        starts: (F, L) logit of each token to be the first; values in the padding do not matter.
        ends: (F, L) logit of each token to be the last.
        passage: (F, 2) first token of the passage and the token after its last, as in `Features.passage`.
        longest: largest number of tokens of a span.

    Raises:
        InputError: shapes do not fit, a logit of the passage is NaN or infinite, or `longest` is below 1.
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
    """Return the text of each question's best span over all its windows, by question id; "" if there is none.

    Raises:
        InputError: the number of spans is not the number of windows.
    """
    if len(spans.score) != len(features):
        given, fix = f"{len(spans.score):,}", "Give those of all batches, in the order of the windows."
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
