"""Training of replicates, each from a start of its own into a folder of its own."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attn_dynamics.commands.run_steps import Result, checkpoint_in, print_resume_point, trained, write_numbers
from attn_dynamics.commands.shell import FAILED, INTERRUPTED
from attn_dynamics.files.storage import Damaged, make_folder, read_json_object, read_netcdf
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results import summary as results
from attn_dynamics.results.figures import replicates as replicates_figure
from attn_dynamics.results.figures import run as figures
from attn_dynamics.results.folder import SUMMARY, TRAJECTORY
from attn_dynamics.tasks import Task
from attn_dynamics.training import configured_run
from attn_dynamics.training.checkpoint import Checkpoint, resume_point
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.run import divergence_message


def run_replicates(config: Config, task: Task, start: Parameters, out: Path) -> Result:
    """Train all replicates in as few passes as memory allows, and write their results.

    Replicates whose loss is not finite at their start are left out.
    """
    summaries: dict[Path, dict[str, Any]] = {}
    first = code = 0
    while first < config.replicates and code != INTERRUPTED:
        checkpoint, wanted = checkpoint_in(out, first), config.replicates - first
        size = min(configured_run.pass_size(config, task, start, wanted, checkpoint), wanted)
        ended, left = _pass(config, task, range(first, first + size), checkpoint)
        first, code, summaries = first + size, max(code, ended), summaries | left
    if not summaries:
        raise FloatingPointError("no replicate has a finite loss at its start")
    summary, draw = _write_all(summaries, out)
    each = out / "replicate-0" / "figures"
    location = f"results in {out}, the figure of all replicates in {out / 'figures'}, those of each in {each} and so on"
    return Result(code, results.replicates_table(summary), results.broken(summary), draw, location)


def _pass(
    config: Config, task: Task, replicates: range, checkpoint: Checkpoint
) -> tuple[int, dict[Path, dict[str, Any]]]:
    """Train some replicates, write each one's numbers into its folder, and keep only their summaries in memory."""
    begun, out, whole = time.perf_counter(), checkpoint.path.parent, len(replicates) == config.replicates
    folders, which = [out / f"replicate-{replicate}" for replicate in replicates], _named(replicates)
    if config.resume:
        where = f"{out}" if whole else f"{out}, {which}"
        print_resume_point(where, resume_point(checkpoint, config.max_epochs))
        found = {folder: _finished(config, task, folder) for folder in folders}
        # A pass that is complete needs no checkpoint, which would take as much memory as training did.
        if all(found.values()):
            return 0, {folder: summary for folder, summary in found.items() if summary}
    starts = [configured_run.start(config, task, replicate) for replicate in replicates]
    label = f"{config.model}, {config.replicates} replicates" if whole else f"{config.model}, {which}"
    train = lambda show: configured_run.train_many(config, task, starts, checkpoint=checkpoint, meter=show)  # noqa: E731
    runs, code = trained(train, config.max_epochs, label, checkpoint)
    seconds, summaries = (time.perf_counter() - begun) / len(replicates), {}
    for replicate, folder, run, start in zip(replicates, folders, runs, starts, strict=True):
        epochs = run.trajectory.sizes["epoch"]
        if run.ended == "diverged":
            code = code or FAILED
            print(f"replicate {replicate}: {divergence_message(epochs, config.learning_rate)}", file=sys.stderr)
        if epochs:
            trajectory = results.annotate(run, config, task, start)
            summaries[folder] = results.summarise(trajectory, seconds)
            write_numbers(trajectory, summaries[folder], make_folder(folder))
    return code, summaries


def _named(replicates: range) -> str:
    """Return the numbers of some replicates in words."""
    first, last = replicates[0], replicates[-1]
    return f"replicate {first}" if first == last else f"replicates {first} to {last}"


def _finished(config: Config, task: Task, folder: Path) -> dict[str, Any] | None:
    """Return the summary of a replicate if its folder has the complete results of this configuration and data."""
    try:
        seconds, run = read_json_object(folder / SUMMARY).get("seconds"), read_netcdf(folder / TRAJECTORY)
    except Damaged:
        return None
    ended, last = run.attrs.get("ended"), run.sizes.get("epoch", 0) - 1
    complete = ended == "patience" or (ended, last) == ("epochs", config.max_epochs)
    same = run.attrs.get("data") == results.data_digest(task)
    return results.summarise(run, seconds) if complete and same and isinstance(seconds, float) else None


def _write_all(summaries: Mapping[Path, dict[str, Any]], out: Path) -> tuple[dict[str, Any], Callable[[], object]]:
    """Write the joint results of replicates; return their summary, and a function that draws them."""
    runs = [read_netcdf(folder / TRAJECTORY) for folder in summaries]
    summary = results.summarise_replicates([*summaries.values()])
    write_numbers(results.join(runs), summary, out)

    def draw() -> None:
        replicates_figure.save_replicates(runs, out / "figures")
        for folder, run in zip(summaries, runs, strict=True):
            figures.save_figures(run, folder / "figures")

    return summary, draw
