"""Topic words trained on LMN21's task from the start of its text, or near it, for several claims."""

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
"""Training time of the published runs, learning rate × epochs: 0.1 × 5,000."""


class TopicWords(NamedTuple):
    """All topic words of a run at its start and its end."""

    query_norm: float
    score: Array
    """Scores (2, words)."""
    embedding_norm: Array
    """Embedding norms ‖ν‖ (2, words)."""


@cache
def topic_words(
    task: Synthetic, model: str, seed: int, *, rate: float = 0.1, time: float = TIME, scale: float = 1.0
) -> TopicWords:
    """Train on data from `seed`, initial values from [seed, 0] as in the command, the head scaled by `scale`."""
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
