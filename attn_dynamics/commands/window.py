"""The command for `--model attn-window`: one run of the bell's width, with its results in a folder."""

import math
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.table import Table
from rich.text import Text

from attn_dynamics.commands.shell import FAILED, record_command
from attn_dynamics.commands.window_settings import WindowConfig
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import write_json, write_netcdf
from attn_dynamics.results import summary as results
from attn_dynamics.results.assumptions import as_text, from_text, percent, sentences
from attn_dynamics.results.figures.window import save_window_figures
from attn_dynamics.results.folder import SUMMARY, TRAJECTORY, begin, open_folder, write_config
from attn_dynamics.results.window import dataset, predict, recorded_epochs
from attn_dynamics.results.window_assumptions import OFF, window_assumptions
from attn_dynamics.system.console import console
from attn_dynamics.system.progress import meter
from attn_dynamics.window.dynamics import Course, descend, flow
from attn_dynamics.window.layer import loss_and_gradient
from attn_dynamics.window.tasks import TASKS, WindowTask

WIDEST = 1e150
"""Bound on σ at the start, tokens: beyond it the square of σ and the tokens it reaches are not finite."""
TOO_FAST = "the step after time {time:g} leads to no bell, or to a loss that is no number: lower --learning-rate"


def simulate_window(config: WindowConfig, line: str) -> int:
    """Run one configuration from data to figures; return the exit code. `line` calls the command.

    Raises:
        InputError: settings are bad; nothing was written.
        StorageError: a result could not be written.
    """
    task = load(config)
    for note in config.notes:
        print(note, file=sys.stderr)
    with open_folder(config) as out:
        begin(out, config)
        try:
            return _simulate(config, task, out, line)
        except ArithmeticError as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED


def _simulate(config: WindowConfig, task: WindowTask, out: Path, line: str) -> int:
    """Train into an open folder, and draw last; return the exit code."""
    begun = time.perf_counter()
    course, rate = _course(config, task), 0.0 if config.flow else config.rate
    predicted = predict(task, course.times, learning_rate=rate, bell_rate=config.bell_rate)
    run = dataset(task, course, predicted)
    run = run.assign_attrs(
        assumptions=as_text(window_assumptions(task, run, learning_rate=rate)),
        title=f"{config.model}, {config.task}, {config.placement}, {config.scale} trained, seed {config.seed}",
        settles=math.nan if task.settles is None else task.settles,
        versions=results.versions(),
    )
    summary = summarise(config, run, course, time.perf_counter() - begun)
    write_netcdf(out / TRAJECTORY, run)
    write_json(out / SUMMARY, summary)
    write_config(out, config)
    record_command(out, line)
    terminal = console()
    terminal.print(table(summary))
    for remark in off_theory(summary):
        terminal.print(remark, soft_wrap=True)
    if course.diverged:
        print(f"error: {TOO_FAST.format(time=course.times[-1])}", file=sys.stderr)
    save_window_figures(run, out / "figures")
    terminal.print(f"results and figures in {out}", soft_wrap=True)
    return FAILED if course.diverged else 0


def load(config: WindowConfig) -> WindowTask:
    """Return the task of a configuration.

    Raises:
        InputError: the bell at the start reaches nothing useful, is too wide, or has no finite loss and gradient.
    """
    config.options.check_room(config.task)
    rng = np.random.default_rng(config.seed)
    # A bell that is too narrow or too wide has a NaN loss or gradient.
    with suppress(InputError, OverflowError), np.errstate(all="ignore"):
        task = TASKS[config.task](config.options, config.bell, config.width, config.loss, rng)
        fit, gradient = loss_and_gradient(task.windows, task.layer)
        if math.isfinite(fit.loss) and math.isfinite(gradient.parameter) and config.width < WIDEST:
            return task
    raise InputError(
        "--start-width",
        expected="a bell that reaches what is useful, and has a gradient, in float64",
        given=f"{config.width:g} for a distance of {config.options.distance}",
        fix=f"Start between {config.options.distance / 10:g} and {10 * config.options.half_width:g}.",
    )


def summarise(config: WindowConfig, run: xr.Dataset, course: Course, seconds: float) -> dict[str, Any]:
    """Summarise a run; its residual is the largest relative distance of σ from its prediction."""
    ends = run.isel(time=-1)
    found: dict[str, Any] = {
        "model": config.model,
        "task": config.task,
        "placement": config.placement,
        "scale": config.scale,
        "seed": config.seed,
        "epochs": config.epochs,
        "ended": "diverged" if course.diverged else "epochs",
        "train_loss": float(ends.loss),
        "train_accuracy": float(ends.accuracy) if "accuracy" in run else None,
        "start_width": float(run.width[0]),
        "width": float(ends.width),
        "predicted_width": float(ends.predicted_width) if "predicted_width" in run else None,
        "prediction_residual": None,
        "assumptions": [each._asdict() for each in from_text(run.attrs["assumptions"])],
        "settles": float(run.attrs["settles"]),
        "tokens_reached": int(ends.reached),
        "tokens_held": int(ends.held),
        "score": float(ends.score),
    }
    if "predicted_width" in run:
        found["prediction_residual"] = float(abs(run.width / run.predicted_width - 1.0).max())
    return found | {"versions": run.attrs["versions"], "seconds": seconds}


def table(summary: dict[str, Any]) -> Table:
    """Show one run beside the theory."""
    story = "diverged" if summary["ended"] == "diverged" else f"{summary['epochs']:,} epochs"
    out = Table(title=Text(f"attn-window, {summary['task']}, seed {summary['seed']}: {story}"))
    for name in ("quantity", "measured", "theory", "difference", "source"):
        out.add_column(name, justify="left" if name in ("quantity", "source") else "right")
    out.add_row("training loss", f"{summary['train_loss']:.4g}", "", "", "")
    width, predicted, settles = (summary[name] for name in ("width", "predicted_width", "settles"))
    for theory, source in ((predicted, "D2–D6, now"), (settles, "D4, in the end")):
        if theory is not None and math.isfinite(theory):
            out.add_row("σ", f"{width:.4f}", f"{theory:.4f}", f"{100 * (width / theory - 1):+z.2f} %", source)
    if summary["prediction_residual"] is not None:
        out.add_row("σ over time", "", "predicted", f"≤ {100 * summary['prediction_residual']:.2f} %", "D2–D6")
    out.add_row("tokens, as W22 counts", f"{summary['tokens_reached']}", "", "", "D1")
    out.add_row("tokens, 95 % of mass", f"{summary['tokens_held']}", "", "", "")
    return out


def off_theory(summary: dict[str, Any]) -> list[str]:
    """Describe the failed assumptions; if none fails, say whether the run deviates from its prediction."""
    residual = summary["prediction_residual"]
    off = "no prediction" if residual is None else f"here up to {percent(residual)} off"
    names = {law: f"the prediction of σ ({law}, {off})" for law in ("D2", "D3")} | {"D4": "where σ settles (D4)"}
    told = [text[0].upper() + text[1:] for text in sentences(summary["assumptions"], names)]
    if residual is None:
        return [*told, "No prediction: its equations could not be followed at these rates."]
    if residual > OFF and not told:
        off = f"σ is up to {percent(residual)} off its prediction, though every assumption that is checked holds."
        return [f"{off} --flow, or a smaller --learning-rate, shows whether it is the steps."]
    return told


def _course(config: WindowConfig, task: WindowTask) -> Course:
    epochs = recorded_epochs(config.epochs)
    if config.flow:
        times = config.rate * np.array(epochs)
        return flow(task.windows, task.layer, times=times, log_time=True, train=task.train, bell_rate=config.bell_rate)
    with meter(config.epochs, config.model) as show:
        return descend(
            task.windows,
            task.layer,
            learning_rate=config.rate,
            epochs=config.epochs,
            train=task.train,
            bell_rate=config.bell_rate,
            record=epochs,
            meter=show,
        )
