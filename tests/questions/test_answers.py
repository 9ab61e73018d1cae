"""The answer is the best span that is allowed, over all windows of its question; perfect logits get full marks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.questions import LONGEST, Features, Question, Spans, answers, best_spans, cut, mark
from tests.questions.conftest import asked, needs_squad


def tried(start: NDArray, end: NDArray, passage: NDArray, longest: int) -> tuple[int, int, float]:
    """The best span of one window (L,), all of them tried in order."""
    best = (0, 0, -np.inf)
    for first in range(*passage):
        for last in range(first, min(first + longest, passage[1])):
            if start[first] + end[last] > best[2]:
                best = first, last, start[first] + end[last]
    return best


@st.composite
def logits(draw: st.DrawFn) -> tuple[NDArray, NDArray, NDArray, int]:
    """Few different numbers, so that many spans are equal; passages anywhere, some without a token."""
    windows, length = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start, end = rng.integers(-draw(st.sampled_from([1, 3, 100])), 3, (2, windows, length)).astype(np.float32)
    passage = np.sort(rng.integers(0, length + 1, (windows, 2)), axis=1)
    return start, end, passage, draw(st.integers(1, 14))


@given(drawn=logits())
def test_the_best_span_is_the_best_of_all(drawn: tuple[NDArray, NDArray, NDArray, int]) -> None:
    start, end, passage, longest = drawn
    found = best_spans(start, end, passage, longest=longest)
    for each, expected in enumerate(map(tried, start, end, passage, [longest] * len(start))):
        assert (found.first[each], found.last[each], found.score[each]) == expected


def test_what_is_best_each_for_itself_may_not_be_a_span() -> None:
    """Negative control: the largest start and the largest end are out of order, too far apart, or outside."""
    start, end = np.zeros((2, 1, 50))
    start[0, 20], end[0, 10] = 5.0, 5.0
    found = best_spans(start, end, [[0, 50]])
    assert (found.first[0], found.last[0], found.score[0]) == (0, 10, 5.0)
    end[:] = 0.0
    end[0, 20 + LONGEST - 1] = 4.0
    found = best_spans(start, end, [[0, 50]])
    assert (found.first[0], found.last[0]) == (20, 20 + LONGEST - 1)
    found = best_spans(start, np.roll(end, 1), [[0, 50]])
    assert (found.first[0], found.last[0]) == (20, 20)
    found = best_spans(start, end, [[21, 49]])
    assert (found.first[0], found.last[0], found.score[0]) == (21, 21, 0.0)


def test_what_stands_outside_the_passage_does_not_matter() -> None:
    start, end = np.random.default_rng(0).standard_normal((2, 3, 20))
    passage = np.array([[4, 15]] * 3)
    plain = best_spans(start, end, passage)
    for outside in (1e9, np.inf, np.nan):
        beside = np.where((np.arange(20) < 4) | (np.arange(20) >= 15), outside, [start, end])
        for one, other in zip(best_spans(beside[0], beside[1], passage), plain, strict=True):
            np.testing.assert_array_equal(one, other)
    # Negative control: what stands in it does.
    start[:, 14] = 1e9
    assert (best_spans(start, end, passage).first == 14).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(bad: float) -> None:
    start, end = np.zeros((2, 2, 8))
    end[1, 3] = bad
    with pytest.raises(InputError, match="logits: expected finite numbers"):
        best_spans(start, end, [[1, 7], [1, 7]])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"logits: expected shapes .* got \(2, 8\), \(2, 7\) and \(2, 2\)"):
        best_spans(np.zeros((2, 8)), np.zeros((2, 7)), [[0, 1], [0, 1]])
    with pytest.raises(InputError, match="longest: expected 1 token or more, got 0"):
        best_spans(np.zeros((1, 8)), np.zeros((1, 8)), [[0, 1]], longest=0)


# --- across windows


@pytest.fixture
def long(word_pieces: Any) -> Features:
    """Two questions about a passage of many windows, and one about a passage without a token."""
    context = " ".join(f"w{k}" for k in range(60))
    dropped = asked("\u200b", "\u200b", id="none")
    return cut([asked(context, "w40", id="a"), dropped, asked(context, "w3", id="b")], word_pieces, length=40, stride=8)


def test_the_best_window_answers(long: Features) -> None:
    windows = np.flatnonzero(long.owner == 0)
    assert len(windows) > 3
    spans = Spans(long.passage[:, 0], long.passage[:, 0] + 1, np.where(long.passage[:, 1] > 0, 0.0, -np.inf))
    texts = set()
    for best in windows:
        spans.score[windows] = -1.0
        spans.score[best] = 1.0
        begin, end = long.offsets[long.begins[best] + long.passage[best, 0] + [0, 1]]
        text = long.questions[0].context[begin[0] : end[1]]
        assert answers(long, spans) == {"a": text, "none": "", "b": "w0"}
        texts.add(text)
    assert len(texts) == len(windows)


def test_spans_of_some_windows_only_are_refused(long: Features) -> None:
    with pytest.raises(InputError, match=r"spans: expected one for each of .* windows, got 1\."):
        answers(long, Spans(np.array([0]), np.array([0]), np.array([0.0])))


# --- real questions


def perfect(features: Features) -> tuple[NDArray, NDArray]:
    """Logits (F, L) of a model that knows the labels, and where there are none finds no token better than another."""
    start, end = np.zeros((2, len(features), features.lengths.max()), np.float32)
    held = np.flatnonzero(features.labels[:, 1])
    start[held, features.labels[held, 0]] = end[held, features.labels[held, 1]] = 9.0
    return start, end


def test_white_space_that_a_token_has_before_it_is_no_part_of_an_answer(byte_pairs: Any) -> None:
    features = cut([asked("The brook runs.", "brook runs")], byte_pairs)
    start, end = perfect(features)
    assert features.offsets[features.labels[0, 0], 0] == 3
    assert answers(features, best_spans(start, end, features.passage)) == {"q": "brook runs"}


def f1(features: Features, start: NDArray, end: NDArray, longest: int) -> float:
    return mark(features.questions, answers(features, best_spans(start, end, features.passage, longest=longest))).f1


@needs_squad
@pytest.mark.parametrize("length", [160, 384])
def test_perfect_logits_get_nearly_full_marks(real: tuple[Question, ...], tokenizer: Any, length: int) -> None:
    """Not all of them: some answers begin or end within a token, and some are longer than what windows share."""
    features = cut(real, tokenizer, length=length, stride=48)
    start, end = perfect(features)
    assert f1(features, start, end, length) > 98.0
    # Negative controls: the next token, and first and last exchanged.
    assert f1(features, np.roll(start, 1, axis=1), np.roll(end, 1, axis=1), length) < 70.0
    assert f1(features, end, start, length) < 75.0


@needs_squad
def test_few_answers_are_longer_than_allowed(real: tuple[Question, ...], word_pieces: Any) -> None:
    features = cut(real, word_pieces)
    start, end = perfect(features)
    assert f1(features, start, end, LONGEST) > 98.0
    # Negative control: many are longer than a token.
    assert f1(features, start, end, 1) < 75.0
