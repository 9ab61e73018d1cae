"""The figure of replicates: what they have in common, and how far they differ."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attn_dynamics.assumptions import curve_name
from attn_dynamics.plot import COLOURS, LINES, MARKERS, QUANTITIES, STYLE, TIME, TITLE_LETTERS, write_figure
from attn_dynamics.storage import make_folder
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.tracks import SHOWN, Track, common_tracks, sen_deviation

BAND = (0.0, 50.0, 100.0)
"""Percentiles over the replicates: of the band, and of the line within it."""
SHADE = 0.5
"""Opacity of all bands of a panel together, so that where they overlap they do not hide the lines."""
POINTS = 12
"""Epochs at which every replicate is a point beside the SEN curve."""

_Words = list[tuple[Track, ...]]
"""Of each word its tracks, one a replicate."""


def spread_figure(runs: Sequence[xr.Dataset]) -> Figure:
    """Losses and words over replicates at the epochs that all of them reached: median and range."""
    words = list(zip(*common_tracks(runs), strict=True))[:SHOWN]
    query_norms = np.array([run.attrs["query_norm"] for run in runs])
    applies = bool(np.isfinite(query_norms).all())
    with mpl.rc_context(STYLE), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        figure = Figure(figsize=(8.6, 6.6 if applies else 3.7), layout="constrained")
        panels = figure.subplots(1 + applies, 2, squeeze=False).ravel()
        _draw_losses(panels[0], runs)
        _draw_scores(panels[1], words)
        if applies:
            name = curve_name("SEN, theory B1", ("B1",), *(run.attrs for run in runs))
            _draw_relation(panels[2], words, query_norms, name)
            _draw_deviation(panels[3], words, query_norms)
        _name(figure, panels[1], words)
        title = f"{runs[0].attrs['title']}: median of {len(runs)} replicates, shaded from the least to the largest"
        figure.suptitle(fill(title, int(TITLE_LETTERS * figure.get_figwidth())), parse_math=False, fontsize=10)
        return figure


def save_spread(runs: Sequence[xr.Dataset], folder: Path) -> Path:
    """Draw the figure of replicates as PNG into a folder.

    Raises:
        StorageError: it could not be written.
    """
    path = make_folder(folder) / "replicates.png"
    write_figure(spread_figure(runs), path)
    return path


def _draw_losses(axes: Axes, runs: Sequence[xr.Dataset]) -> None:
    reached = min(run.sizes["epoch"] for run in runs)
    splits = [split for split in ("train", "dev", "test") if f"{split}_loss" in runs[0]]
    for k, split in enumerate(splits):
        losses = np.array([run[f"{split}_loss"].values[:reached] for run in runs])
        _draw_band(axes, runs[0].time.values[:reached], losses, k, split, SHADE / len(splits))
    axes.set(xlabel=TIME, ylabel="mean cross-entropy (nats)", yscale="log")
    axes.legend()


def _draw_scores(axes: Axes, words: _Words) -> None:
    for k, tracks in enumerate(words):
        scores = np.array([track.score for track in tracks])
        _draw_band(axes, tracks[0].time, scores, k, tracks[0].word, SHADE / len(words))
    axes.set(xlabel=TIME, ylabel=QUANTITIES["score"])


def _draw_relation(axes: Axes, words: _Words, query_norms: np.ndarray, name: str) -> None:
    """Each replicate has a curve of its own, by its ‖q‖; measured against predicted norm they are one."""
    largest = 0.0
    for k, tracks in enumerate(words):
        places = np.unique(np.linspace(0, tracks[0].time.size - 1, POINTS).round().astype(int))
        norms = np.array([track.embedding_norm[places] for track in tracks])
        predicted = np.array([_predicted(track, q)[places] for track, q in zip(tracks, query_norms, strict=True)])
        style = {"color": COLOURS[k], "mfc": "none", "ms": 4, "label": tracks[0].word}
        axes.plot(predicted.ravel(), norms.ravel(), MARKERS[k], **style)
        largest = np.max(predicted, initial=largest, where=np.isfinite(predicted))
    theory = axes.plot([0, largest], [0, largest], color="black", linewidth=1.0, label=name)
    axes.set(xlabel=r"$\|\nu\|$ that SEN gives to the score", ylabel=r"embedding norm $\|\nu\|$, all runs")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.legend(handles=theory, loc="lower right")


def _draw_deviation(axes: Axes, words: _Words, query_norms: np.ndarray) -> None:
    for k, tracks in enumerate(words):
        off = np.array([sen_deviation(track, norm)[1:] for track, norm in zip(tracks, query_norms, strict=True)])
        _draw_band(axes, tracks[0].time[1:], 100 * off, k, tracks[0].word, SHADE / len(words))
    axes.set(xlabel=TIME, ylabel="deviation from SEN (%)", xscale="log")


def _draw_band(axes: Axes, time: np.ndarray, values: np.ndarray, k: int, label: str, shade: float) -> None:
    places = _thinned(time.size)
    low, middle, high = np.percentile(values[:, places], BAND, axis=0)
    if time.size:  # a band of nothing spoils the limits of the axes
        axes.fill_between(time[places], low, high, color=COLOURS[k], alpha=shade, linewidth=0.0)
    axes.plot(time[places], middle, color=COLOURS[k], linestyle=LINES[k], label=label)


def _predicted(track: Track, query_norm: float) -> np.ndarray:
    return sen_norm(track.score, track.others, query_norm, track.score[0], track.embedding_norm[0])


def _thinned(size: int) -> np.ndarray:
    """Some hundred places, dense enough for an axis of either scale."""
    evenly, by_decades = np.linspace(0, size - 1, 300), np.geomspace(1, max(size - 1, 1), 300)
    return np.unique(np.concatenate([evenly, by_decades]).clip(0).astype(int))[:size]


def _name(figure: Figure, axes: Axes, words: _Words) -> None:
    """A legend below the panels, in which a word is a word, also one like $x$ or _it."""
    names = [tracks[0].word for tracks in words]
    legend = figure.legend(axes.lines, names, loc="outside lower center", ncols=4)
    for text in legend.get_texts():
        text.set_parse_math(False)
