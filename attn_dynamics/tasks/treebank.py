"""The Stanford Sentiment Treebank: the folder of its files, and the sizes of its published splits."""

from pathlib import Path

from attn_dynamics.tasks.data_folders import named_folder
from attn_dynamics.tasks.task import Task

SIZES = {
    "sst2": {"classes": 2, "train": 6920, "dev": 872, "test": 1821},
    "sst5": {"classes": 5, "train": 8544, "dev": 1101, "test": 2210},
}
"""Number of classes, and of whole sentences in each split, by task."""

VARIABLE = "SST_DIR"
"""Environment variable that names the folder of stsa.binary.train, .dev and .test."""
ABSENT = f"not SST-2, because {VARIABLE} is not set"
"""Reason why the data are skipped if the variable is not set."""


def sst_folder() -> Path | None:
    """Return the folder that `SST_DIR` names; None if it is not set.

    Raises:
        InputError: the variable names no folder.
    """
    return named_folder(VARIABLE, files="stsa.binary.train, .dev and .test", data="SST-2")


def other_sizes(name: str, task: Task) -> list[str]:
    """Return a note if the sizes differ from those of sst2 or sst5 as published; dropped sentences count too."""
    found = {"classes": task.train.n_classes, "train": 0, "dev": 0, "test": 0}
    found |= {part: corpus.n_sentences + task.dropped.get(part, 0) for part, corpus in task.splits.items()}
    differing = [f"{found[part]:,} {part} for {size:,}" for part, size in SIZES[name].items() if found[part] != size]
    return [f"These data are not {name} as published: {', '.join(differing)}."] if differing else []
