"""One bell on two useful tokens: its width up and down in their worth, and the ends of the loop (D12, predicted).

python -m simulations.hysteresis --quick
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attn_dynamics.claims._support.several_widths import loop
from attn_dynamics.claims.d12_two_widths import CLOSE, in_one_sentence, measured_end, steepest
from attn_dynamics.results.figures import style, widths
from attn_dynamics.theory.parting_heads import least_ratio
from attn_dynamics.theory.two_widths import ends
from simulations.experiment import Findings, Options, begin, command

NEAR = 10
"""Distance of the near token."""
SHOWN = {"quick": (30, 40), "usual": (30, 33, 36, 40), "full": (30, 31, 32, 33, 34, 36, 38, 40)}
"""Distances of the far token, by size: the first has a ratio below the least one."""


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """One bell on two useful tokens of a sentence."""

    name: ClassVar = "hysteresis"

    @property
    def far(self) -> tuple[int, ...]:
        """Return the distances of the far token."""
        return SHOWN["quick" if self.quick else "full" if self.full else "usual"]

    @property
    def points(self) -> int:
        """Return the number of r₂/r₁ in each direction of a loop."""
        return 10 if self.quick else 80 if self.full else 40


def study(options: Settings) -> Findings:
    """Follow the width up and down in r₂/r₁ for each far token, and bisect the ends of each loop."""
    begin(options)
    loops = {far: _loop(far, options.points) for far in options.far}
    found = pd.DataFrame([_ends(far) for far in options.far if far / NEAR > least_ratio()])
    off = float(np.abs(found[["lower", "upper"]].to_numpy() / found[["lower, D12", "upper, D12"]].to_numpy() - 1).max())
    spread = {str(far): float((each.falling / each.rising).max() - 1.0) for far, each in loops.items()}
    rows = pd.concat([each.assign(near=NEAR, far=far) for far, each in loops.items()], ignore_index=True)
    return Findings(
        rows=rows,
        summary={"largest_distance_of_an_end": off, "bound": CLOSE, "widest_gap": spread},
        table=found,
        caption="r₂/r₁ at which the wide and the narrow width are lost",
        figures={"loops": partial(loops_figure, loops), "ends": partial(ends_figure, found)},
        wrong="" if off <= CLOSE else f"D12 gives the ends; one was off by {off:.1e}",
    )


def _loop(far: int, points: int) -> pd.DataFrame:
    """Return the widths over r₂/r₁ around the ends, or around where the width moves fastest if there are none."""
    low, high = ends(NEAR, far)
    middle = steepest(NEAR, far)
    odds = np.geomspace(0.6 * (middle if np.isnan(low) else low), 1.6 * (middle if np.isnan(high) else high), points)
    rising, falling = loop(NEAR, far, odds)
    return pd.DataFrame({"odds": odds, "rising": rising, "falling": falling})


def _ends(far: int) -> dict[str, float]:
    lower, upper = (measured_end(NEAR, far, in_one_sentence, upper=each) for each in (False, True))
    low, high = ends(NEAR, far)
    return {"ratio": far / NEAR, "lower": lower, "lower, D12": low, "upper": upper, "upper, D12": high}


def loops_figure(loops: dict[int, pd.DataFrame]) -> Figure:
    """Draw the loop of the shortest and of the longest far distance."""
    chosen = sorted({min(loops), max(loops)})
    figure, (row,) = style.panels((4.5 * len(chosen), 4.2), 1, len(chosen), layout="constrained")
    for axes, far in zip(row, chosen, strict=True):
        each = loops[far]
        widths.draw_loop(axes, NEAR, far, each.odds.to_numpy(), each.rising.to_numpy(), each.falling.to_numpy())
    widths.legends_below(row)
    return figure


def ends_figure(found: pd.DataFrame) -> Figure:
    """Draw the measured ends over the ratio of the distances, beside D12."""
    figure, ((axes,),) = style.panels((5.4, 4.2))
    measured: Sequence[tuple[float, float, float]] = [*found[["ratio", "lower", "upper"]].itertuples(index=False)]
    widths.draw_ends(axes, measured, 1.05 * float(found.ratio.max()))
    style.legend(axes, loc="upper left", bbox_to_anchor=(0.08, 1.0))
    return figure


main = command(Settings, study)

if __name__ == "__main__":
    sys.exit(main())
