"""SST-2 and SST-5 from the Hugging Face hub: whole sentences in the standard splits."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from attn_dynamics.check import one_of
from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import how_to_get
from attn_dynamics.tasks.task import Task
from attn_dynamics.tasks.text import task_from_splits

HUB_NAMES = {"sst2": "SetFit/sst2", "sst5": "SetFit/sst5"}
"""Data sets by task, with columns text and label; they hold whole sentences of the treebank, no phrases."""

_HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def hub_task(name: str, *, preparation: str = "lmn21", vocabulary: str = "all") -> Task:
    """Load a data set through the `datasets` library.

    Args:
        name: "sst2" or "sst5".
        preparation: as in `text_task`.
        vocabulary: as in `text_task`.

    Raises:
        InputError: the name is unknown, `datasets` is not installed, loading fails, or as `task_from_splits` raises it.
    """
    found = hub_rows(HUB_NAMES[one_of("task", name, HUB_NAMES)], _HUB_SPLITS)
    splits = {part: ((row["label"], row["text"]) for row in rows) for part, rows in found.items()}
    return task_from_splits(name, splits, preparation=preparation, vocabulary=vocabulary)


def hub_rows(hub_name: str, splits: Mapping[str, str]) -> dict[str, Iterable[dict[str, Any]]]:
    """Return the rows of a hub data set by split.

    Args:
        hub_name: name of the data set, owner/name.
        splits: the hub's name of each split, by this project's name.

    Raises:
        InputError: `datasets` is not installed, or loading fails.
    """
    try:
        datasets = import_module("datasets")
    except ImportError as error:
        fix = f"{how_to_get('data')} Or name a folder that holds the data with --data-dir."
        raise InputError(hub_name, expected="the datasets library to load it", given=error, fix=fix) from error
    try:
        data = datasets.load_dataset(hub_name)
        return {part: data[hub_split] for part, hub_split in splits.items()}
    # A failed download raises OSError, or errors of the library or of its HTTP client.
    except Exception as error:
        given, fix = f"{type(error).__name__}: {error}", "Name a folder that holds the data with --data-dir."
        raise InputError(hub_name, expected="data from the hub or its cache", given=given, fix=fix) from error
