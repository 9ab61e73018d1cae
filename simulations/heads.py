"""Two heads with trained widths: where they part (D11, predicted), for the bell and for ALiBi, and at which rate.

python -m simulations.heads --quick
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attn_dynamics.claims._support.several_widths import (
    ALIKE,
    APART,
    KINDS,
    SETTLED,
    Phase,
    courses,
    phases,
    seekers,
)
from attn_dynamics.claims.d11_parting_heads import FULL, QUICK, Useful, rate_error, rates_by_power
from attn_dynamics.results.figures import style, widths
from attn_dynamics.theory.parting_heads import amplitude, least_ratio, moments, parting_rate
from simulations.experiment import Findings, Options, begin, command

POWERS = (2.0, 1.0)
"""Powers p of the kernels: the bell and ALiBi."""
FARTHEST, HIGHEST = 4.0, 0.6
"""Largest ratio of the distances over the least that parts heads, and the largest share of the far one."""
COURSES = {2.0: (8.0, (0.30, 0.32)), 1.0: (8.0, (0.30, 0.34))}
"""Ratio of the distances, and two far shares on either side of the threshold, by the power of the kernel."""


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """Heads that look for one useful token a sentence, each with a trained width."""

    name: ClassVar = "heads"

    @property
    def grid(self) -> int:
        """Return the number of ratios, and of shares, of a phase diagram."""
        return 5 if self.quick else 24 if self.full else 12


def study(options: Settings) -> Findings:
    """Follow two heads over ratios and shares of two distances, and measure rates for power laws too."""
    begin(options)
    found = {power: diagram(power, options.grid) for power in POWERS}
    cases = QUICK if options.quick else FULL
    rows = pd.concat([rows_of(power, each) for power, each in found.items()], ignore_index=True)
    rates = pd.DataFrame([_rate(useful) for useful in cases])
    clear = told(rows)
    wrong = int((clear.parts != (clear.rate > 0.0)).sum())
    return Findings(
        rows=rows,
        summary={
            "told_wrong": wrong,
            "cells": len(clear),
            "largest_rate_error": float(rates["error"].to_numpy().max()),
            **{widths.KERNELS[power]: _counts(each) for power, each in found.items()},
        },
        table=rates,
        caption="rates along flow beside theory D11",
        figures={
            **{
                f"phases-{widths.KERNELS[power].lower()}": partial(phase_figure, power, each)
                for power, each in found.items()
            },
            "rates": partial(rates_figure, cases),
        },
        wrong=f"D11 told {wrong} of {len(clear)} starts from alike wrong" if wrong else "",
    )


def told(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells in which a flow tells whether heads part.

    In the others the rate is too small to show in the time of a flow, or heads part smoothly, but rest at a difference
    of ln σ, twice the amplitude, that may not count as apart: it should be twice of what does.
    """
    shows = cells.rate.abs() > 2.0 * np.log(1.0 / ALIKE) / SETTLED
    return cells.loc[shows & ~(2.0 * cells.amplitude < 2.0 * APART)]


def diagram(power: float, size: int) -> list[Phase]:
    """Return where two heads end over a grid of ratios around the least one that parts heads, and of far shares."""
    ratios = np.geomspace(0.7, FARTHEST, size) * least_ratio(power)
    return phases(ratios.tolist(), np.linspace(0.03, HIGHEST, size).tolist(), power)


def rows_of(power: float, found: Sequence[Phase]) -> pd.DataFrame:
    """Return a row for each cell of a phase diagram, with what D11 says of it."""

    def row(each: Phase) -> dict[str, object]:
        heads = seekers(each.ratio, each.share, power)
        given = heads.distances, heads.chances
        return {
            "kernel": widths.KERNELS[power],
            **each._asdict(),
            "kind": each.kind,
            "parts": each.kind == KINDS[2],
            "scatter": moments(*given, power)[1],
            "rate": parting_rate(*given, heads.half_width, 2, power),
            "amplitude": amplitude(*given, power).settled,
        }

    return pd.DataFrame([row(each) for each in found])


def _counts(found: Sequence[Phase]) -> dict[str, int]:
    return {kind: sum(each.kind == kind for each in found) for kind in KINDS}


def _rate(useful: Useful) -> dict[str, object]:
    mean, scatter = moments(useful.distances, useful.chances, useful.power)
    rate = parting_rate(useful.distances, useful.chances, useful.half_width, useful.heads, useful.power)
    return {
        "kernel": widths.KERNELS[useful.power],
        "distances": f"{min(useful.distances):g} to {max(useful.distances):g}",
        "heads": useful.heads,
        "mean": mean,
        "CV²": scatter,
        "rate, D11": rate,
        "error": rate_error(useful, parting_rate)[0],
    }


def phase_figure(power: float, found: Sequence[Phase]) -> Figure:
    """Draw where two heads end beside the threshold, and the course of their widths on either side of it."""
    figure, ((left, right),) = style.panels((8.6, 4.3), 1, 2, layout="constrained")
    widths.draw_phases(left, [(each.ratio, each.share, each.kind) for each in found], KINDS, power)
    widths.draw_courses(right, courses(*COURSES[power], power))
    widths.legends_below((left, right))
    return style.entitled(figure, f"two heads, {widths.KERNELS[power]}")


def rates_figure(cases: Sequence[Useful]) -> Figure:
    """Draw the measured rates over CV² beside D11."""
    figure, ((axes,),) = style.panels((5.4, 4.2))
    widths.draw_rates(axes, rates_by_power(cases))
    axes.legend(loc="upper left")
    return figure


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
