"""Growth of scores under more trained layers (theory C11)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.exact_task import altered
from attn_dynamics.claims._support.long_run import LMN21, LONGEST, in_mean_field
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.asymptotics import late_score, score_exponent

PRACTICAL = (250.0, 500.0)
"""Times around the last doubling in LMN21's training."""
DEPTHS = (0, 1, 2)
ENDLESS = (1e12, 1e60)
"""Values of ln τ."""


@claims(
    "C11",
    control("‖ν‖ itself for its square: 1/(1+D)", exponent=lambda depth: 1 / (1 + depth)),
    control("one layer more", exponent=lambda depth: score_exponent(depth + 1)),
    control("the margin of a fixed head", law=altered(late_score, depth=lambda _: 0)),
    control("at practical times", times=PRACTICAL),
    statement=r"s \sim \frac{2}{1+D} \ln \ln \tau, \quad \|\nu\| \sim (\ln \tau)^{1/(1+D)}",
    assumptions="C1 and C10 with nothing memorised, D trained linear layers that start balanced",
    quantity="largest distance, over D = 0, 1, 2, of the growth of s per e-fold of ln τ, τ from 1e128 to 1e256, from "
    "the law at finite time, and of that law's growth from ln τ = 1e12 to 1e60 from 2/(1+D)",
    tolerance="2e-4: the law leaves out O(1/M) of M, hence O(1/M²) of s, M ~ 300 to 600; 5e-8 for its own limit, where "
    "M^{-2/(1+D)} is at most 1e-8",
)
def capacity(
    *,
    quick: bool,
    law: Callable[..., Array] = late_score,
    exponent: Callable[[int], float | Array] = score_exponent,
    times: tuple[float, ...] = LONGEST,
) -> Measured:
    """Measure growth in mean field, and its distance from the limit at times that a computer reaches."""
    finite, limits, seen = [], [], []
    for depth in DEPTHS:
        setting = LMN21 | {"depth": depth}
        run = growth(in_mean_field(times, depth).score, np.log(times))
        endless = growth(law(ENDLESS, **setting), np.array(ENDLESS))
        finite.append(run - growth(law(np.log(times), **setting), np.log(times)))
        limits.append(endless - exponent(depth))
        practical = growth(in_mean_field(PRACTICAL, depth).score, np.log(PRACTICAL))
        seen.append(f"D = {depth}: {run:.3f}, limit {exponent(depth):.3f}, at 5,000 epochs {practical:.2f}")
    return together("; ".join(seen), law_at_finite_time=farthest(finite, 2e-4), its_limit=farthest(limits, 5e-8))


def growth(score: Array, log_time: Array) -> float:
    """Return the growth of s per doubling of ln τ, divided by ln 2."""
    return float(np.diff(score)[0] / np.diff(np.log(log_time))[0])
