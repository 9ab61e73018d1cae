"""Claims B1, B2 and A1 on LMN21's task, from its text's start: the task is learned, the curve met, no score gained.

Seed k draws the data from k and the initial values from [k, 0], as the command does.
"""

from functools import cache
from itertools import chain

import numpy as np
import pytest

from attn_dynamics import Run, descend, draw
from attn_dynamics.tasks import Synthetic, Task
from attn_dynamics.theory.sen import sen_norm, sen_score
from tests.support import MODELS, Array

OTHERS = 20
"""m of the published task."""
LARGEST_RESIDUAL = 0.01


@cache
def published(model: str, seed: int, others: int = OTHERS) -> tuple[Task, float, Run]:
    """Data, ‖q‖ and the run over 5,000 epochs, every topic word followed."""
    task = Synthetic(other_words=others).draw(seed)
    assert task.test is not None
    start = draw(
        "paper",
        model,
        n_words=task.train.n_words,
        n_classes=task.train.n_classes,
        embedding_dim=10,
        hidden_dim=10,
        rng=np.random.default_rng([seed, 0]),
    )
    words = list(chain.from_iterable(task.topic_words))
    run = descend(task.train, start, evaluate_on={"test": task.test}, follow=words)
    return task, float(np.linalg.norm(start.query)), run


def relation(score: Array, query_norm: float, others: float = OTHERS, *, two: float = 2.0) -> Array:
    """‖ν‖ of a topic word at score s from a zero start, as LMN21 prints it."""
    return np.sqrt(two * (score + (np.exp(score) - 1.0) / others)) / query_norm


def residuals(run: Run, theory: Array) -> Array:
    """Relative distance of the final embedding norms of the topic words from a curve at their final scores."""
    return np.abs(run.trajectory.embedding_norm.values[-1] / theory - 1.0)


CHEAPEST = "attn-fc", 0
EVERY_RUN = [
    pytest.param(model, seed, marks=[] if (model, seed) == CHEAPEST else pytest.mark.slow)
    for model in MODELS
    for seed in range(5)
]


@pytest.mark.parametrize(("model", "seed"), EVERY_RUN)
def test_b2_every_topic_word_ends_within_one_percent_of_the_curve(model: str, seed: int) -> None:
    _, query_norm, run = published(model, seed)
    score = run.trajectory.score.values[-1]
    assert score.size == 8
    assert score.min() > 0.5
    assert residuals(run, relation(score, query_norm)).max() <= LARGEST_RESIDUAL
    np.testing.assert_allclose(sen_norm(score, OTHERS, query_norm), relation(score, query_norm), rtol=1e-13)
    ends = run.trajectory.embedding_norm.values[-1]
    assert np.abs(sen_score(ends, OTHERS, query_norm) / score - 1.0).max() <= 2 * LARGEST_RESIDUAL


@pytest.mark.parametrize(("model", "seed"), EVERY_RUN)
def test_the_task_is_learned(model: str, seed: int) -> None:
    *_, run = published(model, seed)
    last = run.trajectory.isel(epoch=-1)
    assert last.epoch == 5000
    assert last.test_accuracy == 1.0
    assert last.train_accuracy == 1.0
    assert last.train_loss <= 0.01


@pytest.mark.parametrize(("model", "seed"), EVERY_RUN)
def test_a1_the_scores_keep_their_sum_over_all_epochs(model: str, seed: int) -> None:
    *_, run = published(model, seed)
    total = run.trajectory.score_sum.values
    assert total.size == 5001
    assert np.abs(total - total[0]).max() <= 1e-12


@pytest.mark.parametrize(("model", "seed"), EVERY_RUN)
def test_topic_words_take_the_attention_and_all_others_lose_score(model: str, seed: int) -> None:
    task, _, run = published(model, seed)
    trajectory = run.trajectory
    assert (np.diff(trajectory.attention.values[::500], axis=0) > 0).all()
    others = trajectory.all_score.isel(snapshot=-1)[8:]
    present = np.bincount(task.train.counts.indices, minlength=task.train.n_words)[8:] > 0
    assert float(others.max()) < float(trajectory.score[-1].min())
    assert float(others[present].mean()) < 0.0
    assert (others.values[~present] == 0).all()


def test_the_curve_is_met_on_the_way_too() -> None:
    _, query_norm, run = published(*CHEAPEST)
    later = run.trajectory.isel(epoch=slice(500, None))
    theory = relation(later.score.values, query_norm)
    assert np.abs(later.embedding_norm.values / theory - 1.0).max() <= LARGEST_RESIDUAL


@pytest.mark.parametrize(("others", "two"), [(OTHERS, 1.0), (OTHERS, 4.0), (10, 2.0), (40, 2.0)])
def test_a_wrong_curve_is_rejected(others: float, two: float) -> None:
    """Negative control: a factor of 2 lost or gained, in the relation or in m."""
    _, query_norm, run = published(*CHEAPEST)
    score = run.trajectory.score.values[-1]
    assert residuals(run, relation(score, query_norm, others, two=two)).max() > LARGEST_RESIDUAL


def test_with_few_other_words_m_off_by_one_is_rejected_too() -> None:
    """Negative control. Among 20 others, at the scores that 5,000 epochs reach, 19 and 20 can hardly be told apart."""
    _, query_norm, run = published(*CHEAPEST, 3)
    score = run.trajectory.score.values[-1]
    right, low, high = (residuals(run, relation(score, query_norm, others)).max() for others in (3, 2, 4))
    assert right <= LARGEST_RESIDUAL
    assert min(low, high) > 5 * LARGEST_RESIDUAL


def test_a_drift_of_the_sum_would_be_seen() -> None:
    """Negative control: all scores a hair off their steps, as by a gradient that does not sum to zero."""
    *_, run = published(*CHEAPEST)
    total = run.trajectory.score_sum.values + 1e-15 * np.arange(5001)
    assert np.abs(total - total[0]).max() > 1e-12
