"""The SEN relation if an inverse temperature is trained in the query's place (theory B9): array in, array out.

With scores s = b K q, q fixed and b trained, b² - ‖K‖² stays. For p equal words from K = 0 and ν = 0, as in B5,

    ‖ν‖² = 2 ∫₀^s (1 + e^x/m) / (‖q‖² sqrt(b₀⁴ + 4 p x²/‖q‖²)) dx,

which is the integral of a trained query that starts at the norm b₀ ‖q‖, for p ‖q‖² words.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.theory.domain import within
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query, sen_score_trained_query


def sen_norm_trained_temperature(
    score: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike,
    start_temperature: ArrayLike = 1.0,
    words: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Return ‖ν‖ of a topic word at score s among m other words, the inverse temperature trained (theory B9).

    Args:
        score: score s ≥ 0, any shape; the result is NaN below 0.
        others: number m > 0 of other words in its sentences.
        query_norm: query norm ‖q‖ > 0.
        start_temperature: initial inverse temperature b₀ > 0.
        words: number p > 0 of topic words with this score.

    Raises:
        InputError: an argument is out of its range.
    """
    q, b, p = within("above 0", query_norm=query_norm, start_temperature=start_temperature, words=words)
    return sen_norm_trained_query(score, others, b * q, p * q**2)


def sen_score_trained_temperature(
    norm: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike,
    start_temperature: ArrayLike = 1.0,
    words: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Return s of a topic word at embedding norm ‖ν‖ ≥ 0: the inverse of `sen_norm_trained_temperature`.

    Args:
        norm: embedding norm ‖ν‖ ≥ 0, any shape.
        others: number m > 0 of other words in its sentences.
        query_norm: query norm ‖q‖ > 0.
        start_temperature: initial inverse temperature b₀ > 0.
        words: number p > 0 of topic words with this score.

    Raises:
        InputError: an argument is out of its range.
    """
    q, b, p = within("above 0", query_norm=query_norm, start_temperature=start_temperature, words=words)
    return sen_score_trained_query(norm, others, b * q, p * q**2)
