"""LMN21's synthetic task under the three models: SEN curves, losses, final scores and norms, intervals over seeds.

python -m simulations.synthetic --quick
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.results.figures import style
from attn_dynamics.results.summary import summarise
from attn_dynamics.results.word_curves import sen_deviation, word_curves
from attn_dynamics.statistics import in_words, interval, shown_as
from attn_dynamics.tasks import Synthetic
from attn_dynamics.theory.sen import sen_norm
from simulations.experiment import NAMES, Findings, SeededOptions, Size, alike, command, grouped, train_all

TASK = Synthetic()
MEASURES = ("train_loss", "test_loss", "test_accuracy", "sen_residual", "prediction_residual", "score", "norm")
Runs = Mapping[str, Sequence[xr.Dataset]]
"""Runs of each model, one per seed."""


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """Three models on LMN21's synthetic task; seed k draws data and start."""

    name: ClassVar = "synthetic"
    sizes: ClassVar = {"quick": Size(3, 1000), "usual": Size(10, 5000), "full": Size(30, 5000)}


def study(options: Settings) -> Findings:
    """Train, and compare the runs with SEN and mean field."""
    tasks = [TASK.draw(seed) for seed in options.seed_range]
    trained = train_all(HEADS, tasks, options)
    rows, runs = pd.DataFrame([_row(run) for run in trained]), alike(trained, "model")
    of_models = {model: each.dropna(axis=1, how="all") for model, each in grouped(rows, "model").items()}
    return Findings(
        rows=rows,
        summary={
            model: {name: interval(each[name]) for name in MEASURES if name in each}
            for model, each in of_models.items()
        },
        table=pd.DataFrame(
            [
                {
                    "at the end": name.replace("_", " "),
                    "model": NAMES[model],
                    shown_as(len(tasks)): in_words(each[name]),
                }
                for name in MEASURES
                for model, each in of_models.items()
                if name in each
            ]
        ),
        figures={
            "sen": partial(sen_figure, runs),
            "loss": partial(loss_figure, runs),
            "distributions": partial(distributions_figure, runs),
        },
    )


def _row(run: xr.Dataset) -> dict[str, object]:
    """Return numbers of one run at its end; score and norm are means over its topic words."""
    plain = {name: value for name, value in summarise(run, 0.0).items() if not isinstance(value, list | dict)}
    ends = [(curve.score[-1], curve.embedding_norm[-1]) for curve in word_curves(run)]
    score, norm = np.mean(ends, axis=0)
    return plain | {"score": float(score), "norm": float(norm), "seconds": run.attrs["seconds"]}


def sen_figure(runs: Runs) -> Figure:
    """Draw all topic words of all heads and seeds beside the single curve of SEN, and their deviation from it."""
    figure, ((left, right),) = style.panels((9.6, 4.2), 1, 2)
    for k, (model, each) in enumerate(runs.items()):
        left.plot(*np.concatenate([_points(run) for run in each], axis=1), label=NAMES[model], **style.marks(k, 3))
        off = 100 * np.array([_deviation(run) for run in each])
        style.draw_band(right, each[0].time.values[1:], off, k, NAMES[model], band=style.geometric_band)
    scores = np.linspace(0, max(float(run.score.max()) for each in runs.values() for run in each), 200)
    left.plot(scores, sen_norm(scores, TASK.other_words, 1.0), label="SEN, theory B1", zorder=3, **style.THEORY)
    left.set(xlabel=style.QUANTITIES["score"], ylabel=r"$\|q\|\,\|\nu\|$, query norm × embedding norm")
    left.legend(loc="lower right")
    first = next(iter(runs.values()))
    words, seeds = first[0].sizes["word"], len(first)
    label = "1/(ρN), ρN sentences a word: memorised, B2"
    right.axhline(100 * words / TASK.sentences, linestyle=":", label=label, **style.REFERENCE)
    right.set(xlabel=style.TIME, xscale="log", yscale="log", ylabel="largest deviation from SEN of a topic word (%)")
    right.legend(loc="upper right")
    return style.entitled(figure, f"{words} topic words under three heads; right: {style.seeds_as(seeds, log=True)}")


def _points(run: xr.Dataset) -> Array:
    """Return scores and norms (2, points); multiplied by ‖q‖, norms of all seeds lie on one curve but for the start."""
    places = style.spaced(run.sizes["epoch"], 12)
    norms = run.attrs["query_norm"] * run.embedding_norm.values[places]
    return np.array([run.score.values[places].ravel(), norms.ravel()])


def _deviation(run: xr.Dataset) -> Array:
    return np.max([abs(sen_deviation(curve, run.attrs["query_norm"])[1:]) for curve in word_curves(run)], axis=0)


def loss_figure(runs: Runs) -> Figure:
    """Draw training and test loss over the seeds, and the mean-field prediction if there is one."""
    figure, (row,) = style.panels((9.6, 3.6), 1, len(runs), titles=[NAMES[each] for each in runs], sharey=True)
    for axes, each in zip(row, runs.values(), strict=True):
        for k, split in enumerate(("train", "test")):
            style.draw_runs(axes, each, f"{split}_loss", k, split, log=True)
        style.draw_predicted(axes, each, "predicted_loss", f"train, {style.PREDICTION}", log=True)
        axes.set(xlabel=style.TIME, yscale="log")
    row[0].set_ylabel("mean cross-entropy (nats)")
    style.legend_below(figure)
    return style.entitled(figure, style.seeds_as(len(next(iter(runs.values()))), log=True))


def distributions_figure(runs: Runs) -> Figure:
    """Draw final scores and norms of topic words and of all other words, all seeds together."""
    figure, rows = style.panels(
        (9.6, 5.4), 2, len(runs), titles=[NAMES[each] for each in runs], sharex="row", sharey="row"
    )
    for row, name in zip(rows, ("score", "embedding_norm"), strict=True):
        for axes, each in zip(row, runs.values(), strict=True):
            groups = {"other words": _others, "topic words": lambda run, name: run[name].values[-1]}
            for k, (label, values) in enumerate(groups.items()):
                axes.ecdf(np.concatenate([values(run, name) for run in each]), label=label, **style.line(k))
            axes.set(xlabel=f"final {style.QUANTITIES[name]}")
        row[0].set_ylabel("share of the words\nat or below")
        row[0].legend(loc="lower right")
    return figure


def _others(run: xr.Dataset, name: str) -> Array:
    """Return the values of words in training sentences that are not topic words."""
    chosen = (run.frequency.values > 0) & ~np.isin(run.vocabulary.values, run.word.values)
    return run[f"all_{name}"].values[-1][chosen]


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
