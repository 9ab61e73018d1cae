"""The score-embedding-norm relation (theory B1) and its inverse (B4): array in, array out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import wrightomega


def sen_norm(
    score: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike,
    start_score: ArrayLike = 0.0,
    start_norm: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """‖ν‖ of a topic word at score s among m other words (theory B1).

    Args:
        score: s, any shape; no lower than the relation reaches (where ‖ν‖² would turn negative the result is NaN).
        others: m > 0, the other words of its sentences.
        query_norm: ‖q‖ > 0.
        start_score: s₀.
        start_norm: ‖ν₀‖.
    """
    s, m, s0 = (np.asarray(value, float) for value in (score, others, start_score))
    with np.errstate(invalid="ignore", over="ignore"):
        # (s - s₀) + e^{s₀}(e^{s-s₀} - 1)/m, by expm1 because scores start at their reference.
        travelled = (s - s0) + np.exp(s0) * np.expm1(s - s0) / m
        return np.sqrt(np.asarray(start_norm, float) ** 2 + 2.0 * travelled / np.asarray(query_norm, float) ** 2)


def sen_score(
    norm: ArrayLike, others: ArrayLike, query_norm: ArrayLike, start_score: ArrayLike = 0.0, start_norm: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """s of a topic word at embedding norm ‖ν‖: the inverse of `sen_norm`, by the Wright omega function (theory B4)."""
    q, r, m, s0, r0 = (np.asarray(each, float) for each in (query_norm, norm, others, start_score, start_norm))
    gained = 0.5 * q**2 * (r - r0) * (r + r0)
    c = s0 + np.exp(s0) / m + gained
    omega = wrightomega(c - np.log(m)).real
    # ω = e^s / m, so s = c - ω = ln m + ln ω: each form is exact where the other cancels.
    with np.errstate(divide="ignore"):
        moved = np.where(omega > 1.0, np.log(m) + np.log(omega), c - omega) - s0
    # Near the start, where s - s₀ is far below s₀ and e^{s₀}/m, both cancel. Newton's method there does not, begun at
    # the relation's first order where that is the closer of the two.
    own = np.exp(s0) / m
    near = np.where(np.abs(moved) < 1.0, np.where(np.abs(moved) < 1e-3, gained / (1.0 + own), moved), 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(2):
            near = near + (gained - near - own * np.expm1(near)) / (1.0 + own * np.exp(near))
    return s0 + np.where(np.abs(moved) < 1.0, near, moved)
