"""Finished runs in a folder, one NetCDF file each, and the check of settings before results are resumed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_dynamics.errors import InputError
from attn_dynamics.files.output import CONFIG
from attn_dynamics.files.storage import Damaged, make_folder, read_json_object, read_netcdf, write_netcdf

if TYPE_CHECKING:
    import xarray as xr


class RunStore:
    """Store of finished runs and of the checkpoints of interrupted ones, with a file per run in one folder.

    The identity of a run is a digest of everything that the run depends on. A stored run therefore equals a new one.

    Args:
        folder: folder of the files, which is made if it does not exist.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder)

    def has(self, name: str) -> bool:
        """Return whether there is a run of this name, even if its file is damaged."""
        return self._file(name).exists()

    def take(self, name: str, identity: str) -> xr.Dataset | None:
        """Return the run of this name; None if its file is missing or damaged.

        Raises:
            InputError: the stored run has another identity.
        """
        path = self._file(name)
        try:
            run = read_netcdf(path)
        except Damaged:
            return None
        if run.attrs.get("identity") != identity:
            raise InputError(
                f"{path}",
                expected="a run of these data, this start and these settings",
                given="a run of other data, another start or other settings",
                fix="Restore these, replace all results by --overwrite, or name another folder by --out.",
            )
        return run

    def read(self, name: str) -> xr.Dataset:
        """Return the run of this name, whatever its identity.

        Raises:
            Damaged: its file is missing or damaged.
        """
        return read_netcdf(self._file(name))

    def keep(self, name: str, identity: str, run: xr.Dataset) -> xr.Dataset:
        """Write a finished run, and return it with its identity.

        Raises:
            StorageError: the file cannot be written.
        """
        kept = run.assign_attrs(identity=identity)
        write_netcdf(self._file(name), kept)
        return kept

    def checkpoint(self, name: str) -> Path:
        """Return the path for the checkpoint of a run; the caller removes the file once the run is stored."""
        return self._folder / f"{name}.npz"

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.nc"


def saved_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that a command wrote into a folder; empty if there are none."""
    try:
        return read_json_object(folder / CONFIG)
    except Damaged:
        return {}


def check_settings(then: Mapping[str, Any], now: Mapping[str, Any], of: str, grows: Collection[str] = ()) -> None:
    """Refuse to resume results that were made with other settings.

    Args:
        then: settings of the results.
        now: present settings.
        of: name of the results in the error message.
        grows: settings that may be larger numbers, or lists with further entries.

    Raises:
        InputError: a setting differs, or one in `grows` is smaller than before.
    """
    differing = [
        name
        for name, value in now.items()
        if then.get(name) != value and not (name in grows and _holds(value, then.get(name)))
    ]
    if differing:
        raise InputError(
            "--resume",
            expected=f"the settings of {of}" + (", or more of them" if {*differing} & {*grows} else ""),
            given=", ".join(f"{name} = {now[name]} instead of {then.get(name)}" for name in differing),
            fix="Give those settings, replace the results by --overwrite, or name another folder by --out.",
        )


def check_length(then: object, now: int, of: str) -> None:
    """Refuse to resume a run up to fewer epochs than it has.

    Args:
        then: number of epochs that the run has.
        now: number of epochs to run.
        of: name of the run in the error message.

    Raises:
        InputError: the run has more epochs, or their number is damaged.
    """
    if not isinstance(then, int) or now < then:
        fix = "A run can be made longer, not shorter; what it has so far is kept."
        raise InputError("epochs", expected=f"at least the {then} of {of}", given=now, fix=fix)


def _holds(now: Any, then: Any) -> bool:
    """Return whether a list contains another, or an integer is at least another."""
    if isinstance(now, list) and isinstance(then, list):
        return all(each in now for each in then)
    return isinstance(now, int) and isinstance(then, int) and now >= then
