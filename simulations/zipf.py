"""Topic words of Zipf's frequencies: loss against time, exponents, prefactors, and what signs see of them (C12).

python -m simulations.zipf --quick
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attn_dynamics.check import number
from attn_dynamics.claims._support.exact_task import FIXED_HEAD, KEYS_FIXED
from attn_dynamics.claims._support.zipf_task import ZipfTask
from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.zipf import summed_loss, zipf_keys_factor, zipf_loss, zipf_prefactor
from attn_dynamics.training.rules import DESCENT, Rule, SignDescent
from simulations.experiment import Findings, Options, begin, command, grouped

CLASSES, OTHERS = 4, 20
SIGN_RATE = 0.02
"""Learning rate of sign descent, whose scores move by as much a step whatever their slopes."""
LATE = (1e8, 1e12)
"""Times between which the exponent of infinitely many words is taken."""
KEYS = {"trained": FIXED_HEAD, "fixed": KEYS_FIXED}
"""Trained parts, by what becomes of the keys."""


class Extent(NamedTuple):
    """Exponents α, numbers V of words, and training time of an experiment."""

    exponents: tuple[float, ...]
    words: tuple[int, ...]
    time: float


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """Attn-FC on topic words of Zipf's frequencies, with its exact gradient and without chance."""

    learning_rate: float = 0.5
    """Learning rate η, of descent; time = η × epoch."""

    name: ClassVar = "zipf"
    GROUPS: ClassVar = Options.GROUPS | {"experiment": "learning_rate"}

    def __post_init__(self) -> None:
        super().__post_init__()
        fix = "Leave it out for that of the experiment."
        number("learning_rate", self.learning_rate, above=0, most=self.extent.time, fix=fix)  # one epoch at least

    @property
    def extent(self) -> Extent:
        """Return the requested extent."""
        if self.quick:
            return Extent((1.0, 1.5), (8, 32), 300.0)
        if self.full:
            return Extent((1.0, 1.2, 1.5, 2.0), (16, 64, 128), 2e4)
        return Extent((1.0, 1.2, 1.5, 2.0), (16, 64), 5e3)


def study(options: Settings) -> Findings:
    """Train by descent and by signs, with keys trained and fixed, and set each loss beside the theory."""
    begin(options)
    extent = options.extent
    steep = [alpha for alpha in extent.exponents if alpha > 1.0]
    rows = pd.concat(
        [
            *(
                _descended(extent, options.learning_rate, *each)
                for each in product(extent.exponents, extent.words, KEYS)
            ),
            *(_by_signs(extent, alpha) for alpha in extent.exponents),
        ],
        ignore_index=True,
    )
    laws = {alpha: _law(alpha) for alpha in steep}
    descended = rows.query("rule == 'descent'")
    off = (descended.loss / descended.predicted - 1).abs()
    signs = rows.query("rule == 'sign'").pivot(index="epoch", columns="exponent", values="loss")
    spread = float((signs.max(axis=1) / signs.min(axis=1) - 1).max())
    return Findings(
        rows=rows,
        summary={
            "largest_distance": float(off[descended.time > 0.05 * extent.time].max()),
            "sign_descent_spread": spread,
            **{f"exponent {alpha:g}": law for alpha, law in laws.items()},
        },
        table=pd.DataFrame([{"α": f"{alpha:g}", **law} for alpha, law in laws.items()]),
        caption=f"V → ∞, n = {CLASSES}, m = {OTHERS}; slopes between times {LATE[0]:g} and {LATE[1]:g}; keys trained, "
        "₀ fixed at zero, ₁ attention 1 from the start",
        figures={
            "loss": partial(loss_figure, descended),
            "signs": partial(signs_figure, rows),
            "finite": partial(finite_figure, descended, max(steep)),
        },
        wrong="" if spread <= 1e-9 else f"sign descent sees no frequencies, and its losses differ by {spread:.2%}",
    )


def _task(alpha: float, words: int) -> ZipfTask:
    """Return the task of so many words, of which the rarest stands in one sentence."""
    return ZipfTask(alpha, words, CLASSES, OTHERS, round(words**alpha))


def _descended(extent: Extent, rate: float, alpha: float, words: int, keys: str) -> pd.DataFrame:
    """Return the loss of descent along one run, a row an epoch, beside its prediction by the sum over words."""
    task = _task(alpha, words)
    rows = _trained(task, rate, round(extent.time / rate), KEYS[keys], DESCENT).assign(keys=keys, rule="descent")
    return rows.assign(predicted=summed_loss(rows.time, task.frequencies, task.word(train=KEYS[keys])))


def _by_signs(extent: Extent, alpha: float) -> pd.DataFrame:
    """Return the loss of sign descent along one run, until it is as good as learned."""
    task = _task(alpha, extent.words[0])
    return _trained(task, SIGN_RATE, 400, FIXED_HEAD, SignDescent()).assign(keys="trained", rule="sign")


def _trained(task: ZipfTask, rate: float, epochs: int, train: Sequence[str], rule: Rule) -> pd.DataFrame:
    """Return epochs, times and losses of a run at some places, even in the logarithm of time."""
    losses = task.losses(rate, epochs, train=train, rule=rule)
    places = np.unique(np.geomspace(1, epochs, 60).round().astype(int))
    kept = {"epoch": places, "time": rate * places, "loss": losses[places]}
    return pd.DataFrame({"exponent": task.exponent, "words": task.words, **kept})


def _law(alpha: float) -> dict[str, float]:
    """Return slopes and prefactors A for V → ∞: keys trained, fixed at zero (₀), and an attention of 1 (₁)."""
    words = {keys: _word(train=train) for keys, train in KEYS.items()}
    trained, fixed = (zipf_prefactor(alpha, word) for word in words.values())
    alone = zipf_prefactor(alpha, _word(train=KEYS_FIXED, others=1e-14))
    return {
        "1-1/α": 1 - 1 / alpha,
        "slope": _exponent(alpha, words["trained"]),
        "slope₀": _exponent(alpha, words["fixed"]),
        "A": trained,
        "A₀": fixed,
        "A₁": alone,
        "A₀/A": fixed / trained,
        "A₀/A₁": fixed / alone,
        "theory": float(zipf_keys_factor(OTHERS, alpha)),
    }


def _word(**setting: Any) -> MeanField:
    return MeanField(**{"frequency": 1.0, "classes": CLASSES, "others": OTHERS} | setting)


def _exponent(alpha: float, word: MeanField) -> float:
    losses = zipf_loss(np.array(LATE), exponent=alpha, word=word)
    return float(-np.diff(np.log(losses))[0] / np.diff(np.log(LATE))[0])


def loss_figure(rows: pd.DataFrame) -> Figure:
    """Draw the loss of the largest vocabulary over time, with keys trained and fixed, and the sums through it."""
    figure, (panels,) = style.panels((9.4, 3.8), 1, 2, titles=(f"keys {keys}" for keys in KEYS), sharey=True)
    most = rows.query("words == words.max()")
    for axes, keys in zip(panels, KEYS, strict=True):
        _draw(axes, grouped(grouped(most, "keys")[keys], "exponent"), "α = {:g}")
    panels[0].set_ylabel(f"loss $L$ (nats), V = {most.words.iloc[0]}")
    return figure


def finite_figure(rows: pd.DataFrame, alpha: float) -> Figure:
    """Draw the loss of every vocabulary at the largest exponent, keys trained."""
    figure, ((axes,),) = style.panels((6.4, 4.2), titles=(f"α = {alpha:g}",))
    _draw(axes, grouped(rows.query("exponent == @alpha and keys == 'trained'"), "words"), "V = {:g}")
    axes.set_ylabel("loss $L$ (nats)")
    return figure


def signs_figure(rows: pd.DataFrame) -> Figure:
    """Draw the loss by exponent under descent and under sign descent, which sees no frequencies."""
    figure, (panels,) = style.panels((9.4, 3.8), 1, 2, titles=("descent", "sign descent"), sharey=True)
    least = rows.query("words == words.min() and keys == 'trained'")
    for axes, rule in zip(panels, ("descent", "sign"), strict=True):
        for k, (alpha, run) in enumerate(grouped(grouped(least, "rule")[rule], "exponent").items()):
            axes.plot(run.time, run.loss, label=f"α = {alpha:g}", **style.line(k))
        axes.set(xlabel=style.TIME, xscale="log")
        axes.legend(loc="lower left")
    panels[0].set(ylabel=f"loss $L$ (nats), V = {least.words.iloc[0]}", yscale="log")
    return figure


def _draw(axes: Any, runs: Mapping[Any, pd.DataFrame], label: str) -> None:
    """Draw some epochs of each run as points, and its prediction as a line."""
    for k, (value, run) in enumerate(runs.items()):
        places = style.spaced(len(run), 16)
        run_x: Array = run.time.to_numpy()
        axes.plot(run_x, run.predicted, label="sum over words, " + label.format(value), **style.line(k))
        axes.plot(run_x[places], run.loss.to_numpy()[places], label="model, " + label.format(value), **style.marks(k))
    axes.set(xlabel=style.TIME, xscale="log", yscale="log")
    axes.legend(loc="lower left")


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
