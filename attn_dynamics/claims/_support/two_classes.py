"""Tasks of two classes from zero, on which sign descent and Adam close in one dimension (theory G4, G5)."""

from functools import cache

import numpy as np

from attn_dynamics.model.heads import FixedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus


@cache
def drawn_text(seed: int, *, classes: int = 2) -> Corpus:
    """Draw 16 sentences of 3 to 12 words, from four common words and three words for each class.

    Every sentence has a common word, so that no sentence consists of words of one class alone.
    """
    rng, sentences = np.random.default_rng(seed), []
    labels = np.arange(16) % classes
    for label in labels:
        own = [f"t{label}.{k}" for k in rng.integers(3, size=rng.integers(1, 5))]
        sentences.append([*own, *(f"w{k}" for k in rng.integers(4, size=rng.integers(2, 9)))])
    return Corpus.from_sentences(sentences, labels, n_classes=classes)


def words_of_one_class(corpus: Corpus) -> list[str]:
    """Return the words whose names begin with t, which stand in sentences of one class alone."""
    return [str(word) for word in corpus.vocabulary if str(word).startswith("t")]


def words_on_the_line(corpus: Corpus) -> list[str]:
    """Return the words of one class that stand beside a word which the first step moves the other way.

    At equal scores the first step moves a word by the classes of its sentences, weighted by their inverse lengths.
    """
    classes = np.eye(corpus.n_classes)[corpus.labels]
    pull = (corpus.counts / corpus.lengths[:, None]).T @ (classes - classes.mean(axis=1, keepdims=True))
    found = []
    for word in words_of_one_class(corpus):
        rows = np.flatnonzero(corpus.counts[:, corpus.columns([word])].toarray())
        beside = np.unique(corpus.counts[rows].indices)
        if (pull[beside, corpus.labels[rows[0]]] < -1e-12).any():
            found.append(word)
    return found


def from_zero(corpus: Corpus, seed: int, *, d: int = 5, start: float = 0.0) -> Parameters:
    """Draw a query and a fixed linear head; keys and embeddings are 0, or have the standard deviation `start`."""
    rng = np.random.default_rng(seed)
    query, weight = rng.standard_normal(d), rng.standard_normal((d, corpus.n_classes))
    keys, embeddings = start * rng.standard_normal((2, corpus.n_words, d))
    return Parameters(query=query, keys=keys, embeddings=embeddings, head=FixedLinear(weight=weight))
