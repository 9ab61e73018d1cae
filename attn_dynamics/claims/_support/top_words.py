"""The word of largest score in each sentence, and purity of words."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import Array
from attn_dynamics.tasks.corpus import Corpus

Leader = Callable[[Corpus, Array], NDArray[np.int64]]
"""Function that returns a word of each sentence (N,), from the scores of all words (V,)."""


def word_of_largest_score(corpus: Corpus, scores: Array) -> NDArray[np.int64]:
    """Return the first word of largest score in each sentence (N,)."""
    words, starts = corpus.counts.indices, corpus.counts.indptr[:-1]
    of_word = scores[words]
    # No sentence is empty, so `reduceat` is safe.
    largest = np.repeat(np.maximum.reduceat(of_word, starts), np.diff(corpus.counts.indptr))
    places = np.flatnonzero(of_word == largest)
    return words[places[np.searchsorted(places, starts)]].astype(np.int64)


def held_by_class(corpus: Corpus) -> Array:
    """Count the sentences of each class that contain a word (n, V)."""
    classes = np.repeat(corpus.labels, np.diff(corpus.counts.indptr))
    pairs = classes * corpus.n_words + corpus.counts.indices
    held = np.bincount(pairs, minlength=corpus.n_classes * corpus.n_words)
    return held.reshape(corpus.n_classes, -1).astype(float)


def purity(corpus: Corpus, judge: Corpus | None = None) -> Array:
    """Return topic purity δ of every word (V,): 0 if its sentences are of all classes alike, 1 if they are of one.

    δ_w = (n p_w - 1)/(n - 1), where p_w is the share in `judge` of the class that w has most often in `corpus`. By
    default `judge` is `corpus`. For two classes δ_w is |share positive - share negative| (theory §5, LMN21). In other
    sentences than those that chose the class it may be negative, and is 0 on average if labels are random. In the
    same sentences it is above 0 even then, the more so the rarer a word is. It is NaN for a word absent from `judge`.
    """
    chosen = held_by_class(corpus).argmax(axis=0)
    held = held_by_class(judge or corpus)
    with np.errstate(invalid="ignore"):
        share = np.take_along_axis(held, chosen[None], axis=0)[0] / held.sum(axis=0)
    return (corpus.n_classes * share - 1.0) / (corpus.n_classes - 1.0)
