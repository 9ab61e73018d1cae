"""The score–embedding-norm (SEN) relation (theory B1) and its inverse (B4)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import wrightomega

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import within


def sen_norm(
    score: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike,
    start_score: ArrayLike = 0.0,
    start_norm: ArrayLike = 0.0,
) -> Array:
    """Return the embedding norm ‖ν‖ of a topic word at score s among m other words (SEN relation, theory B1).

    Args:
        score: score s, any shape; the result is NaN at scores so low that ‖ν‖² would be negative.
        others: number m ≥ 0 of other words in the word's sentences; at 0 the score does not move.
        query_norm: query norm ‖q‖ ≥ 0; at 0 the score does not move either.
        start_score: initial score s₀.
        start_norm: initial embedding norm ‖ν₀‖, or a signed norm along a direction, whose sign has no effect.

    Raises:
        InputError: an argument is out of its range.

    Example:
        >>> float(sen_norm(2.0, others=20, query_norm=1.0).round(4))
        2.1538
        >>> sen_norm([0.0, -1.0], others=20, query_norm=1.0).tolist()  # no norm takes a score below its start
        [0.0, nan]
    """
    m, q = within("0 or above", others=others, query_norm=query_norm)
    s, s0, r0 = np.asarray(score, float), np.asarray(start_score, float), np.abs(np.asarray(start_norm, float))
    # In units of e^k, norms reach as far as float64 does, although e^s and ‖ν‖² do not.
    high = np.maximum(s, s0)
    k = np.maximum(high, 0.0)
    with np.errstate(all="ignore"):
        # (s - s₀) + (e^s - e^{s₀})/m, by expm1 because s may be close to s₀.
        moved = np.where(s == s0, 0.0, np.sign(s - s0) * np.exp(high - k) * -np.expm1(-np.abs(s - s0)) / m)
        travelled = np.where(s == s0, 0.0, (s - s0) * np.exp(-k)) + moved
        own = np.where(s == s0, 0.0, np.exp(0.5 * k) * np.sqrt(2.0 * np.abs(travelled)) / q)
        norm = np.where(travelled >= 0.0, np.hypot(r0, own), np.sqrt(r0 - own) * np.sqrt(r0 + own))
        return np.where(np.isposinf(s), np.inf, np.where(np.isnan(travelled + m + q), np.nan, norm))[()]


def sen_score(
    norm: ArrayLike, others: ArrayLike, query_norm: ArrayLike, start_score: ArrayLike = 0.0, start_norm: ArrayLike = 0.0
) -> Array:
    """Return the score s of a topic word at embedding norm ‖ν‖ (inverse SEN relation, theory B4).

    This is the inverse of `sen_norm`, by the Wright omega function.

    Args:
        norm: embedding norm ‖ν‖, any shape.
        others: number m ≥ 0 of other words in the word's sentences; at 0 the score stays s₀.
        query_norm: query norm ‖q‖ ≥ 0.
        start_score: initial score s₀.
        start_norm: initial embedding norm ‖ν₀‖, or a signed norm along a direction, whose sign has no effect.

    Raises:
        InputError: an argument is out of its range.
    """
    m, q = within("0 or above", others=others, query_norm=query_norm)
    r, s0, r0 = np.abs(np.asarray(norm, float)), np.asarray(start_score, float), np.abs(np.asarray(start_norm, float))
    with np.errstate(all="ignore"):
        gained, own = 0.5 * q**2 * (r - r0) * (r + r0), np.exp(s0) / m
        c = s0 + own + gained
        omega = wrightomega(c - np.log(m)).real
        # ω = e^s / m, so s = c - ω = ln m + ln ω: each form is exact where the other cancels.
        moved = np.where(omega > 1.0, np.log(m) + np.log(omega), c - omega) - s0
        # If s - s₀ is far below s₀ and e^{s₀}/m, both forms cancel. Newton's method does not; it starts from the first
        # order of the relation if that is closer.
        near = np.where(np.abs(moved) < 1e-3, gained / (1.0 + own), moved)
        for _ in range(2):
            near = near + (gained - near - own * np.expm1(near)) / (1.0 + own * np.exp(near))
        moved = np.where(np.abs(moved) < 1.0, near, moved)
        # Beyond 1e300 the relation is (e^s - e^{s₀})/m = gained to the last digit, and only its logarithms fit float64.
        log_gained = np.log(0.5) + 2.0 * np.log(q) + np.log(np.abs(r - r0)) + np.log(r + r0)
        log_own = s0 - np.log(m)
        risen = np.logaddexp(log_own, log_gained) - log_own
        sunk = np.log1p(-np.exp(log_gained - log_own))
        far = np.where(r >= r0, risen, sunk)
        huge = (np.maximum(log_own, log_gained) > 690.0) & ((r >= r0) | (log_own > log_gained))
        moved = np.where(huge, far, moved)
        return np.where(m == 0.0, s0 + 0.0 * r, s0 + moved)[()]
