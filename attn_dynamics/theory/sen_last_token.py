"""The SEN relation if the query is that of the last token of a sentence (theory B6)."""

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import within
from attn_dynamics.theory.sen import sen_norm


def sen_norm_last_token(
    scores: ArrayLike,
    others: ArrayLike,
    query_norms: ArrayLike,
    start_scores: ArrayLike = 0.0,
    start_norm: ArrayLike = 0.0,
) -> Array:
    """Return the embedding norm ‖ν‖ of a topic word under several orthogonal queries q_u (theory B6).

    The SEN relation (B1) of each query adds 2 (s_u + e^{s_u}/m_u - s_u(0) - e^{s_u(0)}/m_u)/‖q_u‖² to ‖ν‖².

    Args:
        scores: scores s_u = κ·q_u of the word, the queries along the last axis.
        others: number m_u > 0 of other words in the word's sentences that end in u.
        query_norms: norms ‖q_u‖ > 0.
        start_scores: initial scores.
        start_norm: initial embedding norm ‖ν₀‖.

    Returns:
        Norms, of the shape of the scores without their last axis; NaN where ‖ν‖² would be negative.

    Raises:
        InputError: an argument is out of its range.
    """
    m, q = within("above 0", others=others, query_norms=query_norms)
    s, s0 = np.asarray(scores, float), np.asarray(start_scores, float)
    # Norms instead of their squares reach as far as float64 does. The terms of scores that fell are subtracted.
    own = sen_norm(np.maximum(s, s0), m, q, np.minimum(s, s0))
    gained, lost = (np.hypot.reduce(np.where(here, own, 0.0), axis=-1) for here in (~(s < s0), s < s0))
    high = np.hypot(np.asarray(start_norm, float), gained)
    with np.errstate(invalid="ignore"):
        return np.sqrt(high - lost) * np.sqrt(high + lost)
