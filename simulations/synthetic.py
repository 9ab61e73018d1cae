"""LMN21's synthetic task under the three models: SEN curves, losses, final scores and norms, intervals over seeds.

python -m simulations.synthetic --quick
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attn_dynamics.model.heads import HEADS
from attn_dynamics.results.figures.run import COLOURS, LINES, MARKERS, PREDICTION, QUANTITIES, TIME, entitled
from attn_dynamics.results.summary import summarise
from attn_dynamics.results.word_curves import sen_deviation, tracks
from attn_dynamics.statistics import shown_as
from attn_dynamics.tasks import Synthetic
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.training.settings import Config
from simulations.experiment import (
    NAMES,
    Cell,
    Findings,
    Options,
    Size,
    command,
    draw_band,
    draw_predicted,
    grouped,
    interval,
    run_all,
    seeds_as,
    told,
)

TASK = Synthetic()
MEASURES = ("train_loss", "test_loss", "test_accuracy", "sen_residual", "prediction_residual", "score", "norm")
Runs = Mapping[str, Sequence[xr.Dataset]]
"""Runs of each model, one per seed."""


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """Three models on LMN21's synthetic task; seed k draws data and start."""

    name: ClassVar = "synthetic"
    sizes: ClassVar = {"quick": Size(3, 1000), "usual": Size(10, 5000), "full": Size(30, 5000)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command(Settings, study, arguments)


def study(options: Settings) -> Findings:
    """Train, and compare the runs with SEN and mean field."""
    tasks = [TASK.draw(seed) for seed in range(options.size.seeds)]
    cells = [
        Cell(config=Config(model=model, seed=seed, epochs=options.size.epochs), task=task)
        for model in HEADS
        for seed, task in enumerate(tasks)
    ]
    trajectories = run_all(cells, options)
    rows = pd.DataFrame([_row(run) for run in trajectories])
    runs = {model: [run for run in trajectories if run.attrs["model"] == model] for model in HEADS}
    of_models = {model: each.dropna(axis=1, how="all") for model, each in grouped(rows, "model").items()}
    return Findings(
        rows=rows,
        summary={
            model: {name: interval(each[name]) for name in MEASURES if name in each}
            for model, each in of_models.items()
        },
        table=pd.DataFrame(
            [
                {"at the end": name.replace("_", " "), "model": NAMES[model], shown_as(len(tasks)): told(each[name])}
                for name in MEASURES
                for model, each in of_models.items()
                if name in each
            ]
        ),
        figures={
            "sen": lambda: sen_figure(runs),
            "loss": lambda: loss_figure(runs),
            "distributions": lambda: distributions_figure(runs),
        },
    )


def _row(run: xr.Dataset) -> dict[str, object]:
    """Return numbers of one run at its end; score and norm are means over its topic words."""
    plain = {name: value for name, value in summarise(run, 0.0).items() if not isinstance(value, list | dict)}
    ends = [(track.score[-1], track.embedding_norm[-1]) for track in tracks(run)]
    score, norm = np.mean(ends, axis=0)
    return plain | {"score": float(score), "norm": float(norm), "seconds": run.attrs["seconds"]}


def sen_figure(runs: Runs) -> Figure:
    """Draw all topic words of all heads and seeds beside the single curve of SEN, and their deviation from it."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (model, each) in enumerate(runs.items()):
        _draw_words(left, each, k, NAMES[model])
        _draw_deviation(right, each, k, NAMES[model])
    scores = np.linspace(0, max(float(run.score.max()) for each in runs.values() for run in each), 200)
    norms = sen_norm(scores, TASK.other_words, 1.0)
    left.plot(scores, norms, color="black", linewidth=1.2, label="SEN, theory B1", zorder=3)
    left.set(xlabel=QUANTITIES["score"], ylabel=r"$\|q\|\,\|\nu\|$, query norm × embedding norm")
    left.legend(loc="lower right")
    first = next(iter(runs.values()))
    words, seeds = first[0].sizes["word"], len(first)
    bound, label = 100 * words / TASK.sentences, "1/(ρN), ρN sentences a word: memorised, B2"
    right.axhline(bound, color="black", linewidth=1.0, linestyle=":", label=label)
    right.set(xlabel=TIME, xscale="log", yscale="log", ylabel="largest deviation from SEN of a topic word (%)")
    right.legend(loc="upper right")
    return entitled(figure, f"{words} topic words under three heads; right: {seeds_as(seeds, log=True)}")


def _draw_words(axes: Axes, runs: Sequence[xr.Dataset], k: int, label: str) -> None:
    """Draw scores and norms; multiplied by ‖q‖, norms of all seeds lie on one curve, up to a start of 0.003."""
    points = []
    for run in runs:
        places = np.unique(np.linspace(0, run.sizes["epoch"] - 1, 12).round().astype(int))
        norms = run.attrs["query_norm"] * run.embedding_norm.values[places]
        points.append([run.score.values[places].ravel(), norms.ravel()])
    axes.plot(*np.concatenate(points, axis=1), MARKERS[k], ms=3, color=COLOURS[k], mfc="none", label=label)


def _draw_deviation(axes: Axes, runs: Sequence[xr.Dataset], k: int, label: str) -> None:
    largest = [
        np.max([abs(sen_deviation(track, run.attrs["query_norm"])[1:]) for track in tracks(run)], axis=0)
        for run in runs
    ]
    draw_band(axes, runs[0].time.values[1:], 100 * np.array(largest), k, label, log=True)


def loss_figure(runs: Runs) -> Figure:
    """Draw training and test loss over the seeds, and the mean-field prediction if there is one."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    panels = figure.subplots(1, len(runs), sharey=True)
    for axes, (model, each) in zip(panels, runs.items(), strict=True):
        for k, split in enumerate(("train", "test")):
            draw_band(
                axes, each[0].time.values, np.array([run[f"{split}_loss"].values for run in each]), k, split, log=True
            )
        draw_predicted(axes, each, lambda run: run.predicted_loss.values, f"train, {PREDICTION}", log=True)
        axes.set_title(NAMES[model], fontsize=9)
        axes.set(xlabel=TIME, yscale="log")
        axes.legend()
    panels[0].set_ylabel("mean cross-entropy (nats)")
    return entitled(figure, seeds_as(len(next(iter(runs.values()))), log=True))


def distributions_figure(runs: Runs) -> Figure:
    """Draw final scores and norms of topic words and of all other words, all seeds together."""
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    for row, name in zip(
        figure.subplots(2, len(runs), sharex="row", sharey="row"), ("score", "embedding_norm"), strict=True
    ):
        for axes, (model, each) in zip(row, runs.items(), strict=True):
            topic = np.concatenate([run[name].values[-1] for run in each])
            rest = np.concatenate([_others(run, name) for run in each])
            for k, (label, values) in enumerate({"other words": rest, "topic words": topic}.items()):
                axes.ecdf(values, color=COLOURS[k], linestyle=LINES[k], label=label)
            axes.set(xlabel=f"final {QUANTITIES[name]}")
            axes.set_title(NAMES[model], fontsize=9)
        row[0].set_ylabel("share of the words\nat or below")
        row[0].legend(loc="lower right")
    return figure


def _others(run: xr.Dataset, name: str) -> np.ndarray:
    """Return the values of words in training sentences that are not topic words."""
    chosen = (run.frequency.values > 0) & ~np.isin(run.vocabulary.values, run.word.values)
    return run[f"all_{name}"].values[-1][chosen]


if __name__ == "__main__":
    sys.exit(main())
