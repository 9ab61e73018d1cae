"""Figures of results that only runs show: distance of finite tasks from SEN (theory B2), and where C7's order holds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims._support.synthetic_run import PUBLISHED
from attn_dynamics.claims.b2_sen_finite import SIZES, sen_scaling
from attn_dynamics.claims.c7_capacity import CAPACITY, capacity_map
from attn_dynamics.results.figures.run import COLOURS, LINES, MARKERS
from attn_dynamics.statistics import FEWEST, half_width

NAMES = {"dictionary": "dictionary (words)", "other_words": "other words of a sentence m", "sentences": "sentences N"}
"""Label of the axis for each varied size of a task."""
SCALES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
OTHERS = (5, 20)
PAIRS = (CAPACITY[:2], CAPACITY[1:])
SHORT = {"attn-fc": "FC", "attn-tc": "TC", "attn-tl": "TL"}


def residual(quick: bool) -> Figure:
    """Draw the final distance of the published task from SEN over its sizes, beside the 1/(ρN) of memorisation."""
    figure = Figure(figsize=(9.6, 3.5), layout="constrained")
    for axes, varied in zip(figure.subplots(1, 3, sharey=True), SIZES, strict=True):
        sizes = SIZES[varied][:2] if quick else SIZES[varied]
        table = sen_scaling(varied, sizes=sizes, seeds=1 if quick else 2, rate=2.0 if quick else 0.5)
        size, off = table["size"].to_numpy(float), 100 * table["residual"].to_numpy()
        law, shown = power_law(size, off), np.unique(size)
        axes.plot(size, off, MARKERS[0], ms=4, color=COLOURS[0], mfc="none", label="descent, η → 0")
        axes.plot(shown, law.at(shown), color=COLOURS[0], label=f"fit, slope {law.exponent:.2f}")
        sentences = shown if varied == "sentences" else np.full_like(shown, PUBLISHED.sentences)
        bound = 100 * PUBLISHED.topics * PUBLISHED.topic_words / sentences
        axes.plot(shown, bound, color="black", linestyle=LINES[1], label="1/(ρN), ρN sentences a word")
        axes.set(xlabel=NAMES[varied], xscale="log", yscale="log")
        label_sizes(axes, sizes)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.axes[0].set_ylabel("mean distance from SEN\nat time 500 (%)")
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
    figure = Figure(figsize=(8.6, 3.7), layout="constrained")
    for axes, m in zip(figure.subplots(1, len(OTHERS), sharey=True), OTHERS, strict=True):
        _draw_differences(axes, scales, np.array([_differences(table, m, scale) for scale in scales]))
        axes.set(xlabel="factor on the head's initial values", xscale="log")
        label_sizes(axes, scales)
        axes.set_title(f"m = {m}")
    figure.axes[0].set_ylabel("difference of mean final scores, paired")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _differences(table: pd.DataFrame, m: int, scale: float) -> list[NDArray[np.float64]]:
    """Return FC - TC and TC - TL, by seed."""
    cell = table.query("others == @m and scale == @scale").pivot(index="seed", columns="model", values="score")
    return [(cell[high] - cell[low]).to_numpy() for high, low in PAIRS]


def _draw_differences(axes: Axes, scales: Sequence[float], differences: NDArray[np.float64]) -> None:
    """Draw differences (scales, pairs, seeds): mean and 95 % interval, or one point per seed if there are few."""
    seeds, lows = differences.shape[2], []
    for k, (high, low) in enumerate(PAIRS):
        each = differences[:, k].T
        style = {"color": COLOURS[k], "linestyle": LINES[k], "marker": MARKERS[k], "ms": 4}
        if seeds < FEWEST:
            style["linestyle"] = ""
            label = f"{SHORT[high]} - {SHORT[low]}, a point for each of {seeds} seeds"
            axes.plot(np.repeat(scales, seeds), each.T.ravel(), mfc="none", label=label, **style)
            lows.append(each.min(axis=0))
        else:
            label, half = f"{SHORT[high]} - {SHORT[low]}, 95 % interval of {seeds} seeds", half_width(each)
            axes.errorbar(scales, each.mean(axis=0), half, capsize=3, label=label, **style)
            lows.append(each.mean(axis=0) - half)
    holds, edges = (np.array(lows) > 0).all(axis=0), np.sqrt(np.array(scales[1:]) * scales[:-1])
    bounds = np.concatenate([[scales[0] / 1.5], edges, [scales[-1] * 1.5]])
    for left, right in zip(bounds[:-1][holds], bounds[1:][holds], strict=True):
        named = "both above 0: C7 holds" if left == bounds[:-1][holds][0] else None
        axes.axvspan(left, right, color=COLOURS[7], alpha=0.2, linewidth=0, label=named)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.axvline(1.0, color="black", linewidth=0.8, linestyle=":", label="LMN21's start")
