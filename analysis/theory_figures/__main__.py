"""The command: the theory of training beside runs, drawn from the functions that judge its claims.

python -m analysis.theory_figures --quick
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing import Figures, Place, command
from analysis.theory_figures.finite import draw_law, regimes, residual, size_panels
from analysis.theory_figures.plane import optimisers
from analysis.theory_figures.text import early, leaders
from analysis.theory_figures.widths import heads, hysteresis
from analysis.theory_figures.zipf import zipf
from attn_dynamics.check import some_of
from attn_dynamics.claims._support.exact_task import ExactTask, Theory, exact_flow, forgetful
from attn_dynamics.claims._support.long_run import LMN21, MODEL_RTOL, in_mean_field
from attn_dynamics.claims._support.scaling import AT, SIZES, fitted_exponents, prediction_scaling
from attn_dynamics.claims._support.synthetic_run import EPOCHS, RATE, SyntheticRun, solved, synthetic_run
from attn_dynamics.claims.c9_c10_memorisation import unequal_topics
from attn_dynamics.claims.c11_capacity_law import DEPTHS
from attn_dynamics.results.figures import style
from attn_dynamics.theory.asymptotics import late, late_score, loss_limit, score_exponent
from attn_dynamics.theory.mean_field import MeanField

Array = NDArray[np.float64]
FORGETFUL = forgetful(MeanField)
ENDLESS = 1e7
"""Largest shown value of ln τ."""
EARLIEST = 2
"""First epoch at which scores are compared; after one step they are still 0."""


def prediction(quick: bool) -> Figure:
    """Draw scores of the rarest and the most frequent topic word beside C1, C9 and C10, and the deviation of all."""
    epochs = EPOCHS // 10 if quick else EPOCHS
    figure, rows = style.panels((9.0, 5.8), 2, 2, titles=PREDICTIONS, sharex="col", sharey="row")
    for column, (name, theories) in zip(rows.T, PREDICTIONS.items(), strict=True):
        _predicted(column, synthetic_run(name.lower(), epochs), theories)
    rows[0, 0].set_ylabel(style.QUANTITIES["score"])
    rows[1, 0].set_ylabel("largest deviation\nof any topic word (%)")
    return figure


PREDICTIONS: dict[str, dict[str, tuple[Theory, float]]] = {
    "Attn-FC": {"C1": (FORGETFUL, 0.0), "C9": (MeanField, 0.0), "C9, modified flow": (MeanField, RATE)},
    "Attn-TC": {"C10": (unequal_topics, 0.0), "C10, modified flow": (unequal_topics, RATE)},
}
"""Theories for each model, with the learning rate that each follows."""


def _predicted(column: Sequence[Axes], run: SyntheticRun, theories: Mapping[str, tuple[Theory, float]]) -> None:
    (above, below), frequency = column, run.setting["frequency"]
    time, score = run.trajectory.time.values[EARLIEST:], run.trajectory.score.values[EARLIEST:]
    ends = np.argsort(frequency)[[0, -1]]
    places = np.unique(np.geomspace(1, time.size, 24).astype(int)) - 1
    for word, marker in zip(ends, style.MARKERS, strict=False):
        label = f"run, ρ = {frequency[word]:.3f}"
        above.plot(time[places], score[places, word], marker, ms=4, color="black", mfc="none", label=label)
    for k, (label, (theory, rate)) in enumerate(theories.items()):
        predicted = solved(run, theory, rate).score[EARLIEST:]
        for word, named in zip(ends, (label, None), strict=True):
            above.plot(time, predicted[:, word], label=named, **style.line(k))
        below.plot(time, 100 * np.abs(predicted / score - 1.0).max(axis=1), **style.line(k))
    above.set_xscale("log")
    above.legend(loc="upper left")
    below.set(xlabel=style.TIME, yscale="log")


def scaling(quick: bool) -> Figure:
    """Draw the scaling of the deviation from C1 and C9, with fitted slopes."""
    sizes = {name: values[:3] for name, values in SIZES.items()} if quick else SIZES
    table = prediction_scaling(sizes=sizes, seeds=1 if quick else 3)
    fits = fitted_exponents(table).set_index(["varied", "theory"])
    figure, row = size_panels(sizes)
    for axes, varied in zip(row, sizes, strict=True):
        for k, theory in enumerate(("C1", "C9")):
            rows = table.query("varied == @varied and theory == @theory")
            size, off = rows["size"].to_numpy(float), 100 * rows["deviation"].to_numpy()
            fit = fits.loc[(varied, theory)]
            text = f"{theory}: slope {round(fit.exponent, 2) + 0.0:.2f} ± {(fit.high - fit.low) / 2:.2f}"
            draw_law(axes, size, off, 100 * fit.factor * size**fit.exponent, k, text)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    row[0].set_ylabel(f"deviation of scores at epoch {AT} (%)")
    return figure


def long_run(quick: bool) -> Figure:
    """Draw L τ and (1 - a) Λ² to time 1e16: exact gradient, mean field, limits and their next orders."""
    task, n, m = ExactTask((1, 1, 1, 1), 20), 4, 20
    setting = {"frequency": 1 / n, "classes": n, "others": m}
    near, far = np.geomspace(100, 1e8, 8 if quick else 19), np.geomspace(100, 1e16, 200)
    model = exact_flow(task, tuple(near.tolist()), rtol=MODEL_RTOL).isel(time=slice(1, None))
    field, theory = MeanField(**setting).flow(far), late(far, **setting)
    unit, limit = 2 * n / (n - 1), float(loss_limit(frequency=1 / n, classes=n))
    second = (2 * np.log(m * theory.margin**2 / unit) - 5 - 2 / m) * unit**2 / theory.margin**4
    figure, ((left, right),) = style.panels((9.0, 3.7), 1, 2)
    gap = (1 - model.attention.values[:, 0]) * late(near, **setting).margin ** 2
    _beside(left, near, model.train_loss.values * near, far, field.loss * far, limit, limit / (1 + second))
    _beside(right, near, gap, far, (1 - field.attention) * theory.margin**2, unit, theory.gap * theory.margin**2)
    left.set(ylabel=r"loss × time, $L\,\tau$ (nats)", ylim=(0.985 * limit, 1.06 * limit))
    right.set(ylabel=r"$(1-a)\,\ln^2(\rho u^2 n \tau)$", ylim=(0.97 * unit, 1.3 * unit))
    left.legend(loc="upper right")
    return figure


def _beside(axes: Axes, near: Array, model: Array, far: Array, field: Array, limit: float, second: Array) -> None:
    axes.plot(near, model, label="exact gradient", **style.marks(0) | {"color": "black"})
    axes.plot(far, field, label="mean field, C1", **style.line(0))
    axes.plot(far[far > 1e4], second[far > 1e4], label="limit, next order", **style.line(1))
    axes.axhline(limit, color=style.COLOURS[7], linestyle=style.LINES[3], label="limit")
    axes.set(xlabel=style.TIME, xscale="log")


def capacity(quick: bool) -> Figure:
    """Draw the growth of the score with ln ln τ for 0, 1 and 2 trained layers: mean field, finite-time law, limits."""
    figure, ((axes,),) = style.panels((7.4, 4.2))
    practical = np.log(RATE * EPOCHS)
    for depth in DEPTHS:
        _growing(axes, depth, np.geomspace(np.log(100), np.log(1e300), 12 if quick else 36))
    axes.axvline(practical, linestyle="--", **style.REFERENCE)
    note = "5,000 epochs; D = 0 is above 4 here"
    axes.annotate(note, (practical, 3.9), (4, 0), textcoords="offset points", va="top")
    axes.set(xlabel="ln τ, logarithm of learning rate × epoch", xscale="log", ylim=(0.4, 4.0))
    axes.set_ylabel(r"growth of the score, $ds/d\ln\ln\tau$")
    axes.legend(loc="upper right")
    return figure


def _growing(axes: Axes, depth: int, log_time: Array) -> None:
    limit, endless = float(score_exponent(depth)), np.geomspace(20, ENDLESS, 200)
    run = in_mean_field(tuple(np.exp(log_time).tolist()), depth)
    law = late_score(endless, depth=depth, **LMN21)
    axes.plot(*_slopes(run.score, log_time), label=f"mean field, D = {depth}", **style.marks(depth, 3.5))
    axes.plot(*_slopes(law, endless), label=f"law at finite time, D = {depth}", **style.line(depth))
    axes.axhline(limit, linewidth=0.8, linestyle=":", color=style.COLOURS[depth])
    note = f"limit 2/(1 + D), D = {depth}"
    axes.annotate(note, (ENDLESS, limit), (0, 3), textcoords="offset points", ha="right")


def _slopes(score: Array, log_time: Array) -> tuple[Array, Array]:
    steps = np.log(log_time)
    return np.exp((steps[1:] + steps[:-1]) / 2), np.diff(score) / np.diff(steps)


FIGURES: dict[str, Callable[[bool], Figure]] = {
    "prediction": prediction,
    "scaling": scaling,
    "long-run": long_run,
    "capacity": capacity,
    "zipf": zipf,
    "residual": residual,
    "regimes": regimes,
    "early": early,
    "leaders": leaders,
    "heads": heads,
    "hysteresis": hysteresis,
    "optimisers": optimisers,
}


@dataclass(frozen=True, kw_only=True)
class Options(Place):
    """Draw the theory beside runs."""

    figure: tuple[str, ...] = ()
    """Names of figures, by default all: prediction, scaling, long-run, capacity, zipf, residual, regimes, early,
    leaders, heads, hysteresis, optimisers."""
    quick: bool = False
    """Shorter runs and fewer sizes."""


def chosen(options: Options) -> Figures:
    """Return the figures that were asked for."""
    some_of("figure", options.figure, FIGURES)
    return {name: partial(FIGURES[name], options.quick) for name in options.figure or FIGURES}


main = command(Options, "theory_figures", "figures of the theory", FIGURES, chosen)

if __name__ == "__main__":
    sys.exit(main())
