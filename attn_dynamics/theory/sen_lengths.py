"""The SEN relation in sentences of unequal lengths (theory B8)."""

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import Array
from attn_dynamics.errors import InputError
from attn_dynamics.theory.sen import sen_norm


def sen_norm_bounds(
    score: ArrayLike,
    fewest: ArrayLike,
    most: ArrayLike,
    query_norm: ArrayLike,
    start_score: ArrayLike = 0.0,
    start_norm: ArrayLike = 0.0,
) -> tuple[Array, Array]:
    """Return the least and the largest ‖ν‖ that a topic word at score s may have (theory B8).

    The bounds hold while the embedding lowers the loss of each of its sentences, ν·g_i ≤ 0.

    Args:
        score: score s, any shape.
        fewest: least number m ≥ 0 of other words in the word's sentences. If their scores move, give the least weight
            Σ_u e^{s_u} of the other words of a sentence along the run.
        most: largest number of other words, or the largest such weight.
        query_norm: query norm ‖q‖ ≥ 0.
        start_score: initial score s₀.
        start_norm: initial embedding norm ‖ν₀‖.

    Returns:
        The norms by the SEN relation (B1) for the longest sentence and for the shortest.

    Raises:
        InputError: an argument is out of its range, or `fewest` is above `most`.
    """
    if np.any(np.greater(fewest, most)):
        raise InputError("fewest", expected="at most `most`", given=f"{fewest} and {most}", fix="Exchange them.")
    start = start_score, start_norm
    return sen_norm(score, most, query_norm, *start), sen_norm(score, fewest, query_norm, *start)
