"""Differences in F1 between the rows of `simulations.squad`, paired by seed and by question, and the goal, in words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.model.heads import Array
from attn_dynamics.statistics import FEWEST, interval
from simulations.squad_rows import COMPARED, NONE, ROWS, Runs

SPARE = 5
"""Number of times as many pairs that the row without a bell must attend at least, if the goal is reached."""


class Difference(NamedTuple):
    """Difference in F1 between two rows, over the seeds that both have."""

    by_seed: Array
    """Difference of each seed (seeds,), points."""
    by_question: Array
    """Difference at each dev question (questions,), points; a mean over seeds."""
    pairs: tuple[float, float]
    """Share of all pairs of tokens that attend, in the one row and in the other; a mean over seeds."""

    @property
    def mean(self) -> float:
        """Return the mean difference, points."""
        return float(self.by_question.mean())

    def summary(self) -> dict[str, Any]:
        """Return the mean, its interval over questions, and the difference of each seed, points, and the pairs."""
        return {
            **interval(self.by_question),
            "interval_over": "questions",
            "by_seed": self.by_seed.tolist(),
            "pairs": self.pairs,
        }

    def __str__(self) -> str:
        over = interval(self.by_question)
        known = f"{over['low']:.1f} to {over['high']:.1f} over questions; " * (len(self.by_question) >= FEWEST)
        seeds = ", ".join(f"{each:.1f}" for each in self.by_seed)
        return (
            f"{self.mean:.1f} points of F1 ({known}by seed {seeds}), "
            f"at {100 * self.pairs[0]:.0f} % and {100 * self.pairs[1]:.0f} % of the pairs"
        )


def differences(runs: Runs) -> dict[str, Difference]:
    """Return the comparisons of `COMPARED` whose rows have runs of a common seed."""
    found = {title: difference(runs.get(one, ()), runs.get(other, ())) for title, (one, other) in COMPARED.items()}
    return {title: each for title, each in found.items() if each is not None}


def difference(one: Sequence[xr.Dataset], other: Sequence[xr.Dataset]) -> Difference | None:
    """Return the difference between the runs of two rows; None if they have no seed in common."""
    ours, theirs = ({run.attrs["seed"]: run for run in each} for each in (one, other))
    both = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    if not both:
        return None
    gaps = 100.0 * np.array([a.overlap.values - b.overlap.values for a, b in both])
    pairs = np.array([[float(run.attended.mean()) for run in pair] for pair in both]).mean(axis=0)
    return Difference(gaps.mean(axis=1), gaps.mean(axis=0), (float(pairs[0]), float(pairs[1])))


def goal(runs: Runs) -> str:
    """Return a sentence on the goal: F1 of no bell or more, at a fifth of its pairs or less, σ trained from narrow."""
    stated = f"The goal, F1 of no bell or more at ≤ 1/{SPARE} of its pairs with σ trained from 1,"
    tried = {name: difference(each, runs.get(NONE, ())) for name, each in runs.items() if _from_narrow(name)}
    found = {name: each for name, each in tried.items() if each is not None}
    if not found:
        return f"{stated} is not tested: it needs the row {NONE} and a row with σ trained from 1."
    reached = [name for name, each in found.items() if each.mean >= 0.0 and SPARE * each.pairs[0] <= each.pairs[1]]
    best = max(found, key=lambda name: found[name].mean)
    told = f"is reached by {', '.join(reached)}" if reached else "is not reached"
    return f"{stated} {told}; {best} less {NONE}: {found[best]}."


def _from_narrow(name: str) -> bool:
    return ROWS[name].bell_rate > 0.0 and ROWS[name].start_width == 1.0
