"""Where data lie on this machine: a folder that a variable of the environment names."""

import os
from pathlib import Path

from attn_dynamics.errors import InputError


def named_folder(variable: str, *, files: str, data: str) -> Path | None:
    """The folder that `variable` names; None where it is not set.

    Raises:
        InputError: it names no folder: a slip of the pen must not pass for data that are not there.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        fix = f"Name the folder of {files}, or unset it to do without {data}."
        raise InputError(variable, expected="a folder", given=repr(named), fix=fix)
    return folder
