"""Common parts of experiments: options, runs that are kept as they end, intervals over seeds, and results.

An experiment is a list of cells, one run each. A cell is written when it ends, and `--resume` reuses the cells that
exist. Cells with other data, start or settings are refused. So reused cells equal new ones to the bit, or on a device
to round-off.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, takewhile
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, TypeVar

import numba
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from pandas.api.types import is_numeric_dtype
from rich import box
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from attn_dynamics.check import at_most_one, integer
from attn_dynamics.commands.shell import FAILED, command_line, record_command, run_command
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import CONFIG, clear, results_folder
from attn_dynamics.files.storage import (
    Damaged,
    make_folder,
    read_netcdf,
    write_json,
    write_netcdf,
    write_parquet,
    write_whole,
)
from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.figures.run import COLOURS, LINES, MARKERS, draw_all
from attn_dynamics.results.summary import annotate
from attn_dynamics.statistics import FEWEST, in_words, mean_interval, shown_as
from attn_dynamics.system.console import console
from attn_dynamics.system.extras import require
from attn_dynamics.system.interrupt import killing, out_of_earshot
from attn_dynamics.system.progress import meter
from attn_dynamics.tasks import Task
from attn_dynamics.training import experiment
from attn_dynamics.training.checkpoint import Checkpoint, identity
from attn_dynamics.training.descent import divergence_message
from attn_dynamics.training.run import Diverged, Interrupted, Run, RunsInterrupted
from attn_dynamics.training.settings import Config
from simulations.folder import CELLS, FIGURES, ROWS, SUMMARY, TABLE, check_same, kind_of

NAMES = {"attn-fc": "Attn-FC", "attn-tc": "Attn-TC", "attn-tl": "Attn-TL"}
"""Names of the models in LMN21."""
STOP = signal.SIGUSR1
"""Signal that tells a process to keep what it has trained and to stop; a terminal and `timeout` do not send it."""


@dataclass(frozen=True)
class Size:
    """Number of seeds and epochs of an experiment."""

    seeds: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every experiment.

    Raises:
        InputError: a value is out of range.
    """

    quick: bool = False
    """Smoke test of some seconds: few seeds, few epochs."""
    full: bool = False
    """As many seeds and epochs as the statements need."""
    seeds: int | None = None
    """Number of runs of each kind, at least 2; intervals need at least five. Seed k draws data and start."""
    epochs: int | None = None
    """Largest number of steps of descent."""
    workers: int | None = None
    """Number of processes; by default 1 with --quick, else one per core."""
    out: Path | None = None
    """Folder for the results; by default a new one, runs/NAME or runs/NAME-quick with a number."""
    resume: bool = False
    """Resume the experiment in the folder: its runs are reused, and more seeds may be requested."""
    overwrite: bool = False
    """Replace the results in the folder."""

    name: ClassVar[str]
    """Name of the module."""
    grows: ClassVar[tuple[str, ...]] = ("seeds",)
    """Settings that may grow when an experiment resumes."""
    sizes: ClassVar[Mapping[str, Size]]
    """Sizes of the experiment: quick, usual, full."""

    def __post_init__(self) -> None:
        at_most_one(quick=self.quick, full=self.full)
        at_most_one(resume=self.resume, overwrite=self.overwrite)
        for name, bound in {"seeds": 2, "epochs": 1, "workers": 1}.items():
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), bound)

    @property
    def size(self) -> Size:
        """Return the requested size."""
        size = self.sizes["quick" if self.quick else "full" if self.full else "usual"]
        return Size(self.seeds or size.seeds, self.epochs or size.epochs)

    @property
    def folder(self) -> Path:
        """Return the folder for the results, unless it is taken."""
        return self.out or Path("runs") / (f"{self.name}-quick" if self.quick else self.name)

    def course(self) -> dict[str, Any]:
        """Return the settings that identify an experiment, ready for JSON, without folder and number of processes."""
        kept = asdict(self) | {"experiment": self.name, "seeds": self.size.seeds, "epochs": self.size.epochs}
        for name in ("out", "resume", "overwrite", "workers"):
            del kept[name]
        return json.loads(json.dumps(kept, default=lambda path: str(Path(path).resolve())))

    @property
    def processes(self) -> int:
        """Return the number of simultaneous runs."""
        return self.workers or (1 if self.quick else len(os.sched_getaffinity(0)))


def ends(run: xr.Dataset, task: Task) -> xr.Dataset:
    """Keep only the first and the last snapshot of all words."""
    return run.isel(snapshot=[0, -1])


@dataclass(frozen=True, eq=False, kw_only=True)
class Cell:
    """One run of an experiment."""

    config: Config
    """Settings of the run, those of the command `simulate`."""
    task: Task
    kind: Mapping[str, Any] = field(default_factory=dict)
    """Attributes beside model and seed that identify it: part of its name, and columns of its rows."""
    start: Callable[[Config, Task], Parameters] = experiment.start
    keep: Callable[[xr.Dataset, Task], xr.Dataset] = ends
    """Function that selects the part of its trajectory to keep."""

    @property
    def columns(self) -> dict[str, Any]:
        """Return the attributes that identify the cell, as columns of a table."""
        return {**self.kind, "model": self.config.model, "seed": self.config.seed}

    @property
    def file(self) -> str:
        """Return the name of the file of the cell."""
        return "-".join(str(value) for value in self.columns.values()) + ".nc"


def begin(options: Options) -> Path:
    """Remove results that are to be overwritten, and write the settings; return the folder of the cells.

    Raises:
        StorageError: a file cannot be removed or written.
    """
    if options.overwrite:
        clear(options.folder, kind_of(options.name))
    cells = make_folder(options.folder / CELLS)
    if not (options.folder / CONFIG).exists():
        write_json(options.folder / CONFIG, options.course())
    return cells


def run_all(cells: Sequence[Cell], options: Options) -> list[xr.Dataset]:
    """Return the trajectories of all cells, annotated as by the command `simulate`; each is written when it ends.

    Raises:
        ArithmeticError: a loss is NaN or infinite.
        InputError: no file can hold a word, or a kept run has other data, another start or other settings.
        StorageError: a file could not be written.
    """
    for task in {id(cell.task): cell.task for cell in cells}.values():
        experiment.check_words(task)
    folder = begin(options)
    with tqdm(total=len(cells), desc=options.name, unit=" runs", dynamic_ncols=True) as bar:
        for number in _completed(_batches(cells), folder, options):
            bar.update(number)
    return [read_netcdf(folder / cell.file) for cell in cells]


def _batches(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Return the cells of each pass: on a device those that share all but their seeds, in compiled loops single ones.

    In compiled loops replicates gain less than a process for each core does (docs/performance.md).
    """
    found: dict[Any, list[Cell]] = {}
    for cell in cells:
        alone = cell.config.device == "numpy"
        found.setdefault((id(cell.task), replace(cell.config, seed=0), alone and cell.file), []).append(cell)
    return list(found.values())


def _completed(batches: Sequence[Sequence[Cell]], folder: Path, options: Options) -> Iterator[int]:
    """Complete all batches; yield the number of cells of each. Ctrl-C and errors end the others, which keep theirs."""
    processes = min(options.processes, len(batches))
    if processes == 1:
        yield from (_complete(cells, folder) for cells in batches)
        return
    left, running = iter(batches), set[Future[int]]()
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin_process) as pool, killing() as send:
        try:
            while True:
                with out_of_earshot(signal.SIGTERM, STOP):
                    # No more than are run at once, for those that a pool has taken cannot be cancelled.
                    taken = islice(left, processes - len(running))
                    running |= {pool.submit(_complete_there, cells, folder) for cells in taken}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from [each.result() for each in done]
        except BrokenProcessPool:
            fix = "Give it more memory, or --workers 1; --resume goes on with what is kept."
            raise InputError("--workers", expected="processes that live", given="a killed one", fix=fix) from None
        except BaseException:
            send(STOP)
            wait(running)
            raise


def _complete_there(cells: Sequence[Cell], folder: Path) -> int:
    """Complete a batch in a process that was begun for it, and hear `STOP` meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP})
    try:
        return _complete(cells, folder)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {STOP})


def _begin_process() -> None:
    numba.set_num_threads(1)
    signal.signal(STOP, signal.default_int_handler)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent was killed, because it would otherwise wait for work forever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _complete(cells: Sequence[Cell], folder: Path) -> int:
    """Train a batch, without the cells that exist, in as many passes as memory needs; return its number of cells."""
    done = 0
    while done < len(cells):
        done += _pass(cells[done:], folder)
    return len(cells)


def _pass(cells: Sequence[Cell], folder: Path) -> int:
    """Complete the first of these cells, with those after it that fit into the same pass; return their number.

    Each cell is kept with an equal share of the seconds. The checkpoint has the name of the first cell, stores the
    number of cells, and is removed when all of them are kept.
    """
    begun, checkpoint = time.perf_counter(), Checkpoint(_checkpoint(cells[0], folder))
    found = checkpoint.path.exists()
    missing = cells if found else [*takewhile(lambda cell: not _is_kept(cell, folder), cells)]
    if not missing:
        return 1
    taken = missing[: _size(missing, checkpoint)]
    starts = [cell.start(cell.config, cell.task) for cell in taken]
    runs = _train(taken[0], starts, checkpoint)
    seconds = (time.perf_counter() - begun) / len(taken)
    for cell, start, run in zip(taken, starts, runs, strict=True):
        if run.ended != "diverged":
            kept = cell.keep(annotate(run, cell.config, cell.task, start), cell.task)
            write_netcdf(folder / cell.file, kept.assign_attrs(seconds=seconds, identity=_identity(cell, start)))
    _forget(taken, folder)
    for cell, run in zip(taken, runs, strict=True):
        if run.ended == "diverged":  # raise a message only, because a run cannot be sent out of a process
            raise ArithmeticError(
                f"{cell.file}: {divergence_message(run.trajectory.sizes['epoch'], cell.config.learning_rate)}"
            )
    return len(taken)


def _size(cells: Sequence[Cell], checkpoint: Checkpoint) -> int:
    first = cells[0]
    if first.config.device == "numpy":
        return 1
    start = first.start(first.config, first.task)
    return experiment.pass_size(first.config, first.task, start, len(cells), checkpoint)


def _train(cell: Cell, starts: Sequence[Parameters], checkpoint: Checkpoint) -> list[Run]:
    """Train by the settings of one cell; Ctrl-C is raised without the runs, which cannot be sent out of a process."""
    config, task = cell.config, cell.task
    try:
        if config.device == "numpy":
            return [experiment.train(config, task, starts[0], checkpoint=checkpoint)]
        with meter(config.max_epochs, f"{config.model} on {task.name}, {len(starts)} seeds") as show:
            return experiment.train_many(config, task, starts, checkpoint=checkpoint, meter=show)
    except Diverged as stop:
        return [stop.run]
    except (Interrupted, RunsInterrupted) as stop:
        raise KeyboardInterrupt(str(stop)) from None


def _checkpoint(cell: Cell, folder: Path) -> Path:
    """Return the checkpoint of a pass that starts with this cell."""
    return folder / f"{cell.file.removesuffix('.nc')}.npz"


def _forget(cells: Sequence[Cell], folder: Path) -> None:
    for cell in cells:
        _checkpoint(cell, folder).unlink(missing_ok=True)


def _identity(cell: Cell, start: Parameters) -> str:
    return identity([*cell.task.splits.values()], [start], cell.config.course(), cell.config.max_epochs)


def _is_kept(cell: Cell, folder: Path) -> bool:
    path = folder / cell.file
    return path.exists() and kept(path, _identity(cell, cell.start(cell.config, cell.task))) is not None


def kept(path: Path, identity: str) -> xr.Dataset | None:
    """Read the run in a file; return None if there is no complete run.

    Raises:
        InputError: the file holds another run.
    """
    try:
        run = read_netcdf(path)
    except Damaged:
        return None
    if run.attrs.get("identity") != identity:
        raise InputError(
            f"{path}",
            expected="a run of these data, this start and these settings",
            given="another",
            fix="Restore what it was made from, replace all by --overwrite, or name another folder by --out.",
        )
    return run


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Results of an experiment."""

    rows: pd.DataFrame
    """One row per run or word: the numbers behind the summary."""
    summary: Mapping[str, Any]
    """Stated results, with their intervals."""
    table: pd.DataFrame
    """Table for the terminal."""
    figures: Mapping[str, Callable[[], Figure]]
    caption: str = ""
    """Meaning of the numbers in the table; by default means over seeds, with their intervals or ranges."""
    wrong: str = ""
    """Message if an exact statement turned out wrong, or if runs had no end."""


Given = TypeVar("Given", bound=Options)


def command(options: type[Given], study: Callable[[Given], Findings], arguments: list[str] | None) -> int:
    """Run an experiment as a command and return its exit code."""
    prog, kept = f"python -m simulations.{options.name}", "interrupted; what was trained so far is kept for --resume"
    line = command_line(prog, arguments)
    return run_command(options, lambda found: _run(found, study, line), arguments, prog=prog, interrupted=kept)


def _run(options: Given, study: Callable[[Given], Findings], line: str) -> int:
    require("analysis", "pyarrow")
    with results_folder(
        kind_of(options.name),
        options.out,
        options.folder,
        resume=options.resume,
        overwrite=options.overwrite,
        fits=lambda folder: check_same(folder, options.course(), options.grows),
    ) as folder:
        begun, terminal = time.perf_counter(), console()
        options = replace(options, out=folder)
        try:
            found = study(options)
        except ArithmeticError as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        _leave(found, options, begun)
        record_command(folder, line)
        seeds = options.size.seeds
        terminal.print(_table(options.name, found.table, found.caption or f"{shown_as(seeds)} over {seeds} seeds"))
        if found.wrong:
            terminal.print(found.wrong, soft_wrap=True)
        draw_all({folder / FIGURES / f"{name}.png": figure for name, figure in found.figures.items()})
        terminal.print(f"results and figures in {folder}", soft_wrap=True)
        return FAILED if found.wrong else 0


def _leave(found: Findings, options: Options, begun: float) -> None:
    """Write the numbers, and the settings last, because the experiment has grown only then."""
    folder = options.folder
    write_parquet(folder / ROWS, found.rows)
    write_whole(folder / TABLE, lambda file: found.table.to_csv(file, index=False))
    size = {"seeds": options.size.seeds, "epochs": options.size.epochs}
    told = {"experiment": options.name, **size, **found.summary, "seconds": time.perf_counter() - begun}
    write_json(folder / SUMMARY, told)
    write_json(folder / CONFIG, options.course() | {FIGURES: [*found.figures]})


def _table(title: str, frame: pd.DataFrame, caption: str) -> Table:
    out = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in frame:
        out.add_column(str(name), justify="right" if is_numeric_dtype(frame[name]) else "left")
    for row in frame.itertuples(index=False):
        out.add_row(*(Text(f"{value:.4g}" if isinstance(value, float) else str(value)) for value in row))
    return out


def grouped(rows: pd.DataFrame, *names: str) -> dict[Any, pd.DataFrame]:
    """Group rows by the values of some columns, in the order of their appearance."""
    return dict(iter(rows.groupby(names[0] if len(names) == 1 else list(names), sort=False)))


def told(values: ArrayLike) -> str:
    """Write the mean over seeds with its 95 % interval, or with the range if there are few seeds."""
    return in_words(np.asarray(values, float))


def interval(values: ArrayLike) -> dict[str, float]:
    """Return the mean and the ends of its 95 % interval over seeds; the ends are NaN if there are few seeds."""
    found = np.asarray(values, float)
    low, high = mean_interval(found)
    return {"mean": float(found.mean()), "low": float(low), "high": float(high)}


def draw_band(axes: Axes, x: Array, values: Array, k: int, label: str | None, *, log: bool = False) -> list[Line2D]:
    """Draw the mean of values (seeds, x) with its 95 % interval, or one thin line per seed if there are few.

    The start, at x = 0, is left out, because a log axis cannot show it. `log` takes the geometric mean. Return the
    lines, the first of them with the label.
    """
    x, values = x[x > 0], values[:, x > 0]
    style = {"color": COLOURS[k], "linestyle": LINES[k]}
    if len(values) < FEWEST:
        lines = axes.plot(x, values.T, linewidth=0.8, **style)
        lines[0].set_label(label)
        return lines
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = mean_interval(np.log(values) if log else values)
    middle = (low + high) / 2
    low, middle, high = np.exp([low, middle, high]) if log else (low, middle, high)
    axes.fill_between(x, low, high, color=COLOURS[k], alpha=0.3, linewidth=0.0)
    return axes.plot(x, middle, label=label, **style)


def seeds_as(number: int, *, log: bool = False) -> str:
    """Describe how `draw_band` shows a number of seeds."""
    mean = "geometric mean" if log else "mean"
    return f"{mean} and 95 % interval of {number} seeds" if number >= FEWEST else f"a line for each of {number} seeds"


def draw_predicted(
    axes: Axes,
    runs: Sequence[xr.Dataset],
    of: Callable[[xr.Dataset], Array],
    label: str | None = None,
    *,
    log: bool = False,
) -> None:
    """Draw the mean of the runs' mean-field predictions, or one line per run if there are few.

    Draw nothing if any run has no prediction. `log` takes the geometric mean.
    """
    if all("predicted" in run.dims for run in runs):
        time = runs[0].attrs["learning_rate"] * runs[0].predicted.values
        values = np.array([of(run) for run in runs])
        mean = np.exp(np.log(values).mean(axis=0)) if log else values.mean(axis=0)
        shown = mean if len(runs) >= FEWEST else values.T
        axes.plot(time, shown, color="black", linewidth=1.2, linestyle=(0, (1, 3)))[0].set_label(label)


def draw_points(axes: Axes, points: Mapping[float, Mapping[str, float]], k: int, label: str) -> None:
    """Draw means and intervals from `interval` at some x; without an interval, draw the mean only."""
    mean, low, high = (np.array([each[name] for each in points.values()]) for name in ("mean", "low", "high"))
    style = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": LINES[k], "ms": 4, "capsize": 2.5}
    axes.errorbar(list(points), mean, np.maximum([mean - low, high - mean], 0.0), label=label, **style)
