"""Figures of one run, drawn from its trajectory alone."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from attn_dynamics.results.assumptions import curve_name
from attn_dynamics.results.figures import style
from attn_dynamics.results.word_curves import SHOWN, WordCurve, sen_deviation, word_curves

BELOW: Any = {"loc": "outside lower center", "ncols": 5}
"""Position of a legend of words."""


def sen_figure(run: xr.Dataset) -> Figure:
    """Draw the embedding norm over the score beside the SEN curve, and the deviation from it over time."""
    followed = word_curves(run)[:SHOWN]
    alike = len({round(curve.others, 9) for curve in followed}) == 1
    return _sen_together(run, followed) if alike else _sen_apart(run, followed)


def loss_figure(run: xr.Dataset) -> Figure:
    """Draw loss and accuracy of each split, the accuracy over log time because it may be 1 after a few epochs."""
    figure, ((left, right),) = style.panels((8.0, 3.2), 1, 2)
    splits = [name for name in ("train", "dev", "test") if f"{name}_loss" in run]
    for k, name in enumerate(splits):
        left.plot(run.time, run[f"{name}_loss"], label=name, **style.line(k))
        right.plot(run.time, run[f"{name}_accuracy"], label=name, **style.line(k))
    if "predicted_loss" in run:
        left.plot(_predicted_time(run), run.predicted_loss, label=_prediction_name(run), **style.DOTTED)
    losses = np.array([run[f"{name}_loss"].values for name in splits])
    left.set(xlabel=style.TIME, ylabel="mean cross-entropy (nats)", yscale=style.scale(losses))
    right.set(ylabel="accuracy")
    style.log_time(right, run.time.values)
    if "dev_loss" in run:
        best = run.attrs["best_epoch"]
        label = f"lowest dev loss, epoch {best:,}"
        for axes in (left, right):
            axes.axvline(best * run.attrs["learning_rate"], linestyle=":", marker="", label=label, **style.REFERENCE)
    style.legend_below(figure)
    return figure


def words_figure(run: xr.Dataset) -> Figure:
    """Draw score, embedding norm and attention of the followed words over time.

    Points are the run, and thin lines of the same colour the prediction. Without a prediction, lines join the points.
    Words that are known only at snapshots, which lie ever farther apart, are drawn over log time.
    """
    figure, (row,) = style.panels((10.0, 3.2), 1, 3)
    followed, predicted, rare = word_curves(run)[:SHOWN], "predicted_score" in run, not run.sizes["word"]
    for axes, (name, label) in zip(row, style.QUANTITIES.items(), strict=True):
        for k, curve in enumerate(followed):
            places = None if rare else style.spaced(curve.time.size)
            look = {"color": style.COLOURS[k], "linestyle": "" if predicted else style.LINES[k], "linewidth": 1.0}
            values = getattr(curve, name)
            axes.plot(curve.time, values, marker=style.MARKERS[k], ms=3.5, markevery=places, label=curve.word, **look)
        if predicted:
            for k in range(len(followed)):
                look = {"color": style.COLOURS[k], "linewidth": 0.8, "label": _prediction_name(run)}
                axes.plot(_predicted_time(run), run[f"predicted_{name}"][:, k], **look)
        axes.set(xlabel=style.TIME, ylabel=label)
        if rare:
            style.log_time(axes, followed[0].time)
    lines, names = row[0].lines[: len(followed)], [curve.word for curve in followed]
    theory = [Line2D([], [], **style.REFERENCE)] * predicted
    style.name_lines(figure, [*lines, *theory], names + [_prediction_name(run)] * predicted, **BELOW)
    return figure


def distributions_figure(run: xr.Dataset) -> Figure:
    """Draw the distributions of final scores and embedding norms of topic words and of all other words."""
    figure, ((left, right),) = style.panels((8.0, 3.2), 1, 2)
    named = np.atleast_1d(run.attrs["topic_words"])
    kind = "topic words" if named.size else "followed words" if run.sizes["word"] else "words of largest score"
    topic = np.isin(run.vocabulary.values, named if named.size else [curve.word for curve in word_curves(run)])
    groups = {"other words": ~topic & (run.frequency.values > 0), kind: topic}
    for axes, name in ((left, "score"), (right, "embedding_norm")):
        values = run[f"all_{name}"].values[-1]
        for k, (label, chosen) in enumerate(groups.items()):
            shown = values[chosen & np.isfinite(values)]
            if shown.size:
                axes.ecdf(shown, label=label, **style.line(k))
        axes.set(xlabel=f"final {style.QUANTITIES[name]}", ylabel="share of the words at or below")
    left.xaxis.set_major_locator(MaxNLocator(5))
    right.set_xscale("log", nonpositive="mask")
    style.legend_below(figure)
    return figure


def signals_figure(run: xr.Dataset) -> Figure:
    """Draw the training signals that reach the attention block, and the followed words' share of the score signal."""
    squares = 100 * (run.followed_score_signal / run.score_signal).values ** 2
    share = run.sizes["word"] > 0 and bool(np.isfinite(squares[1:]).any())
    figure, ((left, *rest),) = style.panels((8.0 if share else 5.2, 3.2), 1, 1 + share)
    left.plot(run.time, run.score_signal, label="of the scores, ‖∂L/∂s‖", **style.line(0))
    left.plot(run.time, run.embedding_signal, label="of the embeddings, ‖∂L/∂E‖", **style.line(1))
    left.set(ylabel="norm of the gradient (nats per unit)", yscale="log")
    left.legend()
    for right in rest:
        kind = "topic" if np.size(run.attrs["topic_words"]) else "followed"
        right.plot(run.time, squares, color=style.COLOURS[0], label=f"share of the {kind} words")
        right.set(ylabel=f"the {kind} words' share of ‖∂L/∂s‖² (%)", ylim=(0, 105))
        right.legend(loc="lower right")
    for axes in (left, *rest):
        style.log_time(axes, run.time.values)
    return figure


FIGURES: dict[str, Callable[[xr.Dataset], Figure]] = {
    "sen": sen_figure,
    "loss": loss_figure,
    "words": words_figure,
    "distributions": distributions_figure,
    "signals": signals_figure,
}


def draw_figure(run: xr.Dataset, name: str) -> Figure:
    """Draw one figure of `FIGURES` in the common style, with the run's title."""
    with mpl.rc_context(style_of(run)), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        figure = style.entitled(FIGURES[name](run), run.attrs["title"])
    figure.set_label(style.shown(FIGURES[name]))
    return figure


def style_of(*runs: xr.Dataset) -> Any:
    """Return the common style of figures, with a marker on every line if a run has only its start."""
    return style.STYLE | ({"lines.marker": "o", "lines.markersize": 4.0} if only_start(*runs) else {})


def only_start(*runs: xr.Dataset) -> bool:
    """Return whether any of the runs has no epoch after its start."""
    return min(run.sizes["epoch"] for run in runs) == 1


def save_figures(run: xr.Dataset, folder: Path) -> list[Path]:
    """Draw every figure of a run as PNG into a folder.

    Raises:
        StorageError: a file could not be written.
        DrawingError: a figure could not be drawn; the others are written.
    """
    if unknown := [curve.word for curve in word_curves(run) if not _has_letters(curve.word)]:
        print(f"figures show boxes for letters that their font lacks, as in {unknown[0]!r}", file=sys.stderr)
    return style.draw_all({folder / f"{name}.png": partial(draw_figure, run, name) for name in FIGURES})


def _has_letters(word: str) -> bool:
    """Return whether the font of the figures has every letter of a word."""
    font = get_font(findfont(mpl.rcParamsDefault["font.sans-serif"][0]))
    return all(font.get_char_index(ord(letter)) for letter in word)


def _sen_together(run: xr.Dataset, followed: list[WordCurve]) -> Figure:
    query_norm = run.attrs["query_norm"]
    applies = not np.isnan(query_norm)
    moved = applies and not only_start(run)  # at its start a word is on the curve
    figure, ((left, *rest),) = style.panels((8.6 if applies else 4.8, 3.6), 1, 1 + moved)
    for k, curve in enumerate(followed):
        look = {"color": style.COLOURS[k], "label": curve.word}
        places = style.spaced(curve.time.size)
        left.plot(curve.score[places], curve.embedding_norm[places], style.MARKERS[k], ms=4, **look)
        for right in rest:
            off = 100 * sen_deviation(curve, query_norm)[1:]
            marks = np.unique(np.geomspace(1, max(off.size, 1), 12).astype(int) - 1).tolist() if off.size else []
            right.plot(curve.time[1:], off, style.MARKERS[k], linestyle=style.LINES[k], ms=4, markevery=marks, **look)
    _draw_theory(left, run, followed)
    left.set(xlabel=style.QUANTITIES["score"], ylabel=style.QUANTITIES["embedding_norm"])
    left.xaxis.set_major_locator(MaxNLocator(5))
    for right in rest:
        right.set(xlabel=style.TIME, ylabel="deviation from SEN (%)", xscale="log")
    words, theory = (rest or [left])[-1].lines[: len(followed)], left.lines[len(followed) :]
    shown = (*words, *theory)
    style.name_lines(figure, shown, [str(each.get_label()) for each in shown], **BELOW)
    return figure


def _sen_apart(run: xr.Dataset, followed: list[WordCurve]) -> Figure:
    rows = -(-len(followed) // 4)
    figure, grid = style.panels((10.0, 2.6 * rows + 0.4), rows, 4)
    for axes in grid.flat[len(followed) :]:
        axes.set_axis_off()
    for axes, curve in zip(grid.flat, followed, strict=False):
        _draw_theory(axes, run, [curve])
        places = style.spaced(curve.time.size)
        axes.plot(curve.score[places], curve.embedding_norm[places], "o", color=style.COLOURS[0], ms=3.5, label="run")
        where = "in no training sentence" if np.isnan(curve.others) else f"m = {curve.others:.1f}"
        axes.set_title(f"“{curve.word}”, {where}", parse_math=False)
        axes.set(xlabel=style.QUANTITIES["score"], ylabel=style.QUANTITIES["embedding_norm"])
    # The legend is below the panels because the theory's name may be wider than one of them.
    style.legend_below(figure, 2)
    return figure


def _predicted_time(run: xr.Dataset) -> np.ndarray:
    return run.attrs["learning_rate"] * run.predicted.values


def _prediction_name(run: xr.Dataset) -> str:
    return curve_name(style.PREDICTION, ("C9", "C10"), run.attrs)


def _draw_theory(axes: Axes, run: xr.Dataset, followed: list[WordCurve]) -> None:
    first, query_norm = followed[0], run.attrs["query_norm"]
    if np.isnan(query_norm):
        return
    scores = np.linspace(first.score[0], max(curve.score.max() for curve in followed), 200)
    name = curve_name("SEN, theory B1", ("B1",), run.attrs)
    axes.plot(scores, first.sen_norm(query_norm, scores), label=name, **style.THEORY)
