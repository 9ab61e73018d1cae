"""A configuration carried out: what its task is told, where it starts, what it follows and when it stops."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from attn_dynamics.checkpoint import Checkpoint
from attn_dynamics.config import Config
from attn_dynamics.descent import descend
from attn_dynamics.errors import InputError
from attn_dynamics.initial import draw
from attn_dynamics.parameters import Parameters
from attn_dynamics.run import Run
from attn_dynamics.tasks import Options, Task

PATIENCE = 2000
"""Epochs without a lower dev loss after which a run stops, as LMN21's published configuration has it."""


def task_options(config: Config) -> Options:
    """What the task of a configuration may depend on."""
    return Options(seed=config.seed, data_dir=config.data_dir, text=config.text, synthetic=config.synthetic)


def check(config: Config, task: Task) -> None:
    """Refuse, before anything is written, what only the data can tell to be wrong.

    Raises:
        InputError: words to follow that the data do not hold, or patience without dev data.
    """
    task.train.columns(_followed(config, task))
    if config.patience and task.dev is None:
        raise InputError(
            "--patience",
            expected="a task with dev data",
            given=f"{task.name}, which has only {' and '.join(task.splits)}",
            fix="Leave it out.",
        )


def start(config: Config, task: Task, replicate: int = 0) -> Parameters:
    """Initial values, drawn by the seed and the number of the replicate.

    Raises:
        InputError: as `draw`.
    """
    return draw(
        config.start,
        config.model,
        n_words=task.train.n_words,
        n_classes=task.train.n_classes,
        embedding_dim=config.embedding_dim,
        hidden_dim=config.hidden_dim,
        scale=config.start_scale,
        rng=np.random.default_rng([config.seed, replicate]),
    )


def train(
    config: Config,
    task: Task,
    begin: Parameters,
    *,
    checkpoint: Checkpoint | None = None,
    meter: Callable[[int, float], None] | None = None,
) -> Run:
    """Gradient descent as configured.

    Raises:
        InputError, Interrupted, Diverged: as `descend`.
    """
    return descend(
        task.train,
        begin,
        learning_rate=config.learning_rate,
        epochs=config.horizon,
        train=config.train,
        judge={name: corpus for name, corpus in task.splits.items() if name != "train"},
        follow=_followed(config, task),
        patience=patience(config, task),
        reduced=not config.full,
        checkpoint=checkpoint,
        meter=meter,
    )


def patience(config: Config, task: Task) -> int | None:
    """Epochs without a lower dev loss after which to stop; None for never."""
    if config.patience is None:
        return PATIENCE if task.dev is not None else None
    return config.patience or None


def _followed(config: Config, task: Task) -> Sequence[Hashable]:
    return list(dict.fromkeys([*(word for topic in task.topic_words for word in topic), *config.follow]))
