"""Topic words trained on LMN21's task from the start that its text states, or near it: what several claims measure."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.model.initial import draw
from attn_dynamics.tasks.synthetic import Synthetic
from attn_dynamics.training.descent import descend

PUBLISHED = Synthetic(test_sentences=0)
TIME = 500.0
"""Learning rate × epochs of the published runs: 0.1 × 5,000."""


class TopicWords(NamedTuple):
    """All topic words of a run, at its start and at its end."""

    query_norm: float
    score: Array
    """(2, words)."""
    embedding_norm: Array
    """(2, words)."""


@cache
def topic_words(
    task: Synthetic, model: str, seed: int, *, rate: float = 0.1, time: float = TIME, scale: float = 1.0
) -> TopicWords:
    """Data from `seed`, initial values from [seed, 0] as in the command, those of the head `scale` times as large."""
    drawn = task.draw(seed)
    start = draw(
        "paper",
        model,
        n_words=drawn.train.n_words,
        n_classes=task.topics,
        embedding_dim=10,
        rng=np.random.default_rng([seed, 0]),
    )
    head = start.head.replace(**{name: scale * array for name, array in start.head.arrays().items()})
    words = [word for topic in drawn.topic_words for word in topic]
    run = descend(
        drawn.train, replace(start, head=head), learning_rate=rate, epochs=round(time / rate), follow=words
    ).trajectory.isel(epoch=[0, -1])
    return TopicWords(float(np.linalg.norm(start.query)), run.score.values, run.embedding_norm.values)
