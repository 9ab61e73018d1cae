"""Steps of every run of the command: resume and train, write the numbers, show them, draw last."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr
from rich.console import RenderableType

from attn_dynamics.commands.shell import FAILED, INTERRUPTED, record_command
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

Meter = Callable[[int, float], None]
ResumePoint = tuple[int, bool] | None
"""Epoch to resume at, and whether nothing is left to do; None without a checkpoint."""


class Result(NamedTuple):
    """Result of a run whose numbers are written."""

    code: int
    """Exit code."""
    table: RenderableType | None
    remarks: list[str]
    draw: Callable[[], object]
    """Function that draws all figures."""
    place: str
    """Sentence that says where the results are."""


def into_folder(config: Settings, line: str, run: Callable[[Path], Result]) -> int:
    """Run into the folder of a configuration and draw last; return the exit code. `line` calls the command.

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
            terminal.print(result.place, soft_wrap=True)
            return result.code
        except (Diverged, FloatingPointError) as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            print(f"interrupted; what was written to {out} is kept, --resume goes on with it", file=sys.stderr)
            return INTERRUPTED


def one_run(
    config: Any,
    out: Path,
    *,
    resume_point: Callable[[Checkpoint], ResumePoint],
    train: Callable[[Checkpoint, Meter], Any],
    annotate: Callable[[Any], xr.Dataset],
    summarise: Callable[[xr.Dataset, float], dict[str, Any]],
    table: Callable[[dict[str, Any]], RenderableType],
    remarks: Callable[[dict[str, Any]], list[str]],
    draw: Callable[[xr.Dataset, Path], object],
) -> Result:
    """Train one model into a folder and write its numbers.

    Args:
        config: configuration of the run.
        out: its folder.
        resume_point: where a run resumes from a checkpoint.
        train: training with a checkpoint and a progress meter.
        annotate: trajectory of a run with all that figures need.
        summarise: summary of a trajectory, given the seconds it took.
        table: table of a summary.
        remarks: sentences below the table.
        draw: function that draws a trajectory into a folder.
    """
    begun, checkpoint = time.perf_counter(), checkpoint_in(out)
    if config.resume:
        print_resume_point(out, resume_point(checkpoint))
    run, code = trained(lambda show: train(checkpoint, show), config.max_epochs, config.model)
    trajectory = annotate(run)
    summary = summarise(trajectory, time.perf_counter() - begun)
    write_numbers(trajectory, summary, out)
    # The final state of a diverged run means nothing.
    shown = table(summary) if summary["ended"] != "diverged" else None
    place = f"results and figures in {out}"
    return Result(code, shown, remarks(summary), lambda: draw(trajectory, out / "figures"), place)


def checkpoint_in(folder: Path, first: int = 0) -> Checkpoint:
    """Return the checkpoint of the pass whose first replicate is given."""
    return Checkpoint(folder / pass_checkpoint(first))


def print_resume_point(where: object, found: ResumePoint) -> None:
    """Print where a run resumes."""
    text = "nothing to go on from, starts anew"
    if found is not None:
        epoch, over = found
        text = f"complete at epoch {epoch:,}" if over else f"goes on from epoch {epoch:,}"
    print(f"{where}: {text}", file=sys.stderr)


def trained(train: Callable[[Meter], Any], epochs: int, label: str) -> tuple[Any, int]:
    """Train with a progress bar; return the run or runs, complete or as far as they came, and the exit code.

    Raises:
        Diverged: a run has nothing to write, because its first loss is not finite.
    """
    try:
        with meter(epochs, label) as show:
            return train(show), 0
    except RunsInterrupted as stop:
        print(stop, file=sys.stderr)
        return stop.runs, INTERRUPTED
    except (Interrupted, Diverged) as stop:
        if not stop.run.recorded:
            raise
        print(stop, file=sys.stderr)
        return stop.run, INTERRUPTED if isinstance(stop, Interrupted) else FAILED


def write_numbers(trajectory: xr.Dataset, summary: dict[str, Any], out: Path) -> None:
    """Write trajectory and summary.

    Raises:
        StorageError: a file could not be written.
    """
    write_netcdf(out / TRAJECTORY, trajectory)
    write_json(out / SUMMARY, summary)
