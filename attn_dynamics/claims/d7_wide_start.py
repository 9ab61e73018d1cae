"""Wide start, or logarithm of the width trained, against a narrow start (theory D7)."""

import numpy as np

from attn_dynamics.claims._support.window_drawn import widths
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.bell import Bell

BUDGET, SHORT = 1e7, 4.0
"""Times τ of the runs under the bounded and under the unbounded loss."""


@claims(
    "D7",
    control("a start of 1 called wide", wide=1.0),
    control("a start of a half of the distance called narrow", narrow=5.0),
    control("σ itself trained for ln σ", logged="deviation"),
    control("ln σ trained for σ itself", plain="log"),
    name="wide start, or ln σ",
    foundations=("D5", "D6"),
    statement=r"-\alpha_\delta: \ \sigma_0 > \delta \ \mathrm{reaches}\ \delta, \ \sigma_0 \ll \delta \ "
    r"\mathrm{stays,\ also\ under}\ \ln\sigma; \quad -\ln\alpha_\delta, \ln\sigma: \ "
    r"\sigma^2 = \delta^2 - (\delta^2 - \sigma_0^2) e^{-2\tau}",
    assumptions="as D4 and D5. Simulation decides, not a proof. Whether this explains the 16 points that W22's learned "
    "window lacks is a question of real data",
    quantity="bounded loss, δ = 10, τ = 1e7. Wide start: relative distance of σ from δ, for σ₀ = 2δ. Narrow start, "
    "with σ or ln σ trained: relative distance of σ from σ₀ = 1. Unbounded loss, δ = 30, τ = 4. Log: relative distance "
    "of σ from the law, with ln σ trained. Width: σ/δ, with σ trained",
    tolerance="wide start, log: 2e-5 as in D4, because the law takes the window for whole. Narrow start: 3e-13, "
    "because the rate of D5, 7.6e-21, moves σ by 7.6e-14 in this time. Width: one half, which by D6 takes until τ = "
    "δ²/53 = 17",
)
def wide_start(
    *, quick: bool, wide: float = 20.0, narrow: float = 1.0, logged: str = "log", plain: str = "deviation"
) -> Measured:
    """Measure narrow and wide starts under both losses."""
    found = widths(10, 50, (BUDGET,), start=wide, loss="reward")[0] / 10.0 - 1.0
    stayed = {
        scale: widths(10, 50, (BUDGET,), start=narrow, loss="reward", bell=Bell(scale=scale))[0] / narrow - 1.0
        for scale in ("deviation", "log")
    }
    law = (30.0**2 - (30.0**2 - 1.0) * np.exp(-2.0 * SHORT)) ** 0.5
    fast = widths(30, 150, (SHORT,), bell=Bell(scale=logged))[0]
    slow = widths(30, 150, (SHORT,), bell=Bell(scale=plain))[0]
    return together(
        wide_start=Measured(abs(found), 2e-5),
        narrow_start=Measured(abs(stayed["deviation"]), 3e-13),
        narrow_start_of_log=Measured(abs(stayed["log"]), 3e-13),
        log_unbounded=Measured(abs(fast / law - 1.0), 2e-5),
        width_unbounded=Measured(slow / 30.0, 0.5),
    )
