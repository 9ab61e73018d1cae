"""Sweep over every combination of the given settings, from a grid to one table."""

import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from tqdm import tqdm

from attn_dynamics.check import at_most_one, integer
from attn_dynamics.commands.shell import FAILED, INTERRUPTED, record_command, run_recorded
from attn_dynamics.commands.sweep.ending import ending
from attn_dynamics.commands.sweep.grid import Grid, check
from attn_dynamics.commands.sweep.runner import stream, workers_versions
from attn_dynamics.commands.sweep.table import SWEEP, Table, check_columns
from attn_dynamics.files.output import clear, results_folder
from attn_dynamics.results.summary import versions
from attn_dynamics.system.console import console
from attn_dynamics.system.extras import imported
from attn_dynamics.system.workers import clustered
from attn_dynamics.training.corpus_config import Config

DEFAULT = Path("runs/sweep")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Run every combination of the given settings, and write the results to one table, a row per run.

    Raises:
        InputError: the options cannot be used.
    """

    grid: Grid = field(default_factory=Grid)
    workers: int | None = None
    """Number of processes; each has one thread (default: one a core, or one that has the GPU)."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers are to run it all, as in tcp://HOST:8786."""
    out: Path | None = None
    """Folder for the results, results.parquet; by default a new one, runs/sweep with a number."""
    resume: bool = False
    """Resume the sweep in the folder: what is missing in its table is run."""
    overwrite: bool = False
    """Replace the results in the folder."""

    EXAMPLE: ClassVar = "--model attn-fc attn-tc --other-words 5 10 20 --seed 0 1 2 3 4"
    GROUPS: ClassVar = {"output": "workers"}
    FORMER: ClassVar = Config.FORMER

    def __post_init__(self) -> None:
        if self.workers is not None:
            integer("workers", self.workers, 1, fix="Give a positive integer.")
        at_most_one(workers=self.workers, scheduler=self.scheduler)
        at_most_one(resume=self.resume, overwrite=self.overwrite)

    @property
    def here(self) -> bool:
        """Return whether this machine does all runs."""
        return self.scheduler is None

    @property
    def processes(self) -> int:
        """Return the number of simultaneous runs on this machine."""
        return self.workers or (1 if self.grid.device == "cuda" else len(os.sched_getaffinity(0)))


def sweep(options: Sweep, line: str) -> int:
    """Run one sweep from grid to table; return the exit code. `line` calls the command.

    Raises:
        InputError: settings or data are bad, or there is no cluster; nothing was written.
        StorageError: the table could not be written.
    """
    for library in ("distributed", "pyarrow"):
        imported("distributed", library)
    configs = options.grid.configs()
    check_columns(configs)
    with results_folder(
        SWEEP,
        options.out,
        DEFAULT,
        resume=options.resume,
        overwrite=options.overwrite,
        fits=lambda folder: Table(folder, configs).read(),
    ) as folder:
        return _sweep(options, configs, Table(folder, configs), line)


def _sweep(options: Sweep, configs: list[Config], table: Table, line: str) -> int:
    """Run what is missing in an open folder; return the exit code."""
    if options.resume:
        table.resume()
    for note in check(configs, here=options.here):
        print(note, file=sys.stderr)
    if options.here:
        table.check_versions(versions(options.grid.device))
    try:
        failures = _run(options, table, line)
    except KeyboardInterrupt:
        if table.rows:
            table.write()
        print(f"interrupted; {_state_of(table)}, --resume runs what is missing", file=sys.stderr)
        return INTERRUPTED
    if table.rows:
        terminal = console()
        for each in ending(table):
            terminal.print(each, soft_wrap=isinstance(each, str))
    if failures:
        print(f"error: {len(failures):,} runs failed, the first by {failures[0]}", file=sys.stderr)
        print(f"{_state_of(table)}, --resume tries what is missing again", file=sys.stderr)
        return FAILED
    print(_state_of(table))
    return 0


def _run(options: Sweep, table: Table, line: str) -> list[str]:
    """Run what is missing; return the errors of failed runs."""
    failures: list[str] = []
    missing = table.missing
    if not missing:
        return failures
    with clustered(min(options.processes, len(missing)), options.scheduler) as client:
        if not options.here:
            for found in workers_versions(client, options.grid.device, options.grid.precision):
                table.check_versions(found)
        if options.overwrite:
            clear(table.path.parent, SWEEP)
        record_command(table.path.parent, line)
        done, whole = len(table.rows), len(table.rows) + len(missing)
        with tqdm(total=whole, initial=done, unit=" runs", dynamic_ncols=True) as bar:
            for rows, failed in stream(client, missing):
                table.write(rows)
                failures += failed
                bar.update(len(rows) + len(failed))
    return failures


def _state_of(table: Table) -> str:
    ends = [row["ended"] for row in table.rows]
    if not ends:
        return f"none of {len(table.missing):,} runs has ended"
    others = "".join(f", {ends.count(end):,} {end}" for end in ("diverged", "refused") if end in ends)
    return f"{len(ends):,} of {len(ends) + len(table.missing):,} runs are in {table.path}{others}"


main = partial(run_recorded, Sweep, sweep, prog="python -m attn_dynamics.sweep")
