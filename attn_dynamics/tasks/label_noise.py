"""Label noise: replacement of some labels of a corpus by other classes (theory G6)."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import as_floats, shown
from attn_dynamics.errors import InputError
from attn_dynamics.tasks.corpus import Corpus


def with_label_noise(corpus: Corpus, share: ArrayLike, rng: np.random.Generator) -> Corpus:
    """Replace each label with some probability by another class, drawn uniformly.

    For one state of `rng`, the labels replaced at a small share are among those replaced at a larger share.

    Args:
        corpus: N sentences with labels.
        share: probability from 0 to 1 that a label is replaced, one for all sentences or one for each (N,).
        rng: source of the draws.

    Raises:
        InputError: a share is out of range, or there is neither one share nor one for each sentence.
    """
    shares = as_floats("share", share)
    fits = np.shape(share) in ((), (corpus.n_sentences,))
    if not fits or shares.min() < 0.0 or shares.max() > 1.0:
        expected = f"a number from 0 to 1, or {corpus.n_sentences} of them, one for each sentence"
        raise InputError("share", expected=expected, given=shown(share), fix="Give one share for all sentences.")
    wrong = rng.random(corpus.n_sentences) < shares
    shift = rng.integers(1, corpus.n_classes, size=corpus.n_sentences)
    return replace(corpus, labels=(corpus.labels + wrong * shift) % corpus.n_classes)
