"""SEN with a trained query (B5), exactly for one word, and for the words of LMN21's task.

python -m simulations.query --quick
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

from attn_dynamics.claims import find
from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.sen import ALONG_FLOW, ATOL, FLOW_TIME, start_of_topic_words, topic_words_among
from attn_dynamics.claims._support.synthetic_run import PUBLISHED
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import in_words, interval
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query
from attn_dynamics.training.flow import flow
from simulations.experiment import NAMES, Findings, SeededOptions, Size, alike, command, grouped, train_all

OTHERS = (1, 3, 20)
"""Numbers m of other words in the flows of one word."""
RELATIONS = {
    "several": "B5 for several words, along their scores",
    "equal": "B5 for words of equal scores",
    "one": "B5 of a word alone",
    "fixed": "B1, as if the query were fixed",
}
Beside = tuple[xr.Dataset, Mapping[str, Array]]
"""A run, and ‖ν‖ (epochs, words) by every relation."""
Runs = Mapping[str, Sequence[Beside]]


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """LMN21's synthetic task with query, keys, embeddings and head trained."""

    name: ClassVar = "query"
    sizes: ClassVar = {"quick": Size(2, 1000), "usual": Size(10, 5000), "full": Size(30, 5000)}


def study(options: Settings) -> Findings:
    """Judge B5 in its exact case; train, and measure each relation if several words share the query."""
    exact = find("B5").measure(quick=not options.full)
    tasks = [PUBLISHED.draw(seed) for seed in options.seed_range]
    trained = alike(train_all(HEADS, tasks, options, train=TRAINABLE), "model")
    runs = {model: [(run, predicted(run)) for run in each] for model, each in trained.items()}
    rows = pd.DataFrame([_row(*of) for each in runs.values() for of in each])
    of_models = grouped(rows, "model")
    return Findings(
        rows=rows,
        summary={
            "exact": {"distance": exact.value, "bound": exact.bound},
            **{model: {name: interval(each[name]) for name in RELATIONS} for model, each in of_models.items()},
        },
        table=pd.DataFrame(
            [
                {"relation": words, "model": NAMES[model], "distance of ‖ν‖ (%)": in_words(100 * each[name])}
                for name, words in RELATIONS.items()
                for model, each in of_models.items()
            ]
        ),
        figures={"one-word": one_word_figure, "several-words": partial(several_words_figure, runs)},
        wrong="" if exact.holds else f"B5 is exact for one word; it was off by {exact.value:.1e}",
    )


def several_words(score: Array, others: float, start_query_norm: float) -> Array:
    """Return ‖ν‖ (times, words) of topic words from all scores (times, words), starting at κ = 0 and ν = 0.

    Every key stays along q, so κ_t = k_t q/‖q‖ and s_t = ‖q‖ k_t. By law A2 ‖q‖² - Σ k_t² = ‖q₀‖². With S² = Σ s_t²

        2 ‖q‖² = ‖q₀‖² + sqrt(‖q₀‖⁴ + 4 S²),      d‖ν_t‖² = 2 (1 + e^{s_t}/m) dk_t / ‖q‖,

    For one word this is B5. Source: here. The trapezoidal rule integrates over the given times.
    """
    root = np.sqrt(start_query_norm**4 + 4 * np.square(score).sum(axis=1, keepdims=True))
    query_norm = np.sqrt((start_query_norm**2 + root) / 2)
    slope = 2 * (1 + np.exp(score) / others) / query_norm
    steps = (slope[1:] + slope[:-1]) / 2 * np.diff(score / query_norm, axis=0)
    return np.sqrt(np.maximum(np.vstack([0 * score[:1], np.cumsum(steps, axis=0)]), 0.0))


def equal_words(score: Array, others: float, start_query_norm: float, words: int) -> Array:
    """Return ‖ν‖ of T words with equal scores in closed form: B5 with ‖q₀‖/T^¼ instead of ‖q₀‖, divided by T^¼."""
    root = words**0.25
    return sen_norm_trained_query(score, others, start_query_norm / root) / root


def predicted(run: xr.Dataset) -> dict[str, Array]:
    """Return ‖ν‖ (epochs, words) by every relation, from the scores and ‖q₀‖ of a run."""
    score, m, query_norm = run.score.values, PUBLISHED.other_words, run.attrs["start_query_norm"]
    rising = np.maximum(score, 0.0)  # B5 needs scores of at least 0
    return {
        "several": several_words(score, m, query_norm),
        "equal": equal_words(rising, m, query_norm, score.shape[1]),
        "one": sen_norm_trained_query(rising, m, query_norm),
        "fixed": sen_norm(rising, m, query_norm),
    }


def _row(run: xr.Dataset, relations: Mapping[str, Array]) -> dict[str, object]:
    ends = {name: norm[-1] for name, norm in relations.items()}
    norm = run.embedding_norm.values[-1]
    return {
        "model": run.attrs["model"],
        "seed": run.attrs["seed"],
        "score": float(run.score[-1].mean()),
        "train_loss": float(run.train_loss[-1]),
        **{name: float(np.abs(norm / each - 1).max()) for name, each in ends.items()},
    }


def one_word_figure() -> Figure:
    """Draw the flow of one topic word among others held at 0, beside B5 and the relation of a fixed query."""
    figure, ((left, right),) = style.panels((8.6, 3.8), 1, 2)
    for k, m in enumerate(OTHERS):
        score, norm, query_norm = _flow_of_one(m)
        left.plot(score, norm, label=f"flow, m = {m}", **style.marks(k))
        grid = np.linspace(0, score[-1], 200)
        trained, fixed = sen_norm_trained_query(grid, m, query_norm), sen_norm(grid, m, query_norm)
        left.plot(grid, trained, color=style.COLOURS[k], label=None if k else "query trained, theory B5")
        left.plot(grid, fixed, color=style.COLOURS[k], linestyle=":", label=None if k else "query fixed, theory B1")
        off = np.abs(norm[1:] / sen_norm_trained_query(score[1:], m, query_norm) - 1.0)
        right.plot(score[1:], np.maximum(off, 1e-17), label=f"m = {m}", **style.marks(k))
    left.set(xlabel=style.QUANTITIES["score"], ylabel=style.QUANTITIES["embedding_norm"])
    right.axhline(ALONG_FLOW, label="bound: 1000 × solver's tolerance", **style.THEORY)
    right.set(xlabel=style.QUANTITIES["score"], ylabel="relative distance from B5", yscale="log", ylim=(1e-16, 1e-4))
    left.legend()
    right.legend(loc="upper right")
    return figure


def _flow_of_one(others: int) -> tuple[Array, Array, float]:
    """Return score and norm along the flow of Attn-TC, and ‖q₀‖."""
    corpus, words, rest = topic_words_among(others, topics=1)
    start = start_of_topic_words(corpus, words, "attn-tc", seed=1, key=0.0, embedding=0.0)
    times = np.linspace(0, FLOW_TIME, 25)[1:]
    run = flow(
        corpus, start, train=TRAINABLE, times=times, follow=words, frozen_words=rest, rtol=RTOL, atol=ATOL
    ).trajectory
    return run.score.values[:, 0], run.embedding_norm.values[:, 0], float(np.linalg.norm(start.query))


def several_words_figure(runs: Runs) -> Figure:
    """Draw the norms of all words and seeds against each relation's, and the largest deviation."""
    titles = [f"{NAMES[model]}, {len(each)} seeds" for model, each in runs.items()]
    figure, (above, below) = style.panels((9.6, 6.4), 2, len(runs), titles=titles, sharey="row")
    for axes, each in zip(above, runs.values(), strict=True):
        for k, name in enumerate(RELATIONS):
            axes.plot(*np.concatenate([_beside(*of, name) for of in each], axis=1), zorder=4 - k, **style.marks(k, 3))
        axes.axline((0, 0), slope=1.0, **style.THEORY)
        highest = max(float(run.embedding_norm.max()) for run, _ in each)
        axes.set(xlabel=r"$\|\nu\|$ that a relation gives to the scores", xlim=(-0.05 * highest, 1.8 * highest))
    for axes, each in zip(below, runs.values(), strict=True):
        for k, name in enumerate(RELATIONS):
            off = 100 * np.array([_distance(*of, name) for of in each])
            time, band = each[0][0].time.values[1:], style.geometric_band
            for line in style.draw_band(axes, time, off, k, RELATIONS[name], band=band):
                line.set(marker=style.MARKERS[k], markevery=0.2, ms=4, mfc="none")
        axes.set(xlabel=style.TIME, xscale="log", yscale="log", ylim=(0.1, 300.0))
    above[0].set_ylabel(r"embedding norm $\|\nu\|$ of the run")
    below[0].set_ylabel("largest deviation\nof a topic word (%)")
    style.legend_below(figure, 4)
    return style.entitled(figure, f"below: {style.seeds_as(len(next(iter(runs.values()))), log=True)}")


def _beside(run: xr.Dataset, relations: Mapping[str, Array], name: str) -> Array:
    """Return the norms by a relation and in the run, at some epochs (2, points)."""
    places = style.spaced(run.sizes["epoch"], 15)
    return np.array([relations[name][places].ravel(), run.embedding_norm.values[places].ravel()])


def _distance(run: xr.Dataset, relations: Mapping[str, Array], name: str) -> Array:
    """Return the largest deviation over topic words, from the first epoch on."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(run.embedding_norm.values[1:] / relations[name][1:] - 1.0).max(axis=1)


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
