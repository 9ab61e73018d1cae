"""Growth of scores in the long run, by the number of trained layers of the head (theory C11)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.exact_task import altered
from attn_dynamics.claims._support.long_run import LMN21, LONGEST, in_mean_field
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.asymptotics import late_score, score_exponent

PRACTICAL = (250.0, 500.0)
"""Times of epochs 2,500 and 5,000 of LMN21's training."""
DEPTHS = (0, 1, 2)
"""Numbers D of trained layers."""
ENDLESS = (1e12, 1e60)
"""Values of ln τ at which the law is at its limit."""


@claims(
    "C11",
    control("‖ν‖ itself for its square: 1/(1+D)", exponent=lambda depth: 1 / (1 + depth)),
    control("one layer more", exponent=lambda depth: score_exponent(depth + 1)),
    control("the margin of a fixed head", law=altered(late_score, depth=lambda _: 0)),
    control("at practical times", times=PRACTICAL),
    name="capacity law",
    foundations=("A4", "C3"),
    statement=r"s \sim \frac{2}{1+D} \ln \ln \tau, \quad \|\nu\| \sim (\ln \tau)^{1/(1+D)}",
    assumptions="C1 and C10 with nothing memorised. The head has D trained linear layers, which start balanced",
    quantity="law at finite time: largest distance of the growth of s per e-fold of ln τ, between τ = 1e128 and 1e256, "
    "from that of the law at finite time. Its limit: largest distance of that law's growth from 2/(1+D), between ln τ "
    "= 1e12 and 1e60. Both are over D = 0, 1, 2",
    tolerance="law at finite time: 2e-4, because it leaves out O(1/M) of M, hence O(1/M²) of s, where M is 300 to 600. "
    "Its limit: 5e-8, because M^{-2/(1+D)} is at most 1e-8",
)
def capacity(
    *,
    quick: bool,
    law: Callable[..., Array] = late_score,
    exponent: Callable[[int], float | Array] = score_exponent,
    times: tuple[float, ...] = LONGEST,
) -> Measured:
    """Measure growth in mean field, and growth of the law at times that no solver reaches."""
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
    """Return the growth of s per e-fold of ln τ between two times."""
    return float(np.diff(score)[0] / np.diff(np.log(log_time))[0])
