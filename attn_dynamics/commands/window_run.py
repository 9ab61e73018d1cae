"""The command for `--model attn-window`: it trains the width of a bell, with the results in a folder."""

import math
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.table import Table

from attn_dynamics.commands.run_steps import Meter, Result, Showing, into_folder, one_run
from attn_dynamics.commands.window_config import WindowConfig
from attn_dynamics.errors import InputError
from attn_dynamics.results import summary as results
from attn_dynamics.results.assumptions import as_text, from_text, percent, sentences
from attn_dynamics.results.figures.window import save_window_figures
from attn_dynamics.results.window_assumptions import OFF, window_assumptions
from attn_dynamics.results.window_dataset import dataset, predict
from attn_dynamics.training.checkpoint import Checkpoint, resume_point
from attn_dynamics.training.recording import snapshots_due
from attn_dynamics.window.dynamics import TRAIN, Trajectory, descend, flow
from attn_dynamics.window.layer import Fit, loss_and_gradient
from attn_dynamics.window.tasks import STATES, WindowTask, load_window_task

WIDEST = 1e150
"""Bound on the initial σ, in tokens; above it σ² and the number of tokens that the bell reaches are not finite."""


def simulate_window(config: WindowConfig, line: str) -> int:
    """Run one configuration from data to figures; return the exit code. The line `line` calls the command.

    Raises:
        InputError: settings cannot be used; nothing was written.
        StorageError: a result could not be written.
    """
    task = load(config)
    for note in config.notes:
        print(note, file=sys.stderr)
    return into_folder(config, line, lambda out: _run(config, task, out))


def _run(config: WindowConfig, task: WindowTask, out: Path) -> Result:
    return one_run(
        config,
        out,
        resume_point=partial(resume_point, epochs=config.epochs),
        train=partial(_train, config, task),
        show=partial(_showing, config, task),
    )


def _showing(config: WindowConfig, task: WindowTask) -> Showing:
    annotate, summary = partial(_annotate, config, task), partial(summarise, config)
    return Showing(annotate=annotate, summarise=summary, table=table, remarks=off_theory, draw=save_window_figures)


def _train(config: WindowConfig, task: WindowTask, checkpoint: Checkpoint, meter: Meter) -> Trajectory:
    if config.flow:
        settings = {"train": task.train, "bell_rate": config.bell_rate}
        times = config.rate * np.array([*snapshots_due(config.epochs - 1, STATES), config.epochs])
        shown = lambda time, loss: meter(round(time / config.rate), loss)  # noqa: E731
        return flow(task.windows, task.layer, times=times, log_time=True, **settings, meter=shown)
    recorded = {"evaluate_on": task.others, "record": STATES, "checkpoint": checkpoint, "meter": meter}
    return descend(task.windows, task.layer, config.training, train=task.train, **recorded)


def _annotate(config: WindowConfig, task: WindowTask, run: Trajectory) -> xr.Dataset:
    """Return the trajectory with its prediction and everything that figures and summary need."""
    rate = 0.0 if config.flow else config.rate
    predicted = predict(task, run.times, learning_rate=rate, bell_rate=config.bell_rate)
    trajectory = dataset(task, run, predicted)
    best = {name: run.fit(name, run.best_epoch) for name in run.curves}
    fits = {f"{name}_{part}": value for name, fit in best.items() for part, value in fit._asdict().items()}
    last = round(float(run.times[-1]) / config.rate) if config.flow else run.recorded - 1
    return trajectory.assign_attrs(
        assumptions=as_text(window_assumptions(task, trajectory, learning_rate=rate)),
        title=f"{config.model}, {config.task}, {config.placement}, {config.scale} trained, seed {config.seed}",
        settles=math.nan if task.settles is None else task.settles,
        versions=results.versions(),
        epochs=last,
        ended="epochs" if run.ended == "time" else run.ended,
        best_epoch=last if config.flow else run.best_epoch,
        **{name: value for name, value in fits.items() if value is not None},
    )


def load(config: WindowConfig) -> WindowTask:
    """Return the task of a configuration.

    Raises:
        InputError: the initial bell reaches no useful token, is too wide, or its loss or gradient is not finite.
    """
    config.options.check_room(config.task, config.epochs)
    # A bell that is too narrow or too wide has a NaN loss or gradient.
    with suppress(InputError, OverflowError), np.errstate(all="ignore"):
        drawn = config.task, config.options, config.bell, config.width, config.loss, config.seed
        task = load_window_task(*drawn, dev=config.training.patience is not None and not config.flow)
        fit, gradient = loss_and_gradient(task.windows, task.layer)
        if math.isfinite(fit.loss) and math.isfinite(gradient.parameter) and config.width < WIDEST:
            return task
    raise InputError(
        "--start-width",
        expected="a bell that reaches a useful token and has a gradient in float64",
        given=f"{config.width:g} for a distance of {config.options.distance}",
        fix=f"Start between {config.options.distance / 10:g} and {10 * config.options.half_width:g}.",
    )


def summarise(config: WindowConfig, run: xr.Dataset, seconds: float) -> dict[str, Any]:
    """Return the summary of a run: losses and accuracies at the best epoch, everything else at the last epoch.

    `prediction_residual` is the largest relative distance of σ from its prediction.
    """
    ends, predicted = run.isel(time=-1), "predicted_width" in run
    return {
        "model": config.model,
        "task": config.task,
        "placement": config.placement,
        "scale": config.scale,
        "seed": config.seed,
        **{name: run.attrs[name] for name in ("epochs", "ended", "best_epoch")},
        **{f"{name}_{part}": run.attrs.get(f"{name}_{part}") for name in (TRAIN, "dev") for part in Fit._fields},
        "start_width": float(run.width[0]),
        "width": float(ends.width),
        "predicted_width": float(ends.predicted_width) if predicted else None,
        "prediction_residual": float(abs(run.width / run.predicted_width - 1.0).max()) if predicted else None,
        "assumptions": [each._asdict() for each in from_text(run.attrs["assumptions"])],
        "settles": float(run.attrs["settles"]),
        "tokens_reached": int(ends.reached),
        "tokens_held": int(ends.held),
        "score": float(ends.score),
        "versions": run.attrs["versions"],
        "seconds": seconds,
    }


def table(summary: dict[str, Any]) -> Table:
    """Return the table of one run beside the theory."""
    out = results.fits_table(summary)
    width, predicted, settles = (summary[name] for name in ("width", "predicted_width", "settles"))
    for theory, source in ((predicted, "D2–D6, now"), (settles, "D4, in the end")):
        if theory is not None and math.isfinite(theory):
            out.add_row("σ", f"{width:.4f}", f"{theory:.4f}", f"{100 * (width / theory - 1):+z.2f} %", source)
    if summary["prediction_residual"] is not None:
        out.add_row("σ over time", "", "predicted", f"≤ {100 * summary['prediction_residual']:.2f} %", "D2–D6")
    out.add_row("tokens, bell above 0", f"{summary['tokens_reached']}", "", "", "D1")
    out.add_row("tokens, 95 % of mass", f"{summary['tokens_held']}", "", "", "")
    return out


def off_theory(summary: dict[str, Any]) -> list[str]:
    """Return sentences on the failed assumptions; if none fails, one on a deviation from the prediction, if any."""
    residual = summary["prediction_residual"]
    off = "no prediction" if residual is None else f"here up to {percent(residual)} off"
    names = {law: f"the prediction of σ ({law}, {off})" for law in ("D2", "D3")} | {"D4": "where σ settles (D4)"}
    remarks = [text[0].upper() + text[1:] for text in sentences(summary["assumptions"], names)]
    if residual is None:
        return [*remarks, "No prediction: its equations could not be followed at these rates."]
    if residual > OFF and not remarks:
        off = f"σ is up to {percent(residual)} off its prediction, although every checked assumption holds."
        return [f"{off} --flow, or a smaller --learning-rate, shows whether long steps are the cause."]
    return remarks
