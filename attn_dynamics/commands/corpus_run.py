"""One run or several replicates, from settings to a folder of results."""

import sys
from functools import partial
from pathlib import Path

from attn_dynamics.commands.run_steps import Result, Showing, into_folder, one_run
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks import Task, load_task
from attn_dynamics.training import configured_run
from attn_dynamics.training.checkpoint import resume_point
from attn_dynamics.training.corpus_config import Config


def simulate(config: Config, line: str) -> int:
    """Run one configuration from data to figures; return the exit code. The line `line` calls the command.

    Raises:
        InputError: settings or data cannot be used; nothing was written.
        StorageError: a result could not be written.
    """
    task = load_task(config.task, configured_run.task_options(config))
    for note in configured_run.notes(config, task):
        print(note, file=sys.stderr)
    configured_run.check(config, task)
    start = configured_run.start(config, task)
    configured_run.check_start(config, task, start)
    run = _run if config.replicates == 1 else _run_replicates
    return into_folder(config, line, lambda out: run(config, task, start, out))


def _run(config: Config, task: Task, start: Parameters, out: Path) -> Result:
    return one_run(
        config,
        out,
        resume_point=partial(resume_point, epochs=config.max_epochs),
        train=lambda checkpoint, meter: configured_run.train(config, task, start, checkpoint=checkpoint, meter=meter),
        show=partial(_showing, config, task, start),
    )


def _showing(config: Config, task: Task, start: Parameters) -> Showing:
    """Load what sets a run beside the theory, which takes as long as a short run."""
    from attn_dynamics.results import summary
    from attn_dynamics.results.figures import run as figures

    return Showing(
        annotate=partial(summary.annotate, config=config, task=task, start=start),
        summarise=summary.summarise,
        table=summary.table,
        remarks=summary.broken,
        draw=figures.save_figures,
    )


def _run_replicates(config: Config, task: Task, start: Parameters, out: Path) -> Result:
    from attn_dynamics.commands.replicates import run_replicates

    return run_replicates(config, task, start, out)
