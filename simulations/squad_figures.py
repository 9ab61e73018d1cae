"""Figures of `simulations.squad`: scores and their differences, losses, F1 and σ along the training."""

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
from simulations.squad_heads import heads, heads_figure
from simulations.squad_rows import EVEN, ROWS, Runs

SMOOTHED = 20
"""Number of parts into which training steps are averaged for the loss figure."""


def scores(runs: Sequence[xr.Dataset], of: str) -> Array:
    """Return F1 (`f1`) or exact match (`em`) of runs (seeds,), in per cent."""
    return np.array([run.attrs[of] for run in runs])


def drawings(runs: Runs, differences: Mapping[str, Array]) -> dict[str, Callable[[], Figure]]:
    """Return the figures that have data."""
    bells = {name: each for name, each in runs.items() if ROWS[name].start_width < EVEN}
    found = {"scores": (scores_figure, runs), "loss": (loss_figure, runs), "learning": (learning_figure, runs)}
    found |= {"differences": (differences_figure, differences), "widths": (widths_figure, bells)}
    found |= {"heads": (heads_figure, heads(runs))}
    return {name: partial(draw, given) for name, (draw, given) in found.items() if given}


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
    axes.set(yticks=places, yticklabels=[ROWS[name].title for name in runs], xlim=(0.0, None))
    axes.set_xlabel(f"questions of dev, per cent; {_seeds_as([scores(each, 'f1') for each in runs.values()])}")
    style.legend_below(figure, 4)
    return figure


def differences_figure(differences: Mapping[str, Array]) -> Figure:
    """Draw the differences in F1 that theory D7 and D10 compare, by seed."""
    figure, ((axes,),) = style.panels((7.6, 1.0 + 0.34 * len(differences)))
    places = np.arange(len(differences), dtype=float)[::-1]
    _draw_seeds(axes, [*differences.values()], places, 0)
    axes.axvline(0.0, **style.REFERENCE)
    axes.set(yticks=places, yticklabels=list(differences))
    axes.set_xlabel(f"difference in F1 (points); {_seeds_as([*differences.values()])}")
    return figure


def _draw_seeds(axes: Axes, values: Sequence[Array], places: Array, k: int, label: str | None = None) -> None:
    """Draw means with 95 % intervals, and seeds as strokes below; with few seeds, means without intervals."""
    points = {place: interval(each) for place, each in zip(places, values, strict=True)}
    style.draw_points(axes, points, k, label, sideways=True)
    below = np.repeat(places - 0.08, [len(each) for each in values])
    axes.plot(np.concatenate(values), below, "|", color=style.COLOURS[k], ms=9, mew=0.8)


def _seeds_as(values: Sequence[Array]) -> str:
    """Return a description of the marks and strokes."""
    seeds = min(len(each) for each in values)
    return f"mean and each of {seeds} seeds" if seeds < FEWEST else "mean, 95 % interval and each seed"


def widths_figure(runs: Runs) -> Figure:
    """Draw σ of each row over the steps, and the tokens it reaches; means over layers and seeds."""
    figure, ((left, right),) = style.panels((9.0, 4.4), 1, 2)
    for name, each in runs.items():
        for axes, of in ((left, "width"), (right, "reached")):
            mean = np.mean([run[of].mean(["layer", "bell"]).values for run in each], axis=0)
            axes.plot(each[0].step + 1, mean, label=ROWS[name].title, **_stroke(name))
    left.set(xlabel="step", ylabel="σ, mean over layers (tokens)", yscale="log")
    right.set(xlabel="step", ylabel="tokens where the bell is above 0 in float32")
    style.legend_below(figure, 2)
    return figure


def loss_figure(runs: Runs) -> Figure:
    """Draw the training loss of each row, averaged over parts of the training."""
    figure, ((axes,),) = style.panels((6.4, 4.8))
    for name, each in runs.items():
        parts = np.array_split(np.arange(each[0].sizes["step"]), min(SMOOTHED, each[0].sizes["step"]))
        values = np.mean([[run.loss.values[part].mean() for part in parts] for run in each], axis=0)
        axes.plot([part.mean() + 1 for part in parts], values, label=ROWS[name].title, **_stroke(name))
    axes.set(xlabel="step", ylabel="training loss (nats)")
    style.legend_below(figure, 2)
    return figure


def learning_figure(runs: Runs) -> Figure:
    """Draw F1 along the training of each row, on a fixed part of the dev questions, as mean over seeds."""
    figure, ((axes,),) = style.panels((6.4, 4.8))
    for name, each in runs.items():
        found = np.mean([run.judged.values for run in each], axis=0)
        places = np.flatnonzero(np.isfinite(found))
        axes.plot(
            [0, *places, each[0].sizes["step"]],
            [np.nan, *found[places], np.mean(scores(each, "f1"))],
            label=ROWS[name].title,
            **_stroke(name),
        )
    axes.set(xlabel="step", ylabel="F1 on dev questions (%)", ylim=(0.0, None))
    style.legend_below(figure, 2)
    return figure


def _stroke(name: str) -> dict[str, Any]:
    return style.line(list(ROWS).index(name))
