"""Figures of several runs on common axes: training signals, scores, the SEN plane and losses; of windows, widths."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.compare.runs import MOST, Compared, clock_of, names_of, shared_title
from attn_dynamics.results.figures import style
from attn_dynamics.results.word_curves import WordCurve, sen_deviation, word_curves

Array = NDArray[np.float64]
MARKS = 6
"""Number of markers on the line of a run."""
STROKE = 6
"""Width of a stroke in a legend, in letters."""
ON_TOP: Any = style.DOTTED | {"zorder": 5}
THEORY: Any = {"linewidth": 0.9, "marker": ""}
"""Style of a run's own theory, which keeps its colour: a thin line, without the markers of the run."""


def signals_figure(runs: Sequence[Compared]) -> Figure:
    """Draw LMN21's training signals: the norms of the gradients that reach scores and embeddings."""
    figure, (row,) = style.panels((9.0, 3.8), 1, 2)
    labels = {"score": r"$T_s=\|\partial L/\partial s\|_2$", "embedding": r"$T_\nu=\|\partial L/\partial E\|_F$"}
    for axes, (name, label) in zip(row, labels.items(), strict=True):
        for k, each in enumerate(runs):
            _draw(axes, each.time, each.run[f"{name}_signal"].values, k)
        axes.set(ylabel=f"{label} (nats per unit)", yscale="log")
    return _finished(figure, runs)


def scores_figure(runs: Sequence[Compared]) -> Figure:
    """Draw score, embedding norm and attention, as means over the words that each run followed."""
    figure, (row,) = style.panels((10.4, 3.8), 1, len(style.QUANTITIES))
    for axes, (name, label) in zip(row, style.QUANTITIES.items(), strict=True):
        for k, each in enumerate(runs):
            curves = word_curves(each.run)
            _draw(axes, curves[0].time * each.pace, np.mean([getattr(one, name) for one in curves], axis=0), k)
            if f"predicted_{name}" in each.run:
                _draw_predicted(axes, each, each.run[f"predicted_{name}"].values.mean(axis=1))
        axes.set_ylabel(f"{label.replace('mean ', '')}, mean over words")
    return _finished(figure, runs, {style.PREDICTION: style.DOTTED} if _predicted(runs) else {})


def sen_figure(runs: Sequence[Compared]) -> Figure:
    """Draw one word of each run in the plane of score and norm beside its own SEN curve, and every run's deviation."""
    figure, ((left, right),) = style.panels((9.6, 4.2), 1, 2)
    shown = leaders(runs)
    for k, (each, curve) in enumerate(zip(runs, shown, strict=True)):
        places, q = style.spaced(curve.time.size, 16), float(each.run.attrs["query_norm"])
        left.plot(curve.score[places], curve.embedding_norm[places], **style.marks(k), zorder=4)
        if np.isnan(q):
            continue
        scores = np.linspace(curve.score.min(), curve.score.max(), 200)
        left.plot(scores, curve.sen_norm(q, scores), **style.line(k) | THEORY)
        off = [np.abs(sen_deviation(one, q)[1:]) for one in word_curves(each.run)]
        _draw(right, curve.time[1:] * each.pace, 100 * np.fmax.reduce(off), k)
    left.set(xlabel=style.QUANTITIES["score"], ylabel=style.QUANTITIES["embedding_norm"])
    left.set_title(f"word {' / '.join(dict.fromkeys(f'“{each.word}”' for each in shown))}", parse_math=False)
    right.set(ylabel="largest deviation from SEN (%)", yscale="log")
    return _finished(figure, runs, {"lines on the left: SEN of each run, theory B1": style.REFERENCE}, timed=[right])


def loss_figure(runs: Sequence[Compared]) -> Figure:
    """Draw the loss on every data set that a run has."""
    splits = [name for name in ("train", "dev", "test") if any(f"{name}_loss" in each.run for each in runs)]
    figure, (row,) = style.panels((1.2 + 3.6 * len(splits), 3.8), 1, len(splits), titles=splits, sharey=True)
    for axes, split in zip(row, splits, strict=True):
        for k, each in enumerate(runs):
            if f"{split}_loss" in each.run:
                _draw(axes, each.time, each.run[f"{split}_loss"].values, k)
            if split == "train" and "predicted_loss" in each.run:
                _draw_predicted(axes, each, each.run.predicted_loss.values)
    losses = np.concatenate([line.get_ydata() for axes in row for line in axes.lines])
    row[0].set(ylabel="mean cross-entropy (nats)", yscale=style.scale(losses))
    return _finished(figure, runs, {style.PREDICTION: style.DOTTED} if _predicted(runs) else {})


def widths_figure(runs: Sequence[Compared]) -> Figure:
    """Draw the width σ of each window, and the tokens that hold 95 % of its attention."""
    figure, (row,) = style.panels((9.0, 3.8), 1, 2)
    labels = {"width": "σ, standard deviation of the bell (tokens)", "held": "tokens with 95 % of the attention"}
    return _windows_figure(figure, row, runs, labels)


def window_scores_figure(runs: Sequence[Compared]) -> Figure:
    """Draw the mean score of what is useful, and the training loss."""
    figure, (row,) = style.panels((9.0, 3.8), 1, 2)
    return _windows_figure(figure, row, runs, {"score": "mean score of what is useful (nats)", "loss": "training loss"})


FIGURES: dict[str, Callable[[Sequence[Compared]], Figure]] = {
    "signals": signals_figure,
    "scores": scores_figure,
    "sen": sen_figure,
    "loss": loss_figure,
}
WINDOW_FIGURES: dict[str, Callable[[Sequence[Compared]], Figure]] = {
    "widths": widths_figure,
    "window-scores": window_scores_figure,
}


def leaders(runs: Sequence[Compared]) -> list[WordCurve]:
    """Return one word of each run: of the words that all have, the one of largest final score in the first.

    Without such a word each run has its own of largest score.
    """
    curves = [{curve.word: curve for curve in word_curves(each.run)} for each in runs]
    common = [word for word in curves[0] if all(word in each for each in curves)]
    if common:
        word = max(common, key=lambda word: curves[0][word].score[-1])
        return [each[word] for each in curves]
    return [max(each.values(), key=lambda curve: curve.score[-1]) for each in curves]


def _windows_figure(figure: Figure, row: Sequence[Axes], runs: Sequence[Compared], labels: Mapping[str, str]) -> Figure:
    for axes, (name, label) in zip(row, labels.items(), strict=True):
        for k, each in enumerate(runs):
            _draw(axes, each.time, each.run[name].values, k)
            if f"predicted_{name}" in each.run:
                axes.plot(each.time, each.run[f"predicted_{name}"], **ON_TOP)
        axes.set(ylabel=label)
    predicted = any("predicted_width" in each.run for each in runs)
    return _finished(figure, runs, {"prediction, theory D2–D6": style.DOTTED} if predicted else {})


def _draw(axes: Axes, time: Array, values: Array, k: int) -> None:
    """Draw the k-th run as a line with markers at even distances of log time, between those of other runs."""
    if len(time) > 1:
        begin, end = np.log(time[time > 0][[0, -1]])
        at = np.exp(begin + (end - begin) * (np.arange(MARKS) + k / MOST) / MARKS)
        places = np.unique(np.searchsorted(time, at).clip(0, time.size - 1)).tolist()
        axes.plot(time, values, markevery=places, **_look(k))


def _look(k: int) -> Any:
    return style.line(k) | {"marker": style.MARKERS[k], "ms": 4.5, "mfc": "none"}


def _draw_predicted(axes: Axes, each: Compared, values: Array) -> None:
    time = each.run.attrs["learning_rate"] * each.run.predicted.values * each.pace
    axes.plot(time, values, **ON_TOP)


def _predicted(runs: Sequence[Compared]) -> bool:
    return any("predicted" in each.run.dims for each in runs)


def _finished(
    figure: Figure, runs: Sequence[Compared], theory: Mapping[str, Any] | None = None, timed: Sequence[Axes] = ()
) -> Figure:
    """Label the time axes, by default all, and name the runs and then the theory below the panels."""
    clock, notes = clock_of(runs)
    for axes in timed or figure.axes:
        style.log_time(axes, np.arange(2))
        axes.set_xlabel(clock)
    handles = [Line2D([], [], **_look(k)) for k in range(len(runs))]
    handles += [Line2D([], [], **look) for look in (theory or {}).values()]
    names = [*names_of(runs), *(theory or {})]
    room, widths = int(style.TITLE_LETTERS * figure.get_figwidth()), [len(name) + STROKE for name in names]
    columns = len(names) if sum(widths) <= room else max(1, room // max(widths))
    style.name_lines(figure, handles, names, loc="outside lower center", ncols=columns)
    return style.entitled(figure, "; ".join([shared_title(runs), *notes]))
