"""Label noise: some labels of a corpus replaced by other classes (theory G6)."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.tasks.corpus import Corpus


def with_label_noise(corpus: Corpus, share: ArrayLike, rng: np.random.Generator) -> Corpus:
    """Replace each label with some probability by another class, drawn uniformly.

    Of one state of `rng`, the labels replaced at a small share are among those replaced at a larger one.

    Args:
        corpus: N sentences with labels.
        share: probability that a label is replaced, from 0 to 1: one for all, or one a sentence (N,).
        rng: source of the draws.
    """
    wrong = rng.random(corpus.n_sentences) < np.asarray(share)
    shift = rng.integers(1, corpus.n_classes, size=corpus.n_sentences)
    return replace(corpus, labels=(corpus.labels + wrong * shift) % corpus.n_classes)
