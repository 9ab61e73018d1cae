"""Figures of one window run beside the theory, drawn from its dataset alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics.results.assumptions import curve_name
from attn_dynamics.results.figures import style

STILL = 0.02
"""Smallest half-height of the σ axis, as a share of the mean σ."""


def width_figure(run: xr.Dataset) -> Figure:
    """Draw the width σ over time, its prediction, and the value at which it settles."""
    figure, ((axes,),) = style.panels((5.6, 3.6))
    axes.plot(run.time, run.width, color=style.COLOURS[0], label=f"run, from σ = {float(run.width[0]):.3g}")
    if "predicted_width" in run:
        axes.plot(run.time, run.predicted_width, label=_named("theory D2–D6", run), **style.DOTTED)
    if np.isfinite(run.attrs["settles"]):
        name = _named("settles at, D4", run, "D4")
        axes.axhline(run.attrs["settles"], color=style.COLOURS[1], linewidth=1.0, linestyle="-.", label=name)
    axes.set_ylabel("σ, standard deviation of the bell (tokens)")
    # The axis has a least range, so that the figure does not magnify tiny changes of σ.
    middle, span = float(run.width.mean()), float(np.ptp(run.width.values))
    if span < STILL * middle:
        axes.set_ylim((1.0 - STILL) * middle, (1.0 + STILL) * middle)
    style.log_time(axes, run.time.values)
    axes.legend()
    return figure


def tokens_figure(run: xr.Dataset) -> Figure:
    """Draw the number of attended tokens over time: where the bell is above 0, and where 95 % of attention lies."""
    figure, ((axes,),) = style.panels((5.6, 3.6))
    labels = {"reached": "bell above 0 in float32, D1", "held": "95 % of the attention"}
    for k, (name, label) in enumerate(labels.items()):
        axes.plot(run.time, run[name], label=label, **style.line(k))
        if f"predicted_{name}" in run:
            label = _named("theory", run) if name == "held" else None
            axes.plot(run.time, run[f"predicted_{name}"], label=label, **style.DOTTED)
    axes.axhline(run.sizes["distance"], linestyle="-.", label="window", **style.REFERENCE)
    axes.set(ylabel="tokens attended", ylim=(0.0, 1.5 * run.sizes["distance"]))
    style.log_time(axes, run.time.values)
    axes.legend(loc="upper left", ncols=2)
    return figure


def bell_figure(run: xr.Dataset) -> Figure:
    """Draw the mean attention weight by distance, at the start and at the end."""
    figure, (row,) = style.panels((8.0, 3.4), 1, 2)
    for axes, moment, colour, mark in zip(row, run.moment.values, style.COLOURS, "os", strict=False):
        axes.plot(run.distance, run.profile.sel(moment=moment), mark, color=colour, ms=2.5, label="run")
        if "predicted_profile" in run:
            predicted = run.predicted_profile.sel(moment=moment)
            axes.plot(run.distance, predicted, label=_named("theory", run), **style.DOTTED)
        axes.set_title(f"at the {moment}, σ = {run.width.values[0 if moment == 'start' else -1]:.3g}")
        axes.set(xlabel="distance Δ from the query (tokens)", ylabel="mean attention weight", ylim=(0.0, None))
        axes.legend()
    return figure


FIGURES: dict[str, Callable[[xr.Dataset], Figure]] = {
    "width": width_figure,
    "tokens": tokens_figure,
    "bell": bell_figure,
}


def save_window_figures(run: xr.Dataset, folder: Path) -> list[Path]:
    """Draw every figure of a window run as PNG into a folder.

    Raises:
        StorageError: a file could not be written.
        DrawingError: a figure could not be drawn; the others are written.
    """
    return style.draw_all({folder / f"{name}.png": partial(_titled, run, name) for name in FIGURES})


def _titled(run: xr.Dataset, name: str) -> Figure:
    figure = style.entitled(FIGURES[name](run), run.attrs["title"])
    figure.set_label(style.shown(FIGURES[name]))
    return figure


def _named(curve: str, run: xr.Dataset, *laws: str) -> str:
    return curve_name(curve, laws or ("D2", "D3"), run.attrs)
