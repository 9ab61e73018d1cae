"""Common parts of experiments: options, runs that are kept as they end, and results.

An experiment is a list of cells, one run each. A cell is written when it ends, and `--resume` reuses the cells that
exist. Cells with other data, start or settings are refused. So reused cells equal new ones to the bit, or on a device
to round-off.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from itertools import product, takewhile
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype
from rich import box
from rich.table import Table
from tqdm import tqdm

from attn_dynamics.check import at_most_one, integer, number
from attn_dynamics.commands.shell import FAILED, record_command, run_recorded
from attn_dynamics.files.output import CONFIG, NOTES, Kind, clear, results_folder
from attn_dynamics.files.run_store import RunStore, check_settings, saved_settings
from attn_dynamics.files.storage import write_json, write_parquet, write_whole
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.figures import style
from attn_dynamics.results.summary import annotate
from attn_dynamics.statistics import shown_as
from attn_dynamics.system.console import console, table
from attn_dynamics.system.extras import require
from attn_dynamics.system.progress import meter
from attn_dynamics.system.workers import finished, spawned
from attn_dynamics.tasks import Task
from attn_dynamics.training import configured_run
from attn_dynamics.training.checkpoint import Checkpoint, identity
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.run import Diverged, Interrupted, Run, RunsInterrupted, divergence_message
from attn_dynamics.training.settings import Training

NAMES = {"attn-fc": "Attn-FC", "attn-tc": "Attn-TC", "attn-tl": "Attn-TL"}
"""Names of the models in LMN21."""
ROWS, TABLE, SUMMARY, CELLS, FIGURES = "rows.parquet", "table.csv", "summary.json", "cells", "figures"
"""Files and folders of results."""


@dataclass(frozen=True)
class Size:
    """Number of seeds and epochs of an experiment, and its learning rate."""

    seeds: int
    epochs: int
    learning_rate: float = Training.learning_rate


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every experiment.

    Raises:
        InputError: a value is out of range.
    """

    quick: bool = False
    """Smoke test of some seconds: few and short runs."""
    full: bool = False
    """All that the statements need."""
    out: Path | None = None
    """Folder for the results; by default a new one, runs/NAME or runs/NAME-quick with a number."""
    overwrite: bool = False
    """Replace the results in the folder."""

    name: ClassVar[str]
    """Name of the module."""
    grows: ClassVar[tuple[str, ...]] = ()
    """Settings that may grow when an experiment resumes."""
    FORMER: ClassVar[Mapping[str, str]] = {}
    """Former names of options."""
    EXAMPLE: ClassVar = "--quick"
    GROUPS: ClassVar = {"size": "quick", "output": "out"}
    """First option of each group of the help; a subclass adds that of its own options."""

    def __post_init__(self) -> None:
        at_most_one(quick=self.quick, full=self.full)

    @property
    def folder(self) -> Path:
        """Return the folder for the results, unless it is taken."""
        return self.out or Path("runs") / (f"{self.name}-quick" if self.quick else self.name)

    @property
    def counts(self) -> dict[str, Any]:
        """Return the numbers that say how large the experiment is, by their options' names."""
        return {}

    @property
    def unsaid(self) -> dict[str, Any]:
        """Return the settings of folders that were made before these were options."""
        return {}

    def identity_settings(self) -> dict[str, Any]:
        """Return the settings that identify an experiment, ready for JSON, without folder and number of processes."""
        kept = asdict(self) | {"experiment": self.name} | self.counts
        kept = {name: value for name, value in kept.items() if name not in ("out", "resume", "overwrite", "workers")}
        return json.loads(json.dumps(kept, default=lambda path: str(Path(path).resolve())))


@dataclass(frozen=True, kw_only=True)
class SeededOptions(Options):
    """Options of an experiment whose runs differ by their seeds and are kept as they end.

    Raises:
        InputError: a value is out of range.
    """

    seeds: int | None = None
    """Number of runs of each kind, at least 2; intervals need at least five. Seed k draws data and start."""
    first_seed: int = 0
    """Seed of the first run; the others count up from it."""
    epochs: int | None = None
    """Largest number of steps of gradient descent."""
    learning_rate: float | None = None
    """Learning rate η; time = η × epoch."""
    workers: int | None = None
    """Number of processes; by default 1 with --quick, else one per core."""
    resume: bool = False
    """Resume the experiment in the folder: its runs are reused, and more seeds may be requested."""

    grows: ClassVar[tuple[str, ...]] = ("seeds",)
    sizes: ClassVar[Mapping[str, Size]]
    """Sizes of the experiment: quick, usual, full."""
    GROUPS: ClassVar = Options.GROUPS | {"runs": "seeds"}

    def __post_init__(self) -> None:
        super().__post_init__()
        at_most_one(resume=self.resume, overwrite=self.overwrite)
        for name, bound in {"seeds": 2, "epochs": 1, "workers": 1}.items():
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), bound)
        integer("first_seed", self.first_seed, 0)
        if self.learning_rate is not None:
            number("learning_rate", self.learning_rate, above=0, fix="Leave it out for that of the experiment.")

    @classmethod
    def defaults_in_words(cls) -> dict[str, str]:
        """Return the default of each option that depends on the size, as the help tells it."""
        quick, usual, full = (asdict(cls.sizes[size]) for size in ("quick", "usual", "full"))
        return {
            name: f"(default: {usual[name]:,}"
            + f", with --quick {quick[name]:,}" * (quick[name] != usual[name])
            + f", with --full {full[name]:,}" * (full[name] != usual[name])
            + ")"
            for name in usual
        }

    @property
    def size(self) -> Size:
        """Return the requested size."""
        given = {each.name: getattr(self, each.name) for each in fields(Size)}
        return replace(self._usual, **{name: value for name, value in given.items() if value is not None})

    @property
    def _usual(self) -> Size:
        return self.sizes["quick" if self.quick else "full" if self.full else "usual"]

    @property
    def unsaid(self) -> dict[str, Any]:
        """Return the first seed and the learning rate of folders that were made before these were options."""
        return {"first_seed": 0, "learning_rate": self._usual.learning_rate}

    @property
    def seed_range(self) -> range:
        """Return the seeds of the runs."""
        return range(self.first_seed, self.first_seed + self.size.seeds)

    @property
    def counts(self) -> dict[str, Any]:
        """Return the numbers of seeds and epochs and the learning rate by their options' names."""
        return asdict(self.size)

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
    start: Callable[[Config, Task], Parameters] = configured_run.start
    keep: Callable[[xr.Dataset, Task], xr.Dataset] = ends
    """Function that selects the part of its trajectory to keep."""

    @property
    def columns(self) -> dict[str, Any]:
        """Return the attributes that identify the cell, as columns of a table."""
        return {**self.kind, "model": self.config.model, "seed": self.config.seed}

    @property
    def name(self) -> str:
        """Return the name under which the cell is kept."""
        return "-".join(str(value) for value in self.columns.values())

    def begin(self) -> Parameters:
        """Return the initial values."""
        return self.start(self.config, self.task)

    def identity(self, start: Parameters) -> str:
        """Return the digest of all that the cell depends on."""
        return identity([*self.task.splits.values()], [start], self.config.identity_settings(), self.config.max_epochs)


def begin(options: Options) -> RunStore:
    """Remove results that are to be overwritten, and write the settings; return the store of the cells.

    Raises:
        StorageError: a file cannot be removed or written.
    """
    if options.overwrite:
        clear(options.folder, kind_of(options.name))
    store = RunStore(options.folder / CELLS)
    if not (options.folder / CONFIG).exists():
        write_json(options.folder / CONFIG, options.identity_settings())
    return store


def kind_of(name: str) -> Kind:
    """Describe the files of an experiment."""
    return Kind(
        name=f"the experiment {name}",
        mark=CONFIG,
        is_ours=lambda folder: saved_settings(folder).get("experiment") == name,
        files=_files,
    )


def _files(folder: Path) -> list[Path]:
    drawn = saved_settings(folder).get(FIGURES)
    names = [Path(name).name for name in drawn if isinstance(name, str)] if isinstance(drawn, list) else []
    cells = [path for pattern in ("*.nc", "*.npz") for path in (folder / CELLS).glob(pattern)]
    figures = [folder / FIGURES / f"{name}.png" for name in names]
    return [*(folder / name for name in (*NOTES, ROWS, TABLE, SUMMARY)), *cells, *figures]


def run_all(cells: Sequence[Cell], options: SeededOptions) -> list[xr.Dataset]:
    """Return the trajectories of all cells, annotated as by the command `simulate`; each is written when it ends.

    The attributes that identify a cell are among those of its trajectory.

    Raises:
        ArithmeticError: a loss is NaN or infinite.
        InputError: no file can hold a word, or a kept run has other data, another start or other settings.
        StorageError: a file could not be written.
    """
    for task in {id(cell.task): cell.task for cell in cells}.values():
        configured_run.check_words(task)
    store = begin(options)
    with tqdm(total=len(cells), desc=options.name, unit=" runs", dynamic_ncols=True) as bar:
        for number in _completed(_batches(cells), store, options):
            bar.update(number)
    return [store.read(cell.name).assign_attrs(cell.columns) for cell in cells]


def train_all(
    models: Iterable[str], tasks: Sequence[Task], options: SeededOptions, **settings: Any
) -> list[xr.Dataset]:
    """Train every model on the task of every seed, by settings that they share."""
    shared = {"epochs": options.size.epochs, "learning_rate": options.size.learning_rate, **settings}
    drawn = list(zip(options.seed_range, tasks, strict=True))
    cells = [
        Cell(config=Config(model=model, seed=seed, **shared), task=task)
        for model, (seed, task) in product(models, drawn)
    ]
    return run_all(cells, options)


def _batches(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Return the cells of each pass: on a device those that share all but their seeds, in compiled loops single ones.

    In compiled loops replicates gain less than a process for each core does (docs/performance.md).
    """
    found: dict[Any, list[Cell]] = {}
    for cell in cells:
        alone = cell.config.device == "numpy"
        found.setdefault((id(cell.task), replace(cell.config, seed=0), alone and cell.name), []).append(cell)
    return list(found.values())


def _completed(batches: Sequence[Sequence[Cell]], store: RunStore, options: SeededOptions) -> Iterator[int]:
    """Complete all batches; yield the number of cells of each. Ctrl-C and errors end the others, which keep theirs."""
    processes = min(options.processes, len(batches))
    if processes == 1:
        yield from (_complete(cells, store) for cells in batches)
        return
    with spawned(processes, resumes=True) as pool:
        for done in finished(pool, partial(_complete, store=store), batches, at_once=processes):
            yield from [each.result() for each in done]


def _complete(cells: Sequence[Cell], store: RunStore) -> int:
    """Train a batch, without the cells that exist, in as many passes as memory needs; return its number of cells."""
    done = 0
    while done < len(cells):
        done += _pass(cells[done:], store)
    return len(cells)


def _pass(cells: Sequence[Cell], store: RunStore) -> int:
    """Complete the first of these cells, with those after it that fit into the same pass; return their number.

    Each cell is kept with an equal share of the seconds. The checkpoint has the name of the first cell, stores the
    number of cells, and is removed when all of them are kept.
    """
    begun, checkpoint = time.perf_counter(), Checkpoint(store.checkpoint(cells[0].name))
    found = checkpoint.path.exists()
    missing = cells if found else [*takewhile(lambda cell: not _is_kept(cell, store), cells)]
    if not missing:
        return 1
    taken = missing[: _size(missing, checkpoint)]
    starts = [cell.begin() for cell in taken]
    runs = _train(taken[0], starts, checkpoint)
    seconds = (time.perf_counter() - begun) / len(taken)
    for cell, start, run in zip(taken, starts, runs, strict=True):
        if run.ended != "diverged":
            kept = cell.keep(annotate(run, cell.config, cell.task, start), cell.task)
            store.keep(cell.name, cell.identity(start), kept.assign_attrs(seconds=seconds))
    for cell in taken:
        store.checkpoint(cell.name).unlink(missing_ok=True)
    for cell, run in zip(taken, runs, strict=True):
        if run.ended == "diverged":  # raise a message only, because a run cannot be sent out of a process
            message = divergence_message(run.trajectory.sizes["epoch"], cell.config.learning_rate)
            raise ArithmeticError(f"{cell.name}: {message}")
    return len(taken)


def _is_kept(cell: Cell, store: RunStore) -> bool:
    # Look for the file first, because the start takes long to draw.
    return store.has(cell.name) and store.take(cell.name, cell.identity(cell.begin())) is not None


def _size(cells: Sequence[Cell], checkpoint: Checkpoint) -> int:
    first = cells[0]
    if first.config.device == "numpy":
        return 1
    return configured_run.pass_size(first.config, first.task, first.begin(), len(cells), checkpoint)


def _train(cell: Cell, starts: Sequence[Parameters], checkpoint: Checkpoint) -> list[Run]:
    """Train by the settings of one cell; Ctrl-C is raised without the runs, which cannot be sent out of a process."""
    config, task = cell.config, cell.task
    try:
        if config.device == "numpy":
            return [configured_run.train(config, task, starts[0], checkpoint=checkpoint)]
        with meter(config.max_epochs, f"{config.model} on {task.name}, {len(starts)} seeds") as show:
            return configured_run.train_many(config, task, starts, checkpoint=checkpoint, meter=show)
    except Diverged as stop:
        return [stop.run]
    except (Interrupted, RunsInterrupted) as stop:
        raise KeyboardInterrupt(str(stop)) from None


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
    sentences: Sequence[str] = ()
    """Results in words, below the table."""
    wrong: str = ""
    """Message if an exact statement turned out wrong, or if runs had no end."""


Given = TypeVar("Given", bound=Options)


def command(options: type[Given], study: Callable[[Given], Findings]) -> Callable[..., int]:
    """Return the command of an experiment: a function from its arguments to its exit code."""
    resumes = issubclass(options, SeededOptions)
    left = "what was trained so far is kept for --resume" if resumes else "nothing was kept"
    prog, told = f"python -m simulations.{options.name}", f"interrupted; {left}"
    return partial(run_recorded, options, partial(_run, study), prog=prog, interrupted=told)


def _run(study: Callable[[Given], Findings], options: Given, line: str) -> int:
    require("analysis", "pyarrow")
    with results_folder(
        kind_of(options.name),
        options.out,
        options.folder,
        resume=isinstance(options, SeededOptions) and options.resume,
        overwrite=options.overwrite,
        fits=lambda folder: check_settings(
            _under_present_names(saved_settings(folder), options),
            options.identity_settings(),
            f"the experiment in {folder}",
            options.grows,
        ),
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
        seeds = options.counts.get("seeds", 0)
        terminal.print(_table(options.name, found.table, found.caption or f"{shown_as(seeds)} over {seeds} seeds"))
        for sentence in found.sentences:
            terminal.print(sentence, soft_wrap=True, markup=False)
        if found.wrong:
            terminal.print(found.wrong, soft_wrap=True)
        style.draw_all({folder / FIGURES / f"{name}.png": figure for name, figure in found.figures.items()})
        terminal.print(f"results and figures in {folder}", soft_wrap=True)
        return FAILED if found.wrong else 0


def _under_present_names(saved: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Return the settings in a folder that may have been made before some were options, or had their names."""
    former = {_setting(old): _setting(new) for old, new in options.FORMER.items()}
    return options.unsaid | {former.get(name, name): value for name, value in saved.items()}


def _setting(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _leave(found: Findings, options: Options, begun: float) -> None:
    """Write the numbers, and the settings last, because the experiment has grown only then."""
    folder = options.folder
    write_parquet(folder / ROWS, found.rows)
    write_whole(folder / TABLE, lambda file: found.table.to_csv(file, index=False))
    summary = {"experiment": options.name, **options.counts, **found.summary, "seconds": time.perf_counter() - begun}
    write_json(folder / SUMMARY, summary)
    write_json(folder / CONFIG, options.identity_settings() | {FIGURES: [*found.figures]})


def _table(title: str, frame: pd.DataFrame, caption: str) -> Table:
    right = [name for name in frame if is_numeric_dtype(frame[name])]
    rows = [
        [f"{each:.4g}" if isinstance(each, float) else str(each) for each in row]
        for row in frame.itertuples(index=False)
    ]
    out = table(title, frame, rows, right, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    out.columns[0].no_wrap = True  # names of rows differ at their ends, which a narrow column would cut
    return out


def grouped(rows: pd.DataFrame, *names: str) -> dict[Any, pd.DataFrame]:
    """Group rows by the values of some columns, in the order of their appearance."""
    return dict(iter(rows.groupby(names[0] if len(names) == 1 else list(names), sort=False)))


def alike(runs: Iterable[xr.Dataset], *names: str) -> dict[Any, list[xr.Dataset]]:
    """Group runs by the values of some attributes, in the order of their appearance."""
    found: dict[Any, list[xr.Dataset]] = {}
    for run in runs:
        key = tuple(run.attrs[name] for name in names)
        found.setdefault(key if len(names) > 1 else key[0], []).append(run)
    return found
