"""How much a word tells of the class of its sentences, and which word leads in each sentence (theory §5, E2)."""

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.corpus import Corpus
from attn_dynamics.heads import Array

Integers = NDArray[np.integer]

DRAWS = 100
"""Shuffles of the labels that the purity of chance is a mean of."""


def purity(corpus: Corpus, labels: Integers | None = None) -> Array:
    """δ(w) (V,): n/(2(n-1)) Σ_c |p_c - 1/n|, p_c the share of class c among the sentences that hold w.

    For two classes it is LMN21's |p₊ - p₋|. For n it is the distance of the shares from even ones in total variation,
    over its largest: 0 for a word spread evenly, 1 for one that one class has to itself. NaN for a word of no sentence.
    """
    labels, n = corpus.labels if labels is None else labels, corpus.n_classes
    present = corpus.counts.astype(bool).astype(float)
    with np.errstate(invalid="ignore"):
        shares = present.T @ np.eye(n)[labels] / present.sum(axis=0)[:, None]
    return n / (2 * (n - 1)) * np.abs(shares - 1 / n).sum(axis=1)


def chance_purity(corpus: Corpus, rng: np.random.Generator) -> Array:
    """δ(w) (V,) where labels say nothing: its mean over shuffles. A word of one sentence has 1 by chance alone."""
    return np.mean([purity(corpus, rng.permutation(corpus.labels)) for _ in range(DRAWS)], axis=0)


def leaders(corpus: Corpus, scores: Array) -> Integers:
    """(N,) the column of the word of largest score in each sentence; of equals the first."""
    offsets, words = corpus.counts.indptr, corpus.counts.indices
    rows = np.repeat(np.arange(corpus.n_sentences), np.diff(offsets))
    highest = np.flatnonzero(scores[words] == np.maximum.reduceat(scores[words], offsets[:-1])[rows])
    return words[highest[np.unique(rows[highest], return_index=True)[1]]]
