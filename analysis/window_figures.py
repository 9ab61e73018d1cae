"""The command: W22's numbers, the theory's curves, and the rows of `simulations.squad` in the same figures.

python -m analysis.window_figures
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import Figures, Place, command
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import expanded
from attn_dynamics.files.storage import Damaged, read_parquet
from attn_dynamics.results.figures import style
from attn_dynamics.window.reach import BellFormula
from attn_dynamics.window.w22 import DECIMAL, HALF_WIDTH, SCORES, TABLE, blank, tokens

BELL_FORMULAS = {
    "Δ²/2σ, no prefactor": BellFormula("variance", "none"),
    "Δ²/2σ, prefactor": BellFormula("variance", "printed"),
    "Δ²/2σ², prefactor": BellFormula("deviation", "printed"),
}
"""Formulas of a bell from the number σ, in float32."""
NEEDED = ("row", "scale", "placement", "start_width", "bell_rate", "seed", "f1", "width", "reach", "reached_last")
FAMILIES = {"product": "product, variance trained", "renormalised": "renormalised, deviation trained"}
"""Placements of narrow starts, with the trained parameter."""


def counts(rows: pd.DataFrame) -> Figure:
    """Draw the tokens with a bell above 0: theory D1 under three formulas, W22's counts, and those of our rows."""
    figure, ((axes,),) = style.panels((6.4, 3.8))
    sigma = np.geomspace(0.5, 2e3, 400)
    for k, (label, formula) in enumerate(BELL_FORMULAS.items()):
        axes.plot(sigma, [tokens(formula, each) for each in sigma], label=label, **style.line(k))
    low, high = blank(BELL_FORMULAS["Δ²/2σ, no prefactor"])
    theirs = [(row.sigmas[len(row.sigmas) // 2] if row.sigmas else (low + high) / 2, row.tokens) for row in TABLE]
    axes.plot(*zip(*theirs, strict=True), "s", color="black", mfc="white", ms=6, label="W22")
    bells = rows[rows.start_width < sigma[-1]]
    axes.plot(bells.width**2, bells.reached_last, ".", color="black", ms=4, label="our rows, σ² for σ, in our lengths")
    axes.set(xlabel="σ as W22 give it", ylabel="tokens where the bell is above 0", xscale="log")
    axes.set_ylim(0.0, 1.05 * (2 * HALF_WIDTH + 1))
    style.legend_below(figure, 3)
    return figure


def growth(rows: pd.DataFrame) -> Figure:
    """Draw the final width from σ = 1 over the factor on the bell's rate: W22's, and ours."""
    figure, ((left, right),) = style.panels((8.4, 3.8), 1, 2)
    _theirs(left)
    for k, placement in enumerate(FAMILIES):
        _ours(right, rows, placement, k)
    right.set_ylim(0.0, max(3.0, 1.2 * float(rows[rows.start_width == 1.0].width.max())))
    for axes in (left, right):
        axes.set(xlabel="factor on the bell's learning rate", xscale="log")
        if axes.lines:
            axes.legend(loc="upper left", fontsize=7)
        axes.set_ylabel("σ at the end, from σ = 1 (tokens)")
    return figure


def _theirs(axes: Axes) -> None:
    """Draw W22's two widths, their σ a variance, with the powers of theory D6 through the first."""
    first, (low, high) = np.sqrt(DECIMAL[1]), np.sqrt(blank(BELL_FORMULAS["Δ²/2σ, no prefactor"]))
    hollow: Any = {"color": "black", "mfc": "white"}
    axes.plot([1.0], [first], "s", label="W22, σ = 9.5 a variance", **hollow)
    axes.errorbar([10.0], [(low + high) / 2], (high - low) / 2, fmt="D", label="W22, by its tokens", **hollow)
    rates = np.geomspace(1.0, 100.0, 60)
    for k, (power, what) in enumerate(((4, "deviation"), (6, "variance"))):
        label = f"D6: rate$^{{1/{power}}}$, {what} trained"
        axes.plot(rates, first * rates ** (1 / power), label=label, **style.line(k))
    axes.set_ylim(0.0, 16.0)


def _ours(axes: Axes, rows: pd.DataFrame, placement: str, k: int) -> None:
    """Draw our narrow starts of a placement, between the limits of Adam's steps if all have one sign."""
    ours = rows.query("placement == @placement and start_width == 1 and bell_rate > 0 and scale != 'log'")
    if ours.empty:
        return
    thin: Any = style.line(k) | {"linewidth": 0.9}
    axes.plot(ours.bell_rate, ours.width, label=FAMILIES[placement], **style.marks(k, 6))
    rates = np.geomspace(1.0, 1000.0, 200)
    reach = float((ours.reach / ours.bell_rate).mean()) * rates
    for sign, label in ((1.0, "all steps one way"), (-1.0, None)):
        number = np.clip(1.0 + sign * reach, 0.0, None)
        axes.plot(rates, np.sqrt(number) if placement == "product" else number, label=label, **thin)


def scores(rows: pd.DataFrame) -> Figure:
    """Draw F1 of W22's rows and of ours, relative to F1 without a bell."""
    figure, ((axes,),) = style.panels((6.4, 3.6), layout="constrained")
    ours = rows.pivot_table(index="seed", columns="row", values="f1")
    names = list(rows.row.unique())
    for place, name in enumerate(names):
        if name in SCORES:
            share = SCORES[name].f1 / SCORES["fixed"].f1
            axes.plot(place, share, "s", color="black", mfc="white", label="W22", zorder=3)
        if "fixed" in ours:
            share = (ours[name] / ours["fixed"]).dropna()
            axes.plot(np.full(len(share), place + 0.15), share, label="ours, a seed each", **style.marks(0))
    axes.axhline(1.0, **style.REFERENCE)
    axes.set(xticks=range(len(names)), ylabel="F1 over F1 without a bell", ylim=(0.0, None))
    axes.set_xticklabels(names, rotation=35, ha="right")
    style.legend(axes, loc="lower right")
    return figure


FIGURES: dict[str, Callable[[pd.DataFrame], Figure]] = {"counts": counts, "growth": growth, "scores": scores}


@dataclass(frozen=True, kw_only=True)
class Options(Place):
    """Draw W22's numbers beside theory and beside an experiment on questions."""

    rows: Path = Path("runs/squad/rows.parquet")
    """File of rows from `python -m simulations.squad`."""


def chosen(options: Options) -> Figures:
    """Return all figures, with the rows of an experiment."""
    rows = _read(expanded(options.rows, "--rows"))
    return {name: partial(draw, rows) for name, draw in FIGURES.items()}


def _read(path: Path) -> pd.DataFrame:
    expected = "rows of an experiment on questions"
    fix = "Run python -m simulations.squad, or name the rows.parquet that it left by --rows."
    try:
        rows = read_parquet(path)
    except Damaged as error:
        given = f"{path}, which cannot be read ({' '.join(error.reason.split())})"
        raise InputError("--rows", expected=expected, given=given, fix=fix) from None
    if missing := [name for name in NEEDED if name not in rows]:
        raise InputError("--rows", expected=expected, given=f"none with {missing[0]}", fix=fix)
    return rows


main = command(Options, "window_figures", "figures of windows", FIGURES, chosen)

if __name__ == "__main__":
    sys.exit(main())
