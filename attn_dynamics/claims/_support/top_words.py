"""Word of largest score in each sentence, and purity of words."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import Array
from attn_dynamics.tasks.corpus import Corpus

Leader = Callable[[Corpus, Array], NDArray[np.int64]]
"""Function that returns one word of each sentence (N,), as a column, from the scores of all words (V,)."""


def word_of_largest_score(corpus: Corpus, scores: Array) -> NDArray[np.int64]:
    """Return the first word of largest score in each sentence (N,)."""
    words, starts = corpus.counts.indices, corpus.counts.indptr[:-1]
    of_word = scores[words]
    # No sentence is empty, so `reduceat` is safe.
    largest = np.repeat(np.maximum.reduceat(of_word, starts), np.diff(corpus.counts.indptr))
    tops = np.flatnonzero(of_word == largest)
    return words[tops[np.searchsorted(tops, starts)]].astype(np.int64)


def held_by_class(corpus: Corpus) -> Array:
    """Count, for each class and word, the sentences of the class that contain the word (n, V)."""
    classes = np.repeat(corpus.labels, np.diff(corpus.counts.indptr))
    pairs = classes * corpus.n_words + corpus.counts.indices
    held = np.bincount(pairs, minlength=corpus.n_classes * corpus.n_words)
    return held.reshape(corpus.n_classes, -1).astype(float)


def purity(corpus: Corpus, counted_in: Corpus | None = None) -> Array:
    """Return the topic purity δ of every word (V,): 1 if its sentences have one class, 0 if they have all alike.

    Let c be the class that a word has most often in `corpus`, and p its share in `counted_in`, by default the same
    corpus. Then δ = (n p - 1)/(n - 1); it is NaN for a word that `counted_in` lacks. For two classes and one corpus δ
    is the |share positive - share negative| of LMN21, §5.

    Under random labels δ is above 0 in the corpus that chose c, and more so for rarer words. In other sentences it may
    be negative, and is then 0 on average.
    """
    chosen = held_by_class(corpus).argmax(axis=0)
    held = held_by_class(counted_in or corpus)
    with np.errstate(invalid="ignore"):
        share = np.take_along_axis(held, chosen[None], axis=0)[0] / held.sum(axis=0)
    return (corpus.n_classes * share - 1.0) / (corpus.n_classes - 1.0)
