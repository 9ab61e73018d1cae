"""Where the files of the Stanford Sentiment Treebank lie on this machine, for what is measured on real text."""

import os
from pathlib import Path

from attn_dynamics.errors import InputError

VARIABLE = "SST_DIR"
"""Of the environment: the folder of stsa.binary.train, .dev and .test."""
ABSENT = f"not SST-2, for {VARIABLE} is not set"
"""Why it is left out where there is none, in words."""


def sst_folder() -> Path | None:
    """The folder that `SST_DIR` names; None where it is not set.

    Raises:
        InputError: it names no folder: a slip of the pen must not pass for data that are not there.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        fix = "Name the folder of stsa.binary.train, .dev and .test, or unset it to do without SST-2."
        raise InputError(VARIABLE, expected="a folder", given=repr(named), fix=fix)
    return folder
