"""The command: every claim proved, measured and judged, in one table.

python -m analysis.verdicts --quick
"""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import pandas as pd
from tqdm import tqdm

from analysis import render
from analysis.judge import HOLDS, IDS, Row, in_order, judge_all
from analysis.provenance import provenance
from attn_dynamics.check import integer, some_of
from attn_dynamics.claims._support.drawn import treebank_in_words
from attn_dynamics.commands.shell import FAILED, INTERRUPTED, record_command, run_recorded
from attn_dynamics.files.output import clear, of_command, results_folder
from attn_dynamics.files.storage import write_json, write_parquet, write_whole
from attn_dynamics.system.console import console
from attn_dynamics.tasks.treebank import sst_folder

PROG = "python -m analysis.verdicts"
TABLE, ORIGIN = "verdicts.parquet", "provenance.json"
"""Files from which verdicts can be published: the table, and the date, commit and versions of its run."""
LEFT = of_command(PROG, "a judgement", "verdicts.md", "verdicts.html", TABLE, ORIGIN)


@dataclass(frozen=True)
class Options:
    """Judge the theory."""

    claim: tuple[str, ...] = ()
    """Ids of claims, by default all."""
    quick: bool = False
    """Smaller samples and shorter times; no tolerance is wider."""
    workers: int = len(os.sched_getaffinity(0))
    """Number of processes."""
    out: Path | None = None
    """Folder for the results, the table, verdicts.md and verdicts.html; by default a new one, runs/verdicts with a
    number."""
    overwrite: bool = False
    """Replace the results in the folder."""

    EXAMPLE: ClassVar = "--claim B1 --quick"


def run(options: Options, line: str) -> int:
    """Judge the claims, write after every verdict, and print; return the exit code. `line` calls the command.

    Raises:
        InputError: a claim is unknown, there are no workers, the folder holds results, or `SST_DIR` names no folder;
            nothing was judged.
        StorageError: the table could not be written.
    """
    _check(options)
    with results_folder(LEFT, options.out, Path("runs/verdicts"), overwrite=options.overwrite) as folder:
        return _judge(options, folder, line)


def _judge(options: Options, folder: Path, line: str) -> int:
    ids: list[str] = list(dict.fromkeys(options.claim or IDS))
    rows: list[Row] = []
    origin = provenance() | {"text": treebank_in_words(quick=options.quick, measured="SST-2")}
    try:
        with closing(judge_all(ids, quick=options.quick, workers=options.workers)) as judged:
            for row in tqdm(judged, total=len(ids), unit=" claims", dynamic_ncols=True):
                if not rows:
                    clear(folder, LEFT)
                    record_command(folder, line)
                    write_json(folder / ORIGIN, origin)
                rows.append(row)
                write(in_order(rows), folder)
    except KeyboardInterrupt:
        kept = f"{len(rows)} of {len(ids)} verdicts were ready; {folder} keeps what was written of them"
        print(f"interrupted; {kept if rows else 'no verdict was ready'}", file=sys.stderr)
        return INTERRUPTED
    terminal = console()
    terminal.print(render.table(in_order(rows)))
    terminal.print(f"real text: {origin['text']}")
    for remark in render.remarks(in_order(rows)):
        terminal.print(remark, soft_wrap=True)
    terminal.print(f"statements, quantities and bounds in {folder}", soft_wrap=True)
    return 0 if all(row.verdict == HOLDS for row in rows) else FAILED


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write the table in its three forms."""
    texts = {"verdicts.md": render.markdown(rows, folder), "verdicts.html": render.page(rows, folder)}
    for name, text in texts.items():
        write_whole(folder / name, lambda file, text=text: file.write(text.encode()))
    write_parquet(folder / TABLE, pd.DataFrame([vars(row) for row in rows]))


def _check(options: Options) -> None:
    some_of("claim", options.claim, IDS)
    integer("workers", options.workers, 1)
    sst_folder()


main = partial(run_recorded, Options, run, prog=PROG)

if __name__ == "__main__":
    sys.exit(main())
