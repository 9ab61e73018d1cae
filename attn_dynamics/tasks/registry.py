"""Tasks by name: a new one is a function and one line in `TASKS`."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.system.options import changed, without_effect
from attn_dynamics.tasks.hub import hub_task
from attn_dynamics.tasks.options import Options, TextOptions
from attn_dynamics.tasks.padding import padded
from attn_dynamics.tasks.task import Task
from attn_dynamics.tasks.text import text_task
from attn_dynamics.tasks.treebank import other_sizes


def _synthetic(options: Options) -> Task:
    return options.synthetic.draw(options.seed)


def _treebank(name: str, prefix: str, options: Options) -> Task:
    text = options.text
    if options.data_dir is None:
        task = hub_task(name, preparation=text.preparation, vocabulary=text.vocabulary)
        task = padded(task) if text.padding else task
    else:
        task = load_text(options.data_dir, text, seed=options.seed, name=name, prefer=prefix)
    return replace(task, notes=(*task.notes, *other_sizes(name, task)))


def load_text(
    path: Path, options: TextOptions, *, seed: int = 0, name: str | None = None, prefer: str | None = None
) -> Task:
    """Read labelled text with the options of a command.

    Raises:
        InputError: as `text_task` raises it.
    """
    reading = {option.name: getattr(options, option.name) for option in fields(options) if option.name != "padding"}
    task = text_task(path, **reading, seed=seed, name=name, prefer=prefer)
    if options.split != TextOptions.split and not path.is_file():
        task = replace(task, notes=(*task.notes, *without_effect("files that are split already", ["split"])))
    return padded(task) if options.padding else task


TASKS: dict[str, Callable[[Options], Task]] = {
    "synthetic": _synthetic,
    "sst2": partial(_treebank, "sst2", "stsa.binary"),
    "sst5": partial(_treebank, "sst5", "stsa.fine"),
}
"""Tasks of the command by name; any other name is a path."""
READS = {"synthetic": ("synthetic",), "sst2": ("data_dir", "text"), "sst5": ("data_dir", "text")}
"""Parts of the options that each task reads; a task of another name may read all parts, and a path reads only text."""
_PARTS = ("data_dir", "text", "synthetic")


def load_task(name: str, options: Options) -> Task:
    """Load the task with a name in `TASKS`, or the file or folder at a path.

    Raises:
        InputError: there is no such task or path, or its data cannot be used.

    Example:
        >>> from attn_dynamics.tasks import Options
        >>> load_task("synthetic", Options(seed=0)).train.n_sentences
        800
    """
    task = TASKS[name](options) if name in TASKS else _at_path(name, options)
    return replace(task, notes=(*task.notes, *_unread(name, options), *_unseen(task)))


def _unread(name: str, options: Options) -> list[str]:
    """Return a note if options were given that the task does not read."""
    reads = READS.get(name, _PARTS if name in TASKS else ("text",))
    given: list[str] = []
    for part in changed(options, Options()):
        now, usual = getattr(options, part), getattr(Options(), part)
        if part in _PARTS and part not in reads:
            given += changed(now, usual) if is_dataclass(usual) else [part]
    return without_effect(f"the task {name}", given)


def _unseen(task: Task) -> list[str]:
    """Return a note if topic words occur in no training sentence: they keep their start and have no theory."""
    words = [word for topic in task.topic_words for word in topic]
    missing = ~np.isin(task.train.columns(words), task.train.counts.indices)
    unseen = [str(word) for word, absent in zip(words, missing, strict=True) if absent]
    return [f"No training sentence of {task.name} holds the topic words {', '.join(unseen)}."] if unseen else []


def _at_path(name: str, options: Options) -> Task:
    path = Path(name)
    if not path.exists() and (path.name == name or not path.parent.is_dir()):
        expected, given = f"one of {', '.join(TASKS)}, or a path", f"{name!r}, which is neither"
        raise InputError("--task", expected=expected, given=given, fix="Check the spelling.")
    return load_text(path, options.text, seed=options.seed)
