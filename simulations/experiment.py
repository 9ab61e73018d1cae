"""What experiments share: options, runs that are kept as they end, intervals over seeds, and what is left behind.

An experiment is a list of cells, one run each. A cell is written when it ends, and `--resume` takes over those that
are there. They have the same data, start and settings, or are refused, so that they would come out the same: to the
bit, or on a device to round-off.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
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
"""As LMN21 writes them."""
STOP = signal.SIGUSR1
"""What tells a process to keep what it has trained and to train no more; a terminal and `timeout` do not send it."""


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
    """Runs of a kind, at least 2; intervals are given from five on. Seed k draws data and start."""
    epochs: int | None = None
    """Steps of descent, at most."""
    workers: int | None = None
    """Processes; by default one with --quick, else one a core."""
    out: Path | None = None
    """Folder for the results; by default a new one, runs/NAME or runs/NAME-quick with a number."""
    resume: bool = False
    """Go on with the experiment in the folder: its runs are taken over, more seeds may be asked for."""
    overwrite: bool = False
    """Replace the results in the folder."""

    name: ClassVar[str]
    """Of the module."""
    grows: ClassVar[tuple[str, ...]] = ("seeds",)
    """Settings of which there may be more when an experiment is gone on with."""
    sizes: ClassVar[Mapping[str, Size]]
    """Its sizes: quick, usual, full."""

    def __post_init__(self) -> None:
        at_most_one(quick=self.quick, full=self.full)
        at_most_one(resume=self.resume, overwrite=self.overwrite)
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
        """Where the results go, unless that place is taken."""
        return self.out or Path("runs") / (f"{self.name}-quick" if self.quick else self.name)

    def course(self) -> dict[str, Any]:
        """Tell all that makes two experiments the same, ready for JSON: not where they are kept nor by how many."""
        kept = asdict(self) | {"experiment": self.name, "seeds": self.size.seeds, "epochs": self.size.epochs}
        for name in ("out", "resume", "overwrite", "workers"):
            del kept[name]
        return json.loads(json.dumps(kept, default=lambda path: str(Path(path).resolve())))

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


def begin(options: Options) -> Path:
    """Remove the results that are to be overwritten, and write the settings down; the folder of cells.

    Raises:
        StorageError: something cannot be removed or written.
    """
    if options.overwrite:
        clear(options.folder, kind_of(options.name))
    cells = make_folder(options.folder / CELLS)
    if not (options.folder / CONFIG).exists():
        write_json(options.folder / CONFIG, options.course())
    return cells


def run_all(cells: Sequence[Cell], options: Options) -> list[xr.Dataset]:
    """Trajectories of all cells, annotated as the command `simulate` does, each kept in a file when it ends.

    Raises:
        ArithmeticError: a loss is not finite any more.
        InputError: words that no file can hold, or a run that was kept is of other data, another start or settings.
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
    """Cells that go in one pass: on a device those that share all but their seeds, in compiled loops each by itself.

    There replicates gain less than a process for each core does (docs/performance.md).
    """
    found: dict[Any, list[Cell]] = {}
    for cell in cells:
        alone = cell.config.device == "numpy"
        found.setdefault((id(cell.task), replace(cell.config, seed=0), alone and cell.file), []).append(cell)
    return list(found.values())


def _completed(batches: Sequence[Sequence[Cell]], folder: Path, options: Options) -> Iterator[int]:
    """The number of cells of every batch, as it ends; Ctrl-C and errors end the others, which keep what they have."""
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
    """End this process, which would otherwise wait for work for ever, when the one that made it was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _complete(cells: Sequence[Cell], folder: Path) -> int:
    """Train a batch but for those that are there, in as many passes as memory asks for; how many it has."""
    done = 0
    while done < len(cells):
        done += _pass(cells[done:], folder)
    return len(cells)


def _pass(cells: Sequence[Cell], folder: Path) -> int:
    """Complete the first of these cells, with it those after it that go in the same pass; how many.

    Each is kept with an equal share of the seconds. The checkpoint has the name of the first, says how many there are,
    and goes when all of them are kept.
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
        if run.ended == "diverged":  # as a message, for a run finds no way out of a process
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
    """Runs by the settings of one cell; Ctrl-C goes without them, for a run finds no way out of a process."""
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
    """Of a pass that begins with this cell."""
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
    """Read the run in a file; None where there is none that is whole.

    Raises:
        InputError: it is another run.
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
    """What an experiment found."""

    rows: pd.DataFrame
    """A row a run or a word: the numbers behind the summary."""
    summary: Mapping[str, Any]
    """What is stated, with its intervals."""
    table: pd.DataFrame
    """What the terminal shows."""
    figures: Mapping[str, Callable[[], Figure]]
    caption: str = ""
    """What the numbers of the table are; by default means over seeds, with their intervals or ranges."""
    wrong: str = ""
    """What a statement that is exact came out as, if it came out wrong; or which runs had no end."""


Given = TypeVar("Given", bound=Options)


def command(options: type[Given], study: Callable[[Given], Findings], arguments: list[str] | None) -> int:
    """Run an experiment as a command; the exit code."""
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
    """Write the numbers down; the settings last, for an experiment may have grown only once it has."""
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
    """Rows by the values of some columns, in the order of their appearance."""
    return dict(iter(rows.groupby(names[0] if len(names) == 1 else list(names), sort=False)))


def told(values: ArrayLike) -> str:
    """Write the mean of some seeds with its 95 % interval, or where they are few with their range."""
    return in_words(np.asarray(values, float))


def interval(values: ArrayLike) -> dict[str, float]:
    """Give the mean, and the ends of its 95 % interval over seeds; NaN for these where seeds are few."""
    found = np.asarray(values, float)
    low, high = mean_interval(found)
    return {"mean": float(found.mean()), "low": float(low), "high": float(high)}


def draw_band(axes: Axes, x: Array, values: Array, k: int, label: str | None, *, log: bool = False) -> list[Line2D]:
    """Draw the mean of values (seeds, x) with its 95 % interval, or where seeds are few a thin line each.

    The start, at x = 0, is left out, for it has no place on a log axis. `log` takes the geometric mean. The lines are
    given back, the first of them with the label.
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
    """Say how `draw_band` shows so many seeds."""
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
    """Draw the mean of what mean field says of each run, or where runs are few a line for each.

    Nothing is drawn where it says nothing of one of them. `log` takes the geometric mean.
    """
    if all("predicted" in run.dims for run in runs):
        time = runs[0].attrs["learning_rate"] * runs[0].predicted.values
        values = np.array([of(run) for run in runs])
        mean = np.exp(np.log(values).mean(axis=0)) if log else values.mean(axis=0)
        shown = mean if len(runs) >= FEWEST else values.T
        axes.plot(time, shown, color="black", linewidth=1.2, linestyle=(0, (1, 3)))[0].set_label(label)


def draw_points(axes: Axes, points: Mapping[float, Mapping[str, float]], k: int, label: str) -> None:
    """Draw what `interval` gives at every x of a few; where it gives no interval, the mean alone."""
    mean, low, high = (np.array([each[name] for each in points.values()]) for name in ("mean", "low", "high"))
    style = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": LINES[k], "ms": 4, "capsize": 2.5}
    axes.errorbar(list(points), mean, np.maximum([mean - low, high - mean], 0.0), label=label, **style)
