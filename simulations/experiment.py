"""What experiments share: options, runs that are kept as they end, intervals over seeds, and what is left behind.

An experiment is a list of cells, one run each. A cell is written when it ends, and `--resume` takes over those of the
same data, start and settings, which would come out the same: to the bit, or on a device to round-off.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from itertools import takewhile
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, TypeVar

import matplotlib as mpl
import numba
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from attn_dynamics import experiment
from attn_dynamics.check import at_most_one, integer
from attn_dynamics.checkpoint import Checkpoint, Unfit, identity
from attn_dynamics.command import FAILED, called, leave_command, run_command
from attn_dynamics.config import Config
from attn_dynamics.descent import too_fast
from attn_dynamics.extras import require
from attn_dynamics.heads import Array
from attn_dynamics.intervals import mean_interval
from attn_dynamics.parameters import Parameters
from attn_dynamics.plot import COLOURS, LINES, MARKERS, STYLE, write_figure
from attn_dynamics.progress import meter
from attn_dynamics.results import annotate
from attn_dynamics.run import Diverged, Interrupted, Run, RunsInterrupted
from attn_dynamics.storage import make_folder, write_json, write_netcdf, write_whole
from attn_dynamics.tasks import Task

NAMES = {"attn-fc": "Attn-FC", "attn-tc": "Attn-TC", "attn-tl": "Attn-TL"}
"""As LMN21 writes them."""


@dataclass(frozen=True)
class Size:
    """How much of an experiment is run."""

    seeds: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every experiment.

    Raises:
        InputError: a value out of range.
    """

    quick: bool = False
    """A glance, in some seconds: few seeds and epochs."""
    full: bool = False
    """As many seeds and epochs as the statements ask for."""
    seeds: int | None = None
    """Runs of a kind, at least 2, for an interval needs two; seed k draws data and start."""
    epochs: int | None = None
    """Steps of descent, at most."""
    workers: int | None = None
    """Processes; by default one with --quick, else one a core."""
    out: Path | None = None
    """Folder for the results; by default runs/NAME, or runs/NAME-quick."""
    resume: bool = False
    """Take over the runs that the folder holds already, if their data, start and settings are the same."""

    name: ClassVar[str]
    """Of the module."""
    sizes: ClassVar[Mapping[str, Size]]
    """Its sizes: quick, usual, full."""

    def __post_init__(self) -> None:
        at_most_one(quick=self.quick, full=self.full)
        for name, bound in {"seeds": 2, "epochs": 1, "workers": 1}.items():
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), bound)

    @property
    def size(self) -> Size:
        """The size that was asked for."""
        size = self.sizes["quick" if self.quick else "full" if self.full else "usual"]
        return Size(self.seeds or size.seeds, self.epochs or size.epochs)

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.out or Path("runs") / (f"{self.name}-quick" if self.quick else self.name)

    @property
    def processes(self) -> int:
        """How many run at once."""
        return self.workers or (1 if self.quick else len(os.sched_getaffinity(0)))


def ends(run: xr.Dataset, task: Task) -> xr.Dataset:
    """Of all words only the first and the last snapshot."""
    return run.isel(snapshot=[0, -1])


@dataclass(frozen=True, eq=False, kw_only=True)
class Cell:
    """One run of an experiment."""

    config: Config
    """Its settings, those of the command `simulate`."""
    task: Task
    kind: Mapping[str, Any] = field(default_factory=dict)
    """What tells it from others beside model and seed: part of its name, and columns of its rows."""
    start: Callable[[Config, Task], Parameters] = experiment.start
    keep: Callable[[xr.Dataset, Task], xr.Dataset] = ends
    """What of its trajectory is kept."""

    @property
    def columns(self) -> dict[str, Any]:
        """What names it, in a table."""
        return {**self.kind, "model": self.config.model, "seed": self.config.seed}

    @property
    def file(self) -> str:
        """Where it is kept."""
        return "-".join(str(value) for value in self.columns.values()) + ".nc"


def run_all(cells: Sequence[Cell], options: Options) -> list[xr.Dataset]:
    """Trajectories of all cells, annotated as the command `simulate` does, each kept in a file when it ends.

    Raises:
        ArithmeticError: a loss is not finite any more.
        StorageError: a file could not be written.
    """
    folder = make_folder(options.folder / "cells")
    with tqdm(total=len(cells), desc=options.name, unit=" runs", dynamic_ncols=True) as bar:
        for number in _completed(_batches(cells), folder, options):
            bar.update(number)
    return [xr.load_dataset(folder / cell.file, engine="h5netcdf") for cell in cells]


def _batches(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that go in one pass: on a device those that share all but their seeds, in compiled loops each by itself.

    There replicates gain less than a process for each core does (docs/performance.md).
    """
    found: dict[Any, list[Cell]] = {}
    for cell in cells:
        alone = cell.config.device == "numpy"
        found.setdefault((id(cell.task), replace(cell.config, seed=0), alone and cell.file), []).append(cell)
    return list(found.values())


def _completed(batches: Sequence[Sequence[Cell]], folder: Path, options: Options) -> Iterator[int]:
    """The number of cells of every batch, as it ends."""
    processes = min(options.processes, len(batches))
    if processes == 1:
        yield from (_complete(cells, folder, options.resume) for cells in batches)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin_process) as pool:
        try:
            for done in as_completed([pool.submit(_complete, cells, folder, options.resume) for cells in batches]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin_process() -> None:
    numba.set_num_threads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process, which would otherwise wait for work for ever, when the one that made it was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _complete(cells: Sequence[Cell], folder: Path, resume: bool) -> int:
    """Train a batch but for those that are there, in as many passes as memory asks for; how many it has."""
    if not resume:
        _forget(cells, folder)
    done = 0
    while done < len(cells):
        done += _pass(cells[done:], folder, resume)
    return len(cells)


def _pass(cells: Sequence[Cell], folder: Path, resume: bool) -> int:
    """Complete the first of these cells, with it those after it that go in the same pass; how many.

    Each is kept with an equal share of the seconds. The checkpoint has the name of the first, says how many there are,
    and goes when all of them are kept.
    """
    begun, checkpoint = time.perf_counter(), Checkpoint(_checkpoint(cells[0], folder))
    found = checkpoint.path.exists()
    missing = cells if found else [*takewhile(lambda cell: not (resume and _is_kept(cell, folder)), cells)]
    if not missing:
        return 1
    try:
        taken = missing[: _size(missing, checkpoint)]
        starts = [cell.start(cell.config, cell.task) for cell in taken]
        runs = _train(taken[0], starts, checkpoint)
    except Unfit:  # of other settings, whose cells are not taken over either
        checkpoint.path.unlink()
        return _pass(cells, folder, resume)
    seconds = (time.perf_counter() - begun) / len(taken)
    for cell, start, run in zip(taken, starts, runs, strict=True):
        if run.ended != "diverged":
            kept = cell.keep(annotate(run, cell.config, cell.task, start), cell.task)
            write_netcdf(folder / cell.file, kept.assign_attrs(seconds=seconds, identity=_identity(cell, start)))
    _forget(taken, folder)
    for cell, run in zip(taken, runs, strict=True):
        if run.ended == "diverged":  # as a message, for a run finds no way out of a process
            raise ArithmeticError(f"{cell.file}: {too_fast(run.trajectory.sizes['epoch'], cell.config.learning_rate)}")
    return len(taken)


def _size(cells: Sequence[Cell], checkpoint: Checkpoint) -> int:
    first = cells[0]
    if first.config.device == "numpy":
        return 1
    start = first.start(first.config, first.task)
    return experiment.pass_size(first.config, first.task, start, len(cells), checkpoint)


def _train(cell: Cell, starts: Sequence[Parameters], checkpoint: Checkpoint) -> list[Run]:
    """Runs by the settings of one cell; Ctrl-C goes without them, for a run finds no way out of a process."""
    config, task = cell.config, cell.task
    try:
        if config.device == "numpy":
            return [experiment.train(config, task, starts[0], checkpoint=checkpoint)]
        with meter(config.horizon, f"{config.model} on {task.name}, {len(starts)} seeds") as show:
            return experiment.train_many(config, task, starts, checkpoint=checkpoint, meter=show)
    except Diverged as stop:
        return [stop.run]
    except (Interrupted, RunsInterrupted) as stop:
        raise KeyboardInterrupt(str(stop)) from None


def _checkpoint(cell: Cell, folder: Path) -> Path:
    """Of a pass that begins with this cell."""
    return folder / f"{cell.file.removesuffix('.nc')}.npz"


def _forget(cells: Sequence[Cell], folder: Path) -> None:
    for cell in cells:
        _checkpoint(cell, folder).unlink(missing_ok=True)


def _identity(cell: Cell, start: Parameters) -> str:
    return identity([*cell.task.splits.values()], [start], cell.config.course(), cell.config.horizon)


def _is_kept(cell: Cell, folder: Path) -> bool:
    mark = kept_mark(folder / cell.file)
    return mark is not None and mark == _identity(cell, cell.start(cell.config, cell.task))


def kept_mark(path: Path) -> str | None:
    """The identity of the run in a file; None if there is none."""
    try:
        with xr.open_dataset(path, engine="h5netcdf") as run:
            return run.attrs.get("identity")
    except OSError:
        return None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What an experiment found."""

    rows: pd.DataFrame
    """A row a run or a word: the numbers behind the summary."""
    summary: Mapping[str, Any]
    """What is stated, with its intervals."""
    table: pd.DataFrame
    """What the terminal shows."""
    figures: Mapping[str, Callable[[], Figure]]
    wrong: str = ""
    """What a statement that is exact came out as, if it came out wrong; or which runs had no end."""


Given = TypeVar("Given", bound=Options)


def command(options: type[Given], study: Callable[[Given], Findings], arguments: list[str] | None) -> int:
    """Run an experiment as a command; the exit code."""
    prog, kept = f"python -m simulations.{options.name}", "interrupted; what was trained so far is kept for --resume"
    line = called(prog, arguments)
    return run_command(options, lambda found: _run(found, study, line), arguments, prog=prog, interrupted=kept)


def _run(options: Given, study: Callable[[Given], Findings], line: str) -> int:
    require("analysis", "pyarrow")
    begun, console = time.perf_counter(), Console(markup=False, highlight=False)
    try:
        found = study(options)
    except ArithmeticError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    _leave(found, options, begun)
    leave_command(options.folder, line)
    console.print(_table(options.name, found.table))
    if found.wrong:
        console.print(found.wrong, soft_wrap=True)
    console.print(f"results and figures in {options.folder}", soft_wrap=True)
    return FAILED if found.wrong else 0


def _leave(found: Findings, options: Options, begun: float) -> None:
    folder = make_folder(options.folder)
    write_whole(folder / "rows.parquet", lambda file: found.rows.to_parquet(file, index=False))
    write_whole(folder / "table.csv", lambda file: found.table.to_csv(file, index=False))
    figures = make_folder(folder / "figures")
    for name, figure in found.figures.items():
        with mpl.rc_context(STYLE):
            write_figure(figure(), figures / f"{name}.png")
    size = {"seeds": options.size.seeds, "epochs": options.size.epochs}
    told = {"experiment": options.name, **size, **found.summary, "seconds": time.perf_counter() - begun}
    write_json(folder / "summary.json", told)


def _table(title: str, frame: pd.DataFrame) -> Table:
    out = Table(title=title)
    for name in frame:
        out.add_column(str(name), justify="left" if frame[name].dtype == object else "right")
    for row in frame.itertuples(index=False):
        out.add_row(*(Text(f"{value:.4g}" if isinstance(value, float) else str(value)) for value in row))
    return out


def grouped(rows: pd.DataFrame, *names: str) -> dict[Any, pd.DataFrame]:
    """Rows by the values of some columns, in the order of their appearance."""
    return dict(iter(rows.groupby(names[0] if len(names) == 1 else list(names), sort=False)))


def told(values: ArrayLike) -> str:
    """Mean ± half the 95 % interval, in words."""
    low, high = mean_interval(np.asarray(values, float))
    return f"{(high + low) / 2:.4g} ± {(high - low) / 2:.2g}"


def interval(values: ArrayLike) -> dict[str, float]:
    """Mean, and the ends of its 95 % interval over seeds."""
    low, high = mean_interval(np.asarray(values, float))
    return {"mean": float((low + high) / 2), "low": float(low), "high": float(high)}


def draw_band(axes: Axes, x: Array, values: Array, k: int, label: str | None, *, log: bool = False) -> None:
    """The mean of values (seeds, x) with its 95 % interval; `log` takes the geometric mean, for a log axis."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = mean_interval(np.log(values) if log else values)
    middle = (low + high) / 2
    low, middle, high = np.exp([low, middle, high]) if log else (low, middle, high)
    axes.fill_between(x, low, high, color=COLOURS[k], alpha=0.3, linewidth=0.0)
    axes.plot(x, middle, color=COLOURS[k], linestyle=LINES[k], label=label)


def draw_predicted(
    axes: Axes,
    runs: Sequence[xr.Dataset],
    of: Callable[[xr.Dataset], Array],
    label: str | None = None,
    *,
    log: bool = False,
) -> None:
    """The mean of what mean field says of each run, where it says something of all of them; `log`: geometric."""
    if all("predicted" in run.dims for run in runs):
        time = runs[0].attrs["learning_rate"] * runs[0].predicted.values
        values = np.array([of(run) for run in runs])
        mean = np.exp(np.log(values).mean(axis=0)) if log else values.mean(axis=0)
        axes.plot(time, mean, color="black", linewidth=1.2, linestyle=(0, (1, 3)), label=label)


def draw_points(axes: Axes, points: Mapping[float, Mapping[str, float]], k: int, label: str) -> None:
    """What `interval` gives, at every x of a few."""
    mean, low, high = (np.array([each[name] for each in points.values()]) for name in ("mean", "low", "high"))
    style = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": LINES[k], "ms": 4, "capsize": 2.5}
    axes.errorbar(list(points), mean, np.maximum([mean - low, high - mean], 0.0), label=label, **style)
