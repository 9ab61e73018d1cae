"""Folder of an experiment: its files, and the check of settings before its runs are resumed."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from attn_dynamics.errors import InputError
from attn_dynamics.files.output import CONFIG, NOTES, Kind
from attn_dynamics.files.storage import Damaged, read_json_object

ROWS, TABLE, SUMMARY, CELLS, FIGURES = "rows.parquet", "table.csv", "summary.json", "cells", "figures"


def saved(folder: Path) -> dict[str, Any]:
    """Read the settings of the experiment in a folder; return an empty dict if there is none."""
    try:
        return read_json_object(folder / CONFIG)
    except Damaged:
        return {}


def kind_of(name: str) -> Kind:
    """Describe the files of an experiment."""
    return Kind(
        name=f"the experiment {name}",
        mark=CONFIG,
        is_ours=lambda folder: saved(folder).get("experiment") == name,
        files=_files,
    )


def _files(folder: Path) -> list[Path]:
    drawn = saved(folder).get(FIGURES)
    names = [name for name in drawn if isinstance(name, str)] if isinstance(drawn, list) else []
    cells = [path for pattern in ("*.nc", "*.npz") for path in (folder / CELLS).glob(pattern)]
    return [*(folder / name for name in (*NOTES, ROWS, TABLE, SUMMARY)), *cells, *_figures(folder, names)]


def _figures(folder: Path, names: list[str]) -> list[Path]:
    return [folder / FIGURES / f"{Path(name).name}.png" for name in names]


def check_same(folder: Path, wanted: Mapping[str, Any], grows: Collection[str]) -> None:
    """Refuse to resume an experiment with other settings; those in `grows` may hold more than before.

    Raises:
        InputError: a setting differs, or is smaller than before.
    """
    before = saved(folder)
    for name, now in wanted.items():
        then = before.get(name)
        if now != then and not (name in grows and _holds(now, then)):
            raise InputError(
                "--resume",
                expected=f"the settings of the experiment in {folder}" + (", or more of them" if name in grows else ""),
                given=f"{name} = {now} instead of {then}",
                fix="Give the settings of that experiment, replace it by --overwrite, or name another folder by --out.",
            )


def _holds(now: Any, then: Any) -> bool:
    if isinstance(now, list) and isinstance(then, list):
        return all(each in now for each in then)
    return isinstance(now, int) and isinstance(then, int) and now >= then
