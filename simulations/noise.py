"""Label noise: frequent words lead early, pure ones late, on topic words of unequal frequency and noise (G6).

python -m simulations.noise --quick
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import kendalltau

from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import in_words, interval
from attn_dynamics.tasks import Synthetic, Task
from attn_dynamics.tasks.label_noise import with_label_noise
from attn_dynamics.theory.label_noise import noise_score
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.training.corpus_config import Config
from simulations.experiment import Cell, Findings, SeededOptions, Size, alike, command, grouped, run_all

NOISE = np.array([0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
"""Probabilities of a wrong label, one a class; which class has which is drawn."""
FREQUENCY = tuple((np.geomspace(5.0, 1.0, NOISE.size) / np.geomspace(5.0, 1.0, NOISE.size).sum()).tolist())
"""Frequencies of the classes and so of their topic words."""
TASK = Synthetic(
    topics=NOISE.size,
    topic_words=1,
    topic_distribution=FREQUENCY,
    other_words=10,
    dictionary=20_000,
    sentences=4000,
    test_sentences=0,
)
EARLY = 30.0
"""Time at which the early order is taken."""
ARMS = {"noisy": "labels with noise", "clean": "the same sentences, right labels"}
TIMES = 60
"""Number of times, at even distances of their logarithm, at which orders are compared."""
ORDERS = {"frequency": "frequency", "signal": "frequency × purity", "purity": "purity"}
"""What the order of scores is compared with."""
Runs = Mapping[str, Sequence[xr.Dataset]]
"""Runs of each arm, one per seed."""


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """Pairs of runs on the same sentences, with and without noise in their labels; --quick takes fewer sentences."""

    name: ClassVar = "noise"
    sizes: ClassVar = {"quick": Size(2, 800, 1.0), "usual": Size(10, 1000, 1.0), "full": Size(30, 1000, 1.0)}


def study(options: Settings) -> Findings:
    """Train Attn-FC with and without noise, and compare the order of scores with that of frequency and of purity."""
    task = replace(TASK, sentences=1000) if options.quick else TASK
    cells = [
        Cell(config=_config(seed, options.size), task=drawn, kind={"arm": arm}, keep=_keep)
        for seed in options.seed_range
        for arm, drawn in _arms(task, seed).items()
    ]
    runs = alike(run_all(cells, options), "arm")
    rows = pd.DataFrame([_row(run) for arm in ARMS for run in runs[arm]])
    return Findings(
        rows=rows,
        summary={"early": EARLY, "noise": NOISE.tolist(), **_summary(rows)},
        table=pd.DataFrame([_line(arm, each) for arm, each in grouped(rows, "arm").items()]),
        caption=f"Kendall's τ of scores with each order at time {EARLY:g} and at the end",
        figures={"order": partial(order_figure, runs), "ends": partial(ends_figure, runs["noisy"])},
    )


def _config(seed: int, size: Size) -> Config:
    return Config(
        model="attn-fc",
        seed=seed,
        start="mean-field",
        train=("keys", "embeddings"),
        learning_rate=size.learning_rate,
        epochs=size.epochs,
    )


def _arms(task: Synthetic, seed: int) -> dict[str, Task]:
    """Draw the sentences of a seed and which class has which noise; return the task of each arm."""
    clean, rng = task.draw(seed), np.random.default_rng([seed, 1])
    noise = rng.permutation(NOISE)
    return {
        "noisy": replace(clean, train=with_label_noise(clean.train, noise[clean.train.labels], rng)),
        "clean": clean,
    }


def _keep(run: xr.Dataset, task: Task) -> xr.Dataset:
    """Keep the topic words at some epochs, with the frequency of each, its share of wrong labels, and mean field."""
    last, early = run.epoch.values[-1], EARLY / run.attrs["learning_rate"]
    # All scores are 0 up to epoch 1, because embeddings start at 0.
    kept = np.append(np.geomspace(min(2, last), last, TIMES), min(early, last))
    epochs = np.unique(kept.round().astype(int))
    held = task.train.counts[:, task.train.columns([word for words in task.topic_words for word in words])].toarray()
    wrong = held * (task.train.labels[:, None] != np.arange(held.shape[1]))
    frequency, noise = held.mean(axis=0), wrong.sum(axis=0) / held.sum(axis=0)
    theory = MeanField(
        frequency=frequency,
        classes=task.train.n_classes,
        others=float(task.train.lengths[0] - 1),
        query_norm=run.attrs["query_norm"],
        label_noise=noise,
    ).flow(run.time.values[epochs], learning_rate=run.attrs["learning_rate"])
    return run.isel(epoch=epochs, snapshot=[0, -1]).assign(
        word_frequency=("word", frequency),
        label_noise=("word", noise),
        mean_field_score=(("epoch", "word"), theory.score),
    )


def along(run: xr.Dataset, order: str, of: str = "score") -> Array:
    """Return Kendall's τ of scores, or of what stands `of` them, with one of `ORDERS` at each kept time.

    It is NaN for purity where all words are equally pure.
    """
    purity = 1.0 - run.label_noise.values * NOISE.size / (NOISE.size - 1)
    frequency = run.word_frequency.values
    by = {"frequency": frequency, "signal": frequency * purity, "purity": purity}[order]
    if np.ptp(by) == 0.0:
        return np.full(run.sizes["epoch"], np.nan)
    return np.array([kendalltau(row, by)[0] for row in run[of].values], float).round(12)


def _row(run: xr.Dataset) -> dict[str, Any]:
    early = int(np.abs(run.time.values - EARLY).argmin())
    places = {"early": early, "late": -1}
    found = {f"{order}_{when}": along(run, order)[at] for order in ORDERS for when, at in places.items()}
    return {"arm": run.attrs["arm"], "seed": run.attrs["seed"]} | found


def _changes(rows: pd.DataFrame) -> dict[str, Array]:
    """Return what each run's order gains from early to late, by what it is compared with."""
    return {order: (rows[f"{order}_late"] - rows[f"{order}_early"]).to_numpy() for order in ORDERS}


def _summary(rows: pd.DataFrame) -> dict[str, Any]:
    arms = grouped(rows, "arm")
    noisy, clean = (arms[arm].set_index("seed") for arm in ARMS)
    return {
        **{f"noisy_{name}": interval(noisy[name]) for name in noisy.columns if name != "arm"},
        "noisy_change": {order: interval(each) for order, each in _changes(noisy).items()},
        "clean_change_of_frequency": interval(_changes(clean)["frequency"]),
        "noisy_less_clean_frequency_late": interval(noisy.frequency_late - clean.frequency_late),
    }


def _line(arm: str, rows: pd.DataFrame) -> dict[str, str]:
    columns = {f"{words}, {when}": f"{order}_{when}" for when in ("early", "late") for order, words in ORDERS.items()}
    known = {name: rows[column].to_numpy() for name, column in columns.items()}
    return {"labels": ARMS[arm]} | {
        name: "" if np.isnan(values).all() else in_words(values) for name, values in known.items()
    }


def order_figure(runs: Runs) -> Figure:
    """Draw over time how the order of scores agrees with that of frequency, of both, and of purity."""
    titles = [f"order by {words}" for words in ORDERS.values()]
    figure, (row,) = style.panels((10.4, 3.6), 1, len(ORDERS), titles=titles, sharey=True)
    for axes, order in zip(row, ORDERS, strict=True):
        for k, (arm, label) in enumerate(ARMS.items()):
            if (arm, order) != ("clean", "purity"):
                style.draw_runs(axes, runs[arm], partial(along, order=order), k, label)
        mean = np.mean([along(run, order, "mean_field_score") for run in runs["noisy"]], axis=0)
        axes.plot(runs["noisy"][0].time, mean, label="mean field with noise, theory G6", **style.DOTTED)
        axes.axhline(0.0, **style.REFERENCE)
        style.log_time(axes, runs["noisy"][0].time.values)
    row[0].set(ylabel="Kendall's τ of scores with the order", ylim=(-1.05, 1.05))
    style.legend_below(figure)
    return style.entitled(figure, style.seeds_as(len(runs["noisy"])))


def ends_figure(runs: Sequence[xr.Dataset]) -> Figure:
    """Draw the scores of all words over their shares of wrong labels, early and at the end, with the theory's end."""
    figure, ((axes,),) = style.panels((6.4, 4.0))
    first, noise = runs[0], np.concatenate([run.label_noise.values for run in runs])
    shares = np.linspace(noise[noise > 0].min(), noise.max(), 200)
    setting = {"classes": NOISE.size, "others": TASK.other_words, "query_norm": first.attrs["query_norm"]}
    axes.plot(100 * shares, noise_score(shares, **setting), label="end $s^*$, theory G6", **style.THEORY)
    for k, at in enumerate((-1, int(np.abs(first.time.values - EARLY).argmin()))):
        scores = np.concatenate([run.score.values[at] for run in runs])
        axes.plot(100 * noise, scores, label=f"time {first.time.values[at]:g}", **style.marks(k))
    axes.set(xlabel="wrong labels in the sentences of a topic word (%)", ylabel=style.QUANTITIES["score"])
    style.legend(axes, loc="upper right")
    return style.entitled(figure, f"each topic word of {len(runs)} seeds, of whatever frequency")


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
