"""Where a corpus comes from: the synthetic topic task or text. A new task is one file and one line in `TASKS`."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.hub import hub_task
from attn_dynamics.tasks.options import Options, TextOptions
from attn_dynamics.tasks.padding import padded
from attn_dynamics.tasks.synthetic import Synthetic
from attn_dynamics.tasks.task import Task
from attn_dynamics.tasks.text import text_task
from attn_dynamics.tasks.treebank import other_sizes

__all__ = ["TASKS", "Options", "Synthetic", "Task", "TextOptions", "load_task", "load_text", "padded", "text_task"]


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
    """Read labelled text as a command was told to.

    Raises:
        InputError: as `text_task`.
    """
    told = {option.name: getattr(options, option.name) for option in fields(options) if option.name != "padding"}
    task = text_task(path, **told, seed=seed, name=name, prefer=prefer)
    return padded(task) if options.padding else task


TASKS: dict[str, Callable[[Options], Task]] = {
    "synthetic": _synthetic,
    "sst2": partial(_treebank, "sst2", "stsa.binary"),
    "sst5": partial(_treebank, "sst5", "stsa.fine"),
}
"""The tasks of the command by name; anything else is a path."""


def load_task(name: str, options: Options) -> Task:
    """The task of a name in `TASKS`, or of the file or folder at a path.

    Raises:
        InputError: no such task or path, or data that cannot be used.
    """
    if name in TASKS:
        return TASKS[name](options)
    path = Path(name)
    if (not path.exists() and not path.parent.is_dir()) or (path.name == name and not path.exists()):
        raise InputError(
            "--task",
            expected=f"one of {', '.join(TASKS)}, or a path",
            given=f"{name!r}, which is neither",
            fix="Check the spelling.",
        )
    return load_text(path, options.text, seed=options.seed)
