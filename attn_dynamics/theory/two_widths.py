"""Two stable widths of one kernel on two useful tokens of a sentence (theory D12).

The loss is L = -ln(r₁ α(δ₁) + r₂ α(δ₂)), where α ∝ e^{-|Δ|^p/(p σ^p)} and scores are even. If σ rests, σ^p is the mean
(1 - f) δ₁^p + f δ₂^p, where f is the share of the far token in the sum. The sum of a kernel over tokens is replaced by
its integral.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit

from attn_dynamics.check import Array, number
from attn_dynamics.errors import InputError
from attn_dynamics.theory.domain import settings_within, within
from attn_dynamics.theory.parting_heads import far_shares


def width_at(share: ArrayLike, near: float, far: float, power: float = 2.0) -> Array:
    """Return the width σ that rests if the far token has the share f of the sum, any shape, from 0 to 1."""
    (share_,) = within("from 0 to 1", share=share)
    _check(near, far, power)
    return ((1.0 - share_) * near**power + share_ * far**power) ** (1.0 / power)


def log_odds_at(share: ArrayLike, near: float, far: float, power: float = 2.0) -> Array:
    """Return the ln(r₂/r₁) at which σ rests with the share f for the far token; infinite at f = 0 and f = 1."""
    width = width_at(share, near, far, power)
    return logit(np.asarray(share, float)) + (far**power - near**power) / (power * width**power)


def ends(near: float, far: float, power: float = 2.0) -> tuple[float, float]:
    """Return the ratios r₂/r₁ between which two widths are stable; NaN if δ₂/δ₁ is at most `least_ratio`.

    Below the lower one the wide width ceases to exist, above the upper one the narrow width. At both the useful tokens,
    each with its share of the sum, have CV² = p (`far_shares`), as where heads part (theory D11). The upper one is
    infinite if it exceeds float64, for the bell beyond δ₂/δ₁ = 38; `log_odds_at` gives its logarithm.

    Args:
        near: distance δ₁ > 0 of the near token.
        far: distance δ₂ > δ₁ of the far one.
        power: power p of the kernel; 2 is the bell, 1 is ALiBi.
    """
    _check(near, far, power)
    high, low = (log_odds_at(each, near, far, power) for each in far_shares(far / near, power))
    with np.errstate(over="ignore"):
        return float(np.exp(low)), float(np.exp(high))


def stable_widths(odds: float, near: float, far: float, power: float = 2.0) -> tuple[float, ...]:
    """Return the widths σ that attract at a ratio r₂/r₁ > 0: one, or a narrow and a wide one."""
    wanted = np.log(number("odds", odds, above=0))
    _check(near, far, power)
    lead = (far**power - near**power) / power

    # The unknown is the logit x of the far share, because shares may be too close to 0 or 1 to differ.
    def width(x: float) -> float:
        return float(width_at(expit(x), near, far, power))

    def gap(x: float) -> float:
        return x + lead / width(x) ** power - wanted

    folds = logit(far_shares(far / near, power))
    lowest, highest = wanted - 2.0 * lead / near**power - 1.0, wanted + 1.0
    branches = [(lowest, highest)] if np.isnan(folds).any() else [(lowest, folds[0]), (folds[1], highest)]
    found = [brentq(gap, *each, maxiter=1000) for each in branches if gap(each[0]) < 0.0 < gap(each[1])]
    return tuple(map(width, found))  # pyright: ignore


def _check(near: float, far: float, power: float) -> None:
    settings_within("above 0", near=near, power=power)
    settings_within("above 0", far=far)
    if not far > near:
        raise InputError("far", expected="a distance beyond the near one", given=far, fix="Exchange the two.")
