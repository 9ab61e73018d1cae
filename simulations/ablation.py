"""Keys fixed (LMN21's KF), embeddings fixed (EF), or all trained: do scores and embeddings help each other (C5)?

python -m simulations.ablation --quick
"""

import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics.claims.c5_mutual_promotion import TOLERANCE, excess, fall
from attn_dynamics.claims.c6_mutual_suppression import misalignment
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.results.figures.run import PREDICTION, QUANTITIES, TIME, entitled
from attn_dynamics.tasks import Synthetic, Task
from attn_dynamics.training import experiment
from attn_dynamics.training.settings import Config, Preset
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

ARMS = {
    "all": ("keys", "embeddings", "head"),
    "KF": ("embeddings", "head"),
    "EF": ("keys", "head"),
}
"""Trained parts of each arm."""
HELD = 100 * TOLERANCE
"""Largest allowed setback, as in claim C5."""
Runs = Mapping[tuple[str, str], Sequence[xr.Dataset]]
"""Runs of each model and arm, one per seed."""


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """Pairs of runs that share data and start, and differ in their trained parts."""

    start: Preset = "paper"
    """Initial values; C5 is proved for mean-field, whose embeddings start at 0: EF and Attn-TL then learn nothing."""

    name: ClassVar = "ablation"
    sizes: ClassVar = {"quick": Size(2, 1000), "usual": Size(10, 5000), "full": Size(30, 5000)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command(Settings, study, arguments)


def study(options: Settings) -> Findings:
    """Train every arm from every start, and compare them in pairs."""
    seeds = range(options.size.seeds)
    tasks = [Synthetic().draw(seed) for seed in seeds]
    shared = {"epochs": options.size.epochs, "start": options.start}
    configs = {
        (model, arm, seed): Config(model=model, seed=seed, train=train, **shared)
        for model in HEADS
        for arm, train in ARMS.items()
        for seed in seeds
    }
    cells = [Cell(config=each, task=tasks[key[2]], kind={"arm": key[1]}) for key, each in configs.items()]
    done = dict(zip(configs, run_all(cells, options), strict=True))
    runs = {(model, arm): [done[model, arm, seed] for seed in seeds] for model in HEADS for arm in ARMS}
    rows = pd.DataFrame(
        [
            {"model": model, "seed": seed}
            | _pair(*(done[model, arm, seed] for arm in ARMS))
            | {"misaligned": _misaligned(configs[model, "all", seed], tasks[seed])}
            for model in HEADS
            for seed in seeds
        ]
    )
    return Findings(
        rows=rows,
        summary={"start": options.start, **{model: _summary(each) for model, each in grouped(rows, "model").items()}},
        table=pd.DataFrame([line for model, each in grouped(rows, "model").items() for line in _lines(model, each)]),
        figures={"loss": lambda: loss_figure(runs), "promotion": lambda: promotion_figure(runs)},
    )


def _pair(trained: xr.Dataset, keys_fixed: xr.Dataset, embeddings_fixed: xr.Dataset) -> dict[str, Any]:
    """Return losses, scores and norms of one seed's arms at the end, and the setbacks that C5 excludes."""
    arms = dict(zip(ARMS, (trained, keys_fixed, embeddings_fixed), strict=True))
    score, norm = trained.score.values, trained.embedding_norm.values
    falls = np.diff(score, axis=0) < 0
    fell = np.flatnonzero(falls.any(axis=1))
    return {
        **{f"loss_{arm}": float(run.train_loss[-1]) for arm, run in arms.items()},
        **{f"test_accuracy_{arm}": float(run.test_accuracy[-1]) for arm, run in arms.items()},
        **{f"score_{arm}": float(run.score[-1].mean()) for arm, run in arms.items()},
        **{f"norm_{arm}": float(run.embedding_norm[-1].mean()) for arm, run in arms.items()},
        "loss_excess": excess(trained.train_loss.values, keys_fixed.train_loss.values),
        "score_fall": fall(score) if score.any() else 0.0,
        "norm_fall": fall(norm) if norm.any() else 0.0,
        "words_fell": trained.word.values[falls.any(axis=0)].tolist(),
        "last_fall": float(trained.time[fell[-1] + 1]) if fell.size else np.nan,
    }


def _misaligned(config: Config, task: Task) -> list[Hashable]:
    """Return the topic words whose score must first fall because they start misaligned (C6)."""
    words = [word for topic in task.topic_words for word in topic]
    along = misalignment(task.train, experiment.start(config, task))[task.train.columns(words)]
    return [word for word, each in zip(words, along, strict=True) if each > 0]


def _summary(rows: pd.DataFrame) -> dict[str, object]:
    promoted = rows[["loss_excess", "score_fall", "norm_fall"]].max(axis=1) <= HELD
    exceptions = rows.loc[
        ~promoted, ["seed", "loss_excess", "score_fall", "norm_fall", "words_fell", "misaligned", "last_fall"]
    ]
    return {
        "seeds_with_loss_at_most_that_of_KF": int((rows.loss_excess <= HELD).sum()),
        "seeds_with_C5": int(promoted.sum()),
        "seeds_whose_falling_words_are_the_misaligned": int((rows.words_fell == rows.misaligned).sum()),
        "exceptions": exceptions.to_dict("records"),
        "ln_loss_KF_over_all": interval(_worth(rows, "KF")),
        "ln_loss_EF_over_all": interval(_worth(rows, "EF")),
        **{f"loss_{arm}": interval(rows[f"loss_{arm}"].to_numpy()) for arm in ARMS},
    }


def _worth(rows: pd.DataFrame, arm: str) -> Array:
    return np.log(rows[f"loss_{arm}"].to_numpy() / rows["loss_all"].to_numpy())


def _lines(model: str, rows: pd.DataFrame) -> list[dict[str, str]]:
    seeds = len(rows)
    falls = rows[["score_fall", "norm_fall"]].max(axis=1)
    found = {
        "ln(L with keys fixed / L)": told(_worth(rows, "KF")),
        "ln(L with embeddings fixed / L)": told(_worth(rows, "EF")),
        "L ≤ L with keys fixed, always": f"{(rows.loss_excess <= HELD).sum()} of {seeds}",
        "s and ‖ν‖ never fall": f"{(falls <= HELD).sum()} of {seeds}",
        "largest fall": f"{np.maximum(falls.max(), 0.0) + 0.0:.0e}",
    }
    return [{"model": NAMES[model], "what": what, "found": value} for what, value in found.items()]


def loss_figure(runs: Runs) -> Figure:
    """Draw the training loss of the three arms, with the mean-field prediction if it applies."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    for axes, model in zip(figure.subplots(1, len(HEADS), sharey=True), HEADS, strict=True):
        for k, arm in enumerate(ARMS):
            each = runs[model, arm]
            label = {"all": "all trained", "KF": "keys fixed", "EF": "embeddings fixed"}[arm]
            draw_band(axes, each[0].time.values, np.array([run.train_loss.values for run in each]), k, label, log=True)
            draw_predicted(axes, each, partial(_predicted, name="loss"), PREDICTION if k == 0 else None, log=True)
        axes.set_title(NAMES[model], fontsize=9)
        axes.set(xlabel=TIME, yscale="log")
        axes.legend(loc="lower left")
    figure.axes[0].set_ylabel("training cross-entropy (nats)")
    return entitled(figure, _seeds_as(runs, log=True))


def promotion_figure(runs: Runs) -> Figure:
    """Draw the effect of embeddings on scores, and of scores on embeddings: means over topic words."""
    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    others = {"score": ("EF", "embeddings fixed"), "embedding_norm": ("KF", "keys fixed")}
    for row, (name, (arm, label)) in zip(figure.subplots(2, len(HEADS), sharey="row"), others.items(), strict=True):
        for axes, model in zip(row, HEADS, strict=True):
            for k, (which, words) in enumerate({"all": "all trained", arm: label}.items()):
                each = runs[model, which]
                values = np.array([run[name].values.mean(axis=1) for run in each])
                draw_band(axes, each[0].time.values, values, k, words)
                draw_predicted(axes, each, partial(_predicted, name=name), PREDICTION if k == 0 else None)
            axes.set_title(NAMES[model], fontsize=9)
            axes.set(xlabel=TIME)
        row[0].set_ylabel(f"{QUANTITIES[name]},\nmean of topic words")
        row[0].legend(loc="upper left")
    return entitled(figure, _seeds_as(runs))


def _seeds_as(runs: Runs, *, log: bool = False) -> str:
    return seeds_as(len(next(iter(runs.values()))), log=log)


def _predicted(run: xr.Dataset, name: str) -> Array:
    """Return the mean-field prediction over time, as the mean over topic words."""
    return run[f"predicted_{name}"].values.reshape(run.sizes["predicted"], -1).mean(axis=1)


if __name__ == "__main__":
    sys.exit(main())
