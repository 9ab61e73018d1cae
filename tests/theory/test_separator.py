"""Claim F1: the separator is the one point that meets the conditions of its problem, and what scipy's SLSQP finds."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, nnls

from attn_dynamics.errors import InputError
from attn_dynamics.theory.separator import separator
from tests.support import examples

WORDS = 7
ordered = st.lists(st.tuples(st.integers(0, WORDS - 1), st.integers(0, WORDS - 1)), min_size=1, max_size=15).map(
    lambda pairs: [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
)
"""Pairs in which the word of the lower number is the better one."""


@given(ordered)
def test_f1_it_meets_the_conditions_of_its_problem(pairs: list) -> None:
    assume(pairs)
    scores = separator(pairs, WORDS)
    differences = np.eye(WORDS)[[b for b, _ in pairs]] - np.eye(WORDS)[[w for _, w in pairs]]
    margins = differences @ scores
    assert margins.min() == pytest.approx(1.0, abs=1e-9)
    # It is a sum, with weights of at least 0, of the differences whose margin is 1.
    assert nnls(differences[margins < 1 + 1e-6].T, scores)[1] < 1e-8
    assert scores.sum() == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=examples(10))
@given(ordered)
def test_f1_it_is_what_a_general_solver_finds(pairs: list) -> None:
    assume(pairs)
    best, other = np.array(pairs).T
    margins = {"type": "ineq", "fun": lambda s: s[best] - s[other] - 1.0}
    found = minimize(lambda s: s @ s, np.arange(WORDS, 0.0, -1.0), constraints=margins, method="SLSQP", tol=1e-12)
    np.testing.assert_allclose(separator(pairs, WORDS), found.x, atol=1e-5)


def test_one_pair_is_half_up_and_half_down() -> None:
    np.testing.assert_allclose(separator([(2, 0)], 3), [-0.5, 0.0, 0.5], atol=1e-15)


def test_words_that_are_better_in_turn_are_refused() -> None:
    with pytest.raises(InputError, match="pairs: expected pairs in one order"):
        separator([(0, 1), (1, 2), (2, 0)], 3)


@pytest.mark.parametrize("none", [[], np.empty((0, 2), int)], ids=["list", "array"])
def test_sentences_of_one_word_ask_for_nothing(none) -> None:
    np.testing.assert_array_equal(separator(none, 3), [0.0, 0.0, 0.0])


@pytest.mark.parametrize("pair", [(5, 0), (0, 3), (-1, 0)])
def test_words_that_there_are_not_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="pairs: expected columns from 0 to 2"):
        separator([pair], 3)
