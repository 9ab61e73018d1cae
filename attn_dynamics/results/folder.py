"""The folder of a run: what it holds, and which run may go on in it."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from attn_dynamics.errors import InputError
from attn_dynamics.files.output import CONFIG, NOTES, Kind, clear, results_folder
from attn_dynamics.files.storage import Damaged, read_json_object, write_json
from attn_dynamics.results.figures.run import FIGURES
from attn_dynamics.results.figures.window import FIGURES as WINDOW_FIGURES

CHECKPOINT = "checkpoint.npz"
TRAJECTORY = "trajectory.nc"
SUMMARY = "summary.json"
OURS = (
    *NOTES,
    SUMMARY,
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
    def max_epochs(self) -> int:
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


def open_folder(config: Config) -> AbstractContextManager[Path]:
    """Give the folder for this configuration, as `results_folder` does.

    Raises:
        InputError: it holds something else, or another run and neither --resume (of the same run) nor --overwrite
            was given.
        StorageError: it cannot be made.
    """
    return results_folder(
        RUN,
        config.out,
        config.default_out,
        resume=config.resume,
        overwrite=config.overwrite,
        fits=lambda folder: _check_same(folder, _saved(folder) or {}, _content(config)),
    )


def begin(folder: Path, config: Config) -> None:
    """Remove the results that are to be overwritten, and write the configuration of a new run down.

    Raises:
        StorageError: something cannot be removed or written.
    """
    if config.overwrite:
        clear(folder, RUN)
    if not (folder / CONFIG).exists():
        write_config(folder, config)


def write_config(folder: Path, config: Config) -> None:
    """Write the configuration down; once more at the end of a run that was made longer.

    Raises:
        StorageError: it cannot be written.
    """
    write_json(folder / CONFIG, _content(config))


def _content(config: Config) -> dict[str, Any]:
    return config.course() | {"epochs": config.max_epochs}


def _saved(folder: Path) -> dict[str, Any] | None:
    """The configuration of the run in a folder; None where there is none."""
    try:
        saved = read_json_object(folder / CONFIG)
    except Damaged:
        return None
    return saved if saved.keys() >= KNOWN_BY else None


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
    if not isinstance(saved["epochs"], int) or wanted["epochs"] < saved["epochs"]:
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


def _files(folder: Path) -> list[Path]:
    """All that runs may leave in a folder, whether it is there or not."""
    places = [folder, *_numbered(folder, "replicate-*")]
    return [place / name for place in places for name in OURS] + _numbered(folder, "checkpoint-*.npz")


def _numbered(folder: Path, pattern: str) -> list[Path]:
    """What has a number in the place of the star."""
    return [path for path in folder.glob(pattern) if re.fullmatch(pattern.replace("*", r"\d+"), path.name)]


RUN = Kind(name="a run", mark=CONFIG, is_ours=lambda folder: _saved(folder) is not None, files=_files)
"""Runs of `simulate`, of windows too."""
