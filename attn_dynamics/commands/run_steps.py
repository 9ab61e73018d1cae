"""Steps that all runs of the command share: resume, train, write the numbers, show them, and draw the figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attn_dynamics.commands.shell import FAILED, INTERRUPTED, record_command
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import write_json, write_netcdf
from attn_dynamics.results.folder import (
    SUMMARY,
    TRAJECTORY,
    Settings,
    begin,
    open_folder,
    pass_checkpoint,
    write_config,
)
from attn_dynamics.system.console import console
from attn_dynamics.system.progress import meter
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.training.run import Diverged, Interrupted, RunsInterrupted

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import RenderableType

Meter = Callable[[int, float], None]
ResumePoint = tuple[int, bool] | None
"""Epoch at which to resume, and whether nothing is left to do; None without a checkpoint."""


class Showing(NamedTuple):
    """Functions that set a run beside the theory."""

    annotate: Callable[[Any], xr.Dataset]
    """Function from a run to its trajectory with everything that its figures need."""
    summarise: Callable[[xr.Dataset, float], dict[str, Any]]
    """Function from a trajectory and its seconds to a summary."""
    table: Callable[[dict[str, Any]], RenderableType]
    """Function from a summary to its table."""
    remarks: Callable[[dict[str, Any]], list[str]]
    """Function from a summary to the sentences below its table."""
    draw: Callable[[xr.Dataset, Path], object]
    """Function that draws a trajectory into a folder."""


class Result(NamedTuple):
    """Result of a run whose numbers are written."""

    code: int
    """Exit code."""
    table: RenderableType | None
    """Table to show, if any."""
    remarks: list[str]
    """Sentences to show below the table."""
    draw: Callable[[], object]
    """Function that draws all figures."""
    location: str
    """Sentence that says where the results are."""


def into_folder(config: Settings, line: str, run: Callable[[Path], Result]) -> int:
    """Run into the folder of a configuration, show the result, and draw the figures last; return the exit code.

    Args:
        config: configuration of the run.
        line: line that calls the command.
        run: function that trains into a folder and writes the numbers.

    Raises:
        InputError: the folder cannot be used.
        StorageError: a result could not be written.
    """
    with open_folder(config) as out:
        try:
            begin(out, config)
            result, terminal = run(out), console()
            write_config(out, config)
            record_command(out, line)
            if result.table is not None:
                terminal.print(result.table)
            for remark in result.remarks:
                terminal.print(remark, soft_wrap=True)
            result.draw()
            terminal.print(result.location, soft_wrap=True)
            return result.code
        except (Diverged, FloatingPointError) as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            print(f"interrupted; all files in {out} are kept, --resume continues from them", file=sys.stderr)
            return INTERRUPTED


def one_run(
    config: Any,
    out: Path,
    *,
    resume_point: Callable[[Checkpoint], ResumePoint],
    train: Callable[[Checkpoint, Meter], Any],
    show: Callable[[], Showing],
) -> Result:
    """Train one model into a folder and write its numbers.

    Args:
        config: configuration of the run.
        out: its folder.
        resume_point: function from a checkpoint to the point at which to resume.
        train: function that trains with a checkpoint and a progress meter.
        show: function that loads what sets the run beside the theory; a thread calls it once epochs are computed.

    Raises:
        InputError: a library that `show` needs cannot be loaded.
        StorageError: a result could not be written.
    """
    begun, checkpoint = time.perf_counter(), checkpoint_in(out)
    if config.resume:
        print_resume_point(out, resume_point(checkpoint))
    with ThreadPoolExecutor(1) as pool:
        # Not before the first report: compiled epochs leave a thread the interpreter, while loading kernels does not.
        loading = cache(partial(pool.submit, show))
        watched = lambda meter: train(checkpoint, _after(loading, meter))  # noqa: E731
        run, code = trained(watched, config.max_epochs, config.model, checkpoint)
        seconds = time.perf_counter() - begun
        showing = _loaded(loading(), checkpoint)
    trajectory = showing.annotate(run)
    summary = showing.summarise(trajectory, seconds)
    write_numbers(trajectory, summary, out)
    # The final state of a diverged run means nothing.
    table = showing.table(summary) if summary["ended"] != "diverged" else None
    draw = lambda: showing.draw(trajectory, out / "figures")  # noqa: E731
    return Result(code, table, showing.remarks(summary), draw, f"results and figures in {out}")


def _loaded(loading: Future[Showing], checkpoint: Checkpoint) -> Showing:
    """Return what was loaded while the run was trained.

    Raises:
        InputError: a library cannot be loaded; the run can go on from its checkpoint, if it has one.
    """
    try:
        return loading.result()
    except Exception as error:  # a broken library may raise anything
        kept = f" {checkpoint.path} keeps the run, and --resume goes on from there." if checkpoint.path.exists() else ""
        raise InputError(
            "libraries of tables and figures",
            expected="to load them",
            given=f"{type(error).__name__}: {' '.join(str(error).split())}",
            fix=f"Install them anew.{kept}",
        ) from error


def _after(begin: Callable[[], object], meter: Meter) -> Meter:
    """Return a progress meter that first begins something else."""

    def show(epoch: int, loss: float) -> None:
        begin()
        meter(epoch, loss)

    return show


def checkpoint_in(folder: Path, first: int = 0) -> Checkpoint:
    """Return the checkpoint of a pass, given its first replicate."""
    return Checkpoint(folder / pass_checkpoint(first))


def print_resume_point(where: object, found: ResumePoint) -> None:
    """Print the epoch at which a run resumes."""
    text = "no checkpoint, starts anew"
    if found is not None:
        epoch, over = found
        text = f"complete at epoch {epoch:,}" if over else f"resumes at epoch {epoch:,}"
    print(f"{where}: {text}", file=sys.stderr)


def trained(train: Callable[[Meter], Any], epochs: int, label: str, checkpoint: Checkpoint) -> tuple[Any, int]:
    """Train with a progress bar; return the run or runs, even if they were interrupted, and the exit code.

    Raises:
        Diverged: a run has nothing to write, because its first loss is not finite.
    """
    try:
        with meter(epochs, label) as show:
            return train(show), 0
    except RunsInterrupted as stop:
        _print_interruption(stop, checkpoint)
        return stop.runs, INTERRUPTED
    except Interrupted as stop:
        if not stop.run.recorded:
            raise
        _print_interruption(stop, checkpoint)
        return stop.run, INTERRUPTED
    except Diverged as stop:
        if not stop.run.recorded:
            raise
        print(stop, file=sys.stderr)
        return stop.run, FAILED


def _print_interruption(stop: KeyboardInterrupt, checkpoint: Checkpoint) -> None:
    """Print after which epoch a run was interrupted, and how it goes on; flow has no checkpoint to go on from."""
    print(f"{stop}; --resume goes on from there" if checkpoint.path.exists() else stop, file=sys.stderr)


def write_numbers(trajectory: xr.Dataset, summary: dict[str, Any], out: Path) -> None:
    """Write trajectory and summary.

    Raises:
        StorageError: a file could not be written.
    """
    write_netcdf(out / TRAJECTORY, trajectory)
    write_json(out / SUMMARY, summary)
