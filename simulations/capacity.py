"""Training signals T_s and T_ν that three heads leave to attention, and final scores (C7).

python -m simulations.capacity --quick

`python -m analysis.theory_figures --figure regimes` draws where the order of the scores breaks.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy.integrate import trapezoid
from scipy.interpolate import PchipInterpolator

from attn_dynamics.claims._support.synthetic_run import PUBLISHED
from attn_dynamics.claims.c7_capacity import CAPACITY, SMALL
from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import in_words, interval
from simulations.experiment import NAMES, Findings, SeededOptions, Size, alike, command, train_all

PAIRS = list(pairwise(CAPACITY))
MEASURES = {
    "score": "mean final score",
    "ln_score_signal": "ln ∫ T_s dτ",
    "ln_embedding_signal": "ln ∫ T_ν dτ",
    "ln_peak_score_signal": "ln max T_s",
}
"""Measures that are compared in pairs."""
Runs = Mapping[str, Sequence[xr.Dataset]]


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """Heads of low, middle and high capacity on the same data, seed by seed; --quick takes a smaller task."""

    name: ClassVar = "capacity"
    sizes: ClassVar = {"quick": Size(5, 1000, 0.5), "usual": Size(10, 5000), "full": Size(30, 5000)}


def study(options: Settings) -> Findings:
    """Train, by default to the time of LMN21's runs, and compare in pairs."""
    task = SMALL if options.quick else PUBLISHED
    tasks = [task.draw(seed) for seed in options.seed_range]
    trained = train_all(CAPACITY, tasks, options)
    rows, runs = pd.DataFrame([_row(run) for run in trained]), alike(trained, "model")
    differences = {name: _differences(rows, name) for name in MEASURES}
    return Findings(
        rows=rows,
        summary={
            "paired": {name: {pair: interval(each) for pair, each in of.items()} for name, of in differences.items()},
            "order_holds": {pair: _is_above(each) for pair, each in differences["score"].items()},
        },
        table=pd.DataFrame(
            [
                {"paired difference": words} | {pair: in_words(each) for pair, each in differences[name].items()}
                for name, words in MEASURES.items()
            ]
        ),
        figures={
            "signals": partial(signals_figure, runs),
            "scores": partial(scores_figure, runs, differences["score"]),
        },
    )


def _row(run: xr.Dataset) -> dict[str, object]:
    """Return the final score of a run, and its signals integrated over time."""
    signals = {name: run[f"{name}_signal"].values for name in ("score", "followed_score", "embedding")}
    return {
        "model": run.attrs["model"],
        "seed": run.attrs["seed"],
        "score": float(run.score[-1].mean()),
        "train_loss": float(run.train_loss[-1]),
        "ln_score_signal": float(np.log(trapezoid(signals["score"], run.time))),
        "ln_embedding_signal": float(np.log(trapezoid(signals["embedding"], run.time))),
        "ln_peak_score_signal": float(np.log(signals["score"].max())),
        "topic_share": float(
            trapezoid(signals["followed_score"] ** 2, run.time) / trapezoid(signals["score"] ** 2, run.time)
        ),
    }


def _differences(rows: pd.DataFrame, name: str) -> dict[str, Array]:
    """Return the difference of each neighbouring pair of heads, lower minus higher capacity, by seed."""
    wide = rows.pivot(index="seed", columns="model", values=name)
    return {f"{NAMES[low]} − {NAMES[high]}": (wide[low] - wide[high]).to_numpy() for low, high in PAIRS}


def _is_above(differences: Array) -> bool | None:
    """Return whether the interval of a difference lies above 0; None if there are too few seeds for one."""
    low = interval(differences)["low"]
    return None if np.isnan(low) else bool(low > 0)


def signals_figure(runs: Runs) -> Figure:
    """Draw LMN21's training signals over the seeds."""
    figure, ((scores, embeddings, shares),) = style.panels((10.4, 3.6), 1, 3)
    for k, (model, each) in enumerate(runs.items()):
        style.draw_runs(scores, each, "followed_score_signal", k, NAMES[model], log=True)
        style.draw_predicted(scores, each, _predicted_signal, style.PREDICTION, log=True)
        style.draw_runs(embeddings, each, "embedding_signal", k, log=True)
        style.draw_runs(shares, each, lambda run: 100 * (run.followed_score_signal / run.score_signal) ** 2, k)
    scores.set(ylabel=r"$\|\partial L/\partial s\|_2$ of topic words (nats)", yscale="log")
    embeddings.set(ylabel=r"$T_\nu=\|\partial L/\partial E\|_F$ (nats per unit)", yscale="log")
    shares.set_ylabel(r"topic words' share of $T_s^2$ (%)")
    for axes in figure.axes:
        style.log_time(axes, runs[CAPACITY[0]][0].time.values)
    style.legend(scores, loc="lower right")
    return style.entitled(figure, style.seeds_as(len(runs[CAPACITY[0]]), log=True))


def _predicted_signal(run: xr.Dataset) -> Array:
    """Return ‖∂L/∂s‖ of topic words in mean field, from ds/dτ = -‖q‖² ∂L/∂s halfway through each step of descent."""
    rate = run.attrs["learning_rate"]
    path = PchipInterpolator(rate * run.predicted.values, run.predicted_score.values)
    slopes = path.derivative()(rate * (run.predicted.values[:-1] + 0.5))
    signal = np.linalg.norm(slopes, axis=1) / run.attrs["query_norm"] ** 2
    return np.append(signal, np.nan)


def scores_figure(runs: Runs, differences: Mapping[str, Array]) -> Figure:
    """Draw scores over time, and the final differences of every seed."""
    figure, ((left, right),) = style.panels((8.6, 3.6), 1, 2)
    for k, (model, each) in enumerate(runs.items()):
        style.draw_runs(left, each, lambda run: run.score.values.mean(axis=1), k, NAMES[model])
        style.draw_predicted(left, each, lambda run: run.predicted_score.values.mean(axis=1), style.PREDICTION)
    left.set(xlabel=style.TIME, ylabel=f"{style.QUANTITIES['score']}, mean of topic words")
    style.legend(left, loc="upper left")
    for k, (pair, values) in enumerate(differences.items()):
        spread = np.linspace(-0.15, 0.15, values.size)
        right.plot(k + spread, values, "o", ms=3, color="0.5", mfc="none", label="a seed")
        style.draw_points(right, {k: interval(values)}, k, pair)
    right.axhline(0.0, **style.REFERENCE)
    right.set_xticks(range(len(differences)), differences, fontsize=8)
    right.set(xlim=(-0.5, len(differences) - 0.5), ylabel="difference of the final score, paired")
    style.legend(right, loc="best")
    return style.entitled(figure, style.seeds_as(len(runs[CAPACITY[0]])))


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
