"""Claim C1: with an orthogonal head and as if the dictionary were infinite, training is two equations a word."""

from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims.exact_task import ExactTask, altered
from attn_dynamics.claims.mean_field import RTOL, distance
from attn_dynamics.theory.mean_field import MeanField
from tests.support import examples

tasks = st.builds(
    ExactTask,
    repeats=st.lists(st.integers(2, 4), min_size=2, max_size=4).map(tuple),
    others=st.integers(1, 30),
    query_norm=st.floats(0.5, 2.0),
    head_norm=st.floats(0.5, 2.0),
    private=st.just(False),
)


@settings(max_examples=examples(5))
@given(tasks)
def test_c1_is_the_exact_flow(task: ExactTask) -> None:
    assert distance(task) <= 1000 * RTOL
    assert distance(task, altered(MeanField, others=lambda m: 1.001 * m)) > 1e4 * RTOL
    assert distance(task, altered(MeanField, head_norm=lambda u: 1.001 * u)) > 1e4 * RTOL
