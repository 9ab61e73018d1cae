"""Figure of the plane of score and embedding norm: the curves that optimisers keep to (theory B1, G1, G4)."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attn_dynamics.claims._support.drawn import preset_start
from attn_dynamics.claims._support.stationary import stationary
from attn_dynamics.claims._support.synthetic_run import PUBLISHED
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.figures import style
from attn_dynamics.results.figures.plane import draw_plane
from attn_dynamics.tasks import Task
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_optimisers import decay_crossing
from attn_dynamics.training.descent import descend
from attn_dynamics.training.rules import Adam, Momentum, SignDescent

Array = NDArray[np.float64]
HIGHEST = 6.0
"""Largest score that is shown."""
PARTS = ("keys", "embeddings")
OTHERS = PUBLISHED.other_words
SIGN_RATE = 0.01
"""Learning rate η of sign descent."""
ON_THE_WAY = 1e-4
"""Weight decay λ of the run whose whole way is shown."""
DECAYS = (*np.geomspace(3e-6, 1e-2, 9).tolist(), 0.013, 0.016, 0.019, 0.021, 0.023)
"""Weight decays λ whose stationary points are shown."""
RUNS: dict[str, dict[str, Any]] = {
    "gradient descent": {"learning_rate": 1.0, "epochs": 20_000},
    "momentum, β = 0.9": {"learning_rate": 0.05, "epochs": 2000, "rule": Momentum(0.9)},
    "mini-batches of 32": {"learning_rate": 0.2, "epochs": 120, "batch_size": 32},
    f"weight decay, λ = {ON_THE_WAY:g}": {"learning_rate": 5.0, "epochs": 6000, "decay": ON_THE_WAY},
    "sign descent": {"learning_rate": SIGN_RATE, "epochs": 240, "rule": SignDescent()},
    "Adam": {"learning_rate": 2e-3, "epochs": 2500, "rule": Adam()},
}
"""Settings of the runs, by their names in the legend."""


def optimisers(quick: bool) -> Figure:
    """Draw SEN, the stationary curve of decay and the line of sign descent, and a topic word of a run on each."""
    task = replace(PUBLISHED, topics=2, dictionary=1000 if quick else PUBLISHED.dictionary).draw(0)
    start = preset_start("mean-field", "attn-fc", task.train, 0)
    word = task.topic_words[0][0]
    figure, ((axes,),) = style.panels((6.6, 4.8))
    draw_plane(axes, HIGHEST, OTHERS, start.query, SIGN_RATE)
    _mark_crossing(axes)
    for k, (name, settings) in enumerate(RUNS.items()):
        shorter = {"epochs": settings["epochs"] // 4} if quick else {}
        run = descend(task.train, start, train=PARTS, follow=(word,), **settings | shorter).trajectory
        score, norm = run.score.values[:, 0], run.embedding_norm.values[:, 0]
        places = _evenly(score, norm)
        axes.plot(score[places], norm[places], label=name, zorder=4, **style.marks(k, 4.5))
    rest = np.array([_at_rest(task, start, decay, word) for decay in (DECAYS[::4] if quick else DECAYS)])
    axes.plot(*rest.T, label="weight decay at rest", zorder=5, **style.marks(3, 6.0) | {"mfc": style.COLOURS[3]})
    axes.set(xlim=(0.0, HIGHEST), ylim=(0.0, 1.5 * HIGHEST))
    axes.set(xlabel="score $s$ of a topic word", ylabel=r"$\|q\|\,\|\nu\|$, query norm × embedding norm")
    style.legend(axes, loc="upper left")
    return figure


def _mark_crossing(axes: Axes) -> None:
    """Mark where SEN and the curve of weight decay at rest cross."""
    cross = float(decay_crossing(OTHERS))
    axes.annotate(
        f"B1 and G1 cross\nat s = {cross:.2f}",
        (cross, float(sen_norm(cross, OTHERS, 1.0))),
        (34, -34),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "linewidth": 0.6},
    )


def _evenly(score: Array, norm: Array, points: int = 11) -> list[int]:
    """Return the places of points at even distances along a curve, without the start."""
    travelled = np.append(0.0, np.cumsum(np.hypot(np.diff(score), np.diff(norm))))
    return np.unique(np.searchsorted(travelled, np.linspace(0.0, travelled[-1], points + 1)[1:])).tolist()


def _at_rest(task: Task, start: Parameters, decay: float, word: object) -> tuple[float, float]:
    """Return score and embedding norm of a word at a stationary point of weight decay."""
    point = stationary(task.train, start, decay, PARTS, most=3000)
    column = task.train.columns([word])[0]
    return float(point.scores[column]), float(np.linalg.norm(point.embeddings[column]))
