"""Large embeddings at the start: which topic words first lose score (C6, predicted), and do they recover?

python -m simulations.suppression --quick
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from attn_dynamics.claims._support.synthetic_run import PUBLISHED
from attn_dynamics.claims.c6_mutual_suppression import misalignment, suppressed
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.figures import style
from attn_dynamics.results.prediction import predict
from attn_dynamics.results.word_curves import word_curves
from attn_dynamics.statistics import FEWEST
from attn_dynamics.tasks import Task
from attn_dynamics.theory.sen import sen_score
from attn_dynamics.training.corpus_config import Config
from simulations.experiment import NAMES, Cell, Findings, SeededOptions, Size, alike, command, grouped, run_all

SCALES = (0.001, 0.1, 0.3, 1.0, 3.0)
"""Standard deviations of the initial embeddings; the first is that of LMN21's text."""
SHOWN = 1.0
"""Scale in the figures of single words."""
SHARES = {
    "mean field": "first moves told by the sign of x",
    "fell first": "first fell",
    "recovered": "of these, recovered",
}
"""Title of the panel of each share of the words."""
Runs = Mapping[tuple[float, str], Sequence[xr.Dataset]]
"""Runs of each scale and model, one per seed."""


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """LMN21's synthetic task from embeddings of several sizes."""

    name: ClassVar = "suppression"
    sizes: ClassVar = {"quick": Size(2, 500), "usual": Size(5, 5000), "full": Size(30, 5000)}


def study(options: Settings) -> Findings:
    """Train from every start, and compare every first move with its prediction."""
    seeds, size = options.seed_range, options.size
    tasks = {seed: PUBLISHED.draw(seed) for seed in seeds}
    scales = (SCALES[0], SHOWN) if options.quick else SCALES
    cells = [
        Cell(
            config=Config(model=model, seed=seed, epochs=size.epochs, learning_rate=size.learning_rate),
            task=tasks[seed],
            kind={"scale": scale},
            start=partial(start_at, scale=scale),
        )
        for scale, model, seed in product(scales, HEADS, seeds)
    ]
    trained = run_all(cells, options)
    runs = alike(trained, "scale", "model")
    rows = pd.concat(list(map(words_of, cells, trained)), ignore_index=True)
    groups = {key: _shares(group) for key, group in grouped(rows, "scale", "model").items()}
    right = accuracy(rows.exact, rows.moved)
    return Findings(
        rows=rows,
        summary={
            "accuracy_exact": right,
            "accuracy_mean_field": accuracy(rows.mean_field, rows.moved),
            **{f"{model}, scale {scale:g}": group for (scale, model), group in groups.items()},
        },
        table=pd.DataFrame([_line(scale, model, group) for (scale, model), group in groups.items()]),
        caption="share of the words" + (", Wilson's 95 % interval" if size.seeds >= FEWEST else ""),
        figures={
            "signs": partial(signs_figure, groups),
            "words": partial(words_figure, cells, runs),
            "relation": partial(relation_figure, runs),
        },
        wrong="" if right == 1.0 else f"C6 is exact, and {1 - right:.2%} of the first moves were told wrong",
    )


def start_at(config: Config, task: Task, scale: float) -> Parameters:
    """Return the start of LMN21's text with embeddings N(0, scale²) of all words."""
    return suppressed(PUBLISHED, config.model, config.seed, scale)[1]


def accuracy(predicted: pd.Series, moved: pd.Series) -> float:
    """Return the share of correct signs."""
    return float((predicted == moved).mean())


def words_of(cell: Cell, run: xr.Dataset) -> pd.DataFrame:
    """Return one row per topic word: the sign of its first move, its predictions, and its later course."""
    start, corpus = cell.begin(), cell.task.train
    columns = corpus.columns(run.word.values.tolist())
    score, moved = run.score.values, np.sign(run.score.values[1] - run.score.values[0])
    back = (score >= score[0]) & (np.arange(len(score)) > score.argmin(axis=0)[:, None]).T
    norms = np.linalg.norm(start.embeddings[columns], axis=1)
    return pd.DataFrame(
        {
            **{name: [value] * columns.size for name, value in cell.columns.items()},
            "word": run.word.values,
            "moved": moved,
            "exact": -np.sign(misalignment(corpus, start)[columns]),
            "mean_field": np.sign(own_logit(cell.task, start)),
            "lowest": score.min(axis=0),
            "floor": sen_score(0.0, PUBLISHED.other_words, run.attrs["query_norm"], score[0], norms),
            "final": score[-1],
            "recovered": np.where(moved < 0, back.any(axis=0), np.nan),
            "back_at": np.where((moved < 0) & back.any(axis=0), run.time.values[back.argmax(axis=0)], np.nan),
        }
    )


def own_logit(task: Task, start: Parameters) -> Array:
    """Return the logit of each topic word's embedding for its own class, minus the mean over classes.

    This is mean field's x (theory C1), in which a score first falls exactly if x < 0. For Attn-TL it is what the
    embedding adds to the logits of an empty context.
    """
    words = [(word, topic) for topic, names in enumerate(task.topic_words) for word in names]
    columns, topics = task.train.columns(word for word, _ in words), np.array([topic for _, topic in words])
    embeddings = start.embeddings[columns]
    logits, empty = (start.head.forward(start.head.first_layer.T @ each.T)[0] for each in (embeddings, 0 * embeddings))
    added = logits - empty
    return added[topics, np.arange(columns.size)] - added.mean(axis=0)


def share(held: pd.Series, seeds: int) -> dict[str, float]:
    """Return the share of words for which something holds, with Wilson's 95 % interval if there are enough seeds.

    The interval counts words as independent, but those of one seed share a head and their sentences' other words.
    """
    if seeds < FEWEST:
        return {"mean": float(held.mean()), "low": np.nan, "high": np.nan}
    found = binomtest(int(held.sum()), len(held)).proportion_ci(0.95, "wilson")
    return {"mean": float(held.mean()), "low": found.low, "high": found.high}


def _shares(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    fell, seeds = rows.moved < 0, rows.seed.nunique()
    held = {"exact": rows.exact == rows.moved, "mean field": rows.mean_field == rows.moved, "fell first": fell}
    if fell.any():
        held["recovered"] = rows.recovered[fell] == 1
    return {name: share(each, seeds) for name, each in held.items()}


def _line(scale: float, model: str, shares: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    cells = {f"{name} (%)": _told(_percent(each)) for name, each in shares.items()}
    return {"scale": f"{scale:g}", "model": NAMES[model], **cells}


def _told(each: Mapping[str, float]) -> str:
    known = not np.isnan(each["low"])
    return f"{each['mean']:.1f}" + (f" ({each['low']:.0f}–{each['high']:.0f})" if known else "")


def signs_figure(groups: Mapping[tuple[Any, Any], Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw shares of the words over the scale of the start, with 95 % intervals for five or more seeds."""
    figure, (row,) = style.panels((9.6, 3.4), 1, 3, titles=SHARES.values(), sharey=True)
    for axes, name in zip(row, SHARES, strict=True):
        for k, model in enumerate(HEADS):
            shares = {scale: each[name] for (scale, of), each in groups.items() if of == model and name in each}
            beside = {scale * 1.08 ** (k - 1): _percent(each) for scale, each in shares.items()}
            style.draw_points(axes, beside, k, NAMES[model])
        axes.set(xlabel="standard deviation of the initial embeddings", xscale="log", ylim=(-4, 104))
    row[0].axhline(100, label="by the sign of M, theory C6: all", **style.THEORY)
    row[0].set_ylabel("topic words (%)")
    row[0].legend(loc="lower left")
    return figure


def _percent(each: Mapping[str, float]) -> dict[str, float]:
    return {name: 100 * value for name, value in each.items()}


def words_figure(cells: list[Cell], runs: Runs) -> Figure:
    """Draw scores of the words of the first seed that first fell, beside the mean-field prediction from their start."""
    figure, (row,) = style.panels((9.6, 3.6), 1, len(HEADS), titles=_titles(runs), sharey=True)
    seed = cells[0].config.seed
    chosen = {cell.config.model: cell for cell in cells if cell.kind["scale"] == SHOWN and cell.config.seed == seed}
    for axes, (model, cell) in zip(row, chosen.items(), strict=True):
        run = runs[SHOWN, model][0]
        theory, fallen = _mean_field(cell), _fallen(run)
        for k, column in enumerate(fallen):
            axes.plot(run.time, run.score[:, column], label=str(run.word.values[column]), **style.line(k))
        if theory is not None and fallen:
            time = cell.config.learning_rate * theory.predicted.values
            axes.plot(time, theory.predicted_score[:, fallen], label=style.PREDICTION, **style.DOTTED)
        style.log_time(axes, run.time.values)
        if axes.lines:
            style.legend(axes, loc="upper left")
    row[0].set_ylabel(style.QUANTITIES["score"])
    return figure


def _titles(runs: Runs) -> list[str]:
    return [f"{NAMES[model]}, start scale {SHOWN:g}, seed {runs[SHOWN, model][0].attrs['seed']}" for model in HEADS]


def relation_figure(runs: Runs) -> Figure:
    """Draw the fallen words beside SEN, which is one curve if norms are counted from the start of each word."""
    figure, (row,) = style.panels((9.6, 3.6), 1, len(HEADS), titles=_titles(runs), sharey=True)
    for axes, model in zip(row, HEADS, strict=True):
        run, gains = runs[SHOWN, model][0], [0.0]
        for k, column in enumerate(_fallen(run)):
            curve = word_curves(run)[column]
            places = style.spaced(curve.time.size, 40)
            gain = 0.5 * run.attrs["query_norm"] ** 2 * (curve.embedding_norm**2 - curve.embedding_norm[0] ** 2)
            axes.plot(gain[places], curve.score[places], label=curve.word, **style.marks(k, 3.5))
            gains += gain.tolist()
        _draw_relation(axes, np.linspace(min(gains), max(gains), 200))
        axes.set(xlabel=r"$\|q\|^2(\|\nu\|^2-\|\nu_0\|^2)/2$")
        axes.legend(loc="upper left")
    row[0].set_ylabel(style.QUANTITIES["score"])
    return figure


def _draw_relation(axes: Axes, gain: Array) -> None:
    """Draw s from ‖q‖² = 2, ‖ν‖² = gain - least and ‖ν₀‖² = -least: the relation depends on the difference only."""
    least = min(gain.min(), 0.0)
    score = sen_score(np.sqrt(gain - least), PUBLISHED.other_words, 2**0.5, 0.0, (-least) ** 0.5)
    axes.plot(gain, score, label="SEN, theory B1", **style.THEORY)


def _fallen(run: xr.Dataset) -> list[int]:
    """Return up to three words that first fell, those that fell deepest."""
    fell = np.flatnonzero(run.score.values[1] < run.score.values[0])
    return fell[np.argsort(run.score.values[:, fell].min(axis=0))][:3].tolist()


def _mean_field(cell: Cell) -> xr.Dataset | None:
    """Predict the same topic words with all other words at 0; return None for a head without mean-field equations."""
    start, config = cell.begin(), cell.config
    columns = cell.task.train.columns(word for topic in cell.task.topic_words for word in topic)
    embeddings = np.zeros_like(start.embeddings)
    embeddings[columns] = start.embeddings[columns]
    alone = replace(start, embeddings=embeddings)
    settings = {"train": config.train, "learning_rate": config.learning_rate, "epochs": config.max_epochs}
    predicted = predict(cell.task, alone, **settings)
    return None if isinstance(predicted, str) else predicted


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
