"""The SEN relation if the query is trained with the keys (theory B5, B9).

For one topic word from κ = 0 and ν = 0, the key κ stays along the query q, ‖q‖² - ‖κ‖² = ‖q₀‖², and

    ‖ν‖² = 2 ∫₀^s (1 + e^x/m) / sqrt(‖q₀‖⁴ + 4x²) dx.

With x = (‖q₀‖²/2) sinh t the root vanishes: ‖ν‖² = ∫₀^T (1 + e^x/m) dt = (1 + 1/m) T + (1/m) ∫₀^T (e^x - 1) dt.
For p words of equal scores the root holds 4p x² instead of 4x². That is the same integral with ‖q₀‖²/√p for ‖q₀‖² and
√p ‖ν‖² for ‖ν‖².
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import within

REACH = 45.0
"""Length of the quadrature before its end T; the integrand falls at least like e^(t - T), so that the rest is 0."""
PANELS = 0.5 ** np.append(np.arange(14.0), np.inf)[::-1]
"""Ends of the panels as shares of that length; each is twice as far from T as the one before."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
HIGHEST = 1418.0
"""Largest score whose norm, about e^{s/2}, is within the range of float64."""


def trained_query_norm(score_norm: ArrayLike, start_query_norm: ArrayLike) -> Array:
    """Return the norm ‖q‖ of a query that is trained from K = 0 on any data, given the norm of all scores (theory B9).

    A trained inverse temperature b obeys the same formula, with ‖s‖/‖q‖ instead of ‖s‖ and b₀ instead of ‖q₀‖.

    Args:
        score_norm: Euclidean norm ‖s‖ ≥ 0 of the scores of all words.
        start_query_norm: initial query norm ‖q₀‖ > 0.

    Raises:
        InputError: an argument is out of its range.
    """
    (s,), (q,) = within("0 or above", score_norm=score_norm), within("above 0", start_query_norm=start_query_norm)
    return np.sqrt(0.5 * (q**2 + np.hypot(q**2, 2.0 * s)))[()]


def sen_norm_trained_query(
    score: ArrayLike, others: ArrayLike, start_query_norm: ArrayLike, words: ArrayLike = 1.0
) -> Array:
    """Return the embedding norm ‖ν‖ of a topic word at score s if the query is trained (theory B5).

    Args:
        score: score s, any shape, from 0 to `HIGHEST`; the result is NaN below 0.
        others: number m > 0 of other words in its sentences.
        start_query_norm: initial query norm ‖q₀‖ > 0.
        words: number p > 0 of topic words with this score (theory B9).

    Raises:
        InputError: there are no other words, no topic words, or the query has norm 0.
    """
    m, q, p = within("above 0", others=others, start_query_norm=start_query_norm, words=words)
    s, half = np.asarray(score, float), 0.5 * q**2 / np.sqrt(p)
    with np.errstate(invalid="ignore", over="ignore"):
        end = np.arcsinh(s / half)
        # The factor e^{s/2} follows the root, so that norms reach as far as float64 does, not only their squares.
        square = np.exp(-s) * (1.0 + 1.0 / m) * end + _excess(s, half, end) / m
        return np.exp(0.5 * s) * np.sqrt(square / np.sqrt(p))


def sen_score_trained_query(
    norm: ArrayLike, others: ArrayLike, start_query_norm: ArrayLike, words: ArrayLike = 1.0
) -> Array:
    """Return the score s of a topic word at embedding norm ‖ν‖ ≥ 0 if the query is trained (theory B5).

    This is the inverse of `sen_norm_trained_query`, by bisection. Norms above that of the score `HIGHEST`, about 1e306,
    give `HIGHEST`.

    Raises:
        InputError: a norm is below 0, there are no other words, no topic words, or the query has norm 0.
    """
    (target,) = within("0 or above", norm=norm)
    m, q, p = within("above 0", others=others, start_query_norm=start_query_norm, words=words)
    half = 0.5 * q**2 / np.sqrt(p)
    with np.errstate(over="ignore"):
        # T ≤ √p ‖ν‖²/(1 + 1/m), with equality for small norms. A share of this bound is as accurate as a float.
        highest = np.minimum(np.sqrt(p) * target**2 / (1.0 + 1.0 / m), np.arcsinh(HIGHEST / half))
    low, high = np.zeros_like(highest), np.ones_like(highest)
    for _ in range(54):
        middle = 0.5 * (low + high)
        above = sen_norm_trained_query(half * np.sinh(middle * highest), m, q, p) > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return half * np.sinh(high * highest)


def _excess(s: NDArray, half: NDArray, end: NDArray) -> NDArray:
    """Return e^-s ∫₀^T (e^x - 1) dt, by Gauss's rule in w = T - t on panels that halve towards T."""
    low, high = PANELS[:-1, None], PANELS[1:, None]
    shares, weights = 0.5 * (low + high + (high - low) * NODES), 0.5 * (high - low) * WEIGHTS
    length = np.minimum(end, REACH)[..., None]
    w = length * shares.ravel()
    # x - s is computed as a product, because a difference would lose the digits that e^x needs.
    below = -2.0 * half[..., None] * np.cosh(end[..., None] - 0.5 * w) * np.sinh(0.5 * w)
    return (length * weights.ravel() * np.exp(below) * -np.expm1(-(s[..., None] + below))).sum(axis=-1)
