"""Runs of LMN21's synthetic task from the start of the theory, and their distance from a prediction."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.claims.exact_task import TRAINED_HEAD
from attn_dynamics.descent import descend
from attn_dynamics.initial import draw
from attn_dynamics.tasks import Synthetic
from attn_dynamics.theory.mean_field import Trajectory
from attn_dynamics.theory.unequal_topics import TopicTrajectory

RATE = 0.1
"""η."""
EPOCHS = 5000
"""Of LMN21's training."""
SETTLED = slice(EPOCHS // 20, None)
"""From 5 % of it on."""


class SyntheticRun(NamedTuple):
    """A run and what the theory takes from its corpus."""

    trajectory: xr.Dataset
    setting: dict[str, Any]
    """ρ of every topic word, n, m and N, in the arguments of `MeanField`."""


@cache
def synthetic_run(
    model: str, epochs: int, *, seed: int = 0, train: tuple[str, ...] = TRAINED_HEAD, **sizes: int
) -> SyntheticRun:
    """Descent on a task of these sizes (see `Synthetic`) from the preset "mean-field", all topic words followed."""
    kind = Synthetic(test_sentences=0, **sizes)
    task = kind.draw(seed)
    words = [word for topic in task.topic_words for word in topic]
    corpus = task.train
    start = draw(
        "mean-field",
        model,
        n_words=corpus.n_words,
        n_classes=corpus.n_classes,
        embedding_dim=10,
        rng=np.random.default_rng(seed),
    )
    run = descend(corpus, start, learning_rate=RATE, epochs=epochs, train=train, follow=words)
    setting = {
        "frequency": corpus.counts.sum(axis=0)[corpus.columns(words)] / corpus.n_sentences,
        "classes": corpus.n_classes,
        "others": kind.other_words,
        "sentences": corpus.n_sentences,
    }
    return SyntheticRun(run.trajectory, setting)


def deviation(run: xr.Dataset, theory: Trajectory | TopicTrajectory, epochs: slice) -> float:
    """Largest relative distance of score and embedding norm of any topic word at these epochs."""
    pairs = ((theory.score, run.score.values), (theory.norm, run.embedding_norm.values))
    return max(float(np.abs(predicted[epochs] / seen[epochs] - 1.0).max()) for predicted, seen in pairs)
