"""Plane of score and embedding norm under descent, momentum, mini-batches, decay, sign descent and Adam (G1 to G5).

python -m simulations.optimisers --quick
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.results.figures.plane import draw_plane
from attn_dynamics.statistics import in_words, interval
from attn_dynamics.tasks import Options as TaskOptions
from attn_dynamics.tasks import Synthetic, Task, load_task
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_optimisers import decay_norm
from attn_dynamics.training.corpus_config import Config
from simulations.experiment import Cell, Findings, SeededOptions, Size, alike, command, grouped, run_all

TASK = Synthetic(topics=2)
BATCHES = 25
"""Number of mini-batches in an epoch, a step each."""
SIGNED = 2e-3
"""Learning rate η of sign descent and Adam."""
DECAY = 1e-3
"""Weight decay λ."""
LASTING = 10.0
"""Steps 1/(1 - β) over which momentum spreads a gradient, so that it takes a learning rate as many times smaller."""
BETA = 1.0 - 1.0 / LASTING
ARMS: dict[str, dict[str, Any]] = {
    "descent": {},
    "momentum": {"rule": "momentum", "momentum": BETA},
    "mini-batches": {},
    "decay": {"decay": DECAY},
    "sign": {"learning_rate": SIGNED, "rule": "sign"},
    "adam": {"learning_rate": SIGNED, "rule": "adam"},
}
"""Settings of each optimiser; the first four take steps of one time in all, η/(1 - β) × steps."""
FASTER = 10.0
"""Factor on the learning rate on text, whose words are rarer; steps of signs do not shrink with the gradient."""
LABELS = {
    "momentum": f"momentum, β = {BETA:g}",
    "decay": f"weight decay, λ = {DECAY:g}",
    "sign": "sign descent",
    "adam": "Adam",
}
LEADERS = 100
"""Number of words of largest score that are shown of a text."""
CURVES = ("sen", "decay", "line")
"""Curves that distances are taken from: SEN (B1), weight decay at rest (G1), line of sign descent (G4)."""
NAMES = {"synthetic": "synthetic task", "sst2": f"SST-2, {LEADERS} words of largest score"}
Runs = Mapping[tuple[str, str], Sequence[xr.Dataset]]
"""Runs of each task and optimiser, one per seed."""


class Words(NamedTuple):
    """Words at the end of a run."""

    score: Array
    norm: Array
    others: Array
    """Mean number m of other words in a word's sentences."""


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """Six optimisers from the same zero start, with a fixed head, on two classes: the synthetic task, and SST-2."""

    learning_rate: float | None = None
    """Learning rate η, of descent, mini-batches and decay; momentum takes η (1 - β), sign descent and Adam 0.002."""
    data_dir: Path | None = None
    """Folder with the files of the data set, stsa.binary.train and so on, to train on SST-2 too."""

    name: ClassVar = "optimisers"
    GROUPS: ClassVar = SeededOptions.GROUPS | {"experiment": "data_dir"}
    sizes: ClassVar = {"quick": Size(2, 500, 0.5), "usual": Size(5, 5000, 0.5), "full": Size(30, 20_000, 0.5)}


def study(options: Settings) -> Findings:
    """Train by every optimiser, and set the words beside the three curves."""
    cells = [_cell(arm, name, task, seed, options) for (name, seed, task), arm in product(_tasks(options), ARMS)]
    trained = run_all(cells, options)
    runs = alike(trained, "task", "optimiser")
    rows = pd.DataFrame([_row(run, cell.begin().query) for run, cell in zip(trained, cells, strict=True)])
    return Findings(
        rows=rows,
        summary={
            " ".join(key): {curve: interval(each[curve].to_numpy()) for curve in CURVES}
            for key, each in grouped(rows, "task", "optimiser").items()
        },
        table=pd.DataFrame(
            [
                {
                    "task": task,
                    "optimiser": arm,
                    **{f"off {curve}": in_words(each[curve].to_numpy()) for curve in CURVES},
                }
                for (task, arm), each in grouped(rows, "task", "optimiser").items()
            ]
        ),
        figures={"plane": partial(plane_figure, runs, cells[0].begin().query)},
        caption="median over words of |norm / that of the curve - 1| at the end; mean over seeds",
    )


def _tasks(options: Settings) -> list[tuple[str, int, Task]]:
    """Return name, seed and task of every run: texts are the same for all seeds."""
    seeds = options.seed_range
    found = [("synthetic", seed, TASK.draw(seed)) for seed in seeds]
    if options.data_dir:
        text = load_task("sst2", TaskOptions(data_dir=options.data_dir))
        found += [("sst2", seed, text) for seed in seeds]
    return found


def _cell(arm: str, name: str, task: Task, seed: int, options: Settings) -> Cell:
    """Return the run of an optimiser; an epoch of mini-batches takes as many steps as it has batches."""
    epochs, rate = options.size.epochs, options.size.learning_rate * (FASTER if name == "sst2" else 1.0)
    settings: dict[str, Any] = {"learning_rate": rate / LASTING if arm == "momentum" else rate} | ARMS[arm]
    if arm == "mini-batches":
        epochs = max(epochs // BATCHES, 1)
        settings["batch_size"] = -(-task.train.n_sentences // BATCHES)
    config = Config(model="attn-fc", start="mean-field", seed=seed, epochs=epochs, patience=0, **settings)
    return Cell(config=config, task=task, kind={"optimiser": arm, "task": name})


def _shown(run: xr.Dataset) -> Words:
    """Return the topic words at the end, or the words of largest score of a text."""
    score = run.all_score.values[-1]
    topics = np.flatnonzero(np.isin(run.vocabulary.values.astype(str), run.attrs["topic_words"]))
    columns = topics if topics.size else np.argsort(-score, kind="stable")[:LEADERS]
    return Words(score[columns], run.all_embedding_norm.values[-1, columns], run.others.values[columns])


def _row(run: xr.Dataset, query: Array) -> dict[str, Any]:
    """Return the distances of a run's words from the three curves, and where they end."""
    words, q = _shown(run), float(np.linalg.norm(query))
    curves = {
        "sen": sen_norm(words.score, words.others, q),
        "decay": decay_norm(words.score, words.others, q),
        # The inverse of the line of `sign_score` (theory/sign_rules.py).
        "line": query.size**0.5 * (words.score / np.abs(query).sum() + SIGNED),
    }
    off = {name: float(np.median(np.abs(words.norm / norm - 1.0))) for name, norm in curves.items()}
    known = {name: run.attrs[name] for name in ("task", "optimiser", "seed")}
    return known | off | {"score": float(words.score.mean()), "norm": float(words.norm.mean())}


def plane_figure(runs: Runs, query: Array) -> Figure:
    """Draw a topic word on its way, and the leading words of a text at the end, beside the curves, of one seed."""
    tasks = list(dict.fromkeys(task for task, _ in runs))
    figure, (row,) = style.panels((4.4 * len(tasks) + 2.2, 4.8), 1, len(tasks), titles=[NAMES[each] for each in tasks])
    for axes, task in zip(row, tasks, strict=True):
        points = {arm: _points(runs[task, arm][0]) for arm in ARMS}
        for k, (arm, each) in enumerate(points.items()):
            axes.plot(*each, label=LABELS.get(arm, arm), zorder=4, **style.marks(k))
        others = float(np.median(_shown(runs[task, "descent"][0]).others))
        highest, longest = np.max([each.max(axis=1) for each in points.values()], axis=0)
        draw_plane(axes, 1.05 * highest, others, query, SIGNED)
        axes.set(xlabel=style.QUANTITIES["score"], xlim=(0.0, 1.05 * highest), ylim=(0.0, 1.15 * longest))
    row[0].set_ylabel(r"$\|q\|\,\|\nu\|$, query norm × embedding norm")
    style.legend_below(figure, 3)
    return style.entitled(figure, "one seed; curves for the median m of the words that are shown")


def _points(run: xr.Dataset) -> Array:
    """Return scores and norms, times ‖q‖ (2, points)."""
    if len(run.attrs["topic_words"]):
        word, places = 0, style.spaced(run.sizes["epoch"], 16)
        score, norm = run.score.values[places, word], run.embedding_norm.values[places, word]
    else:
        score, norm, _ = _shown(run)
    return np.array([score, run.attrs["query_norm"] * norm])


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
