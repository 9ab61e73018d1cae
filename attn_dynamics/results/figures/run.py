"""Figures of one run, drawn from its trajectory alone."""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any
from warnings import catch_warnings, filterwarnings

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, MaxNLocator, ScalarFormatter

from attn_dynamics.errors import DrawingError
from attn_dynamics.files.storage import make_folder, write_whole
from attn_dynamics.results.assumptions import curve_name
from attn_dynamics.results.word_curves import SHOWN, Track, sen_deviation, tracks

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#7F7F7F")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (6, 1, 2, 1)), (0, (8, 2, 2, 2)))
MARKERS = "osD^vP*X"
STYLE: Any = {
    # Override any matplotlibrc, whether its font or its `text.usetex`, so that figures always look alike.
    **{name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")},
    "axes.formatter.limits": (-3, 4),
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 160,
    "font.size": 9.0,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
}
TITLE_LETTERS = 12
"""Characters of a title per inch."""
TIME = "time, learning rate × epoch"
PREDICTION = "mean field, theory C9, C10"
QUANTITIES = {"score": "score $s$", "embedding_norm": r"embedding norm $\|\nu\|$", "attention": "mean attention weight"}


def sen_figure(run: xr.Dataset) -> Figure:
    """Draw score against embedding norm beside the SEN curve, and the deviation from it."""
    followed = tracks(run)[:SHOWN]
    alike = len({round(track.others, 9) for track in followed}) == 1
    return _sen_together(run, followed) if alike else _sen_apart(run, followed)


def loss_figure(run: xr.Dataset) -> Figure:
    """Draw loss and accuracy of each split; accuracy over log time, because it may be 1 after a few epochs."""
    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    splits = [name for name in ("train", "dev", "test") if f"{name}_loss" in run]
    for name, colour, line in zip(splits, COLOURS, LINES, strict=False):
        left.plot(run.time, run[f"{name}_loss"], color=colour, linestyle=line, label=name)
        right.plot(run.time, run[f"{name}_accuracy"], color=colour, linestyle=line, label=name)
    if "predicted_loss" in run:
        _draw_prediction(left, run, run.predicted_loss.values, "black", linestyle=(0, (1, 3)))
    losses = np.array([run[f"{name}_loss"].values for name in splits])
    left.set(xlabel=TIME, ylabel="mean cross-entropy (nats)", yscale=scale(losses))
    right.set(ylabel="accuracy")
    log_time(right, run.time.values)
    if "dev_loss" in run:
        best = run.attrs["best_epoch"]
        label = f"lowest dev loss, epoch {best:,}"
        for axes in (left, right):
            axes.axvline(
                best * run.attrs["learning_rate"], color="black", linewidth=0.8, linestyle=":", marker="", label=label
            )
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def words_figure(run: xr.Dataset) -> Figure:
    """Draw score, embedding norm and attention of the followed words over time.

    Points are the run, thin lines of the same colour the prediction. Without a prediction the points are joined.
    Words recorded only at snapshots, which lie ever farther apart, are drawn over log time.
    """
    figure = Figure(figsize=(10.0, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    followed, predicted, rare = tracks(run)[:SHOWN], "predicted_score" in run, not run.sizes["word"]
    for axes, (name, label) in zip(panels, QUANTITIES.items(), strict=True):
        for k, track in enumerate(followed):
            places = None if rare else _thinned(track.time.size)
            style = {"color": COLOURS[k], "linestyle": "" if predicted else LINES[k], "linewidth": 1.0}
            values = getattr(track, name)
            axes.plot(track.time, values, marker=MARKERS[k], ms=3.5, markevery=places, label=track.word, **style)
        if predicted:
            for k in range(len(followed)):
                _draw_prediction(axes, run, run[f"predicted_{name}"].values[:, k], COLOURS[k])
        axes.set(xlabel=TIME, ylabel=label)
        if rare:
            log_time(axes, followed[0].time)
    lines, names = panels[0].lines[: len(followed)], [track.word for track in followed]
    theory = [Line2D([], [], color="black", linewidth=0.8)] * predicted
    _name_words(figure, [*lines, *theory], names + [_prediction_name(run)] * predicted)
    return figure


def distributions_figure(run: xr.Dataset) -> Figure:
    """Draw the distributions of final scores and embedding norms over topic words and over all other words."""
    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    named = np.atleast_1d(run.attrs["topic_words"])
    kind = "topic words" if named.size else "followed words" if run.sizes["word"] else "words of largest score"
    topic = np.isin(run.vocabulary.values, named if named.size else [track.word for track in tracks(run)])
    groups = {"other words": ~topic & (run.frequency.values > 0), kind: topic}
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("score", "embedding_norm"), strict=True):
        values = run[f"all_{name}"].values[-1]
        for (label, chosen), colour, line in zip(groups.items(), COLOURS, LINES, strict=False):
            shown = values[chosen & np.isfinite(values)]
            if shown.size:
                axes.ecdf(shown, color=colour, linestyle=line, label=label)
        axes.set(xlabel=f"final {QUANTITIES[name]}", ylabel="share of the words at or below")
    panels[0].xaxis.set_major_locator(MaxNLocator(5))
    panels[1].set_xscale("log", nonpositive="mask")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def signals_figure(run: xr.Dataset) -> Figure:
    """Draw the training signals that reach the attention block, and the followed words' share of the score signal."""
    squares = 100 * (run.followed_score_signal / run.score_signal).values ** 2
    share = run.sizes["word"] > 0 and bool(np.isfinite(squares[1:]).any())
    figure = Figure(figsize=(8.0 if share else 5.2, 3.2), layout="constrained")
    left, *rest = figure.subplots(1, 1 + share, squeeze=False)[0]
    curves = {
        "score_signal": r"$T_s=\|\partial L/\partial s\|_2$",
        "embedding_signal": r"$T_\nu=\|\partial L/\partial E\|_F$",
    }
    for (name, label), colour, line in zip(curves.items(), COLOURS, LINES, strict=False):
        left.plot(run.time, run[name], color=colour, linestyle=line, label=label)
    left.set(ylabel="norm of the gradient (nats per unit)", yscale="log")
    left.legend()
    for right in rest:
        kind = "topic" if np.size(run.attrs["topic_words"]) else "followed"
        right.plot(run.time, squares, color=COLOURS[0], label=f"share of the {kind} words")
        right.set(ylabel=rf"the {kind} words' share of $T_s^2$ (%)", ylim=(0, 105))
        right.legend(loc="lower right")
    for axes in (left, *rest):
        log_time(axes, run.time.values)
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
        return entitled(FIGURES[name](run), run.attrs["title"])


def style_of(*runs: xr.Dataset) -> Any:
    """Return the common style of figures; if a run has only its start, a line becomes a point."""
    return STYLE | ({"lines.marker": "o", "lines.markersize": 4.0} if only_start(*runs) else {})


def only_start(*runs: xr.Dataset) -> bool:
    """Return whether any of the runs has no epoch after its start."""
    return min(run.sizes["epoch"] for run in runs) == 1


def entitled(figure: Figure, title: str) -> Figure:
    """Put a title above a figure, wrapped to its width; a dollar sign starts no formula."""
    figure.suptitle(fill(title, int(TITLE_LETTERS * figure.get_figwidth())), parse_math=False, fontsize=10)
    return figure


def log_time(axes: Axes, time: np.ndarray) -> None:
    """Label the time axis and make it logarithmic, which drops the start at time 0."""
    axes.set_xlabel(TIME)
    if time.size > 1:
        axes.set_xscale("log", nonpositive="mask")


def scale(values: np.ndarray) -> str:
    """Return "log" if values span more than a decade, else "linear": log ticks within a decade are hard to read."""
    known = values[np.isfinite(values)]
    return "log" if known.size and known.max() > 10 * known.min() else "linear"


def save_figures(run: xr.Dataset, folder: Path) -> list[Path]:
    """Draw every figure of a run as PNG into a folder.

    Raises:
        StorageError: a file could not be written.
        DrawingError: a figure could not be drawn; the others are written.
    """
    if unknown := [track.word for track in tracks(run) if not _has_letters(track.word)]:
        print(f"figures show boxes for letters that their font lacks, as in {unknown[0]!r}", file=sys.stderr)
    return draw_all({folder / f"{name}.png": partial(draw_figure, run, name) for name in FIGURES})


def _has_letters(word: str) -> bool:
    """Return whether the font of the figures has every letter of a word."""
    font = get_font(findfont(mpl.rcParamsDefault["font.sans-serif"][0]))
    return all(font.get_char_index(ord(letter)) for letter in word)


def draw_all(figures: Mapping[Path, Callable[[], Figure]]) -> list[Path]:
    """Draw figures in the common style, write each as PNG, make missing folders, and return the paths.

    Raises:
        StorageError: a file could not be written.
        DrawingError: a figure could not be drawn; the others are written.
    """
    failed = []
    for path, draw in figures.items():
        make_folder(path.parent)
        try:
            write_figure(draw, path)
        except DrawingError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return list(figures)


def write_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure in the common style and write it as PNG.

    Raises:
        StorageError: the file could not be written.
        DrawingError: the figure could not be drawn.
    """
    buffer = BytesIO()
    try:
        with mpl.rc_context(STYLE), np.errstate(over="ignore", invalid="ignore", divide="ignore"), catch_warnings():
            filterwarnings("ignore", "Data has no positive values")  # an empty panel says this already
            filterwarnings("ignore", "Glyph")  # letters that the font lacks; `save_figures` reports them once
            # `savefig` would draw everything a second time for its layout.
            FigureCanvasAgg(_plainly_labelled(draw())).print_png(buffer)
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DrawingError(path, reason) from error
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def _plainly_labelled(figure: Figure) -> Figure:
    """Label logarithmic axes that span less than a decade with 27.5 instead of 2.75 × 10¹."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            if isinstance(axis.get_major_formatter(), LogFormatter) and high < 10 * low:
                axis.set_major_formatter(ScalarFormatter(useOffset=False))
                axis.set_minor_formatter(ScalarFormatter(useOffset=False))
    return figure


def _sen_together(run: xr.Dataset, followed: list[Track]) -> Figure:
    query_norm = run.attrs["query_norm"]
    applies = not np.isnan(query_norm)
    figure = Figure(figsize=(8.6 if applies else 4.8, 3.6), layout="constrained")
    moved = applies and not only_start(run)  # at its start a word is on the curve
    left, *rest = figure.subplots(1, 1 + moved, squeeze=False)[0]
    for k, track in enumerate(followed):
        style = {"color": COLOURS[k], "label": track.word}
        places = _thinned(track.time.size)
        left.plot(track.score[places], track.embedding_norm[places], MARKERS[k], ms=4, **style)
        for right in rest:
            off = 100 * sen_deviation(track, query_norm)[1:]
            marks = np.unique(np.geomspace(1, max(off.size, 1), 12).astype(int) - 1).tolist() if off.size else []
            right.plot(track.time[1:], off, MARKERS[k], linestyle=LINES[k], ms=4, markevery=marks, **style)
    _draw_theory(left, run, followed)
    left.set(xlabel=QUANTITIES["score"], ylabel=QUANTITIES["embedding_norm"])
    left.xaxis.set_major_locator(MaxNLocator(5))
    for right in rest:
        right.set(xlabel=TIME, ylabel="deviation from SEN (%)", xscale="log")
    words, theory = (rest or [left])[-1].lines[: len(followed)], left.lines[len(followed) :]
    _name_words(figure, [*words, *theory], [str(line.get_label()) for line in (*words, *theory)])
    return figure


def _sen_apart(run: xr.Dataset, followed: list[Track]) -> Figure:
    rows = -(-len(followed) // 4)
    figure = Figure(figsize=(10.0, 2.6 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, 4, squeeze=False).ravel()
    for axes in panels[len(followed) :]:
        axes.set_axis_off()
    for axes, track in zip(panels, followed, strict=False):
        _draw_theory(axes, run, [track])
        places = _thinned(track.time.size)
        axes.plot(track.score[places], track.embedding_norm[places], "o", color=COLOURS[0], ms=3.5, label="run")
        where = "in no training sentence" if np.isnan(track.others) else f"m = {track.others:.1f}"
        axes.set_title(f"“{track.word}”, {where}", fontsize=9, parse_math=False)
        axes.set(xlabel=QUANTITIES["score"], ylabel=QUANTITIES["embedding_norm"])
    # The legend is below the panels because the theory's name may be wider than one of them.
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _name_words(figure: Figure, lines: Iterable[Artist], names: list[str]) -> None:
    """Add a legend below the panels and show each word as plain text, even one like $x$ or _it."""
    legend = figure.legend(list(lines), names, loc="outside lower center", ncols=5)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_prediction(axes: Axes, run: xr.Dataset, values: np.ndarray, colour: str, linestyle: Any = "-") -> None:
    time = run.attrs["learning_rate"] * run.predicted.values
    width = 0.8 if linestyle == "-" else 1.2
    axes.plot(time, values, color=colour, linewidth=width, linestyle=linestyle, label=_prediction_name(run))


def _prediction_name(run: xr.Dataset) -> str:
    return curve_name(PREDICTION, ("C9", "C10"), run.attrs)


def _draw_theory(axes: Axes, run: xr.Dataset, followed: list[Track]) -> None:
    first, query_norm = followed[0], run.attrs["query_norm"]
    if np.isnan(query_norm):
        return
    scores = np.linspace(first.score[0], max(track.score.max() for track in followed), 200)
    axes.plot(
        scores,
        first.sen_norm(query_norm, scores),
        color="black",
        linewidth=1.2,
        label=curve_name("SEN, theory B1", ("B1",), run.attrs),
    )


def _thinned(size: int, wanted: int = 24) -> list[int]:
    return np.unique(np.linspace(0, size - 1, wanted).round().astype(int)).tolist()
