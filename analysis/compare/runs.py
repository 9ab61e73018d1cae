"""Runs to compare: read from the folders that the command left, and told apart by the settings that differ."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from attn_dynamics.commands.window_config import WindowConfig
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import CONFIG
from attn_dynamics.files.storage import Damaged, read_json_object, read_netcdf
from attn_dynamics.results.figures import style
from attn_dynamics.results.folder import SUMMARY, TRAJECTORY, flat
from attn_dynamics.training.corpus_config import WINDOW, Config

EFFECTIVE, STEPS = "time, effective learning rate × step", "steps"
MOMENTUM = "under momentum η/(1 - β) is the effective rate, theory G2"
WITHOUT_RATE = "steps are compared, because not every rule has a rate of flow"
RATES = ("descent", "momentum", None)
"""Rules with a rate of flow; None stands for windows, which have no other."""
MOST = len(style.MARKERS)
"""Largest number of runs, which is that of markers."""
SYMBOLS = {
    "learning_rate": "η",
    "decay": "λ",
    "momentum": "β",
    "embedding_dim": "d",
    "key_dim": "d_k",
    "start_width": "σ₀",
}
"""Symbols of settings, where they have one."""
NAMED = ("model", "task", "rule", "start", "placement", "scale", "loss")
"""Settings whose values are names that say by themselves what they are."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Compared:
    """A run with its settings."""

    folder: Path
    config: Mapping[str, Any]
    """Settings by name; those of a run without replicates have the replicate 0."""
    run: xr.Dataset
    """Trajectory."""
    summary: Mapping[str, Any]

    by_steps: bool = False
    """Whether time counts steps, because a run among those compared has a rule without a rate of flow."""

    @property
    def time(self) -> NDArray[np.float64]:
        """Return effective learning rate × step, or the number of steps."""
        return self.run.time.values * self.pace

    @property
    def pace(self) -> float:
        """Return the factor on learning rate × epoch that makes runs comparable.

        It counts the steps of an epoch of mini-batches, and the factor 1/(1 - β) of momentum (theory G2).
        """
        steps = float(self.run.attrs.get("steps_per_epoch", 1))
        if self.by_steps:
            return steps / float(self.run.attrs["learning_rate"])
        return steps / (1.0 - self.config["momentum"]) if self.config.get("rule") == "momentum" else steps


def clock_of(runs: Sequence[Compared]) -> tuple[str, list[str]]:
    """Return the label of the time axis of some runs, and what a title says of it."""
    batches = ["an epoch of mini-batches has several steps"] * any(
        each.run.attrs.get("steps_per_epoch", 1) > 1 for each in runs
    )
    if runs[0].by_steps:
        return STEPS, [WITHOUT_RATE, *batches]
    paced = any(each.pace != 1.0 for each in runs)
    momentum = [MOMENTUM] * any(each.config.get("rule") == "momentum" for each in runs)
    return (EFFECTIVE, [*momentum, *batches]) if paced else (style.TIME, [])


def read_runs(folders: Sequence[Path]) -> list[Compared]:
    """Read runs that are all of windows or all of none, in the given order.

    Raises:
        InputError: there are too few or too many folders, one holds no whole run of this version, or both kinds are
            among them.
    """
    if not 2 <= len(folders) <= MOST:
        fix = "Name folders that python -m attn_dynamics.simulate left."
        raise InputError("runs", expected=f"two to {MOST} folders", given=len(folders), fix=fix)
    if repeated := [each for each in folders if [*folders].count(each) > 1]:
        raise InputError("runs", expected="different folders", given=f"{repeated[0]} twice", fix="Name each once.")
    found = [read_run(each) for each in folders]
    windows = [each.config["model"] == WINDOW for each in found]
    if any(windows) and not all(windows):
        a, b = (found[windows.index(kind)].folder for kind in (True, False))
        fix = "Compare windows with windows, and others with others."
        raise InputError("runs", expected="one kind of model", given=f"a window in {a} and none in {b}", fix=fix)
    by_steps = any(each.config.get("rule") not in RATES for each in found)
    return [replace(each, by_steps=by_steps) for each in found]


def read_run(folder: Path) -> Compared:
    """Read a run, or one replicate, which is named by its own folder.

    Raises:
        InputError: the folder holds no run of this version with a step or more, or several replicates.
    """
    config, replicate = folder / CONFIG, 0
    named = re.fullmatch(r"replicate-(\d+)", folder.resolve().name)
    if named and not config.exists():
        config, replicate = folder.resolve().parent / CONFIG, int(named[1])
    try:
        saved = dict(flat(read_json_object(config)))
        run, summary = read_netcdf(folder / TRAJECTORY), read_json_object(folder / SUMMARY)
    except Damaged as error:
        given = f"{error.path}, which cannot be read ({' '.join(error.reason.split())})"
        fix = "Name a folder that python -m attn_dynamics.simulate left when it ended, or run it again."
        raise InputError(str(folder), expected="the results of a run", given=given, fix=fix) from None
    if "replicate" in run.dims:
        fix = f"Name those to compare, such as {folder / 'replicate-0'}."
        raise InputError(str(folder), expected="one run", given=f"{run.sizes['replicate']} replicates", fix=fix)
    _check_version(folder, saved, run)
    settings = {name: value for name, value in saved.items() if name != "replicates"} | {"replicate": replicate}
    return Compared(folder=folder, config=settings, run=run, summary=summary)


def _check_version(folder: Path, saved: Mapping[str, Any], run: xr.Dataset) -> None:
    window = saved.get("model") == WINDOW
    now = dict(flat((WindowConfig() if window else Config()).identity_settings()))
    variables = ("width", "held", "score", "loss") if window else ("score_signal", "embedding_signal", "train_loss")
    lacking = [*(now.keys() - saved.keys()), *(name for name in variables if name not in run)]
    lacking += ["steps_per_epoch"] * (saved.get("batch_size") is not None and "steps_per_epoch" not in run.attrs)
    if lacking or {*saved} - {*now, "epochs"}:
        given = f"one without {min(lacking)}" if lacking else f"one with {min({*saved} - {*now, 'epochs'})}"
        raise InputError(str(folder), expected="a run of this version", given=given, fix="Run its command again.")
    if run.sizes["time" if window else "epoch"] < 2:
        fix = "Run it for more epochs."
        raise InputError(str(folder), expected="a run with a step or more", given="one of its start", fix=fix)


def names_of(runs: Sequence[Compared]) -> list[str]:
    """Return a name for each run: all settings that differ among them, and the folder where none does."""
    names = [", ".join(_said(name, value) for name, value in each.items()) for each in differing(runs)]
    told = len(set(names)) == len(runs)
    return names if told else [f"{name}, {each.folder}".lstrip(", ") for name, each in zip(names, runs, strict=True)]


def differing(runs: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return of each run the settings that are not the same in all."""
    keys = list(dict.fromkeys(key for each in runs for key in each.config))
    varied = [key for key in keys if len({repr(each.config.get(key)) for each in runs}) > 1]
    return [{key: each.config.get(key) for key in varied} for each in runs]


def shared_title(runs: Sequence[Compared]) -> str:
    """Return what a title says: the number of runs, and model, task and seed where these are the same."""
    varied, first = {*differing(runs)[0]}, runs[0].config
    return ", ".join(
        [f"{len(runs)} runs", *(_said(name, first[name]) for name in ("model", "task", "seed") if name not in varied)]
    )


def in_words(value: Any) -> str:
    """Write the value of a setting."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "default" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _said(name: str, value: Any) -> str:
    text = Path(value).name if name in ("task", "data_dir") and value else in_words(value)
    if name in NAMED:
        return text
    return f"{SYMBOLS[name]} = {text}" if name in SYMBOLS else f"{name.replace('_', ' ')} {text}"
