"""Two equations for each topic word, where nothing is memorised (theory C1)."""

import numpy as np

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.exact_task import ExactTask, Theory, altered, distance, drawn_tasks, of_wrong_sizes
from attn_dynamics.claims.claim import Measured, claims, control, largest
from attn_dynamics.theory.mean_field import MeanField

TASKS = (ExactTask((1, 2), 1), ExactTask((1, 2, 3, 4), 20), *drawn_tasks(14))
"""Two chosen tasks, and 14 with drawn sizes."""


@claims(
    "C1",
    *of_wrong_sizes(MeanField),
    control("‖q‖²/2 for ‖q‖²", theory=altered(MeanField, query_norm=lambda q: q / 2**0.5)),
    control("√u for u", theory=altered(MeanField, head_norm=np.sqrt)),
    control("other words are trained too", free=True),
    name="mean field, Attn-FC",
    foundations=("A6", "M2"),
    statement=r"\frac{ds}{d\tau} = \|q\|^2 \rho\, a (1-a)(1-\pi)\, x\, \frac{n}{n-1}, \quad "
    r"\frac{dx}{d\tau} = \rho\, a u^2 (1-\pi), \quad \pi = \frac{1}{1 + (n-1)\, e^{-a x n/(n-1)}}",
    assumptions="query and head are fixed; the head's columns are orthogonal and of norm u. Each sentence has one "
    "topic word among m words whose scores and embeddings stay 0. All else starts at 0. If the other words are "
    "trained, C1 needs N → ∞ and a large dictionary; a large dictionary alone gives C9",
    quantity="largest relative distance of s, ‖ν‖ and a from C1 up to time 1000, over topic words, n, m, ρ, ‖q‖ and u",
    tolerance="1000 rtol, where rtol = 1e-11 is the solver's tolerance per step, for some hundred steps",
)
def two_equations(*, quick: bool, theory: Theory = MeanField, free: bool = False) -> Measured:
    """Measure gradient flow of the exact gradient on tasks that meet the assumptions of C1 by construction."""
    tasks = TASKS[:3] if quick else TASKS
    worst = largest(distance(task, theory, free=free) for task in tasks)
    return Measured(worst, 1000 * RTOL, f"{len(tasks)} settings", within=20.0)
