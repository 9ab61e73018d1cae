"""Claim F2: the attention that keys alone win, in the exact gradient, whatever the number of other words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.exact_task import TIMES, ExactTask
from attn_dynamics.claims.f2_rate_of_selection import Held, selected
from attn_dynamics.theory.selection import Selection
from tests.support import examples

norms, margins = st.floats(0.5, 2.0), st.floats(0.2, 6.0)


@settings(max_examples=examples(3))
@given(st.integers(1, 30), norms, norms, st.tuples(margins, margins))
def test_f2_the_exact_gradient_takes_the_time_of_the_integral(
    others: int, query_norm: float, head_norm: float, margins: tuple[float, float]
) -> None:
    held = Held(ExactTask((2, 1), others, query_norm, head_norm), margins)
    reached, theory = 1.0 / (1.0 - selected(held)), Selection(**held.setting)
    np.testing.assert_allclose(
        theory.time(reached), np.broadcast_to(np.array(TIMES)[:, None], reached.shape), rtol=1e-8
    )
    wrong = Selection(**held.setting | {"query_norm": 1.001 * query_norm})
    assert np.abs(wrong.time(reached[-1]) / TIMES[-1] - 1.0).min() > 1e-3


@pytest.mark.parametrize("others", [2, 50])
def test_f2_the_limit_knows_nothing_of_the_other_words(others: int) -> None:
    word = Selection(margin=1.0, frequency=0.5, others=others)
    assert word.late(1e9) / 1e9 == pytest.approx(0.5 / (1 + np.e), rel=1e-5)
