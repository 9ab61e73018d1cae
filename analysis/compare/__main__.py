"""The command: several runs on common axes, told apart by the settings that differ, with a table of their numbers.

python -m analysis.compare runs/attn-fc-synthetic-seed0 runs/attn-tc-synthetic-seed0 runs/attn-tl-synthetic-seed0
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import tyro
from rich.table import Table
from scipy.integrate import trapezoid

from analysis.compare.figures import FIGURES, WINDOW_FIGURES
from analysis.compare.runs import Compared, differing, in_words, names_of, read_runs, shared_title
from analysis.drawing import INTERRUPTED, Place, folder_of, write_figures
from attn_dynamics.commands.shell import run_recorded
from attn_dynamics.files.output import expanded, of_command
from attn_dynamics.files.storage import write_whole
from attn_dynamics.results.word_curves import word_curves
from attn_dynamics.system.console import console, table
from attn_dynamics.training.corpus_config import WINDOW

PROG, TABLE = "python -m analysis.compare", "table.csv"
KIND = of_command(PROG, "a comparison of runs", TABLE, *(f"{name}.png" for name in (*FIGURES, *WINDOW_FIGURES)))
SHOWN = ("train_loss", "dev_loss", "test_loss", "test_accuracy", "sen_residual", "prediction_residual")
"""Numbers of a run's summary in the table."""
SHOWN_OF_WINDOWS = ("train_loss", "width", "predicted_width", "prediction_residual", "tokens_held", "score")


@dataclass(frozen=True, kw_only=True)
class Options(Place):
    """Draw several runs together: training signals, scores, the SEN plane and losses; of windows, their widths."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of the runs that python -m attn_dynamics.simulate left; one of several replicates is named by itself."""

    EXAMPLE: ClassVar = "runs/attn-fc-synthetic-seed0 runs/attn-tc-synthetic-seed0"


def compare(options: Options, line: str) -> int:
    """Read the runs, write figures and table, and print the table; return the exit code.

    Raises:
        InputError: a folder holds no run that can be compared; nothing was written.
        StorageError: a file could not be written.
    """
    runs = read_runs([expanded(each, "runs") for each in options.runs])
    figures = WINDOW_FIGURES if runs[0].config["model"] == WINDOW else FIGURES
    numbers = table_of(runs)
    with folder_of(KIND, options, "compare", line) as folder:
        write_whole(folder / TABLE, lambda file: numbers.to_csv(file, index=False))
        console().print(_printed(numbers, runs))
        write_figures({name: partial(draw, runs) for name, draw in figures.items()}, folder)
    return 0


def table_of(runs: Sequence[Compared]) -> pd.DataFrame:
    """Return a row for each run: the settings that differ, or its folder if none does, and the numbers of its end."""
    settings = differing(runs)
    if not settings[0]:
        settings = [{"run": name} for name in names_of(runs)]
    rows = [
        {name: in_words(value) for name, value in given.items()} | _numbers(each)
        for given, each in zip(settings, runs, strict=True)
    ]
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def _printed(numbers: pd.DataFrame, runs: Sequence[Compared]) -> Table:
    """Lay out a column for each run, because runs are few and numbers many."""
    names = names_of(runs)
    rows = [
        [name.replace("_", " "), *("" if pd.isna(each) else in_words(each) for each in numbers[name])]
        for name in numbers
    ]
    return table(shared_title(runs), ["", *names], rows, names)


def _numbers(each: Compared) -> dict[str, float | str | None]:
    """Return losses at the best epoch, all else at the last, and the training signals over the whole run."""
    if each.config["model"] == WINDOW:
        return {name: each.summary.get(name) for name in SHOWN_OF_WINDOWS}
    curves, signals = word_curves(each.run), {"Tₛ": "score_signal", "Tᵥ": "embedding_signal"}
    return {
        **{name: each.summary.get(name) for name in SHOWN},
        "mean_score": float(np.mean([curve.score[-1] for curve in curves])),
        "mean_norm": float(np.mean([curve.embedding_norm[-1] for curve in curves])),
        **{  # which has no meaning where time counts steps
            f"∫ {symbol} dτ": None if each.by_steps else float(trapezoid(each.run[name].values, each.time))
            for symbol, name in signals.items()
        },
    }


main = partial(run_recorded, Options, compare, prog=PROG, interrupted=INTERRUPTED)

if __name__ == "__main__":
    sys.exit(main())
