"""Where a corpus comes from: the synthetic topic task or text. A new task is one file and one line in `TASKS`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.hub import hub_task
from attn_dynamics.tasks.options import Options, TextOptions
from attn_dynamics.tasks.padding import padded
from attn_dynamics.tasks.synthetic import Synthetic
from attn_dynamics.tasks.task import Task
from attn_dynamics.tasks.text import text_task

__all__ = ["TASKS", "Options", "Synthetic", "Task", "TextOptions", "load_task", "padded", "text_task"]


def _synthetic(options: Options) -> Task:
    return options.synthetic.draw(options.seed)


def _treebank(name: str, prefix: str, options: Options) -> Task:
    text = options.text
    if options.data_dir is None:
        task = hub_task(name, preparation=text.preparation, vocabulary=text.vocabulary)
        return padded(task) if text.padding else task
    return _text(options.data_dir, options, name=name, prefer=prefix)


def _text(path: Path, options: Options, *, name: str | None = None, prefer: str | None = None) -> Task:
    text = options.text
    task = text_task(
        path,
        preparation=text.preparation,
        vocabulary=text.vocabulary,
        split=text.split,
        seed=options.seed,
        encoding=text.encoding,
        name=name,
        prefer=prefer,
    )
    return padded(task) if text.padding else task


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
    return _text(path, options)
