"""Runs of LMN21's synthetic task, from the start of its text and from that of the theory."""

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
RATE = 0.1
"""Learning rate η."""
EPOCHS = 5000
"""Number of epochs of LMN21's training."""
TIME = 500.0
"""Training time, learning rate × epochs."""
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
    task = replace(PUBLISHED, **sizes).draw(seed)
    return task, preset_start("mean-field", model, task.train, seed)


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
    scores, norms = run.score.values, run.embedding_norm.values
    return apart((theory.score[epochs], scores[epochs]), (theory.norm[epochs], norms[epochs]))


def trained_runs(model: str, *, quick: bool, **sizes: int) -> list[SyntheticRun]:
    """Return runs of LMN21's task, or of one with other sizes; `quick` returns one run, a fifth as long."""
    epochs, seeds = (EPOCHS // 5, 1) if quick else (EPOCHS, 3)
    return [synthetic_run(model, epochs, seed=seed, **sizes) for seed in range(seeds)]


def solved(run: SyntheticRun, theory: Theory, learning_rate: float = 0.0) -> Trajectory | TopicTrajectory:
    """Predict the epochs of a run from the frequencies of its corpus."""
    return theory(**run.setting).flow(run.trajectory.time.values, learning_rate=learning_rate, tolerance=1e-7)


@cache
def topic_words(
    task: Synthetic, model: str, seed: int, *, rate: float = 0.1, time: float = TIME, scale: float = 1.0
) -> Followed:
    """Follow all topic words from start to end of a descent, the head at the start scaled by `scale`.

    Data are drawn from `seed`, and initial values from [seed, 0] as in the command.
    """
    drawn = task.draw(seed)
    start = preset_start("paper", model, drawn.train, [seed, 0])
    head = start.head.replace(**{name: scale * array for name, array in start.head.arrays().items()})
    words = [word for topic in drawn.topic_words for word in topic]
    start, epochs = replace(start, head=head), round(time / rate)
    run = descend(drawn.train, start, learning_rate=rate, epochs=epochs, follow=words).trajectory
    return followed(run.isel(epoch=[0, -1]), start, task.other_words)
