"""Choice of the files in a folder that hold the training, development and test data of a task."""

import re
from pathlib import Path
from typing import NamedTuple

from attn_dynamics.errors import InputError

# The prefix is greedy so that the last split name counts: "latest.train" is training data.
_FILE_NAME = re.compile(
    r"(?P<prefix>.*)(?P<split>train|dev|validation|valid|val|test)(?P<suffix>\.(?!(?:gz|bz2|xz)$)\w+)?(?:\.(?:gz|bz2|xz))?",
    re.IGNORECASE,
)
_SPLITS = {"train": "train", "dev": "dev", "validation": "dev", "valid": "dev", "val": "dev", "test": "test"}
"""Splits by the word in a file name that names them."""


class SplitFiles(NamedTuple):
    """The files of one task."""

    files: dict[str, Path]
    """The file of each split."""
    unread: tuple[str, ...]
    """Names of other files in the folder that look like data and are not read."""


def choose_files(path: Path, prefer: str | None = None) -> SplitFiles:
    """Find the files of a task in a folder, which may hold several sets of files.

    Args:
        path: the folder; or folder/prefix, if the folder holds several sets.
        prefer: prefix of the set to take if the folder holds several.

    Raises:
        InputError: there is no set or no single one, or it lacks training or test data, or has two files of a split.
    """
    folder, wanted = (path, prefer) if path.is_dir() else (path.parent, path.name)
    found = _sets(folder)
    named = {key: files for key, files in found.items() if wanted is not None and _bare(key[0]) == _bare(wanted)}
    sets = named or (found if path == folder else {})
    sets = {key: files for key, files in sets.items() if "train" in files} or sets
    if not sets and prefer is not None:
        expected = f"a folder with {prefer}.train, {prefer}.dev and {prefer}.test"
        raise InputError(str(path), expected=expected, given="no such files", fix="Check the spelling.")
    if not sets:
        expected = "a file, a folder with files named like train.txt and test.txt, or the prefix of such files"
        fix = "Check the spelling, or name one file to have it split."
        raise InputError(str(path), expected=expected, given="no such file or set of files", fix=fix)
    if prefer is not None and not named and len(sets) == 1 and _bare(next(iter(sets))[0]):
        given = f"only the set {next(iter(sets))[0]}*"
        fix = "To use that set, name it as the task."
        raise InputError(str(path), expected=f"files named {prefer}.train and so on", given=given, fix=fix)
    if len(sets) > 1:
        given = f"{len(sets)} sets, {' and '.join(f'{prefix}*{suffix}' for prefix, suffix in sorted(sets))}"
        raise InputError(str(path), expected="one set of files", given=given, fix=_how_to_choose(folder, [*sets]))
    ((key, splits),) = sets.items()
    files = {split: _only(path, split, candidates) for split, candidates in splits.items()}
    if not {"train", "test"} <= files.keys():
        given = f"only {' and '.join(sorted(file.name for file in files.values()))}"
        fix = "Add the missing file, or name one file to have it split."
        raise InputError(str(path), expected="both a train and a test file", given=given, fix=fix)
    return SplitFiles(files, _unread(folder, key[1], found, files))


def _sets(folder: Path) -> dict[tuple[str, str], dict[str, list[Path]]]:
    """Return the files by prefix and suffix of their set, and by split; hidden files are ignored."""
    sets: dict[tuple[str, str], dict[str, list[Path]]] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _FILE_NAME.fullmatch(file.name)
        if match and file.is_file() and not file.name.startswith("."):
            splits = sets.setdefault((match["prefix"], (match["suffix"] or "").lower()), {})
            splits.setdefault(_SPLITS[match["split"].lower()], []).append(file)
    return sets


def _only(path: Path, split: str, candidates: list[Path]) -> Path:
    if len(candidates) > 1:
        given = " and ".join(file.name for file in candidates)
        fix = "Move the other one out of the folder."
        raise InputError(str(path), expected=f"one file of {split} data", given=given, fix=fix)
    return candidates[0]


def _how_to_choose(folder: Path, sets: list[tuple[str, str]]) -> str:
    prefixes = [_bare(prefix) for prefix, _ in sets]
    unique = sorted(prefix for prefix in prefixes if prefix and prefixes.count(prefix) == 1)
    if not unique:  # the sets differ only in their suffixes, so no prefix identifies one
        return "Move one to a folder of its own."
    return f"Name one by its prefix, as in {folder / unique[-1]}, or move it to a folder of its own."


def _unread(
    folder: Path, suffix: str, sets: dict[tuple[str, str], dict[str, list[Path]]], files: dict[str, Path]
) -> tuple[str, ...]:
    """Return the names of files with the suffix of the chosen set that belong to no set with training data."""
    known = {file for splits in sets.values() if "train" in splits for each in splits.values() for file in each}
    others = {file for file in folder.iterdir() if suffix and file.suffix.lower() == suffix} - known - {*files.values()}
    return tuple(sorted(file.name for file in others if not file.name.startswith(".")))


def _bare(prefix: str) -> str:
    return prefix.rstrip("._-")
