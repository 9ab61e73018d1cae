"""The SEN relation of topic words that always stand together (theory B7): array in, array out.

k companions that start alike, or one word that each of its sentences has k times, obey B1 with m/k for m: `sen_norm`
and `sen_score` take it as it is. Companions that differ obey a relation between what they gain,

    (‖q‖²/2) d‖ν_j‖² = ds_j + (e^{s_j}/m) Σ_l ds_l,

whose right side is no total derivative, so that ‖ν_j‖ depends on the way and not on the scores alone.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.theory.domain import within


def companion_gains(
    scores: ArrayLike, gains: ArrayLike, others: ArrayLike, query_norm: ArrayLike
) -> NDArray[np.float64]:
    """Return d‖ν_j‖² of companions while their scores gain ds_j, or both per time (theory B7).

    Args:
        scores: scores s_j, the companions along the last axis.
        gains: gains ds_j, of the same shape.
        others: number m > 0 of other words in their sentences.
        query_norm: query norm ‖q‖ > 0.

    Returns:
        Gains, of the shape of the scores; infinite or NaN above s = 709, where e^s is beyond float64.

    Raises:
        InputError: there are no other words, or the query has norm 0.
    """
    m, q = within("above 0", others=others, query_norm=query_norm)
    s, ds = np.asarray(scores, float), np.asarray(gains, float)
    return 2.0 / q**2 * (ds + np.exp(s) / m * ds.sum(axis=-1, keepdims=True))
