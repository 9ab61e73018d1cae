"""F1 that a window costs by its width σ: frozen widths make a curve, beside which trained ones are points."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from attn_dynamics.results.figures import style
from attn_dynamics.window.w22 import DECIMAL, SCORES
from simulations.squad_differences import difference
from simulations.squad_rows import NONE, ROWS, Row, Runs

EXEMPT = {"question": "question exempt", "special": "special tokens exempt", "random": "random tokens exempt"}
KINDS = ("frozen", "sliced", "trained")


class Cost(NamedTuple):
    """Width of a row at the end, and F1 beside that of the row without a bell."""

    name: str
    width: float
    """Width σ, tokens; a geometric mean over layers, heads and seeds."""
    least: float
    largest: float
    points: float
    """F1 less that of the row without a bell, points; a mean over the seeds that both have."""

    @property
    def group(self) -> str:
        """Return the name of the rows that differ from this one in their widths alone."""
        row: Row = ROWS[self.name]
        return EXEMPT.get(row.exempt, row.placement)


def costs_of(runs: Runs) -> list[Cost]:
    """Return the rows with a bell that have a seed in common with the row without one."""
    found = []
    for name, each in runs.items():
        gap = difference(each, runs.get(NONE, ()))
        if name != NONE and gap is not None:
            widths = np.array([run.width.isel(step=-1).values for run in each])
            mean = float(np.exp(np.log(widths).mean()))
            found.append(Cost(name, mean, float(widths.min()), float(widths.max()), gap.mean))
    return found


def cost_figure(costs: list[Cost]) -> Figure:
    """Draw F1 less that of no bell over σ at the end; lines join frozen widths, bars span layers and heads."""
    figure, ((axes,),) = style.panels((7.2, 4.6))
    for k, group in enumerate(dict.fromkeys(each.group for each in costs)):
        ours = sorted((each for each in costs if each.group == group), key=lambda each: each.width)
        frozen, sliced, trained = ([each for each in ours if _kind(each) == kind] for kind in KINDS)
        if frozen:
            axes.plot(*_points(frozen), label=f"{group}, frozen", **style.line(k), marker=style.MARKERS[k], ms=4)
        if sliced:
            axes.plot(*_points(sliced), "x", color=style.COLOURS[k], ms=6, label=f"{group}, sliced from the start")
        if trained:
            bars = np.array([[each.width - each.least, each.largest - each.width] for each in trained]).T
            look: Any = style.marks(k, 6.0) | {"elinewidth": 0.6, "capsize": 2.0}
            axes.errorbar(*_points(trained), xerr=np.maximum(bars, 0.0), label=f"{group}, σ trained", **look)
    theirs = SCORES["peak-narrow"].f1 - SCORES[NONE].f1
    axes.plot(np.sqrt(DECIMAL[1]), theirs, "*", color="black", mfc="white", ms=9, label="W22, σ by D1, their data")
    axes.axhline(0.0, **style.REFERENCE)
    axes.set(xlabel="σ at the end of training (tokens)", ylabel="F1 less that of no bell (points)", xscale="log")
    style.legend_below(figure, 3)
    return figure


def _kind(each: Cost) -> str:
    row = ROWS[each.name]
    return "trained" if row.bell_rate else "frozen" if row.sliced_from is None else "sliced"


def _points(costs: list[Cost]) -> tuple[list[float], list[float]]:
    return [each.width for each in costs], [each.points for each in costs]
