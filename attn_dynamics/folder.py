"""The folder of a run: never another run's results overwritten without being asked to."""

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from attn_dynamics.command import COMMAND
from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.plot import FIGURES
from attn_dynamics.storage import is_partial, write_json
from attn_dynamics.window.plot import FIGURES as WINDOW_FIGURES

CONFIG = "config.json"
CHECKPOINT = "checkpoint.npz"
TRAJECTORY = "trajectory.nc"
OURS = (
    CONFIG,
    COMMAND,
    "summary.json",
    TRAJECTORY,
    CHECKPOINT,
    *(f"figures/{name}.png" for name in (*FIGURES, *WINDOW_FIGURES, "replicates")),
)
"""What a run leaves, beside the checkpoints of later passes."""
KNOWN_BY = {"model", "task"}
"""What the configuration of a run has, of whatever version."""


class Config(Protocol):
    """What of the settings of a command decides where its results go."""

    @property
    def out(self) -> Path | None:
        """Folder that was named."""
        ...

    @property
    def resume(self) -> bool:
        """Whether to go on."""
        ...

    @property
    def overwrite(self) -> bool:
        """Whether to replace."""
        ...

    @property
    def horizon(self) -> int:
        """The epochs to run."""
        ...

    @property
    def default_out(self) -> Path:
        """Folder where none was named."""
        ...

    def course(self) -> dict[str, Any]:
        """All else that makes two runs the same."""
        ...


def pass_checkpoint(first: int) -> str:
    """The file of the pass that begins with this replicate."""
    return f"checkpoint-{first}.npz" if first else CHECKPOINT


def open_folder(config: Config) -> Path:
    """Make or reopen the folder for this configuration.

    Raises:
        InputError: it holds something else, or another run and neither --resume (of the same run) nor --overwrite
            was given.
        StorageError: it cannot be made.
    """
    folder = config.out or _default(config)
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError("--out", expected="a folder", given=f"the file {folder}", fix="Name another place.")
        if folder.exists() and any(not is_partial(path) for path in folder.iterdir()):
            _admit(folder, config)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(folder, error.strerror) from None
    if not (folder / CONFIG).exists():
        write_config(folder, config)
    return folder


def write_config(folder: Path, config: Config) -> None:
    """Write the configuration down; once more at the end of a run that was made longer.

    Raises:
        StorageError: it cannot be written.
    """
    write_json(folder / CONFIG, _content(config))


def _content(config: Config) -> dict[str, Any]:
    return config.course() | {"epochs": config.horizon}


def _default(config: Config) -> Path:
    """runs/NAME, runs/NAME-2, …: the first that is free, or with --resume or --overwrite the last that is not."""
    first = config.default_out
    names = (first if number == 1 else first.with_name(f"{first.name}-{number}") for number in count(1))
    last = first
    for folder in names:
        if not folder.exists():
            return last if config.resume or config.overwrite else folder
        last = folder
    raise AssertionError  # pragma: no cover


def _admit(folder: Path, config: Config) -> None:
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
        _check_same(folder, saved, _content(config))


def _saved(folder: Path) -> dict[str, Any]:
    try:
        saved = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        saved = None
    if not (isinstance(saved, dict) and KNOWN_BY <= saved.keys()):
        raise InputError(
            "--out",
            expected="a new or empty folder, or one of an earlier run",
            given=f"{folder}, which holds other files and no {CONFIG} of one",
            fix="Name another folder.",
        )
    return saved


def _check_same(folder: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    if saved["model"] == wanted["model"] and (missing := wanted.keys() - saved.keys()):
        raise InputError(
            "--resume",
            expected=f"a run of this version in {folder}",
            given=f"one whose {CONFIG} has no {', '.join(sorted(missing))}",
            fix="Replace it by --overwrite, or name another folder by --out.",
        )
    before, now = dict(_flat(saved)), dict(_flat(wanted))
    differing = [name for name in now if name != "epochs" and before.get(name) != now[name]]
    if differing:
        raise InputError(
            "--resume",
            expected=f"the configuration of the run in {folder}",
            given=", ".join(f"{name} = {now[name]} instead of {before.get(name)}" for name in differing),
            fix="Give the settings of that run, or another folder by --out.",
        )
    if wanted["epochs"] < saved["epochs"]:
        raise InputError(
            "--epochs",
            expected=f"at least the {saved['epochs']} of the run in {folder}",
            given=wanted["epochs"],
            fix="A run can be made longer by --resume, not shorter.",
        )


def _flat(settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield name, value


def _clear(folder: Path) -> None:
    """Remove what runs leave, and nothing else; folders only once they are empty."""
    replicates, passes = _numbered(folder, "replicate-*"), _numbered(folder, "checkpoint-*.npz")
    for place in (*replicates, folder):
        for path in (*(place / name for name in OURS), *filter(is_partial, place.iterdir())):
            path.unlink(missing_ok=True)
        for emptied in (place / "figures", *([place] if place != folder else [])):
            if emptied.is_dir() and not any(emptied.iterdir()):
                emptied.rmdir()
    for path in passes:
        path.unlink()


def _numbered(folder: Path, pattern: str) -> list[Path]:
    """What has a number in the place of the star."""
    return [path for path in folder.glob(pattern) if re.fullmatch(pattern.replace("*", r"\d+"), path.name)]
