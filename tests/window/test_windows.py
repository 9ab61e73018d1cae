"""Claim: a window is the tokens within its half-width and its sequence, and what is none is refused."""

import numpy as np
import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.window.windows import Windows, half_width_of
from tests.window.drawn import setting

SEQUENCES = [[0, 1, 2, 3, 4], [5], [6, 7]]


def test_windows_end_with_their_sequence_or_their_half_width() -> None:
    windows = Windows.of(SEQUENCES, [(0, 0), (0, 3), (1, 0), (2, 1)], [0, 1, 2, 3], n_words=8, half_width=2)
    assert np.split(windows.words, windows.offsets[1:-1])[0].tolist() == [0, 1, 2]
    assert windows.words.tolist() == [0, 1, 2, 1, 2, 3, 4, 5, 6, 7]
    assert windows.distances.tolist() == [0, 1, 2, -2, -1, 0, 1, 0, -1, 0]
    assert windows.offsets.tolist() == [0, 3, 7, 8, 10]


def test_exempt_tokens_see_all_and_are_seen_by_all() -> None:
    exempt = [[True, False, False, False, False], [False], [False, False]]
    queries = [(0, 4), (0, 0), (2, 1)]
    windows = Windows.of(SEQUENCES, queries, [0, 1, 2], n_words=8, half_width=1, exempt=exempt)
    assert windows.offsets.tolist() == [0, 3, 8, 10]
    assert windows.words.tolist() == [0, 3, 4, 0, 1, 2, 3, 4, 6, 7]
    assert windows.distances.tolist() == [-4, -1, 0, 0, 1, 2, 3, 4, -1, 0]
    assert windows.exempt is not None
    assert windows.exempt.tolist() == [True, False, False, *[True] * 5, False, False]
    with pytest.raises(InputError, match="exempt"):
        Windows.of(SEQUENCES, queries, [0, 1, 2], n_words=8, exempt=exempt[:2])


def test_without_a_half_width_all_of_a_sequence_is_seen() -> None:
    for seed in range(30):
        case = setting("peak", "log", "reward", seed)
        whole = Windows.of(case.sequences, case.queries, case.labels, n_words=case.layer.scores.size)
        assert np.diff(whole.offsets).tolist() == [len(case.sequences[sequence]) for sequence, _ in case.queries]
        assert np.count_nonzero(whole.distances == 0) == whole.n_queries


@pytest.mark.parametrize(("window", "half"), [(1, 0), (3, 1), (257, 128)])
def test_a_window_has_its_query_in_the_middle(window: int, half: int) -> None:
    assert half_width_of(window, 257) == half


@pytest.mark.parametrize(
    ("window", "said"), [(4, "odd number"), (0, "odd number"), (-3, "odd number"), (259, "at most the 257 tokens")]
)
def test_another_is_refused(window: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        half_width_of(window, 257)


@pytest.mark.parametrize(
    ("queries", "labels", "n_words", "half_width", "said"),
    [
        ([], [], 8, 1, "at least one, each with a label"),
        ([(0, 0)], [0, 1], 8, 1, "at least one, each with a label"),
        ([(0, 5)], [0], 8, 1, "positions within their sequences"),
        ([(3, 0)], [0], 8, 1, "positions within their sequences"),
        ([(0, 0)], [0], 7, 1, "words below 7"),
        ([(0, 0)], [0], 8, -1, "0 or more"),
    ],
)
def test_what_is_no_window_is_refused(
    queries: list[tuple[int, int]], labels: list[int], n_words: int, half_width: int, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Windows.of(SEQUENCES, queries, labels, n_words=n_words, half_width=half_width)
