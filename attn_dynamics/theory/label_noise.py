"""The scores under label noise in mean field: their start and their end (theory G6)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import within

EXACT = 4 * np.finfo(float).eps
"""Relative accuracy of a root."""


def noise_margin(label_noise: ArrayLike, classes: ArrayLike) -> Array:
    """Return the margin M = ln((1-ε)(n-1)/ε), at which the right class has the probability 1-ε, its share of labels.

    Args:
        label_noise: share ε of a word's sentences that have a wrong label, all wrong classes alike. The result is
            infinite at 0 and 1, and negative if another class is more frequent than the right one.
        classes: number n of classes.

    Raises:
        InputError: an argument is out of its range.
    """
    (noise,), (n,) = within("from 0 to 1", label_noise=label_noise), within("2 or above", classes=classes)
    with np.errstate(divide="ignore"):
        return np.log1p(-noise) - np.log(noise) + np.log(n - 1)


def noise_score(
    label_noise: ArrayLike,
    *,
    classes: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike = 1.0,
    head_norm: ArrayLike = 1.0,
) -> Array:
    """Return the score s* at which a topic word ends, from a zero start under a fixed head, at any frequency.

    The margin and the SEN relation (B1) leave one equation in s = s*, whose right side grows and whose left side falls:

        (1 + m e^{-s})² M² (n-1) ‖q‖²/(2 n u²) = s + (e^s - 1)/m

    Args:
        label_noise: share ε of the word's sentences that have another label; s* is infinite at 0 and 1.
        classes: number n of classes.
        others: number m of other words in its sentences.
        query_norm: query norm ‖q‖.
        head_norm: norm u of the head's orthogonal columns.

    Raises:
        InputError: an argument is out of its range.
    """
    (n,), margin = within("2 or above", classes=classes), noise_margin(label_noise, classes)
    m, q, u = within("above 0", others=others, query_norm=query_norm, head_norm=head_norm)
    return np.vectorize(_root, otypes=[float])(np.square(margin * q / u) * (n - 1) / (2 * n), m)[()]


def noise_early(
    label_noise: ArrayLike,
    *,
    frequency: ArrayLike,
    classes: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike = 1.0,
    head_norm: ArrayLike = 1.0,
) -> Array:
    """Return the limit of s/τ² for τ → 0, from a zero start under a fixed head.

    The limit is proportional to the square of frequency ρ × purity δ:

        ‖q‖² u² (n-1)/(2n) m/(1+m)³ (ρ δ)²,    δ = (n (1-ε) - 1)/(n-1)

    Args:
        label_noise: share ε of the word's sentences that have another label.
        frequency: frequency ρ, the share of all sentences that hold the word.
        classes: number n of classes.
        others: number m of other words in its sentences.
        query_norm: query norm ‖q‖.
        head_norm: norm u of the head's orthogonal columns.

    Raises:
        InputError: an argument is out of its range.
    """
    (noise,), (n,) = within("from 0 to 1", label_noise=label_noise), within("2 or above", classes=classes)
    (rho,) = within("above 0 and at most 1", frequency=frequency)
    m, q, u = within("above 0", others=others, query_norm=query_norm, head_norm=head_norm)
    purity = 1 - noise * n / (n - 1)
    return (q * u * rho * purity) ** 2 * (n - 1) / (2 * n) * m / (1 + m) ** 3


def _root(square: float, m: float) -> float:
    """Return the root s ≥ 0 of (1 + m e^{-s})² k = s + (e^s - 1)/m."""
    if not np.isfinite(square):
        return square

    def excess(s: float) -> float:
        return s + np.expm1(s) / m - square * (1 + m * np.exp(-s)) ** 2

    # The left side falls from (1 + m)² k at s = 0, where it is the larger one.
    high = np.log1p(m * square * (1 + m) ** 2)
    return brentq(excess, 0.0, high, xtol=EXACT * high, rtol=EXACT) if high else 0.0  # pyright: ignore
