"""SST-2 and SST-5 under Attn-FC and Attn-TC: accuracies, SEN curves, and the words that attention turns to.

python -m simulations.sst --quick --data-dir DIR
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from attn_dynamics.check import at_least_one
from attn_dynamics.tasks import Options as TaskOptions
from attn_dynamics.tasks import load_task
from attn_dynamics.tasks.treebank import sst_folder
from simulations.configurations import Name
from simulations.experiment import Findings, command
from simulations.labelled import TextSettings
from simulations.labelled import study as study_texts

LMN21 = ("stupid", "powerful", "solid", "suffers", "mess")
"""Words that LMN21 followed."""
REPORTED = {
    ("sst2", "attn-fc"): 76.68,
    ("sst2", "attn-tc"): 79.59,
    ("sst5", "attn-fc"): 38.49,
    ("sst5", "attn-tc"): 40.53,
}
"""Test accuracies of LMN21, per cent."""


@dataclass(frozen=True, kw_only=True)
class Settings(TextSettings):
    """The Stanford Sentiment Treebank, two and five classes."""

    task: tuple[Literal["sst2", "sst5"], ...] = ("sst2", "sst5")
    """Task to learn: one of these data sets, or both."""
    configuration: tuple[Name, ...] = ("published", "paper")
    data_dir: Path | None = None
    """Folder with the files of the data set, stsa.binary.train and so on; by default the one that SST_DIR names, or
    the hub (extra 'data')."""

    name: ClassVar = "sst"
    FORMER: ClassVar = {**TextSettings.FORMER, "--tasks": "--task"}
    EXAMPLE: ClassVar = "--quick --data-dir DIR"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one("task", self.task)


def study(options: Settings) -> Findings:
    """Read the treebank and train on it."""
    given = TaskOptions(data_dir=options.data_dir or sst_folder())
    return study_texts(options, {name: load_task(name, given) for name in options.task}, LMN21, REPORTED)


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
