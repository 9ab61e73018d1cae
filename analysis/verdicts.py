"""The command: every claim proved, measured and judged, in one table.

python -m analysis.verdicts --quick
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from tqdm import tqdm

from analysis import render
from analysis.judge import HOLDS, IDS, Row, in_order, judge_all
from attn_dynamics.check import integer, some_of
from attn_dynamics.claims.drawn import treebank_in_words
from attn_dynamics.command import FAILED, called, leave_command, run_command
from attn_dynamics.storage import make_folder, write_whole
from attn_dynamics.tasks.treebank import sst_folder


@dataclass(frozen=True)
class Options:
    """Judge the theory."""

    claim: tuple[str, ...] = ()
    """Ids of claims, by default all."""
    quick: bool = False
    """Smaller samples and shorter times; no tolerance is wider."""
    workers: int = len(os.sched_getaffinity(0))
    """Processes."""
    out: Path = Path("runs/verdicts")
    """Folder for verdicts.parquet, verdicts.md and verdicts.html."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    prog, kept = "python -m analysis.verdicts", "interrupted; verdicts that were ready are kept"
    line = called(prog, arguments)
    return run_command(Options, lambda options: run(options, line), arguments, prog=prog, interrupted=kept)


def run(options: Options, line: str) -> int:
    """Judge, write after every verdict, and print; the exit code. `line` is the command.

    Raises:
        InputError: an unknown claim, no workers, or no folder where `SST_DIR` says; nothing was judged then.
        StorageError: the table could not be written.
    """
    _check(options)
    ids: list[str] = list(dict.fromkeys(options.claim or IDS))
    rows: list[Row] = []
    judged = judge_all(ids, quick=options.quick, workers=options.workers)
    leave_command(make_folder(options.out), line)
    for row in tqdm(judged, total=len(ids), unit=" claims", dynamic_ncols=True):
        rows.append(row)
        write(in_order(rows), options.out)
    console = Console(markup=False, highlight=False)
    console.print(render.table(in_order(rows)))
    console.print(f"real text: {treebank_in_words(quick=options.quick, measured='SST-2')}")
    for remark in render.remarks(in_order(rows)):
        console.print(remark, soft_wrap=True)
    console.print(f"statements, quantities and bounds in {options.out}", soft_wrap=True)
    return 0 if all(row.verdict == HOLDS for row in rows) else FAILED


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write the table in its three forms."""
    texts = {"verdicts.md": render.markdown(rows), "verdicts.html": render.page(rows)}
    for name, text in texts.items():
        write_whole(folder / name, lambda file, text=text: file.write(text.encode()))
    verdicts = pd.DataFrame([vars(row) for row in rows])
    write_whole(folder / "verdicts.parquet", lambda file: verdicts.to_parquet(file, index=False))


def _check(options: Options) -> None:
    some_of("claim", options.claim, IDS)
    integer("workers", options.workers, 1)
    sst_folder()


if __name__ == "__main__":
    sys.exit(main())
