"""Finished runs in a folder, a NetCDF file each; and the check of settings before results are gone on with."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from attn_dynamics.errors import InputError
from attn_dynamics.files.output import CONFIG
from attn_dynamics.files.storage import Damaged, make_folder, read_json_object, read_netcdf, write_netcdf


class RunStore:
    """Runs that are kept as they end, each in a file of its name, beside the checkpoint of one that was cut off.

    An identity is a digest of all that a run depends on; a run that is taken over equals one that is made anew.

    Args:
        folder: place of the files, which is made if it does not exist.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder)

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name, whole or not."""
        return self._file(name).exists()

    def take(self, name: str, identity: str) -> xr.Dataset | None:
        """Return the run of this name; None if it is not there, or not as it was written.

        Raises:
            InputError: it is there and has another identity.
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
                given="another",
                fix="Restore what it was made from, replace all by --overwrite, or name another folder by --out.",
            )
        return run

    def read(self, name: str) -> xr.Dataset:
        """Return the run of this name, whatever its identity.

        Raises:
            Damaged: it is not there, or not as it was written.
        """
        return read_netcdf(self._file(name))

    def keep(self, name: str, identity: str, run: xr.Dataset) -> xr.Dataset:
        """Write a run that has ended, and return it with its identity.

        Raises:
            StorageError: the file cannot be written.
        """
        kept = run.assign_attrs(identity=identity)
        write_netcdf(self._file(name), kept)
        return kept

    def checkpoint(self, name: str) -> Path:
        """Return the file for the checkpoint of a run, which the one who trains removes once the run is kept."""
        return self._folder / f"{name}.npz"

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.nc"


def saved_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that a command left in a folder; empty if there are none."""
    try:
        return read_json_object(folder / CONFIG)
    except Damaged:
        return {}


def check_settings(then: Mapping[str, Any], now: Mapping[str, Any], of: str, grows: Collection[str] = ()) -> None:
    """Refuse to go on with results of other settings; those in `grows` may hold more than then.

    Raises:
        InputError: a setting differs, or holds less than then; `of` names the results.
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
            fix="Give those, replace it by --overwrite, or name another folder by --out.",
        )


def _holds(now: Any, then: Any) -> bool:
    if isinstance(now, list) and isinstance(then, list):
        return all(each in now for each in then)
    return isinstance(now, int) and isinstance(then, int) and now >= then
