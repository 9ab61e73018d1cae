"""Claim B6: with orthogonal queries of the last tokens the relation is a sum over them, and with others it is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims.b6_last_token import HEADS, OTHERS, asked, oblique, orthogonal
from attn_dynamics.theory.sen_last_token import sen_norm_last_token
from tests.support import examples


def kept(head: str, queries, seed: int) -> np.ndarray:
    """Σ_u (s_u + e^{s_u}/m_u)/‖q_u‖² - ‖ν‖²/2 over time, as it stands."""
    scores, norms, lengths = asked(head, queries, seed)
    return ((scores + np.exp(scores) / np.array(OTHERS)) / lengths**2).sum(axis=1) - norms**2 / 2


@settings(max_examples=examples(6), deadline=None)
@given(st.sampled_from(list(HEADS)), st.integers(100, 999))
def test_the_sum_never_changes(head: str, seed: int) -> None:
    law, other = kept(head, orthogonal, seed), kept(head, oblique, seed)
    moved = np.ptp(asked(head, orthogonal, seed)[1] ** 2)
    assert np.ptp(law) <= 1e-9 * max(moved, 1.0)
    # Negative control: queries that are not orthogonal.
    assert np.ptp(other) > 1e-4


def test_scores_of_one_word_part_under_different_queries() -> None:
    """What is tested is not B1 three times over."""
    scores, norms, lengths = asked("tanh", orthogonal)
    predicted = sen_norm_last_token(scores, np.array(OTHERS), lengths, scores[0], norms[0])
    assert norms[-1] == pytest.approx(predicted[-1], rel=1e-9)
    assert np.ptp(scores[-1] - scores[0]) > 0.1
    assert abs(norms[-1] - norms[0]) > 0.1
