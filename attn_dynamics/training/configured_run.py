"""Runs of a configuration: its checks, its initial values, its training on a task, and the point to resume at."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.model.initial import draw
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.options import without_effect
from attn_dynamics.tasks import Options, Task
from attn_dynamics.tasks.class_labels import can_be_written
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.training.coordinates import Coordinates
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.descent import descend
from attn_dynamics.training.memory import check_run, most_replicates
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.descent import descend_many
from attn_dynamics.training.replicates.engine import engine_for
from attn_dynamics.training.run import Diverged, Interrupted, Run, RunsInterrupted, divergence_message
from attn_dynamics.training.settings import Training

Meter = Callable[[int, float], None]
"""Function called with every epoch and its training loss."""
SHARE = 0.75
"""Share of the free memory for replicates; their need is an estimate, and other programs use memory too."""
PATIENCE = 2000
"""Epochs without a lower dev loss after which a run stops, as in LMN21's published configuration."""


def task_options(config: Config) -> Options:
    """Return the options that the task of a configuration may depend on."""
    return Options(seed=config.seed, data_dir=config.data_dir, text=config.text, synthetic=config.synthetic)


def notes(config: Config, task: Task) -> list[str]:
    """Return notes on settings that have no effect, and on what was dropped or guessed in the data."""
    whole = ["batch_size"] * (config.batch_size is not None and training(config, task).batch_size is None)
    sentences = f"{task.train.n_sentences:,} training sentences, all of them in each step"
    return [*config.notes, *task.notes, *without_effect(sentences, whole)]


def check(config: Config, task: Task) -> None:
    """Refuse settings that do not fit the data or the machine, before anything is written.

    Raises:
        InputError: a word cannot be written to a file, a followed word is not in the data, patience lacks dev data, or
            the device is not available.
    """
    engine_for(config.device, config.precision)
    check_words(task)
    layout = _layout(config, task)
    if config.patience and task.dev is None:
        raise InputError(
            "--patience",
            expected="a task with dev data",
            given=f"{task.name}, which has only {' and '.join(task.splits)}",
            fix="Leave it out.",
        )
    # Patience may end a run at any epoch.
    layout.check_room(config.max_epochs if patience(config, task) is None else 0, config.replicates)


def check_start(config: Config, task: Task, start: Parameters) -> None:
    """Refuse a rule that the device cannot step, and on processors a run that memory cannot hold.

    Of several replicates, memory must hold at least one. A command calls it before it writes anything.

    Raises:
        InputError: the rule needs numpy, or as in `check_run`.
    """
    settings = training(config, task)
    engine_for(config.device, config.precision).check_rule(settings.rule, Coordinates(start, settings).shapes)
    if config.device == "numpy":
        check_run(start, _layout(config, task), settings)


def check_words(task: Task) -> None:
    """Refuse words that no results file can hold.

    Raises:
        InputError: a word has a zero byte or an unpaired surrogate.
    """
    for word in task.train.vocabulary:
        if isinstance(word, str) and not can_be_written(word):
            raise InputError(
                "--task",
                expected="words that can be written to a file",
                given=f"{word!r} in {task.name}, which has a zero byte or an unpaired surrogate",
                fix="Remove such letters from the text, or name its encoding by --encoding.",
            )


def start(config: Config, task: Task, replicate: int = 0) -> Parameters:
    """Draw the initial values from the random seed and the number of the replicate.

    Raises:
        InputError: as in `draw`.
    """
    return draw(
        config.start,
        config.model,
        n_words=task.train.n_words,
        n_classes=task.train.n_classes,
        embedding_dim=config.embedding_dim,
        key_dim=config.key_dim,
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
    meter: Meter | None = None,
) -> Run:
    """Train one model as configured, on the configured device.

    Raises:
        InputError, Interrupted, Diverged: as in `descend`.
    """
    if config.device == "numpy":
        where = {"checkpoint": checkpoint, "meter": meter}
        return descend(task.train, begin, training(config, task), **_recorded(config, task), **where)
    try:
        (run,) = train_many(config, task, [begin], checkpoint=checkpoint, meter=meter)
    except RunsInterrupted as stop:
        raise Interrupted(stop.runs[0], stop.after) from None
    if run.ended == "diverged":
        raise Diverged(run, divergence_message(run.trajectory.sizes["epoch"], config.learning_rate))
    return run


def train_many(
    config: Config,
    task: Task,
    starts: Sequence[Parameters],
    *,
    checkpoint: Checkpoint | None = None,
    meter: Meter | None = None,
) -> list[Run]:
    """Train from several starts as configured, on the configured device.

    Raises:
        InputError, RunsInterrupted: as in `descend_many`.
    """
    where = {"device": config.device, "precision": config.precision, "checkpoint": checkpoint, "meter": meter}
    return descend_many(task.train, starts, training(config, task), **_recorded(config, task), **where)


def pass_size(config: Config, task: Task, start: Parameters, wanted: int, checkpoint: Checkpoint) -> int:
    """Return the number of the wanted starts, each shaped like `start`, that `train_many` should take at once.

    If there is a checkpoint, it decides the number. Otherwise as many as fit into memory, and at least one.

    Raises:
        InputError: the file is no checkpoint.
    """
    if saved := checkpoint.peek("epochs"):
        return len(saved["epochs"])
    engine = engine_for(config.device, config.precision)
    room = most_replicates(engine, start, _layout(config, task), training(config, task), SHARE)
    return wanted if room is None else min(wanted, max(1, room))


def training(config: Config, task: Task) -> Training:
    """Return the training settings of a configuration for this task: with its patience, without batches of all."""
    return replace(config.training, patience=patience(config, task)).on(task.train.n_sentences)


def _recorded(config: Config, task: Task) -> dict[str, Any]:
    """Return the arguments of `descend` that say which corpora and words to record."""
    others = {name: corpus for name, corpus in task.splits.items() if name != "train"}
    topic_words = (word for topic in task.topic_words for word in topic)
    return {"evaluate_on": others, "follow": list(dict.fromkeys([*topic_words, *config.follow]))}


def patience(config: Config, task: Task) -> int | None:
    """Return the number of epochs without a lower dev loss after which to stop; None for never."""
    if config.patience is None:
        return PATIENCE if task.dev is not None else None
    return config.patience or None


def _layout(config: Config, task: Task) -> Layout:
    """Return the layout of the record of a run."""
    return Layout(task.train, **_recorded(config, task))
