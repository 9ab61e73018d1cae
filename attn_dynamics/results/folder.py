"""The folder of a run: its files, and the check that a run can resume in it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from attn_dynamics.errors import InputError
from attn_dynamics.files.output import CONFIG, NOTES, Kind, clear, results_folder
from attn_dynamics.files.run_store import check_length, check_settings, saved_settings
from attn_dynamics.files.storage import write_json

CHECKPOINT = "checkpoint.npz"
TRAJECTORY = "trajectory.nc"
SUMMARY = "summary.json"
OURS = (*NOTES, SUMMARY, TRAJECTORY, CHECKPOINT)
"""Files that a run writes, except for its figures and the checkpoints of later passes."""
KNOWN_BY = {"model", "task"}
"""Keys in the configuration of every run, in all versions."""


class Settings(Protocol):
    """Settings of a command that decide where its results go."""

    @property
    def out(self) -> Path | None:
        """Folder given by the user, if any."""
        ...

    @property
    def resume(self) -> bool:
        """Whether to resume the run in the folder."""
        ...

    @property
    def overwrite(self) -> bool:
        """Whether to replace the results in the folder."""
        ...

    @property
    def max_epochs(self) -> int:
        """Number of epochs to run."""
        ...

    @property
    def default_out(self) -> Path:
        """Folder used if the user gives none."""
        ...

    def identity_settings(self) -> dict[str, Any]:
        """Return all other settings, which are equal if two runs are the same."""
        ...


def pass_checkpoint(first: int) -> str:
    """Return the name of the checkpoint file of a pass, given its first replicate."""
    return f"checkpoint-{first}.npz" if first else CHECKPOINT


def open_folder(config: Settings) -> AbstractContextManager[Path]:
    """Open the folder of a configuration with `results_folder`.

    Raises:
        InputError: the folder holds other files, a run that the configuration neither resumes nor overwrites, or a run
            other than the one to resume.
        StorageError: the folder cannot be made.
    """
    return results_folder(
        RUN,
        config.out,
        config.default_out,
        resume=config.resume,
        overwrite=config.overwrite,
        fits=lambda folder: _check_same(folder, _saved(folder) or {}, _content(config)),
    )


def begin(folder: Path, config: Settings) -> None:
    """Remove the results that the run overwrites, and write the configuration if there is none.

    Raises:
        StorageError: a file cannot be removed or written.
    """
    if config.overwrite:
        clear(folder, RUN)
    if not (folder / CONFIG).exists():
        write_config(folder, config)


def write_config(folder: Path, config: Settings) -> None:
    """Write the configuration; a run that was extended writes it again at its end.

    Raises:
        StorageError: the file cannot be written.
    """
    write_json(folder / CONFIG, _content(config))


def _content(config: Settings) -> dict[str, Any]:
    return config.identity_settings() | {"epochs": config.max_epochs}


def _saved(folder: Path) -> dict[str, Any] | None:
    """Return the configuration of the run in a folder; None if there is none."""
    saved = saved_settings(folder)
    return saved if saved.keys() >= KNOWN_BY else None


def _check_same(folder: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    if saved["model"] == wanted["model"] and (missing := wanted.keys() - saved.keys()):
        raise InputError(
            "--resume",
            expected=f"a run of this version in {folder}",
            given=f"one whose {CONFIG} has no {', '.join(sorted(missing))}",
            fix="Replace it by --overwrite, or name another folder by --out.",
        )
    now = {name: value for name, value in flat(wanted) if name != "epochs"}
    check_settings(dict(flat(saved)), now, f"the run in {folder}")
    check_length(saved["epochs"], wanted["epochs"], f"the run in {folder}")


def flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and values of settings, those of nested groups among them."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flat(value)
        else:
            yield name, value


def _files(folder: Path) -> list[Path]:
    """List all files that runs may write into a folder, whether they exist or not."""
    folders = [folder, *_numbered(folder, "replicate-*")]
    numbers = [each / name for each in folders for name in OURS] + _numbered(folder, "checkpoint-*.npz")
    return numbers + [path for each in folders for path in _figures(each / "figures")]


def _figures(folder: Path) -> list[Path]:
    """List the figures that runs may write into a folder; none if it does not exist, because they load slowly."""
    if not folder.is_dir():
        return []
    from attn_dynamics.results.figures import run, window

    return [folder / f"{name}.png" for name in (*run.FIGURES, *window.FIGURES, "replicates")]


def _numbered(folder: Path, pattern: str) -> list[Path]:
    """List the paths that match a pattern with a number instead of its star."""
    return [path for path in folder.glob(pattern) if re.fullmatch(pattern.replace("*", r"\d+"), path.name)]


RUN = Kind(name="a run", mark=CONFIG, is_ours=lambda folder: _saved(folder) is not None, files=_files)
"""Files of a run of the command, with or without a window."""
