"""Runs of LMN21's synthetic task from the start of the theory, and their distance from a prediction."""

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.claims._support.exact_task import TRAINED_HEAD, Theory
from attn_dynamics.claims.claim import largest
from attn_dynamics.model.initial import draw
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks import Synthetic, Task
from attn_dynamics.theory.mean_field import Trajectory
from attn_dynamics.theory.unequal_topics import TopicTrajectory
from attn_dynamics.training.descent import descend

RATE = 0.1
"""Learning rate η."""
EPOCHS = 5000
"""Number of epochs of LMN21's training."""
SETTLED = slice(EPOCHS // 20, None)
"""Epochs after the first 5 % of that training."""
CLOSE = 0.01
"""Tolerance of C9 and C10."""


class SyntheticRun(NamedTuple):
    """A run, and what the theory takes from its corpus."""

    trajectory: xr.Dataset
    setting: dict[str, Any]
    """ρ of every topic word, n, m and N, as arguments of `MeanField`."""


def synthetic_task(model: str, *, seed: int = 0, **sizes: int) -> tuple[Task, Parameters]:
    """Draw a task of these sizes (see `Synthetic`), and a model at the preset "mean-field"."""
    task = replace(Synthetic(test_sentences=0), **sizes).draw(seed)
    words, classes = task.train.n_words, task.train.n_classes
    rng = np.random.default_rng(seed)
    return task, draw("mean-field", model, n_words=words, n_classes=classes, embedding_dim=10, rng=rng)


@cache
def synthetic_run(
    model: str, epochs: int, *, seed: int = 0, train: tuple[str, ...] = TRAINED_HEAD, **sizes: int
) -> SyntheticRun:
    """Run descent with learning rate η on such a task, with all topic words followed."""
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
    """Return the largest relative distance of score and embedding norm over topic words and these epochs."""
    pairs = ((theory.score, run.score.values), (theory.norm, run.embedding_norm.values))
    return largest(float(np.abs(predicted[epochs] / seen[epochs] - 1.0).max()) for predicted, seen in pairs)


def trained_runs(model: str, *, quick: bool, **sizes: int) -> list[SyntheticRun]:
    """Return runs of LMN21's task, or of one with other sizes; `quick` returns one run, a fifth as long."""
    epochs, seeds = (EPOCHS // 5, 1) if quick else (EPOCHS, 3)
    return [synthetic_run(model, epochs, seed=seed, **sizes) for seed in range(seeds)]


def solved(run: SyntheticRun, theory: Theory, learning_rate: float = 0.0) -> Trajectory | TopicTrajectory:
    """Predict the epochs of a run from the frequencies of its corpus."""
    return theory(**run.setting).flow(run.trajectory.time.values, learning_rate=learning_rate, tolerance=1e-7)
