"""Experiment of `sst` on any labelled text: a file of lines, CSV, TSV or JSON, or a folder of train, dev and test.

python -m simulations.text --quick --task reviews.txt
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from attn_dynamics.errors import InputError
from attn_dynamics.tasks import TextOptions, load_text
from simulations.configurations import CONFIGURATIONS
from simulations.experiment import Findings, command
from simulations.labelled import TextSettings
from simulations.labelled import study as study_texts


@dataclass(frozen=True, kw_only=True)
class Settings(TextSettings):
    """Labelled text, split once."""

    task: Path
    """Task to learn: a file to shuffle and split, or a folder with files named …train, …dev, …test."""
    text: TextOptions = field(default_factory=TextOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.text.padding and any(CONFIGURATIONS[name].padding for name in self.configuration):
            raise InputError(
                "--padding",
                expected="either this or a configuration that pads",
                given="both",
                fix="Leave it out, or give --configuration paper.",
            )

    name: ClassVar = "text"
    EXAMPLE: ClassVar = "--quick --task reviews.txt"


def study(options: Settings) -> Findings:
    """Read the text and train on it."""
    task = load_text(options.task, options.text, name=options.task.name)
    return study_texts(options, {options.task.name: task})


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
