"""Claim C1: with an orthogonal head and nothing memorised, training is two equations a word."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.exact_task import ExactTask, altered, distance
from attn_dynamics.theory.mean_field import MeanField
from tests.support import examples

tasks = st.builds(
    ExactTask,
    repeats=st.lists(st.integers(2, 4), min_size=2, max_size=4).map(tuple),
    others=st.integers(1, 30),
    query_norm=st.floats(0.5, 2.0),
    head_norm=st.floats(0.5, 2.0),
    private=st.just(False),
    wrong=st.just(()),
)


@settings(max_examples=examples(3))
@given(tasks)
def test_c1_is_the_exact_flow(task: ExactTask) -> None:
    assert distance(task) <= 1000 * RTOL
    assert distance(task, altered(MeanField, others=lambda m: 1.001 * m)) > 1e4 * RTOL
    assert distance(task, altered(MeanField, head_norm=lambda u: 1.001 * u)) > 1e4 * RTOL


@pytest.mark.parametrize(("others", "off"), [(2, 0.106), (20, 0.221)])
def test_c1_takes_many_sentences_and_not_only_many_words(others: int, off: float) -> None:
    """Where no word is shared, an infinite dictionary, C9 is exact: among 100 sentences C1 is this far from it."""
    times = np.logspace(-2, 2.7, 60)
    plain, whole = (
        MeanField(frequency=1 / 8, classes=4, others=others, sentences=sentences).flow(times).score
        for sentences in (np.inf, 100)
    )
    assert (plain / whole - 1).max() == pytest.approx(off, abs=1e-3)
    # At the start it is 1/(ρN - 1), whatever m.
    assert plain[0] / whole[0] - 1 == pytest.approx(1 / (100 / 8 - 1), rel=1e-3)
