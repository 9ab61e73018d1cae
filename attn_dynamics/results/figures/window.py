"""Figures of one run with a window, theory beside the run, drawn from its dataset alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics.results.assumptions import curve_name
from attn_dynamics.results.figures.run import COLOURS, draw_all, entitled, log_time

STILL = 0.02
"""Smallest half-height of the σ axis, as a share of the mean σ."""
THEORY = {"color": "black", "linewidth": 1.2, "linestyle": (0, (1, 2))}


def width_figure(run: xr.Dataset) -> Figure:
    """Draw the width σ over time, and the value at which it settles."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(run.time, run.width, color=COLOURS[0], label=f"run, from σ = {float(run.width[0]):.3g}")
    if "predicted_width" in run:
        axes.plot(run.time, run.predicted_width, label=_named("theory D2–D6", run), **THEORY)
    if np.isfinite(run.attrs["settles"]):
        axes.axhline(
            run.attrs["settles"],
            color=COLOURS[1],
            linewidth=1.0,
            linestyle="-.",
            label=_named("settles at, D4", run, "D4"),
        )
    axes.set_ylabel("σ, standard deviation of the bell (tokens)")
    # An almost constant σ gets a minimal axis range, so that the figure does not magnify it.
    middle, span = float(run.width.mean()), float(np.ptp(run.width.values))
    if span < STILL * middle:
        axes.set_ylim((1.0 - STILL) * middle, (1.0 + STILL) * middle)
    log_time(axes, run.time.values)
    axes.legend()
    return figure


def tokens_figure(run: xr.Dataset) -> Figure:
    """Draw the attended tokens: by the bell's float32 support, and by the mass of attention."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    labels = {"reached": "bell above 0 in float32, as W22", "held": "95 % of the attention"}
    for (name, label), colour, line in zip(labels.items(), COLOURS, ("-", "--"), strict=False):
        axes.plot(run.time, run[name], color=colour, linestyle=line, label=label)
        if f"predicted_{name}" in run:
            axes.plot(
                run.time, run[f"predicted_{name}"], label=_named("theory", run) if name == "held" else None, **THEORY
            )
    axes.axhline(run.sizes["distance"], color="black", linewidth=0.8, linestyle="-.", label="window")
    axes.set_ylabel("tokens attended")
    axes.set_ylim(0.0, 1.5 * run.sizes["distance"])
    log_time(axes, run.time.values)
    axes.legend(loc="upper left", ncols=2)
    return figure


def bell_figure(run: xr.Dataset) -> Figure:
    """Draw the mean attention weight by distance, at the start and at the end."""
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    for axes, moment, colour, mark in zip(figure.subplots(1, 2), run.moment.values, COLOURS, "os", strict=False):
        axes.plot(run.distance, run.profile.sel(moment=moment), mark, color=colour, ms=2.5, label="run")
        if "predicted_profile" in run:
            axes.plot(run.distance, run.predicted_profile.sel(moment=moment), label=_named("theory", run), **THEORY)
        axes.set_title(f"at the {moment}, σ = {run.width.values[0 if moment == 'start' else -1]:.3g}", fontsize=9)
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
    return draw_all({folder / f"{name}.png": partial(_titled, run, name) for name in FIGURES})


def _titled(run: xr.Dataset, name: str) -> Figure:
    return entitled(FIGURES[name](run), run.attrs["title"])


def _named(curve: str, run: xr.Dataset, *laws: str) -> str:
    return curve_name(curve, laws or ("D2", "D3"), run.attrs)
