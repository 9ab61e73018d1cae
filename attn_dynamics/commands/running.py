"""One run, or replicates of it, from settings to a folder of results."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from attn_dynamics.commands.shell import FAILED, INTERRUPTED, record_command
from attn_dynamics.files.storage import Damaged, make_folder, read_json_object, read_netcdf, write_json, write_netcdf
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results import summary as results
from attn_dynamics.results.figures.run import save_figures
from attn_dynamics.results.folder import (
    CHECKPOINT,
    SUMMARY,
    TRAJECTORY,
    begin,
    open_folder,
    pass_checkpoint,
    write_config,
)
from attn_dynamics.system.console import console
from attn_dynamics.system.progress import meter
from attn_dynamics.tasks import Task, load_task
from attn_dynamics.training import experiment
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.training.loop import divergence_message
from attn_dynamics.training.run import Diverged, Interrupted, Run, RunsInterrupted
from attn_dynamics.training.settings import Config


def simulate(config: Config, line: str) -> int:
    """Run one configuration from data to figures; return the exit code. `line` calls the command.

    Raises:
        InputError: settings or data are bad; nothing was written.
        StorageError: a result could not be written.
    """
    task = load_task(config.task, experiment.task_options(config))
    for note in (*config.notes, *task.notes):
        print(note, file=sys.stderr)
    experiment.check(config, task)
    start = experiment.start(config, task)
    with open_folder(config) as out:
        try:
            return _simulate(config, task, start, out, line)
        except (Diverged, FloatingPointError) as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            print(f"interrupted; what was written to {out} is kept, --resume goes on with it", file=sys.stderr)
            return INTERRUPTED


def _simulate(config: Config, task: Task, start: Parameters, out: Path, line: str) -> int:
    """Train into an open folder; draw last, because numbers and table matter most."""
    begin(out, config)
    terminal = console()
    if config.replicates == 1:
        code, summary, draw = _run(config, task, start, out)
        # The final state of a diverged run means nothing.
        shown = results.table(summary) if summary["ended"] != "diverged" else None
    else:
        code, summary, draw = _run_replicates(config, task, start, out)
        shown = results.replicates_table(summary)
    write_config(out, config)
    record_command(out, line)
    if shown is not None:
        terminal.print(shown)
    for remark in results.broken(summary):
        terminal.print(remark, soft_wrap=True)
    draw()
    terminal.print(_whereabouts(config, out), soft_wrap=True)
    return code


def _run(config: Config, task: Task, start: Parameters, out: Path) -> tuple[int, dict[str, Any], Callable[[], object]]:
    """Train and write the numbers; return the exit code, their summary, and a function that draws them."""
    begun, checkpoint = time.perf_counter(), Checkpoint(out / CHECKPOINT)
    if config.resume:
        print(f"{out}: {_resume_point(config, task, checkpoint)}", file=sys.stderr)
    try:
        with meter(config.max_epochs, config.model) as show:
            run, code = experiment.train(config, task, start, checkpoint=checkpoint, meter=show), 0
    except (Interrupted, Diverged) as stop:
        if not stop.run.trajectory.sizes["epoch"]:
            raise
        print(stop, file=sys.stderr)
        run, code = stop.run, INTERRUPTED if isinstance(stop, Interrupted) else FAILED
    trajectory = results.annotate(run, config, task, start)
    summary = _leave(trajectory, time.perf_counter() - begun, out)
    return code, summary, lambda: save_figures(trajectory, out / "figures")


def _run_replicates(
    config: Config, task: Task, start: Parameters, out: Path
) -> tuple[int, dict[str, Any], Callable[[], object]]:
    """Train in as few passes as memory allows; drop replicates without an epoch, whose first loss is not finite."""
    summaries: dict[Path, dict[str, Any]] = {}
    first = code = 0
    while first < config.replicates and code != INTERRUPTED:
        checkpoint, wanted = Checkpoint(out / pass_checkpoint(first)), config.replicates - first
        size = min(experiment.pass_size(config, task, start, wanted, checkpoint), wanted)
        ended, left = _pass(config, task, range(first, first + size), checkpoint)
        first, code, summaries = first + size, max(code, ended), summaries | left
    if not summaries:
        raise FloatingPointError("no replicate has a finite loss at its start")
    return code, *_leave_all(summaries, out)


def _pass(
    config: Config, task: Task, replicates: range, checkpoint: Checkpoint
) -> tuple[int, dict[Path, dict[str, Any]]]:
    """Train some replicates, write each one's numbers into its folder, and keep only their summaries in memory."""
    begun, out, whole = time.perf_counter(), checkpoint.path.parent, len(replicates) == config.replicates
    folders, which = [out / f"replicate-{replicate}" for replicate in replicates], _named(replicates)
    if config.resume:
        where = f"{out}" if whole else f"{out}, {which}"
        print(f"{where}: {_resume_point(config, task, checkpoint)}", file=sys.stderr)
        found = {folder: _finished(config, task, folder) for folder in folders}
        if all(found.values()):  # reading them from the checkpoint would need the memory of training again
            return 0, {folder: summary for folder, summary in found.items() if summary}
    starts = [experiment.start(config, task, replicate) for replicate in replicates]
    label = f"{config.model}, {config.replicates} replicates" if whole else f"{config.model}, {which}"
    code, runs = _train(config, task, starts, checkpoint, label)
    seconds, summaries = (time.perf_counter() - begun) / len(replicates), {}
    for replicate, folder, run, start in zip(replicates, folders, runs, starts, strict=True):
        epochs = run.trajectory.sizes["epoch"]
        if run.ended == "diverged":
            code = code or FAILED
            print(f"replicate {replicate}: {divergence_message(epochs, config.learning_rate)}", file=sys.stderr)
        if epochs:
            trajectory = results.annotate(run, config, task, start)
            summaries[folder] = _leave(trajectory, seconds, make_folder(folder))
    return code, summaries


def _named(replicates: range) -> str:
    first, last = replicates[0], replicates[-1]
    return f"replicate {first}" if first == last else f"replicates {first} to {last}"


def _finished(config: Config, task: Task, folder: Path) -> dict[str, Any] | None:
    """Return the summary of a replicate if its folder has the complete results of this configuration and data."""
    try:
        summary = read_json_object(folder / SUMMARY)
        same = read_netcdf(folder / TRAJECTORY).attrs.get("data") == results.data_digest(task)
    except Damaged:
        return None
    ended = {"patience": True, "epochs": summary.get("epochs") == config.max_epochs}.get(
        str(summary.get("ended")), False
    )
    return summary if same and ended and results.is_summary(summary) else None


def _train(
    config: Config, task: Task, starts: Sequence[Parameters], checkpoint: Checkpoint, label: str
) -> tuple[int, list[Run]]:
    try:
        with meter(config.max_epochs, label) as show:
            return 0, experiment.train_many(config, task, starts, checkpoint=checkpoint, meter=show)
    except RunsInterrupted as stop:
        print(stop, file=sys.stderr)
        return INTERRUPTED, stop.runs


def _leave_all(summaries: Mapping[Path, dict[str, Any]], out: Path) -> tuple[dict[str, Any], Callable[[], object]]:
    """Write the joint results of replicates; return their summary, and a function that draws them."""
    runs = [read_netcdf(folder / TRAJECTORY) for folder in summaries]
    write_netcdf(out / TRAJECTORY, results.join(runs))
    summary = results.summarise_replicates([*summaries.values()])
    write_json(out / SUMMARY, summary)

    def draw() -> None:
        # Import late: matplotlib loads slowly, and single runs do not need it here.
        from attn_dynamics.results.figures.replicates import save_spread

        save_spread(runs, out / "figures")
        for folder, run in zip(summaries, runs, strict=True):
            save_figures(run, folder / "figures")

    return summary, draw


def _leave(trajectory: xr.Dataset, seconds: float, out: Path) -> dict[str, Any]:
    """Write the numbers of one run; return its summary."""
    summary = results.summarise(trajectory, seconds)
    write_netcdf(out / TRAJECTORY, trajectory)
    write_json(out / SUMMARY, summary)
    return summary


def _whereabouts(config: Config, out: Path) -> str:
    if config.replicates == 1:
        return f"results and figures in {out}"
    each = out / "replicate-0" / "figures"
    return f"results in {out}, the figure of all replicates in {out / 'figures'}, those of each in {each} and so on"


def _resume_point(config: Config, task: Task, checkpoint: Checkpoint) -> str:
    found = experiment.resume_point(config, task, checkpoint)
    if found is None:
        return "nothing to go on from, starts anew"
    epoch, over = found
    return f"complete at epoch {epoch:,}" if over else f"goes on from epoch {epoch:,}"
