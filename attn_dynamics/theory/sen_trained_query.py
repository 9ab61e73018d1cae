"""The score-embedding-norm relation where the query is trained with the keys (theory B5): array in, array out.

One topic word, κ = 0 and ν = 0 at the start. Then κ stays along q, ‖q‖² - ‖κ‖² = ‖q₀‖², and

    ‖ν‖² = 2 ∫₀^s (1 + e^x/m) / sqrt(‖q₀‖⁴ + 4x²) dx.

With x = (‖q₀‖²/2) sinh t the root goes: ‖ν‖² = ∫₀^T (1 + e^x/m) dt = (1 + 1/m) T + (1/m) ∫₀^T (e^x - 1) dt.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.theory.domain import within

REACH = 45.0
"""Away from its end T the last integrand falls at least like e^(t - T): what lies further off counts for nothing."""
PANELS = 0.5 ** np.append(np.arange(14.0), np.inf)[::-1]
"""Ends of the panels of the quadrature, each twice as far from T as the one before, in shares of the whole."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
HIGHEST = 1418.0
"""The largest score whose norm, about e^{s/2}, is within the range of float64."""


def sen_norm_trained_query(score: ArrayLike, others: ArrayLike, start_query_norm: ArrayLike) -> NDArray[np.float64]:
    """‖ν‖ of a topic word at score s among m other words, the query trained (theory B5).

    Args:
        score: s ≥ 0, any shape, up to `HIGHEST`; below zero, where the relation does not reach, the result is NaN.
        others: m > 0, the other words of its sentences.
        start_query_norm: ‖q₀‖ > 0.

    Raises:
        InputError: no other words, or a query of norm 0.
    """
    m, q = within("above 0", others=others, start_query_norm=start_query_norm)
    s, half = np.asarray(score, float), 0.5 * q**2
    with np.errstate(invalid="ignore", over="ignore"):
        end = np.arcsinh(s / half)
        # The factor e^s waits until the root is taken: norms reach as far as floats do, not only their squares.
        return np.exp(0.5 * s) * np.sqrt(np.exp(-s) * (1.0 + 1.0 / m) * end + _excess(s, half, end) / m)


def sen_score_trained_query(norm: ArrayLike, others: ArrayLike, start_query_norm: ArrayLike) -> NDArray[np.float64]:
    """s of a topic word at embedding norm ‖ν‖ ≥ 0: the inverse of `sen_norm_trained_query`, by bisection.

    Norms beyond that of the score `HIGHEST`, some 1e306, give `HIGHEST`.

    Raises:
        InputError: a norm below 0, no other words, or a query of norm 0.
    """
    (target,) = within("0 or above", norm=norm)
    m, q = within("above 0", others=others, start_query_norm=start_query_norm)
    half = 0.5 * q**2
    with np.errstate(over="ignore"):
        # T ≤ ‖ν‖²/(1 + 1/m), and equal for small norms: a share of it is as accurate as a float.
        highest = np.minimum(target**2 / (1.0 + 1.0 / m), np.arcsinh(HIGHEST / half))
    low, high = np.zeros_like(highest), np.ones_like(highest)
    for _ in range(54):
        middle = 0.5 * (low + high)
        above = sen_norm_trained_query(half * np.sinh(middle * highest), m, start_query_norm) > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return half * np.sinh(high * highest)


def _excess(s: NDArray, half: NDArray, end: NDArray) -> NDArray:
    """e^-s ∫₀^T (e^x - 1) dt, by Gauss's rule in w = T - t on panels that halve towards T."""
    low, high = PANELS[:-1, None], PANELS[1:, None]
    shares, weights = 0.5 * (low + high + (high - low) * NODES), 0.5 * (high - low) * WEIGHTS
    length = np.minimum(end, REACH)[..., None]
    w = length * shares.ravel()
    # x - s by one product, for a difference would lose the digits that e^x needs.
    below = -2.0 * half[..., None] * np.cosh(end[..., None] - 0.5 * w) * np.sinh(0.5 * w)
    return (length * weights.ravel() * np.exp(below) * -np.expm1(-(s[..., None] + below))).sum(axis=-1)
