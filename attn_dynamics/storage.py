"""Files that are either whole or not there: written beside their place, then renamed into it."""

import contextlib
import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xarray as xr

from attn_dynamics.errors import StorageError


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file that replaces `path` only once it is complete and on the disk.

    Raises:
        StorageError: the disk is full, or the place cannot be written; `path` is as it was.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        _discard(partial)
        raise StorageError(path, error.strerror or error) from None
    except BaseException:
        _discard(partial)
        raise


def _discard(partial: Path) -> None:
    with contextlib.suppress(OSError):  # where there is no such folder, there is no such file
        partial.unlink()


def is_partial(path: Path) -> bool:
    """Whether this is what a killed run left of a file that it was writing."""
    return path.name.startswith(".") and path.name.endswith(".partial") and path.is_file()


def make_folder(path: Path) -> Path:
    """Make a folder, if it is not there yet.

    Raises:
        StorageError: it cannot be made, or a file stands in its place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(path, error.strerror) from None
    return path


def write_json(path: Path, content: object) -> None:
    """Write indented JSON; numbers that are not finite become null."""
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays, uncompressed."""
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, **arrays))  # pyright: ignore[reportArgumentType]


def read_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote: all, or of these names those that are there."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive if not names or name in names}


def write_netcdf(path: Path, dataset: xr.Dataset) -> None:
    """Write a dataset as NetCDF-4."""
    buffer = BytesIO()
    dataset.to_netcdf(buffer, engine="h5netcdf")
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def _finite(content: object) -> object:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content
