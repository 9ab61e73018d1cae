"""Folders and files of results: no command overwrites results unasked, or writes where another command works.

Every command follows one rule. Without a name its results go to a new folder. A folder with results is refused,
unless the command resumes the same run there or the user asks to overwrite it.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.files.storage import discard_leftovers, is_partial, make_folder
from attn_dynamics.system.script import script_line

CONFIG = "config.json"
COMMAND = "command.txt"
"""File that records which command made a folder."""
NOTES = (CONFIG, COMMAND)
"""Files that record what was run; alone they do not count as results."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Files of one kind of command in its folder."""

    name: str
    """Name of the kind, as in "the results of NAME"."""
    mark: str
    """File that identifies folders of this kind."""
    is_ours: Callable[[Path], bool]
    """Test whether that file in a folder belongs to such a command."""
    files: Callable[[Path], Iterable[Path]]
    """List of all files that the command may write into a folder."""
    resumes: bool = True
    """Whether the command can resume from its files."""


def of_command(prog: str, name: str, *patterns: str) -> Kind:
    """Return the kind of a command that cannot resume; the line that called the command identifies its folders."""

    def is_ours(folder: Path) -> bool:
        with suppress(OSError):
            return (folder / COMMAND).read_text(errors="replace").startswith((prog, script_line(prog)))
        return False

    def files(folder: Path) -> list[Path]:
        return [folder / COMMAND, *(path for pattern in patterns for path in folder.glob(pattern))]

    return Kind(name=name, mark=COMMAND, is_ours=is_ours, files=files, resumes=False)


@contextmanager
def results_folder(
    kind: Kind,
    out: Path | None,
    default: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    fits: Callable[[Path], object] = lambda folder: None,
) -> Iterator[Path]:
    """Open the folder for the results of a command, and lock it against other commands.

    If the user named no folder, it is the first free one of default, default-2, …. With `overwrite` it is the last one
    that exists. With `resume` it is the last one whose results belong to the resumed run, or else the last one. Results
    are not removed yet (see `clear`). A new folder that stays empty is removed.

    Args:
        kind: files of such commands.
        out: the folder that the user named.
        default: the folder if the user named none.
        resume: whether to resume from existing results.
        overwrite: whether to replace existing results.
        fits: raises InputError if the results in a folder do not belong to the resumed run.

    Raises:
        InputError: the folder holds other files, or results without either flag, or another command works in it.
        StorageError: the folder cannot be made.
    """
    with ExitStack() as locks:
        try:
            if out is None and not (resume or overwrite):
                folder = _first_free(kind, default, locks)
            else:
                folder = _latest(kind, default, fits if resume else None) if out is None else expanded(out, "--out")
                _enter(folder, locks)
                _admit(folder, kind, fits if resume else None, overwrite)
            discard_leftovers(folder)
            if not _results(folder, kind):
                clear(folder, kind)
        except OSError as error:
            raise error if isinstance(error, StorageError) else StorageError(folder_of(error), error.strerror) from None
        yield folder


def clear(folder: Path, kind: Kind) -> None:
    """Remove the files of a kind of command from a folder, and subfolders that are then empty.

    Raises:
        StorageError: a file or folder cannot be removed.
    """
    within = set()
    try:
        for path in kind.files(folder):
            if path.exists() or path.is_symlink():
                path.unlink()
            within |= {path.parent} - {folder}
        for subfolder in sorted(within, key=lambda path: len(path.parts), reverse=True):
            if subfolder.is_dir() and not any(subfolder.iterdir()):
                subfolder.rmdir()
    except OSError as error:
        raise StorageError(error.filename or folder, error.strerror) from None


def results_file(option: str, path: Path, *, overwrite: bool, make: bool = False) -> Path:
    """Return the file for the results of a command, after a check that it can be written without loss.

    Args:
        option: name of the option that gave the file.
        path: the file.
        overwrite: whether it may be replaced.
        make: whether to make the folder if it does not exist.

    Raises:
        InputError: the path exists and must not be replaced, or its folder does not exist.
        StorageError: the folder cannot be made.
    """
    path = expanded(path, option)
    if make:
        make_folder(path.parent)
    folder = path.resolve().parent  # for a link, the folder of its target
    if not folder.is_dir():
        raise InputError(option, expected="a file in a folder that exists", given=path, fix="Make the folder first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        fix = "Allow it, or name another folder."
        raise InputError(option, expected="a folder that can be written to", given=folder, fix=fix)
    if os.path.lexists(path) and not (path.is_file() or (path.is_symlink() and not path.exists())):
        given = f"{path}, which is no regular file"
        raise InputError(option, expected="a new or a regular file", given=given, fix="Name another file.")
    if path.exists() and not overwrite:
        fix = "Replace it by --overwrite, or name another file."
        raise InputError(option, expected="a new file", given=f"{path}, which exists", fix=fix)
    with suppress(OSError):
        discard_leftovers(path.parent, path.name)
    return path


@contextmanager
def default_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield the first of NAME, NAME-2, … that does not exist yet, or the last one that exists if it may be overwritten.

    A new file is made empty at once, so that no other command takes it. It is removed if it stays empty.

    Raises:
        StorageError: the file or its folder cannot be made.
    """
    make_folder(path.parent)
    try:
        existing = _existing(path) if overwrite else []
        taken = existing[-1] if existing else next(filter(_made_file, _numbered(path)))
    except OSError as error:
        raise StorageError(folder_of(error), error.strerror) from None
    try:
        yield taken
    finally:
        if not existing and taken.exists() and not taken.stat().st_size:
            taken.unlink()


def expanded(path: Path, option: str) -> Path:
    """Return a path with a leading ~ expanded, because the shell does not expand it in --option=~/name.

    Raises:
        InputError: there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        fix = "Give the whole path."
        raise InputError(option, expected="~ or ~USER of a user with a home", given=path, fix=fix) from None


def folder_of(error: OSError) -> str:
    """Return the path that an error of the operating system names."""
    return str(error.filename or "folder")


def _numbered(first: Path) -> Iterator[Path]:
    """Yield NAME, NAME-2, …; for a page NAME.html, NAME-2.html, …"""
    end = first.suffix if first.suffix == ".html" else ""  # a folder's name may hold a dot that ends nothing
    return (first if k == 1 else first.with_name(f"{first.name.removesuffix(end)}-{k}{end}") for k in count(1))


def _existing(first: Path) -> list[Path]:
    """List NAME, NAME-2, … up to the first that does not exist."""
    return [*takewhile(os.path.lexists, _numbered(first))]


def _latest(kind: Kind, first: Path, fits: Callable[[Path], object] | None) -> Path:
    """Return the last of NAME, NAME-2, … whose results fit; else the last with results, the last, or NAME."""
    existing = _existing(first)
    filled = [folder for folder in existing if folder.is_dir() and _results(folder, kind)]
    for folder in reversed(filled if fits is not None else []):
        with suppress(InputError):
            _admit(folder, kind, fits, overwrite=False)
            return folder
    return (filled or existing or [first])[-1]


def _first_free(kind: Kind, default: Path, locks: ExitStack) -> Path:
    """Make the first folder that does not exist yet, or take a free one before it."""
    for folder in _numbered(default):
        with ExitStack() as tried:
            made = _made(folder)
            if not folder.is_dir() or (locked := _lock(folder, tried)) is False:
                continue
            if made or (locked and _is_free(folder, kind)):
                if made:
                    tried.callback(_remove_empty, folder)
                locks.push(tried.pop_all())
                return folder
    raise AssertionError  # pragma: no cover


def _made(folder: Path) -> bool:
    """Make the folder; return whether this call, and no other command, made it."""
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        return True
    return False


def _enter(folder: Path, locks: ExitStack) -> None:
    """Make a folder if it does not exist, and lock it."""
    if folder.exists() and not folder.is_dir():
        raise InputError("--out", expected="a folder", given=f"the file {folder}", fix="Name another folder.")
    made = _made(folder)
    if _lock(folder, locks) is False:
        raise InputError(
            "--out",
            expected="a folder that no other command uses",
            given=f"{folder}, which one uses",
            fix="Wait until that command ends, or name another folder.",
        )
    if made:
        locks.callback(_remove_empty, folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _lock(folder: Path, locks: ExitStack) -> bool | None:
    """Lock a folder until `locks` closes or this process ends; return whether it succeeded, None if it is impossible.

    Some network file systems cannot lock folders. There only the names of files keep two commands apart.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    locks.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True


def _made_file(path: Path) -> bool:
    """Make the file; return whether this call, and no other command, made it."""
    with suppress(FileExistsError):
        path.open("x").close()
        return True
    return False


def _admit(folder: Path, kind: Kind, fits: Callable[[Path], object] | None, overwrite: bool) -> None:
    """Refuse a folder with other files, or with results that may neither be resumed nor replaced."""
    if _is_free(folder, kind):
        return
    if not kind.is_ours(folder):
        raise InputError(
            "--out",
            expected=f"a new or empty folder, or one of {kind.name}",
            given=f"{folder}, which holds other files and no {kind.mark} of {kind.name}",
            fix="Name another folder.",
        )
    if fits is not None:
        fits(folder)
    elif not overwrite:
        more = "Resume it by --resume, replace it" if kind.resumes else "Replace it"
        raise InputError(
            "--out",
            expected="a new or empty folder",
            given=f"{folder}, which holds the results of {kind.name}",
            fix=f"{more} by --overwrite, or name another folder.",
        )


def _is_free(folder: Path, kind: Kind) -> bool:
    """Return whether a folder is empty, or holds only files of such a command that ended before it had results."""
    empty = all(is_partial(path) or (path.is_dir() and not any(path.iterdir())) for path in folder.iterdir())
    return empty or (kind.is_ours(folder) and not _results(folder, kind))


def _results(folder: Path, kind: Kind) -> list[Path]:
    return [path for path in kind.files(folder) if path.name not in NOTES and path.exists()]
