"""The pull of the labels on a model that starts near zero, on any text (theory C13)."""

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import Array, instance
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.early_training import attention_of, pulled


def pull_at_zero(corpus: Corpus, scores: ArrayLike = 0.0) -> Array:
    """Return the matrix M (V, n) of dE/dτ = M Uᵀ - λE and dU/dτ = Eᵀ M - λU for small E and U (theory C13).

    M_wc = (1/N) Σ_i A_iw ([y_i = c] - 1/n) is the attention on word w in sentences of class c, minus an even share. For
    a topic word t of topic k it is a ρ_t ([c = k] - 1/n).

    Args:
        corpus: N sentences over V words.
        scores: scores s (V,), or one number for all words.
    """
    instance("corpus", corpus, Corpus, fix="Corpus.from_sentences makes one.")
    n, s = corpus.n_classes, np.broadcast_to(np.asarray(scores, float), corpus.n_words)
    slopes = (1.0 / n - np.eye(n)[corpus.labels]) / corpus.n_sentences
    return pulled(attention_of(corpus, s), slopes)[0]


def decay_threshold(corpus: Corpus, scores: ArrayLike = 0.0) -> float:
    """Return the weight decay above which nothing grows from near zero: the largest singular value of M."""
    return float(np.linalg.norm(pull_at_zero(corpus, scores), ord=2))
