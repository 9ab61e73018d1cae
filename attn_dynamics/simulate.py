"""The command: one run, or replicates of it, with its results in a folder.

python -m attn_dynamics.simulate --model attn-tc
"""

import gc
import sys
import time
from pathlib import Path
from typing import Any

import tyro
import xarray as xr
from rich.console import Console

from attn_dynamics import experiment, results
from attn_dynamics.checkpoint import Checkpoint
from attn_dynamics.command import FAILED, INTERRUPTED, called, guarded, leave_command
from attn_dynamics.config import Config
from attn_dynamics.descent import too_fast
from attn_dynamics.folder import open_folder, write_config
from attn_dynamics.parameters import Parameters
from attn_dynamics.plot import save_figures
from attn_dynamics.progress import meter
from attn_dynamics.run import Diverged, Interrupted, RunsInterrupted
from attn_dynamics.storage import make_folder, write_json, write_netcdf
from attn_dynamics.tasks import Task, load_task


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    prog, lost = "python -m attn_dynamics.simulate", "interrupted before anything was computed"
    line = called(prog, arguments)
    return guarded(lambda: simulate(tyro.cli(Config, args=arguments, prog=prog), line), interrupted=lost)


def simulate(config: Config, line: str) -> int:
    """One configuration from data to figures; the exit code. `line` is the command.

    Raises:
        InputError: bad settings or data; nothing was written then.
        StorageError: a result could not be written.
    """
    task = load_task(config.task, experiment.task_options(config))
    for note in task.notes:
        print(note, file=sys.stderr)
    experiment.check(config, task)
    starts = [experiment.start(config, task, replicate) for replicate in range(config.replicates)]
    out = open_folder(config)
    try:
        return _simulate(config, task, starts, out, line)
    except Diverged as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"interrupted; what was written to {out} is kept, --resume goes on with it", file=sys.stderr)
        return INTERRUPTED


def _simulate(config: Config, task: Task, starts: list[Parameters], out: Path, line: str) -> int:
    console, checkpoint = Console(markup=False, highlight=False), Checkpoint(out / "checkpoint.npz")
    if config.resume:
        print(f"{out}: {_told(experiment.standing(config, task, checkpoint))}", file=sys.stderr)
    if config.replicates == 1:
        code, summary = _run(config, task, starts[0], checkpoint, out)
        console.print(results.table(summary))
    else:
        code, summary = _run_replicates(config, task, starts, checkpoint, out)
        console.print(results.replicates_table(summary))
    if remark := results.far_from_flow(summary):
        console.print(remark, soft_wrap=True)
    write_config(out, config)
    leave_command(out, line)
    console.print(_whereabouts(config, out), soft_wrap=True)
    return code


def _run(
    config: Config, task: Task, start: Parameters, checkpoint: Checkpoint, out: Path
) -> tuple[int, dict[str, Any]]:
    begun = time.perf_counter()
    try:
        with meter(config.horizon, config.model) as show:
            run, code = experiment.train(config, task, start, checkpoint=checkpoint, meter=show), 0
    except (Interrupted, Diverged) as stop:
        if not stop.run.trajectory.sizes["epoch"]:
            raise
        print(stop, file=sys.stderr)
        run, code = stop.run, INTERRUPTED if isinstance(stop, Interrupted) else FAILED
    trajectory = results.annotate(run, config, task, start)
    return code, _leave(trajectory, time.perf_counter() - begun, out)


def _run_replicates(
    config: Config, task: Task, starts: list[Parameters], checkpoint: Checkpoint, out: Path
) -> tuple[int, dict[str, Any]]:
    """All in one pass; those that have no epoch to show, for their loss is no number at the start, are left out."""
    begun, code = time.perf_counter(), 0
    try:
        with meter(config.horizon, f"{config.model}, {config.replicates} replicates") as show:
            runs = experiment.train_many(config, task, starts, checkpoint=checkpoint, meter=show)
    except RunsInterrupted as stop:
        print(stop, file=sys.stderr)
        runs, code = stop.runs, INTERRUPTED
    seconds = (time.perf_counter() - begun) / config.replicates
    trajectories, summaries = [], []
    for replicate, (run, start) in enumerate(zip(runs, starts, strict=True)):
        epochs = run.trajectory.sizes["epoch"]
        if run.ended == "diverged":
            code = code or FAILED
            print(f"replicate {replicate}: {too_fast(epochs, config.learning_rate)}", file=sys.stderr)
        if epochs:
            trajectories.append(results.annotate(run, config, task, start))
            summaries.append(_leave(trajectories[-1], seconds, make_folder(out / f"replicate-{replicate}")))
    if not trajectories:
        raise Diverged(runs[0], "no replicate has a finite loss at its start")
    write_netcdf(out / "trajectory.nc", results.join(trajectories))
    summary = results.summarise_replicates(summaries)
    write_json(out / "summary.json", summary)
    # Matplotlib takes its time to load, and a run of its own need not wait for it before it starts.
    from attn_dynamics.spread import save_spread

    save_spread(trajectories, out / "figures")
    return code, summary


def _leave(trajectory: xr.Dataset, seconds: float, out: Path) -> dict[str, Any]:
    """Write down one run; its summary."""
    summary = results.summarise(trajectory, seconds)
    write_netcdf(out / "trajectory.nc", trajectory)
    write_json(out / "summary.json", summary)
    save_figures(trajectory, out / "figures")
    return summary


def _whereabouts(config: Config, out: Path) -> str:
    if config.replicates == 1:
        return f"results and figures in {out}"
    each = out / "replicate-0" / "figures"
    return f"results in {out}, the figure of all replicates in {out / 'figures'}, those of each in {each} and so on"


def _told(found: tuple[int, bool] | None) -> str:
    """Of what a checkpoint holds, whether and from where it is gone on with."""
    if found is None:
        return "nothing to go on from, starts anew"
    epoch, over = found
    return f"complete at epoch {epoch:,}" if over else f"goes on from epoch {epoch:,}"


if __name__ == "__main__":
    gc.freeze()  # what the imports made is no garbage: to look at it again and again takes a twelfth of a short run
    sys.exit(main())
