"""Growth of a window's width with the learning rate of the bell, early in training (theory D6)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import RTOL, farthest
from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims._support.window_drawn import WHOLE, widths
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.bell import SCALES, Bell
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.bell_width import time_to_width

EARLY, BEGUN = 100, 2.8
"""Distance δ of the useful token, and σ₀, the narrowest start whose bell float64 resolves there."""
SPAN = (0.08, 0.16)
"""Range of σ/δ over which widths are compared."""
EXPONENTS = {"deviation": 1 / 4, "variance": 1 / 3}
"""Power of the factor r on the learning rate that the trained parameter follows, by its name."""


@claims(
    "D6",
    control("1/2, as a diffusion has it", exponents=dict.fromkeys(EXPONENTS, 0.5)),
    control("1/3 taken for the width under a variance", of_width=True),
    control("when σ has come near δ", span=(0.5, 0.99)),
    control("twice the time", law=lambda *given: 2.0 * time_to_width(*given)),
    name="faster rate",
    foundations=("D2",),
    statement=r"\sigma^4 - \sigma_0^4 \approx 4\delta^2\tau: \ \sigma \propto r^{1/4}; \quad "
    r"p = \sigma^2: \ p^3 - p_0^3 \approx \frac{3}{2}\delta^2\tau, \ p \propto r^{1/3}, \ "
    r"\sigma \propto r^{1/6}; \quad \ln\sigma: \ \delta^2 - \sigma^2 \propto e^{-2 r \tau}",
    assumptions="loss and placement of D4; the learning rate of the bell is multiplied by r. Scores are even, the "
    "window is several δ, and σ is a token or more. The exponents need σ ≪ δ",
    quantity="exponents: largest distance of the power of r that a trained parameter follows from 1/4 for σ and 1/3 "
    "for the variance. All runs take one time, and r brings σ from 0.08 δ to 0.16 δ, δ = 100. Closed form: largest "
    "relative distance of the time from the closed form at the widths reached, also for ln σ",
    tolerance="exponents: 0.01, because σ₀⁴ is 1.5 % of σ⁴ at the narrow end, and σ² is 2.6 % of δ² at the wide end. "
    "Closed form: 1e-9, the solver's error",
)
def early_growth(
    *,
    quick: bool,
    exponents: dict[str, float] = EXPONENTS,
    of_width: bool = False,
    span: tuple[float, float] = SPAN,
    law: Callable[..., Array] = time_to_width,
) -> Measured:
    """Measure the widths reached in one time, for several learning rates of the bell alone."""
    off, exact, seen = [], [], []
    for scale in SCALES:
        ends = time_to_width(EARLY * np.array(span), EARLY, BEGUN, scale)
        rates = np.geomspace(1.0, ends[1] / ends[0], 3 if quick else 7)
        reached = np.array([_at_rate(scale, float(ends[0]), float(rate)) for rate in rates])
        exact += (law(reached, EARLY, BEGUN, scale) / (rates * ends[0]) - 1.0).tolist()
        if scale in exponents:
            trained = reached**2 if scale == "variance" and not of_width else reached
            found = power_law(rates, trained).exponent
            off.append(found - exponents[scale])
            seen.append(f"{scale} {found:.3f}")
    return together(", ".join(seen), exponents=farthest(off, 0.01), closed_form=farthest(exact, 100 * RTOL))


def _at_rate(scale: str, time: float, rate: float) -> float:
    """Return the width σ at a time, for a factor on the learning rate of the bell."""
    return float(widths(EARLY, WHOLE * EARLY, (time,), start=BEGUN, bell=Bell(scale=scale), rate=rate)[0])
