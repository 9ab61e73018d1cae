"""Keys fixed (LMN21's KF), embeddings fixed (EF), or all trained: do scores and embeddings help each other (C5)?

python -m simulations.ablation --quick
"""

import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics.claims.c5_mutual_promotion import TOLERANCE, excess, fall
from attn_dynamics.claims.c6_mutual_suppression import misalignment
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import in_words, interval
from attn_dynamics.tasks import Synthetic
from attn_dynamics.training.corpus_config import Config, Preset
from simulations.experiment import NAMES, Cell, Findings, SeededOptions, Size, alike, command, grouped, run_all

ARMS = {
    "all": ("keys", "embeddings", "head"),
    "KF": ("embeddings", "head"),
    "EF": ("keys", "head"),
}
"""Trained parts of each arm."""
LABELS = {"all": "all trained", "KF": "keys fixed", "EF": "embeddings fixed"}
HELD = 100 * TOLERANCE
"""Largest allowed setback, as in claim C5."""
Runs = Mapping[tuple[str, str], Sequence[xr.Dataset]]
"""Runs of each model and arm, one per seed."""


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """Pairs of runs that share data and start, and differ in their trained parts."""

    start: Preset = "paper"
    """Initial values; C5 is proved for mean-field, whose embeddings start at 0: EF and Attn-TL then learn nothing."""

    name: ClassVar = "ablation"
    GROUPS: ClassVar = SeededOptions.GROUPS | {"experiment": "start"}
    sizes: ClassVar = {"quick": Size(2, 1000), "usual": Size(10, 5000), "full": Size(30, 5000)}


def study(options: Settings) -> Findings:
    """Train every arm from every start, and compare them in pairs."""
    seeds = options.seed_range
    tasks = {seed: Synthetic().draw(seed) for seed in seeds}
    size = options.size
    shared = {"epochs": size.epochs, "learning_rate": size.learning_rate, "start": options.start}
    cells = [
        Cell(config=Config(model=model, seed=seed, train=ARMS[arm], **shared), task=tasks[seed], kind={"arm": arm})
        for model, arm, seed in product(HEADS, ARMS, seeds)
    ]
    runs = alike(run_all(cells, options), "model", "arm")
    rows = pd.DataFrame(
        [_row(cell, runs, seeds.index(cell.config.seed)) for cell in cells if cell.kind["arm"] == "all"]
    )
    return Findings(
        rows=rows,
        summary={"start": options.start, **{model: _summary(each) for model, each in grouped(rows, "model").items()}},
        table=pd.DataFrame([line for model, each in grouped(rows, "model").items() for line in _lines(model, each)]),
        figures={"loss": partial(loss_figure, runs), "promotion": partial(promotion_figure, runs)},
    )


def _row(cell: Cell, runs: Runs, place: int) -> dict[str, Any]:
    """Compare the arms of the start of a cell, whose runs have this place among those of all seeds."""
    model = cell.config.model
    compared = _pair(*(runs[model, arm][place] for arm in ARMS))
    return {"model": model, "seed": cell.config.seed} | compared | {"misaligned": _misaligned(cell)}


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


def _misaligned(cell: Cell) -> list[Hashable]:
    """Return the topic words whose score must first fall because they start misaligned (C6)."""
    words = [word for topic in cell.task.topic_words for word in topic]
    along = misalignment(cell.task.train, cell.begin())[cell.task.train.columns(words)]
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
        "ln(L with keys fixed / L)": in_words(_worth(rows, "KF")),
        "ln(L with embeddings fixed / L)": in_words(_worth(rows, "EF")),
        "L ≤ L with keys fixed, always": f"{(rows.loss_excess <= HELD).sum()} of {seeds}",
        "s and ‖ν‖ never fall": f"{(falls <= HELD).sum()} of {seeds}",
        "largest fall": f"{np.maximum(falls.max(), 0.0) + 0.0:.0e}",
    }
    return [{"model": NAMES[model], "what": what, "found": value} for what, value in found.items()]


def loss_figure(runs: Runs) -> Figure:
    """Draw the training loss of the three arms, with the mean-field prediction if it applies."""
    figure, (row,) = style.panels((9.6, 3.6), 1, len(HEADS), titles=[NAMES[each] for each in HEADS], sharey=True)
    for axes, model in zip(row, HEADS, strict=True):
        for k, (arm, label) in enumerate(LABELS.items()):
            style.draw_runs(axes, runs[model, arm], "train_loss", k, label, log=True)
            style.draw_predicted(axes, runs[model, arm], "predicted_loss", style.PREDICTION, log=True)
        axes.set(xlabel=style.TIME, yscale="log")
    row[0].set_ylabel("training cross-entropy (nats)")
    style.legend_below(figure)
    return style.entitled(figure, style.seeds_as(len(next(iter(runs.values()))), log=True))


def promotion_figure(runs: Runs) -> Figure:
    """Draw the effect of embeddings on scores, and of scores on embeddings: means over topic words."""
    figure, rows = style.panels((9.6, 5.6), 2, len(HEADS), titles=[NAMES[each] for each in HEADS], sharey="row")
    for row, (name, arm) in zip(rows, {"score": "EF", "embedding_norm": "KF"}.items(), strict=True):
        for axes, model in zip(row, HEADS, strict=True):
            for k, which in enumerate(("all", arm)):
                each, predicted = runs[model, which], partial(_mean, name=f"predicted_{name}")
                style.draw_runs(axes, each, partial(_mean, name=name), k, LABELS[which])
                style.draw_predicted(axes, each, predicted, style.PREDICTION)
            axes.set(xlabel=style.TIME)
        row[0].set_ylabel(f"{style.QUANTITIES[name]},\nmean of topic words")
        style.legend(row[0], loc="upper left")
    return style.entitled(figure, style.seeds_as(len(next(iter(runs.values())))))


def _mean(run: xr.Dataset, name: str) -> Array:
    """Return a quantity over time, as the mean over topic words."""
    return run[name].values.mean(axis=1)


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
