"""The SEN relation of topic words that always stand together (theory B7).

k companions that start alike, or one word that stands k times in each of its sentences, obey the SEN relation (B1) with
m/k instead of m, so that `sen_norm` and `sen_score` serve them. Companions that differ obey

    (‖q‖²/2) d‖ν_j‖² = ds_j + (e^{s_j}/m) Σ_l ds_l.

The right side is no total derivative, so that ‖ν_j‖ depends on the path and not only on the scores.
"""

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import within


def companion_gains(scores: ArrayLike, gains: ArrayLike, others: ArrayLike, query_norm: ArrayLike) -> Array:
    """Return the gains d‖ν_j‖² of companions whose scores gain ds_j; both may be rates (theory B7).

    Args:
        scores: scores s_j, the companions along the last axis.
        gains: gains ds_j, of the same shape.
        others: number m > 0 of other words in their sentences.
        query_norm: query norm ‖q‖ > 0.

    Returns:
        Gains, of the shape of the scores; infinite or NaN above s = 709, where e^s exceeds float64.

    Raises:
        InputError: there are no other words, or the query has norm 0.
    """
    m, q = within("above 0", others=others, query_norm=query_norm)
    s, ds = np.asarray(scores, float), np.asarray(gains, float)
    return 2.0 / q**2 * (ds + np.exp(s) / m * ds.sum(axis=-1, keepdims=True))
