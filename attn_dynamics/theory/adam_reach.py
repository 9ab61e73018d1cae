"""Distance that a parameter can travel under Adam (theory D13)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from attn_dynamics.check import Array, ascending, number, one_of
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import SCALES
from attn_dynamics.theory.domain import settings_within, within

SHORT = 1e-7
"""Time, in units of the initial parameter, before which a parameter moves at the rate 1."""
PULLS: Mapping[str, Callable[[Any], Any]] = {
    "deviation": lambda p: p**-3.0,
    "variance": lambda p: 0.5 * p**-2.0,
    "log": lambda p: np.exp(-2.0 * p),
}
"""Minus the gradient far below δ, divided by δ², as a function of the parameter p, by scale (theory D6)."""


def largest_step(beta1: float, beta2: float) -> float:
    """Return the smallest bound on a step of Adam, in units of the learning rate, that holds for any gradients.

    The bound is (1 - β₁)/√((1 - β₂)(1 - β₁²/β₂)). Steps approach it if gradients grow by a factor β₂/β₁ at each step.
    If the size of the gradient never grows and β₁ ≤ β₂, no step exceeds 1.

    Args:
        beta1: share β₁ of the mean of gradients that is kept.
        beta2: share β₂ of the mean of squares that is kept.

    Raises:
        InputError: a share is not from 0 to below 1, or β₁² is not below β₂, where steps have no bound.
    """
    settings_within("from 0 to below 1", beta1=beta1, beta2=beta2)
    if not beta1**2 < beta2 < 1.0:
        fix = "Adam's usual ones are 0.9 and 0.999."
        raise InputError("beta2", expected="a number above β₁² and below 1", given=beta2, fix=fix)
    return float((1.0 - beta1) / np.sqrt((1.0 - beta2) * (1.0 - beta1**2 / beta2)))


def steady_speed(width: ArrayLike, rate: float, beta1: float, beta2: float) -> Array:
    """Return the speed of σ far below δ under Adam, in units of the learning rate, once its means have settled.

    The speed is 1 - (3η/σ)(β₂/(1 - β₂) - β₁/(1 - β₁)), to first order in η/σ. Both means lag by β/(1 - β) steps. The
    gradient of σ falls like 1/σ³, so both still hold larger gradients, the mean of squares more so.

    Args:
        width: width σ > 0 in tokens, any shape.
        rate: learning rate η, in tokens a step.
        beta1: share β₁ of the mean of gradients that is kept.
        beta2: share β₂ of the mean of squares that is kept.

    Raises:
        InputError: a width or the rate is not above 0, or a share is not from 0 to below 1.
    """
    (sigma,) = within("above 0", width=width)
    settings_within("above 0", rate=rate)
    for name, share in (("beta1", beta1), ("beta2", beta2)):
        number(name, share, least=0.0, most=np.nextafter(1.0, 0.0), fix="Adam's usual ones are 0.9 and 0.999.")
    return 1.0 - 3.0 * rate / sigma * (beta2 / (1.0 - beta2) - beta1 / (1.0 - beta1))


def remembering_width(time: ArrayLike, distance: float, start: float, scale: str = "deviation") -> Array:
    """Return σ after k = t/η steps of Adam, while its mean of squares still holds the first gradients: k < 1/(1 - β₂).

    This is the limit of small η and β₂ → 1, under the loss and placement of D4. There the divisor is the root of the
    mean of all squares so far, as in AdaGrad. With the gradient g(p) and the sum S of its squares, dp/dt = -g √(t/S)
    and dS/dt = g². Far below δ, σ finally grows like t^{3/8}, or like t^{3/4} if ln σ is trained. A trained variance is
    p₀ √(1 + 2t/p₀), which finally grows like t^{1/2}.

    Args:
        time: values t = η k ≥ 0, ascending, in units of the trained parameter.
        distance: distance δ > 0 in tokens; infinite for the limit far below it.
        start: initial width σ₀ > 0 in tokens, other than δ.
        scale: trained function of the width, one of `SCALES`.

    Raises:
        InputError: an argument is out of its range.
    """
    times, bell, pull = ascending("time", time), SCALES[one_of("scale", scale, SCALES)], PULLS[scale]
    settings_within("above 0", distance=distance, start=start)
    if start == distance:
        raise InputError("start", expected="a width other than δ", given=start, fix="At δ there is no gradient.")
    begun = float(bell.parameter(start))
    near = lambda p: 1.0 - (bell.width(p) / distance) ** 2  # noqa: E731
    strength = abs(float(near(begun) * pull(begun)))
    # Squares are in units of the first one. The solver starts at a time before which the gradient does not change.
    early = SHORT * (1.0 if scale == "log" else begun)

    def slope(clock: float, state: Array) -> list[float]:
        p, squares = state
        gradient, at = float(near(p) * pull(p)) / strength, np.exp(clock)
        return [at * gradient * np.sqrt(at / squares), at * gradient**2]

    clocks, place = np.unique(np.log(np.maximum(times, early)), return_inverse=True)
    first = [begun + early * np.sign(near(begun)), early]
    # At least one e-fold, because the solver refuses an interval of length 0.
    span = np.log(early), max(clocks[-1], np.log(early) + 1.0)
    found = solve_ivp(slope, span, first, t_eval=clocks, method="LSODA", rtol=1e-10, atol=1e-14)
    return np.where(times < early, start, bell.width(found.y[0][place]))
