"""Claims C9 and C10: what a sentence memorises of its own words is all there is to add if it shares none of them.

Under a trained head (C10) training closes in vectors, and in norms where topics are equally frequent.
"""

import numpy as np
import pytest
from hypothesis import given, settings

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.exact_task import TRAINED_HEAD, ExactTask, distance, forgetful
from attn_dynamics.claims._support.synthetic_run import EPOCHS, RATE, SETTLED, deviation, solved, synthetic_run
from attn_dynamics.claims.c9_c10_memorisation import unequal_topics
from attn_dynamics.theory.mean_field import MeanField
from tests.claims.test_c1_mean_field import tasks
from tests.support import examples


class ScoresOfOthersHeld(MeanField):
    """C9 in its plain form."""

    def velocity(self, state: np.ndarray) -> np.ndarray:
        return super().velocity(state) * np.array([1, 1, 0, 1, 1])


@settings(max_examples=examples(3))
@given(tasks)
def test_c9_is_the_exact_flow_if_no_word_is_shared(task: ExactTask) -> None:
    task = task._replace(private=True)
    assert distance(task) <= 1000 * RTOL
    assert distance(task, forgetful(MeanField)) > 1e-3
    assert distance(task, ScoresOfOthersHeld) > 1e-3


@pytest.mark.slow
def test_c9_in_a_dictionary_of_50_000_words() -> None:
    """0.2 % from the second epoch on, and 1 % of the plain flow from 5 % of training on."""
    run = synthetic_run("attn-fc", EPOCHS, dictionary=50_000)
    assert deviation(run.trajectory, solved(run, MeanField, RATE), slice(2, None)) <= 0.002
    assert deviation(run.trajectory, solved(run, MeanField), SETTLED) <= 0.01
    assert deviation(run.trajectory, solved(run, ScoresOfOthersHeld, RATE), slice(2, None)) > 0.002


def norms(**setting) -> MeanField:
    return MeanField(**setting, train=TRAINED_HEAD)


@settings(max_examples=examples(3))
@given(tasks)
def test_c10_is_the_exact_flow_if_no_word_is_shared(task: ExactTask) -> None:
    task = task._replace(private=True)
    assert distance(task, unequal_topics, train=TRAINED_HEAD) <= 1000 * RTOL
    assert distance(task, forgetful(unequal_topics), train=TRAINED_HEAD) > 1e-3
    equal = task._replace(repeats=(2,) * len(task.repeats))
    assert distance(equal, norms, train=TRAINED_HEAD) <= 1000 * RTOL
    unequal = task._replace(repeats=(*task.repeats[1:], task.repeats[-1] + 1))
    assert distance(unequal, norms, train=TRAINED_HEAD) > 1e-3


@pytest.mark.slow
def test_c10_in_a_dictionary_of_50_000_words() -> None:
    """0.2 % from the second epoch on."""
    run = synthetic_run("attn-tc", EPOCHS, dictionary=50_000)
    assert deviation(run.trajectory, solved(run, unequal_topics, RATE), slice(2, None)) <= 0.002
    assert deviation(run.trajectory, solved(run, forgetful(unequal_topics), RATE), slice(2, None)) > 0.1
