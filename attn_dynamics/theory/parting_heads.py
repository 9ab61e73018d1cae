"""Conditions under which heads, each with its own width, part from their common width (theory D11).

Each head attends by e^{-|Δ|^p/(p σ^p)} over |Δ| ≤ w, and the loss is -E ln(mean over heads of α_h(δ)). ln σ is trained.
For useful distances δ, let x = |δ|^p/E|δ|^p, and let CV² be the variance of x.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from attn_dynamics.check import Array, integer
from attn_dynamics.errors import InputError
from attn_dynamics.theory.domain import settings_within, within

FAR = 1e3
"""Width at which a kernel counts as even, in units of the window's half-width."""


class Attended(NamedTuple):
    """Moments of |Δ|^p in the attention of a head."""

    mean: float
    variance: float


def attended(width: float, half_width: int, power: float = 2.0) -> Attended:
    """Return mean and variance of |Δ|^p in the attention of a kernel of width σ > 0, in tokens^p and tokens^2p.

    In a window without bounds they are σ² and 2σ⁴ for the bell, up to terms of order e^{-2π²σ²}. For p = 1 they are
    1/sinh(1/σ) and cosh(1/σ)/sinh²(1/σ).
    """
    settings_within("above 0", width=width, power=power)
    integer("half_width", half_width, 1)
    places = np.arange(1.0, half_width + 1.0) ** power
    weights = 2.0 * np.exp(-places / (power * width**power))
    shares = weights / (1.0 + weights.sum())
    mean = float(shares @ places)
    return Attended(mean, float(shares @ (places - mean) ** 2 + (1.0 - shares.sum()) * mean**2))


def moments(distances: ArrayLike, chances: ArrayLike, power: float = 2.0) -> tuple[float, float]:
    """Return E|δ|^p and CV² of useful distances |δ| (D,); the chances (D,) are divided by their sum.

    At p = 2, if both sides are equally likely, the kurtosis of the distances is 1 + CV².

    Raises:
        InputError: distances and chances do not fit each other, or a chance is negative.
    """
    mean, apart, shares = _relative(distances, chances, power)
    return mean, float(shares @ apart**2)


def common_width(distances: ArrayLike, chances: ArrayLike, half_width: int, power: float = 2.0) -> float:
    """Return the width σ at which equal heads rest, E_α|Δ|^p = E|δ|^p; infinite if the window is too short."""
    integer("half_width", half_width, 1)
    wanted = moments(distances, chances, power)[0]
    gap = lambda width: attended(width, half_width, power).mean - wanted  # noqa: E731
    if gap(FAR * half_width) <= 0.0:
        return np.inf
    guess = wanted ** (1.0 / power)
    return float(brentq(gap, 1e-2 * guess, FAR * half_width, xtol=1e-14, rtol=1e-14))  # pyright: ignore


def parting_rate(distances: ArrayLike, chances: ArrayLike, half_width: int, heads: int, power: float = 2.0) -> float:
    """Return the exact rate at which heads part from their common width; a rate below 0 means that they return to it.

    The rate is (Var|δ|^p - Var_α|Δ|^p)/(H σ^{2p}). So heads part if the useful distances scatter more than the
    attention of one head with the same mean. The rate is NaN if the window is too short for a common width.
    """
    width = common_width(distances, chances, half_width, power)
    if np.isinf(width):
        return np.nan
    mean, spread = moments(distances, chances, power)
    return (spread * mean**2 - attended(width, half_width, power).variance) / (heads * width ** (2.0 * power))


def whole_kernel_rate(distances: ArrayLike, chances: ArrayLike, heads: int, power: float = 2.0) -> float:
    """Return the rate (CV² - p)/H at which heads part if kernels are wide and the window is far wider."""
    return (moments(distances, chances, power)[1] - power) / heads


def alibi_threshold(distances: ArrayLike, chances: ArrayLike) -> float:
    """Return √(1 + 1/(E|δ|)²), the CV² of |δ| above which heads of ALiBi part in a window without bounds.

    For kernels whose sum is their integral it would be 1.
    """
    return float(np.sqrt(1.0 + moments(distances, chances, 1.0)[0] ** -2.0))


class Amplitude(NamedTuple):
    """Coefficients of the equations of two heads at ln σ = u* + m ± ε, near their common width u*, for a whole kernel.

    2 dε/dτ = ε (linear + mixing m + cubic ε²) and 2 dm/dτ = -p m + mixing ε²/2.
    """

    linear: float
    mixing: float
    cubic: float
    power: float

    @property
    def effective(self) -> float:
        """Return the coefficient of ε³ once m has followed ε; at the threshold it is p³ - E(x - 1)⁴/3."""
        return self.cubic + self.mixing**2 / (2.0 * self.power)

    @property
    def settled(self) -> float:
        """Return the ε at which heads rest just beyond the threshold, or NaN if they do not part continuously."""
        return float(np.sqrt(self.linear / -self.effective)) if self.linear > 0.0 > self.effective else np.nan


def amplitude(distances: ArrayLike, chances: ArrayLike, power: float = 2.0) -> Amplitude:
    """Return the equations of two heads near their common width, from moments of x up to the fourth."""
    _, apart, shares = _relative(distances, chances, power)
    second, third, fourth = (float(shares @ apart**k) for k in (2, 3, 4))
    p = power
    # E(ℓ'' + ℓ'²)² and E(α⁗/α) at the common width, where ℓ = ln α.
    square = fourth - 2 * p * third + (p**2 - 2 * p) * second + p**2
    along = -(p**3) + 3 * p**2 + (7 * p**2 - 6 * p) * second - 6 * p * third + fourth
    return Amplitude(second - p, p**2 - 2 * p * second, along / 6 - square / 2, p)


def far_shares(ratio: ArrayLike, power: float = 2.0) -> Array:
    """Return the two shares f (2, ...) of the far of two useful distances between which heads part.

    They are the roots of p(1 + R f)² = R² f (1 - f), where R = (δ₂/δ₁)^p - 1, for a whole kernel. They are NaN if the
    ratio δ₂/δ₁ is below `least_ratio`, where heads part at no share.
    """
    (ratio_,) = within("1 or above", ratio=ratio)
    far = ratio_**power - 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.where(far > 2.0 * power, 1.0 - 2.0 * power / far, np.nan) / (1.0 + power)
        product = power / (1.0 + power) / far / far
        high = 0.5 * (total + np.sqrt(total**2 - 4.0 * product))
        # The lower root comes from the product of both, because a difference would cancel if the far token is very far.
        return np.array([product / high, high])


def least_ratio(power: float = 2.0) -> float:
    """Return the ratio δ₂/δ₁ above which two useful distances can part heads, or give a bell two widths (theory D12).

    The ratio is (√p + √(p + 1))^{2/p}: √2 + √3 for the bell, (1 + √2)² for ALiBi.
    """
    settings_within("above 0", power=power)
    return float((np.sqrt(power) + np.sqrt(power + 1.0)) ** (2.0 / power))


def tricritical_share(power: float = 2.0) -> float:
    """Return the far share f at the threshold above which two heads part by a jump, f(1 - f) = 1/(3(p + 1)).

    The share is NaN for p < 1/3, where heads never jump.
    """
    settings_within("above 0", power=power)
    with np.errstate(invalid="ignore"):
        return float(0.5 - np.sqrt(0.25 - 1.0 / (3.0 * (power + 1.0))))


def _relative(distances: ArrayLike, chances: ArrayLike, power: float) -> tuple[float, Array, Array]:
    """Return E|δ|^p, x - 1 (D,) and the shares (D,)."""
    settings_within("above 0", power=power)
    settings_within("0 or above", chances=chances)
    sizes, weights = np.abs(np.asarray(distances, float)).ravel(), np.asarray(chances, float).ravel()
    if sizes.shape != weights.shape or not weights.sum() > 0:
        given, fix = f"{sizes.size} and {weights.size}", "Give a chance, 0 or more, for each distance."
        raise InputError("chances", expected="one for each distance", given=given, fix=fix)
    shares, raised = weights / weights.sum(), sizes**power
    mean = float(shares @ raised)
    settings_within("above 0", distances=mean)
    return mean, raised / mean - 1.0, shares
