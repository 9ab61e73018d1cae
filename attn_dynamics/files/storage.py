"""Files that are either complete or absent, with checks for damage when they are read.

Libraries for tables and NetCDF are imported when such a file is read or written, because they load slowly.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import platform
import re
import stat
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from attn_dynamics.errors import InputError, StorageError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
"""Mark of this machine, from its own name, because several machines may write into the same folder."""
PARTIAL = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.partial", re.DOTALL)
"""Pattern of the names of partial files, with the mark of the machine and the id of the writing process."""
LETTERS = 40
"""Number of characters of a file's name that the name of its partial file repeats, so that it is not too long."""
MARK = b"attn-dynamics SHA-256 "
"""Bytes before the digest that is added to a NetCDF or Parquet file where its readers ignore it."""

NAMES = "names of the arrays"
"""Name of the first array of an archive, which lists the others."""


class Damaged(InputError):
    """A file is missing, or its content is not as it was written."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(
            str(path),
            expected="a file as it was written",
            given=f"one that cannot be read ({str(reason).splitlines()[0] if str(reason) else type(reason).__name__})",
            fix="Remove it, and run its command again, with --resume where it takes one.",
        )
        self.path, self.reason = path, str(reason)

    def __reduce__(self) -> tuple[type[Damaged], tuple[Path, str]]:
        return type(self), (self.path, self.reason)


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a partial file that replaces `path` only when it is complete and on disk.

    A link stays and its target is written. Permissions stay unchanged.

    Raises:
        StorageError: the disk is full, the path cannot be written, or it is no regular file; `path` is unchanged.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name[:LETTERS]}.{HOST}-{os.getpid()}-{token_hex(4)}.partial")
    try:
        mode = _mode(target)
        with partial.open("xb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        _discard(partial)
        raise StorageError(path, error.strerror or error) from None
    except BaseException:
        _discard(partial)
        raise


def _mode(target: Path) -> int | None:
    """Return the permissions of a regular file; None if there is no file yet."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError("a folder" if stat.S_ISDIR(mode) else "a device or a pipe, not a regular file")
    return stat.S_IMODE(mode)


def _discard(partial: Path) -> None:
    with contextlib.suppress(OSError):  # a missing folder has no such file
        partial.unlink()


def is_partial(path: Path) -> bool:
    """Return whether this is a partial file, whether its command still runs or was killed."""
    return PARTIAL.fullmatch(path.name) is not None and path.is_file()


def discard_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove partial files of killed commands from a folder and its subfolders; with a name, only those of that file.

    A file stays if its process still runs, or if another machine wrote it, because its process cannot be checked.
    """
    of_one = f".{glob.escape(name[:LETTERS])}.*partial" if name else None
    for path in folder.glob(of_one) if of_one else folder.rglob(".*partial"):
        found = PARTIAL.fullmatch(path.name)
        if found and path.is_file() and found[1] == HOST and not _runs(int(found[2])):
            _discard(path)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # the process belongs to another user
        return True
    return True


def make_folder(path: Path) -> Path:
    """Make a folder if it does not exist yet; return it.

    Raises:
        StorageError: the folder cannot be made, or a file has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(path, error.strerror) from None
    return path


def printable(text: str) -> str:
    r"""Write the bytes of a name that are not UTF-8 as \udc80 to \udcff, so that text files can hold it."""
    return text.encode("utf-8", "backslashreplace").decode()


def write_json(path: Path, content: object) -> None:
    """Write indented JSON; NaN and infinite numbers become null."""
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, lambda file: file.write(printable(text).encode()))


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that contains an object.

    Raises:
        Damaged: the file does not exist, or it contains something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(path, error) from None
    if not isinstance(content, dict):
        raise Damaged(path, f"no JSON object but {json.dumps(content)[:40]}")
    return content


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays without compression, after the list of their names."""
    members: dict[str, Any] = {NAMES: np.array([*arrays], str)} | arrays
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, **members))


def read_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Read arrays written by `write_arrays`: all of them, or those of the given names that exist.

    Raises:
        Exception: the file is damaged; an error of any kind.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        found = {member.removesuffix(".npy"): member for member in archive.namelist()}
        listed = found.pop(NAMES, None)
        # A damaged entry of the directory can hide the entries after it.
        if listed is not None and {*_read_whole(archive, listed).tolist()} != {*found}:
            raise ValueError("arrays are missing")
        return {name: _read_whole(archive, found[name]) for name in found if not names or name in names}


def _read_whole(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    """Return an array of an archive; read to its end, where its checksum is compared."""
    with archive.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read():
            raise ValueError(f"{member} is longer than its array")
        return array


def write_netcdf(path: Path, dataset: xr.Dataset) -> None:
    """Write a dataset as NetCDF-4, with a digest of the file at its end."""
    from attn_dynamics.files import netcdf

    content = netcdf.encode(dataset).getbuffer()

    def write(file: BinaryIO) -> None:
        file.write(content)
        file.write(_mark(content))

    write_whole(path, write)


def read_netcdf(path: Path) -> xr.Dataset:
    """Read a dataset into memory, and verify the digest that `write_netcdf` wrote.

    Raises:
        Damaged: the file is missing, or its content is not as it was written.
    """
    from attn_dynamics.files import netcdf

    try:
        content = path.read_bytes()
        body, mark = memoryview(content)[: -len(_mark(b""))], content[-len(_mark(b"")) :]
        if mark.startswith(MARK) and mark != _mark(body):
            raise ValueError("its digest is of another content")
        return netcdf.decode(content)
    # A damaged file raises any kind of exception.
    except Exception as error:
        raise Damaged(path, error) from None


def _mark(content: memoryview | bytes) -> bytes:
    return MARK + hashlib.sha256(content).digest()


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, with a digest of the file before its footer, where readers skip it."""
    content = frame.to_parquet(None, engine="pyarrow", index=False)
    footer = _footer(content)
    write_whole(path, lambda file: file.write(content[:footer] + _mark(content) + content[footer:]))


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a table, and verify the digest that `write_parquet` wrote.

    Raises:
        Damaged: the file is missing, or its content is not as it was written.
    """
    import pandas as pd

    try:
        content = path.read_bytes()
        footer = _footer(content)
        begin = max(footer - len(_mark(b"")), 0)
        mark = content[begin:footer]
        if mark.startswith(MARK) and mark != _mark(content[:begin] + content[footer:]):
            raise ValueError("its digest is of another content")
        return pd.read_parquet(BytesIO(content), engine="pyarrow")
    # A damaged file raises any kind of exception.
    except Exception as error:
        raise Damaged(path, error) from None


def _footer(content: bytes) -> int:
    """Return where the footer of a Parquet file begins; its length stands before the last four bytes."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def _finite(content: object) -> object:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content
