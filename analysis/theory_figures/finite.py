"""Figures of results that only runs show: distance of finite tasks from SEN (theory B2), and where C7's order holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims._support.synthetic_run import PUBLISHED
from attn_dynamics.claims.b2_sen_finite import SIZES, sen_scaling
from attn_dynamics.claims.c7_capacity import CAPACITY, capacity_map
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import FEWEST, interval

Array = NDArray[np.float64]
NAMES = {"dictionary": "dictionary (words)", "other_words": "other words of a sentence m", "sentences": "sentences N"}
"""Label of the axis for each varied size of a task."""
SCALES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
OTHERS = (5, 20)
PAIRS = (CAPACITY[:2], CAPACITY[1:])
SHORT = {"attn-fc": "FC", "attn-tc": "TC", "attn-tl": "TL"}


def size_panels(sizes: Mapping[str, Sequence[float]]) -> tuple[Figure, NDArray[Any]]:
    """Make a panel for each varied size of a task, over the measured sizes."""
    figure, (row,) = style.panels((9.6, 3.5), 1, len(sizes), layout="constrained", sharey=True)
    for axes, (varied, measured) in zip(row, sizes.items(), strict=True):
        axes.set(xlabel=NAMES[varied], xscale="log", yscale="log")
        label_sizes(axes, measured)
    return figure, row


def draw_law(axes: Axes, x: Array, y: Array, law: Array, k: int, label: str, points: str | None = None) -> None:
    """Draw points beside their fitted law."""
    axes.plot(x, y, label=points, **style.marks(k))
    axes.plot(x, law, label=label, **style.line(k))


def residual(quick: bool) -> Figure:
    """Draw the final distance of the published task from SEN over its sizes, beside the 1/(ρN) of memorisation."""
    sizes = {varied: each[:2] if quick else each for varied, each in SIZES.items()}
    figure, row = size_panels(sizes)
    for axes, varied in zip(row, sizes, strict=True):
        table = sen_scaling(varied, sizes=sizes[varied], seeds=1 if quick else 2, rate=2.0 if quick else 0.5)
        table = table.sort_values("size", kind="stable")
        size, off = table["size"].to_numpy(float), 100 * table["residual"].to_numpy()
        law = power_law(size, off)
        draw_law(axes, size, off, law.at(size), 0, f"fit, slope {law.exponent:.2f}", "descent, η → 0")
        sentences = size if varied == "sentences" else np.full_like(size, PUBLISHED.sentences)
        bound = 100 * PUBLISHED.topics * PUBLISHED.topic_words / sentences
        axes.plot(size, bound, label="1/(ρN), ρN sentences a word", **style.THEORY | {"linestyle": style.LINES[1]})
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    row[0].set_ylabel("mean distance from SEN\nat time 500 (%)")
    return figure


def label_sizes(axes: Axes, sizes: Sequence[float]) -> None:
    """Put ticks at the measured sizes only."""
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False, fontsize=8)
    axes.set_xticks([], minor=True)


def regimes(quick: bool) -> Figure:
    """Draw paired differences of the heads' final scores over the scale of their start: C7 holds if both exceed 0."""
    # With a step of 0.5, the longest such step, no head diverges from the largest start.
    seeds, scales = (2, SCALES[1::2]) if quick else (30, SCALES)
    table = capacity_map(seeds=range(seeds), scales=scales, others=OTHERS, rate=0.5)
    figure, (row,) = style.panels((8.6, 3.7), 1, len(OTHERS), titles=[f"m = {m}" for m in OTHERS], sharey=True)
    for axes, m in zip(row, OTHERS, strict=True):
        _draw_differences(axes, scales, np.array([_differences(table, m, scale) for scale in scales]))
        axes.set(xlabel="factor on the head's initial values", xscale="log")
        label_sizes(axes, scales)
    row[0].set_ylabel("difference of mean final scores, paired")
    style.legend_below(figure, 2)
    return figure


def _differences(table: pd.DataFrame, m: int, scale: float) -> list[Array]:
    """Return FC - TC and TC - TL, by seed."""
    cell = table.query("others == @m and scale == @scale").pivot(index="seed", columns="model", values="score")
    return [(cell[high] - cell[low]).to_numpy() for high, low in PAIRS]


def _draw_differences(axes: Axes, scales: Sequence[float], differences: Array) -> None:
    """Draw differences (scales, pairs, seeds): mean and 95 % interval, or one point per seed if there are few."""
    seeds, lows = differences.shape[2], []
    for k, (high, low) in enumerate(PAIRS):
        each, name = differences[:, k], f"{SHORT[high]} - {SHORT[low]}"
        if seeds < FEWEST:
            label = f"{name}, a point for each of {seeds} seeds"
            axes.plot(np.repeat(scales, seeds), each.ravel(), label=label, **style.marks(k))
            lows.append(each.min(axis=1))
        else:
            points = dict(zip(scales, map(interval, each), strict=True))
            style.draw_points(axes, points, k, f"{name}, 95 % interval of {seeds} seeds")
            lows.append([point["low"] for point in points.values()])
    holds, edges = (np.array(lows) > 0).all(axis=0), np.sqrt(np.array(scales[1:]) * scales[:-1])
    bounds = np.concatenate([[scales[0] / 1.5], edges, [scales[-1] * 1.5]])
    for left, right in zip(bounds[:-1][holds], bounds[1:][holds], strict=True):
        named = "both above 0: C7 holds" if left == bounds[:-1][holds][0] else None
        axes.axvspan(left, right, color=style.COLOURS[7], alpha=0.2, linewidth=0, label=named)
    axes.axhline(0.0, **style.REFERENCE)
    axes.axvline(1.0, linestyle=":", label="LMN21's start", **style.REFERENCE)
