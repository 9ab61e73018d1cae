"""The folder of a run: never another run's results overwritten without being asked to."""

import json
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from attn_dynamics.config import Config
from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.storage import write_json

CONFIG = "config.json"
OURS = (CONFIG, "summary.json", "trajectory.nc", "checkpoint.npz", "figures")


def open_folder(config: Config) -> Path:
    """Make or reopen the folder for this configuration, and write the configuration into it.

    Raises:
        InputError: it holds something else, or another run and neither --resume (of the same run) nor --overwrite
            was given.
        StorageError: it cannot be made.
    """
    folder = config.out or _default(config)
    if folder.exists() and not folder.is_dir():
        raise InputError("--out", expected="a folder", given=f"the file {folder}", fix="Name another place.")
    wanted = config.course() | {"epochs": config.horizon}
    if folder.exists() and any(folder.iterdir()):
        _admit(folder, config, wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(folder, error.strerror) from None
    write_json(folder / CONFIG, wanted)
    return folder


def _default(config: Config) -> Path:
    """runs/NAME, runs/NAME-2, …: the first that is free, or with --resume the last that is not."""
    first = config.default_out
    names = (first if number == 1 else first.with_name(f"{first.name}-{number}") for number in count(1))
    last = first
    for folder in names:
        if not folder.exists():
            return last if config.resume else folder
        last = folder
    raise AssertionError  # pragma: no cover


def _admit(folder: Path, config: Config, wanted: dict[str, Any]) -> None:
    saved = _saved(folder)
    if config.overwrite:
        _clear(folder)
    elif not config.resume:
        raise InputError(
            "--out",
            expected="a new or empty folder",
            given=f"{folder}, which holds the results of a run",
            fix="Go on with that run by --resume, replace it by --overwrite, or name another folder.",
        )
    else:
        _check_same(folder, saved, wanted)


def _saved(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(
            "--out",
            expected="a new or empty folder, or one of an earlier run",
            given=f"{folder}, which holds other files and no readable {CONFIG}",
            fix="Name another folder.",
        ) from None


def _check_same(folder: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    differing = [name for name in wanted if name != "epochs" and saved.get(name) != wanted[name]]
    if differing:
        raise InputError(
            "--resume",
            expected=f"the configuration of the run in {folder}",
            given=", ".join(f"{name} = {wanted[name]} instead of {saved.get(name)}" for name in differing),
            fix="Give the settings of that run, or another folder by --out.",
        )
    if wanted["epochs"] < saved["epochs"]:
        raise InputError(
            "--epochs",
            expected=f"at least the {saved['epochs']} of the run in {folder}",
            given=wanted["epochs"],
            fix="A run can be made longer by --resume, not shorter.",
        )


def _clear(folder: Path) -> None:
    """Remove what a run leaves, and nothing else."""
    for path in [*(folder / name for name in OURS), *folder.glob("replicate-*"), *folder.glob(".*.partial")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
