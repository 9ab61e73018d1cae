"""Grid of a sweep: several values for any setting, and the product of all of them."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import Field, dataclass, field, fields, make_dataclass, replace
from itertools import product
from typing import Any, ClassVar, get_type_hints

import tyro

from attn_dynamics.check import at_least_one
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.tasks import Synthetic, Task, load_task
from attn_dynamics.training import configured_run
from attn_dynamics.training.corpus_config import Config, Trainable

ALONE = ("replicates", "follow", "out", "resume", "overwrite")
"""Settings that only a single run has: a sweep varies the seed instead of replicates, and its table has no words."""
SHARED = ("data_dir", "device", "precision", "reduction", "topic_distribution", "nesterov", "decoupled", "text")
"""Settings with one value for all runs; every other setting is an axis."""
SYNTHETIC = tuple(each.name for each in fields(Synthetic))


def _axes(kind: type) -> list[tuple[str, Any, Field[Any]]]:
    """Return the settings of a class as fields of the grid; an axis is a tuple of values."""
    hints, found = get_type_hints(kind, include_extras=True), []
    for each in fields(kind):
        if each.name == "synthetic":
            found += _axes(Synthetic)
        elif each.name in SHARED:
            found.append((each.name, hints[each.name], copy(each)))
        elif each.name not in ALONE:
            found.append((each.name, tuple[hints[each.name], ...], field(default=(each.default,))))
    return found


@dataclass(frozen=True, kw_only=True)
class Grid(make_dataclass("Axes", _axes(Config), frozen=True, kw_only=True)):
    """Settings of all runs: the product of the values given for each.

    A value that is given twice counts once. The order of trained parts does not matter.
    """

    train: tyro.conf.UseAppendAction[tuple[tuple[Trainable, ...], ...]] = ()
    """Parts to train; one option a subset: --train keys --train keys embeddings (default: keys embeddings head)."""

    SOURCES: ClassVar = (Synthetic, Config)
    """Classes whose fields describe those of the grid."""
    GROUPS: ClassVar = Config.GROUPS

    def configs(self) -> list[Config]:
        """Return the configuration of every run; seeds vary fastest.

        Raises:
            InputError: a setting has no value, or a value is out of range.
        """
        axes: dict[str, Sequence[Any]] = {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in SHARED
        }
        axes["train"] = [
            tuple(name for name in TRAINABLE if name in subset) for subset in axes["train"] or (Config.train,)
        ]
        axes["seed"] = axes.pop("seed")
        for name, values in axes.items():
            at_least_one(name, values)
        points = product(*(dict.fromkeys(values) for values in axes.values()))
        return [self._config(dict(zip(axes, point, strict=True))) for point in points]

    def _config(self, point: Mapping[str, Any]) -> Config:
        whole = {**point} | {name: getattr(self, name) for name in SHARED}
        synthetic = Synthetic(**{name: whole.pop(name) for name in SYNTHETIC})
        return Config(**whole, synthetic=synthetic)


def check(configs: list[Config], *, here: bool) -> list[str]:
    """Check the configurations against their data before anything runs; return the notes on the data.

    Each task is loaded once, with its first seed. The devices of this machine are checked only if the runs are `here`.

    Raises:
        InputError: data cannot be used, settings do not fit them, or a device is missing.
    """
    if not here:
        configs = [replace(config, device=Config.device, precision=Config.precision) for config in configs]
    alike = {}
    for config in configs:
        alike.setdefault(replace(config, seed=0, learning_rate=1.0, start_scale=1.0), config)
    tasks: dict[tuple, Task] = {}
    for config in alike.values():
        options = configured_run.task_options(config)
        if (config.task, options) not in tasks:
            tasks[config.task, options] = load_task(config.task, options)
        configured_run.check(config, tasks[config.task, options])
        configured_run.start(config, tasks[config.task, options])
    notes = [note for each in (*configs, *tasks.values()) for note in each.notes]
    return list(dict.fromkeys(notes))
