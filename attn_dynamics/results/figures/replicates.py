"""Figure of replicates, with their medians and their spread."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from attn_dynamics.files.storage import make_folder
from attn_dynamics.results.assumptions import curve_name
from attn_dynamics.results.figures import style
from attn_dynamics.results.figures.run import only_start, style_of
from attn_dynamics.results.word_curves import SHOWN, WordCurve, common_word_curves, sen_deviation
from attn_dynamics.statistics import FEWEST

ACROSS = 4
"""Number of panels of words in a row."""
POINTS = 12
"""Number of epochs at which each replicate is drawn as a point beside the SEN curve."""

_Words = list[tuple[WordCurve, ...]]
"""Curves of each word, one per replicate."""


def spread_figure(runs: Sequence[xr.Dataset]) -> Figure:
    """Draw losses, scores and the SEN relation over replicates, at the epochs that all of them reached.

    A band extends from the smallest to the largest value, and its line is the median. With fewer than five replicates,
    each is a thin line. Every word has its own panel, because overlapping bands hide each other.
    """
    words = list(zip(*common_word_curves(runs), strict=True))[:SHOWN]
    query_norms = np.array([run.attrs["query_norm"] for run in runs])
    applies, rows = bool(np.isfinite(query_norms).all()) and not only_start(*runs), -(-len(words) // ACROSS)
    with mpl.rc_context(style_of(*runs)), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        figure = Figure(figsize=(9.6, 3.8 + 1.7 * rows), layout="constrained")
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.4, 1.7 * rows)).ravel()
        first, *rest = above.subplots(1, 3 if applies else 1, squeeze=False)[0]
        _draw_losses(first, runs)
        if applies:
            name = curve_name("SEN, theory B1", ("B1",), *(run.attrs for run in runs))
            _draw_relation(rest[0], words, query_norms, name, above)
            _draw_deviation(rest[1], words, query_norms)
        panels = below.subplots(rows, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
        _draw_scores(panels, words, rare=not runs[0].sizes["word"])
        shown = "median of {}, shaded from least to largest" if len(runs) >= FEWEST else "each of {} is a thin line"
        return style.entitled(figure, f"{runs[0].attrs['title']}: {shown.format(f'{len(runs)} replicates')}")


def save_replicates(runs: Sequence[xr.Dataset], folder: Path) -> Path:
    """Draw the figure of replicates as PNG into a folder.

    Raises:
        StorageError: the file could not be written.
        DrawingError: the figure could not be drawn.
    """
    path = make_folder(folder) / "replicates.png"
    style.write_figure(partial(spread_figure, runs), path)
    return path


def _draw_losses(axes: Axes, runs: Sequence[xr.Dataset]) -> None:
    reached = min(run.sizes["epoch"] for run in runs)
    splits = [split for split in ("train", "dev", "test") if f"{split}_loss" in runs[0]]
    losses = np.array([[run[f"{split}_loss"].values[:reached] for run in runs] for split in splits])
    for k, (split, each) in enumerate(zip(splits, losses, strict=True)):
        _draw_all(axes, runs[0].time.values[:reached], each, k, split)
    axes.set(xlabel=style.TIME, ylabel="mean cross-entropy (nats)", yscale=style.scale(losses))
    axes.legend()


def _draw_scores(panels: Sequence[Axes], words: _Words, *, rare: bool) -> None:
    """Draw one word per panel, over log time if scores are known only at snapshots."""
    for k, (axes, curves) in enumerate(zip(panels, words, strict=False)):
        _draw_all(axes, curves[0].time, np.array([curve.score for curve in curves]), k, curves[0].word)
        axes.set_title(f"“{curves[0].word}”", parse_math=False)
        axes.set(xlabel=style.TIME, ylabel=style.QUANTITIES["score"])
        axes.xaxis.set_major_locator(MaxNLocator(4))
        if rare:
            style.log_time(axes, curves[0].time)
        axes.label_outer()
    for axes in panels[len(words) :]:
        axes.set_axis_off()


def _draw_relation(axes: Axes, words: _Words, query_norms: np.ndarray, name: str, below: Figure | SubFigure) -> None:
    """Draw measured norms over the norms that SEN predicts from the score and each replicate's query norm ‖q‖.

    The legend stands at the foot of the figure `below`.
    """
    beside = []
    for curves in words:
        some = style.spaced(curves[0].time.size, POINTS)
        for curve, query_norm in zip(curves, query_norms, strict=True):
            beside.append([curve.sen_norm(query_norm)[some], curve.embedding_norm[some]])
    predicted, norms = np.moveaxis(np.array(beside), 1, 0).reshape(2, -1)
    axes.plot(predicted, norms, label="words of all runs", **style.marks(0))
    ends = [0.0, np.max(predicted, initial=0.0, where=np.isfinite(predicted))]
    axes.plot(ends, ends, label=name, **style.THEORY)
    axes.set(xlabel="‖ν‖ by SEN from the score", ylabel=style.QUANTITIES["embedding_norm"])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    # The legend is below the panels because the theory's name may be wider than the panel, and points lie anywhere.
    style.name_lines(below, axes.lines, ["words of all runs", name], loc="outside lower center", ncols=2)


def _draw_deviation(axes: Axes, words: _Words, query_norms: np.ndarray) -> None:
    """Draw the largest deviation of each replicate among its words that have a SEN curve."""
    off = [
        [sen_deviation(curve, norm)[1:] for curve, norm in zip(curves, query_norms, strict=True)] for curves in words
    ]
    largest = 100 * np.fmax.reduce(np.abs(off))
    _draw_all(axes, words[0][0].time[1:], largest, 0, "largest of the words")
    axes.set(ylabel="deviation from SEN (%)", yscale=style.scale(largest))
    style.log_time(axes, words[0][0].time)
    axes.legend()


def _draw_all(axes: Axes, time: np.ndarray, values: np.ndarray, k: int, label: str) -> None:
    """Draw values (replicates, times) as range and median, or each as a thin line if there are few replicates."""
    dense = _dense(time.size)
    style.draw_band(axes, time[dense], values[:, dense], k, label, band=style.range_band)


def _dense(size: int) -> np.ndarray:
    """Return some hundred of the indices 0, …, size - 1, dense enough for a linear or a logarithmic axis."""
    evenly, by_decades = np.linspace(0, size - 1, 300), np.geomspace(1, max(size - 1, 1), 300)
    return np.unique(np.concatenate([evenly, by_decades]).clip(0).astype(int))[:size]
