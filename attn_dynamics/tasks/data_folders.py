"""Folders of data, named by environment variables."""

import os
from pathlib import Path

from attn_dynamics.errors import InputError


def named_folder(variable: str, *, files: str, data: str) -> Path | None:
    """Return the folder that the environment variable names; None if it is not set.

    Raises:
        InputError: the variable is set and names no folder; a typing error must not pass for absent data.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        fix = f"Name the folder of {files}, or unset it to do without {data}."
        raise InputError(variable, expected="a folder", given=repr(named), fix=fix)
    return folder
