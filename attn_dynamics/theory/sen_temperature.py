"""The SEN relation if an inverse temperature is trained instead of the query (theory B9).

With scores s = b K q, q fixed and b trained, the flow conserves b² - ‖K‖². For p equal words from K = 0 and ν = 0,

    ‖ν‖² = 2 ∫₀^s (1 + e^x/m) / (‖q‖² sqrt(b₀⁴ + 4 p x²/‖q‖²)) dx.

A trained query that starts at the norm b₀ ‖q‖ has the same integral for p ‖q‖² words (theory B5).
"""

from numpy.typing import ArrayLike

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import within
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query, sen_score_trained_query


def sen_norm_trained_temperature(
    score: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike,
    start_temperature: ArrayLike = 1.0,
    words: ArrayLike = 1.0,
) -> Array:
    """Return the embedding norm ‖ν‖ of a topic word at score s if the inverse temperature is trained (theory B9).

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
) -> Array:
    """Return the score s of a topic word at embedding norm ‖ν‖ if the inverse temperature is trained (theory B9).

    Args:
        norm: embedding norm ‖ν‖ ≥ 0, any shape.
        others: number m > 0 of other words in the word's sentences.
        query_norm: query norm ‖q‖ > 0.
        start_temperature: initial inverse temperature b₀ > 0.
        words: number p > 0 of topic words with this score.

    Raises:
        InputError: an argument is out of its range.
    """
    q, b, p = within("above 0", query_norm=query_norm, start_temperature=start_temperature, words=words)
    return sen_score_trained_query(norm, others, b * q, p * q**2)
