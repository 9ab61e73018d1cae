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
    m, s0 = np.asarray(others, float), np.asarray(start_score, float)
    gained = (
        0.5 * np.asarray(query_norm, float) ** 2 * (np.asarray(norm, float) ** 2 - np.asarray(start_norm, float) ** 2)
    )
    c = s0 + np.exp(s0) / m + gained
    omega = wrightomega(c - np.log(m)).real
    # ω = e^s / m, so s = c - ω = ln m + ln ω: each form is exact where the other cancels.
    with np.errstate(divide="ignore"):
        return np.where(omega > 1.0, np.log(m) + np.log(omega), c - omega)
