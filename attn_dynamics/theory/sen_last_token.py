"""The SEN relation if the last token of a sentence asks, by a query of its own (theory B6): array in, array out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.theory.domain import within
from attn_dynamics.theory.sen import sen_norm


def sen_norm_last_token(
    scores: ArrayLike,
    others: ArrayLike,
    query_norms: ArrayLike,
    start_scores: ArrayLike = 0.0,
    start_norm: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Return ‖ν‖ of a topic word that is asked by orthogonal queries q_u (theory B6).

    ‖ν‖² - ‖ν₀‖² is the sum over queries of what B1 says of each,
    2 (s_u + e^{s_u}/m_u - s_u(0) - e^{s_u(0)}/m_u)/‖q_u‖².

    Args:
        scores: its scores s_u = κ·q_u, the queries along the last axis.
        others: number m_u > 0 of other words in its sentences that end in u.
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
    # Norms rather than their squares, so that they reach as far as float64 does; a score that fell takes its own off.
    own = sen_norm(np.maximum(s, s0), m, q, np.minimum(s, s0))
    gained, lost = (np.hypot.reduce(np.where(here, own, 0.0), axis=-1) for here in (~(s < s0), s < s0))
    high = np.hypot(np.asarray(start_norm, float), gained)
    with np.errstate(invalid="ignore"):
        return np.sqrt(high - lost) * np.sqrt(high + lost)
