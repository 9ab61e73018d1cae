"""Figures of `simulations.squad`: scores and their differences, and losses, F1 and σ along the training."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import FEWEST, interval
from attn_dynamics.window.w22 import SCORES
from simulations.squad_cost import cost_figure, costs_of
from simulations.squad_differences import Difference
from simulations.squad_heads import heads, heads_figure
from simulations.squad_rows import NONE, ROWS, Runs

SMOOTHED = 20
"""Number of parts into which training steps are averaged for the loss figure."""


def scores(runs: Sequence[xr.Dataset], of: str) -> Array:
    """Return F1 (`f1`) or exact match (`em`) of runs (seeds,), in per cent."""
    return np.array([run.attrs[of] for run in runs])


def drawings(runs: Runs, compared: Mapping[str, Difference], glimpsed: int) -> dict[str, Callable[[], Figure]]:
    """Return the figures that have data; readers were evaluated during training on the first `glimpsed` questions."""
    trained = {name: each for name, each in runs.items() if ROWS[name].bell_rate}
    found = {
        "scores": partial(scores_figure, runs),
        "loss": partial(loss_figure, runs),
        "learning": partial(learning_figure, runs, glimpsed),
    }
    if compared:
        found["differences"] = partial(differences_figure, compared)
    if trained:
        found["widths"] = partial(widths_figure, trained)
    if costs := costs_of(runs):
        found["cost"] = partial(cost_figure, costs)
    if by_head := heads(runs):
        found["heads"] = partial(heads_figure, by_head)
    return found


def scores_figure(runs: Runs) -> Figure:
    """Draw F1 and EM of every row, beside W22's if it has them."""
    figure, ((axes,),) = style.panels((7.6, 1.2 + 0.34 * len(runs)))
    places = np.arange(len(runs), dtype=float)[::-1]
    for k, (of, label) in enumerate((("f1", "F1"), ("em", "exact match"))):
        _draw_seeds(axes, [scores(each, of) for each in runs.values()], places + 0.12 - 0.24 * k, k, label)
        theirs = [(SCORES[name][k], place) for name, place in zip(runs, places, strict=True) if name in SCORES]
        if theirs:
            given = {"mfc": "white", "color": style.COLOURS[k], "ms": 4}
            axes.plot(*zip(*theirs, strict=True), style.MARKERS[k], label=f"{label}, W22", **given)
    axes.set(yticks=places, yticklabels=[ROWS[name].title for name in runs], xlim=(0.0, None), ylim=_around(places))
    axes.set_xlabel(f"questions of dev, per cent; {_seeds_as([scores(each, 'f1') for each in runs.values()])}")
    style.legend_below(figure, 4)
    return figure


def differences_figure(compared: Mapping[str, Difference]) -> Figure:
    """Draw the mean differences in F1 between rows, with their intervals over questions, and those of each seed."""
    figure, ((axes,),) = style.panels((7.6, 1.0 + 0.34 * len(compared)))
    places = np.arange(len(compared), dtype=float)[::-1]
    points = {place: interval(each.by_question) for place, each in zip(places, compared.values(), strict=True)}
    style.draw_points(axes, points, 0, None, sideways=True)
    _draw_strokes(axes, [each.by_seed for each in compared.values()], places, 0)
    axes.axvline(0.0, **style.REFERENCE)
    axes.set(yticks=places, yticklabels=list(compared), ylim=_around(places))
    questions = min(len(each.by_question) for each in compared.values())
    mean = f"mean over {questions} questions" if questions < FEWEST else "mean, 95 % interval over questions"
    axes.set_xlabel(f"difference in F1 (points); {mean}, and each seed")
    return figure


def _around(places: Array) -> tuple[float, float]:
    """Return the limits of an axis that leave room for the strokes of the first and the last place."""
    return places[-1] - 0.6, places[0] + 0.6


def _draw_seeds(axes: Axes, values: Sequence[Array], places: Array, k: int, label: str | None = None) -> None:
    """Draw means with 95 % intervals, and seeds as strokes below; with few seeds, means without intervals."""
    points = {place: interval(each) for place, each in zip(places, values, strict=True)}
    style.draw_points(axes, points, k, label, sideways=True)
    _draw_strokes(axes, values, places, k)


def _draw_strokes(axes: Axes, values: Sequence[Array], places: Array, k: int) -> None:
    """Draw the seeds (seeds,) of each place as strokes below it."""
    below = np.repeat(places - 0.08, [len(each) for each in values])
    axes.plot(np.concatenate(values), below, "|", color=style.COLOURS[k], ms=9, mew=0.8)


def _seeds_as(values: Sequence[Array]) -> str:
    """Return a description of the marks and strokes."""
    seeds = min(len(each) for each in values)
    return f"mean and each of {seeds} seeds" if seeds < FEWEST else "mean, 95 % interval and each seed"


def widths_figure(runs: Runs) -> Figure:
    """Draw σ of each row over the steps, as mean over layers, heads and seeds."""

    def width(each: Sequence[xr.Dataset]) -> tuple[Array, Array]:
        mean = np.mean([run.width.mean(["layer", "bell"]).values for run in each], axis=0)
        return each[0].step.values + 1.0, mean

    return _by_family(runs, width, "σ (tokens)", yscale="log")


def loss_figure(runs: Runs) -> Figure:
    """Draw the training loss of each row, averaged over parts of the training, as mean over seeds."""

    def loss(each: Sequence[xr.Dataset]) -> tuple[Array, Array]:
        steps = each[0].sizes["step"]
        parts = np.array_split(np.arange(steps), min(SMOOTHED, steps))
        values = np.array([[run.loss.values[part].mean() for part in parts] for run in each], float).mean(axis=0)
        return np.array([part.mean() + 1 for part in parts]), values

    return _by_family(runs, loss, "loss (nats)")


def learning_figure(runs: Runs, glimpsed: int) -> Figure:
    """Draw F1 along the training of each row, on the same dev questions at all steps, as mean over seeds."""

    def learning(each: Sequence[xr.Dataset]) -> tuple[Array, Array]:
        along = np.mean([run.judged.values for run in each], axis=0)
        places = np.flatnonzero(np.isfinite(along))
        end = 100.0 * np.mean([run.overlap.values[:glimpsed].mean() for run in each])
        return np.array([*places, along.size], float), np.array([*along[places], end], float)

    return _by_family(runs, learning, f"F1 on {glimpsed} questions (%)", ylim=(0.0, None))


def _by_family(
    runs: Runs, curve: Callable[[Sequence[xr.Dataset]], tuple[Array, Array]], label: str, **scales: Any
) -> Figure:
    """Draw a curve of each row over the steps, with a panel for each family and the row without a bell in all."""
    others: dict[str, list[str]] = {}
    for name in runs:
        if name != NONE:
            others.setdefault(ROWS[name].family, []).append(name)
    families = others or {ROWS[NONE].title: []}
    most = max(map(len, families.values()))
    size = (8.4, (0.9 + max(1.2, 0.17 * (most + 1))) * len(families))
    figure, axes = style.panels(size, len(families), titles=families, layout="constrained", sharex=True, sharey=True)
    for panel, names in zip(axes.ravel(), families.values(), strict=True):
        if NONE in runs:
            panel.plot(*curve(runs[NONE]), label=ROWS[NONE].title, **style.REFERENCE)
        for k, name in enumerate(names):
            panel.plot(*curve(runs[name]), label=ROWS[name].title, **style.line(k))
        panel.set(ylabel=label, **scales)
        style.legend(panel, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[-1, 0].set_xlabel("step")
    return figure
