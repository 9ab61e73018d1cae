"""Data and starts for the claims that hold on any: random ragged sentences, and sentences of SST-2 where they are."""

import os
from functools import cache
from pathlib import Path

import numpy as np

from attn_dynamics.corpus import Corpus
from attn_dynamics.heads import HEADS
from attn_dynamics.parameters import Parameters
from attn_dynamics.tasks import text_task

SST = Path(os.environ.get("SST_DIR", "no SST_DIR"))
"""Folder of stsa.binary.train, .dev and .test, which the environment names."""
SENTENCES = 200
"""Of SST-2."""


@cache
def corpora(*, quick: bool) -> tuple[Corpus, ...]:
    """A random ragged one, and unless quick one of SST-2 where that is there."""
    return (ragged(np.random.default_rng(0)), *([sst2()] if not quick and SST.is_dir() else []))


def where(*, quick: bool) -> str:
    """What `corpora` gives, in words."""
    if quick:
        return "random ragged sentences"
    found = f"{SENTENCES} sentences of SST-2" if SST.is_dir() else "not SST-2, for SST_DIR names no folder of it"
    return f"random ragged sentences; {found}"


def ragged(rng: np.random.Generator, *, n_words: int = 12, sentences: int = 10, n_classes: int = 3) -> Corpus:
    """Sentences of 1 to 7 words with repeats, of random classes: nothing that a theory of topics would ask for."""
    drawn = [rng.integers(n_words, size=rng.integers(1, 8)).tolist() for _ in range(sentences)]
    labels = rng.integers(n_classes, size=sentences)
    return Corpus.from_sentences(drawn, labels, vocabulary=range(n_words), n_classes=n_classes)


def sst2() -> Corpus:
    """Random training sentences of SST-2 over the words that they hold."""
    train = text_task(SST, prefer="stsa.binary").train
    rows = np.random.default_rng(0).choice(train.n_sentences, SENTENCES, replace=False)
    counts = train.counts[rows]
    used = np.unique(counts.indices)
    words = tuple(train.vocabulary[column] for column in used)
    return Corpus(counts=counts[:, used], labels=train.labels[rows], vocabulary=words, n_classes=train.n_classes)


@cache
def start(corpus: Corpus, model: str, *, seed: int = 0, d: int = 5, hidden: int = 3, bias: float = 0.3) -> Parameters:
    """A start with no zeros in it; `bias` is the least |b₁| of a head that has such biases, their signs by turns."""
    rng = np.random.default_rng(seed)
    head = HEADS[model].draw(rng, d, corpus.n_classes, hidden)
    if not head.smooth:
        head = head.replace(bias_in=bias * (-1.0) ** np.arange(hidden) * rng.uniform(1.0, 1.25, hidden))
    return Parameters(
        query=rng.standard_normal(d),
        keys=0.5 * rng.standard_normal((corpus.n_words, d)),
        embeddings=0.5 * rng.standard_normal((corpus.n_words, d)),
        head=head,
    )
