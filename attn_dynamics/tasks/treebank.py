"""Where the files of the Stanford Sentiment Treebank lie on this machine, for what is measured on real text."""

from pathlib import Path

from attn_dynamics.tasks.located import named_folder

VARIABLE = "SST_DIR"
"""Of the environment: the folder of stsa.binary.train, .dev and .test."""
ABSENT = f"not SST-2, for {VARIABLE} is not set"
"""Why it is left out where there is none, in words."""


def sst_folder() -> Path | None:
    """The folder that `SST_DIR` names; None where it is not set.

    Raises:
        InputError: it names no folder.
    """
    return named_folder(VARIABLE, files="stsa.binary.train, .dev and .test", data="SST-2")
