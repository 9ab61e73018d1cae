"""Runs of LMN21's synthetic task, from the start of their text and from the preset mean-field."""

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import xarray as xr

from attn_dynamics.claims._support.distances import apart
from attn_dynamics.claims._support.drawn import preset_start
from attn_dynamics.claims._support.exact_task import TRAINED_HEAD, Theory
from attn_dynamics.claims._support.sen import Followed, followed
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks import Synthetic, Task
from attn_dynamics.theory.mean_field import Trajectory
from attn_dynamics.theory.unequal_topics import TopicTrajectory
from attn_dynamics.training.descent import descend

PUBLISHED = Synthetic(test_sentences=0)
"""LMN21's task, without test sentences."""
RATE = 0.1
"""Learning rate η."""
EPOCHS = 5000
"""Number of epochs of LMN21's training."""
TIME = 500.0
"""Time of LMN21's training, learning rate × epochs."""
SETTLED = slice(EPOCHS // 20, None)
"""Epochs after the first 5 % of that training."""
CLOSE = 0.01
"""Relative tolerance of C9 and C10."""


class SyntheticRun(NamedTuple):
    """Run, with the sizes of its corpus that the theory takes."""

    trajectory: xr.Dataset
    setting: dict[str, Any]
    """Frequency ρ of every topic word, n, m and N, as arguments of `MeanField`."""


def synthetic_task(model: str, *, seed: int = 0, **sizes: int) -> tuple[Task, Parameters]:
    """Draw a task of these sizes (see `Synthetic`), and a model from the preset mean-field."""
    task = replace(PUBLISHED, **sizes).draw(seed)
    return task, preset_start("mean-field", model, task.train, seed)


@cache
def synthetic_run(
    model: str, epochs: int, *, seed: int = 0, train: tuple[str, ...] = TRAINED_HEAD, **sizes: int
) -> SyntheticRun:
    """Run descent on a task of these sizes, with all topic words followed."""
    task, start = synthetic_task(model, seed=seed, **sizes)
    corpus, words = task.train, [word for topic in task.topic_words for word in topic]
    run = descend(corpus, start, learning_rate=RATE, epochs=epochs, train=train, follow=words)
    setting = {
        "frequency": corpus.counts.sum(axis=0)[corpus.columns(words)] / corpus.n_sentences,
        "classes": corpus.n_classes,
        "others": int(corpus.lengths[0]) - 1,
        "sentences": corpus.n_sentences,
    }
    return SyntheticRun(run.trajectory, setting)


def deviation(run: xr.Dataset, theory: Trajectory | TopicTrajectory, epochs: slice) -> float:
    """Return the largest relative distance of scores and norms from a theory, over topic words and epochs."""
    scores, norms = run.score.values, run.embedding_norm.values
    return apart((theory.score[epochs], scores[epochs]), (theory.norm[epochs], norms[epochs]))


def trained_runs(model: str, *, quick: bool, **sizes: int) -> list[SyntheticRun]:
    """Return runs of LMN21's task, or of one with other sizes; if quick, a single run, a fifth as long."""
    epochs, seeds = (EPOCHS // 5, 1) if quick else (EPOCHS, 3)
    return [synthetic_run(model, epochs, seed=seed, **sizes) for seed in range(seeds)]


def solved(run: SyntheticRun, theory: Theory, learning_rate: float = 0.0) -> Trajectory | TopicTrajectory:
    """Predict the epochs of a run by a theory with the frequencies of its corpus.

    With a learning rate, the modified flow of descent is solved.
    """
    return theory(**run.setting).flow(run.trajectory.time.values, learning_rate=learning_rate, tolerance=1e-7)


@cache
def topic_words(
    task: Synthetic, model: str, seed: int, *, rate: float = 0.1, time: float = TIME, scale: float = 1.0
) -> Followed:
    """Return all topic words at the start and at the end of a descent, whose head starts scaled by `scale`.

    Data are drawn from `seed`, and initial values from [seed, 0] as in the command.
    """
    drawn = task.draw(seed)
    start = preset_start("paper", model, drawn.train, [seed, 0])
    head = start.head.replace(**{name: scale * array for name, array in start.head.arrays().items()})
    words = [word for topic in drawn.topic_words for word in topic]
    start, epochs = replace(start, head=head), round(time / rate)
    run = descend(drawn.train, start, learning_rate=rate, epochs=epochs, follow=words).trajectory
    return followed(run.isel(epoch=[0, -1]), start, task.other_words)
