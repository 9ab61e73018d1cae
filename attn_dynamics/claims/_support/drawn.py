"""Data and starts for claims about any data: drawn sentences, and SST-2 if it is available."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.initial import draw
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks import text_task
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.treebank import ABSENT, sst_folder

SENTENCES = 200
"""Number of sentences of SST-2 where a small part of it is enough."""


@cache
def corpora(*, quick: bool) -> tuple[Corpus, ...]:
    """Return a random ragged corpus, and unless quick some sentences of SST-2 if it is available."""
    return (ragged(np.random.default_rng(0)), *map(_some, treebanks(quick=quick).values()))


def where(*, quick: bool) -> str:
    """Describe the data that `corpora` returns."""
    return f"random ragged sentences; {treebank_in_words(quick=quick, measured=f'{SENTENCES} sentences of SST-2')}"


def treebank_in_words(*, quick: bool, measured: str) -> str:
    """Return `measured`, a description of what was measured on SST-2, or why nothing was."""
    return "SST-2 at full size only" if quick else measured if sst_folder() else ABSENT


def ragged(rng: np.random.Generator, *, n_words: int = 12, sentences: int = 10, n_classes: int = 3) -> Corpus:
    """Draw sentences of 1 to 7 words with repeats, of random classes; no word is a topic word."""
    drawn = [rng.integers(n_words, size=rng.integers(1, 8)).tolist() for _ in range(sentences)]
    labels = rng.integers(n_classes, size=sentences)
    return Corpus.from_sentences(drawn, labels, vocabulary=range(n_words), n_classes=n_classes)


def zipf_text(rng: np.random.Generator, *, n_words: int = 1000, sentences: int = 400, n_classes: int = 2) -> Corpus:
    """Draw sentences that resemble text: Zipf frequencies, 4 to 30 words, repeats, and a purity of each word.

    A word w has frequency f_w ∝ 1/w. Its purity δ_w, from Beta(1, 4), and the class c_w to which it leans are drawn
    independently of that. A word of a sentence of class y is w with the probability
    p(w | y) ∝ f_w (1 - δ_w + n δ_w [y = c_w]). If classes were equally frequent, this would give
    p(c_w | w) = 1/n + δ_w (1 - 1/n). Class frequencies are proportional to 1, 1/2, 1/3, ….
    """
    frequency, purity = 1.0 / np.arange(1.0, n_words + 1.0), rng.beta(1.0, 4.0, n_words)
    leans = rng.integers(n_classes, size=n_words) == np.arange(n_classes)[:, None]
    share = 1.0 / np.arange(1.0, n_classes + 1.0)
    labels, lengths = rng.choice(n_classes, sentences, p=share / share.sum()), rng.integers(4, 31, sentences)
    weights = frequency * (1.0 - purity + n_classes * purity * leans)
    tokens = np.empty(lengths.sum(), np.int32)
    for label, weight in enumerate(weights):
        mine = np.repeat(labels == label, lengths)
        tokens[mine] = rng.choice(n_words, mine.sum(), p=weight / weight.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Corpus.from_tokens(tokens, offsets, labels, range(n_words), n_classes=n_classes)


@cache
def sst2() -> Corpus | None:
    """Return the training sentences of SST-2; None if no folder is named for it.

    Raises:
        InputError: the folder lacks its files.
    """
    folder = sst_folder()
    return text_task(folder, prefer="stsa.binary").train if folder else None


def treebanks(*, quick: bool) -> dict[str, Corpus]:
    """Return SST-2 by its name if it is available and `quick` is false, else no corpus."""
    treebank = None if quick else sst2()
    return {"SST-2": treebank} if treebank else {}


def rows_of(corpus: Corpus, rows: NDArray[np.int64]) -> Corpus:
    """Return the sentences with these row numbers, over the whole vocabulary."""
    return replace(corpus, counts=corpus.counts[rows], labels=corpus.labels[rows])


def over_their_words(parts: Sequence[Corpus]) -> list[Corpus]:
    """Restrict corpora over one vocabulary to the words that any of them contains."""
    used = np.unique(np.concatenate([part.counts.indices for part in parts]))
    words = tuple(parts[0].vocabulary[column] for column in used)
    return [replace(part, counts=part.counts[:, used], vocabulary=words) for part in parts]


def _some(treebank: Corpus) -> Corpus:
    """Return `SENTENCES` random sentences over the words that they contain."""
    part = rows_of(treebank, np.random.default_rng(0).choice(treebank.n_sentences, SENTENCES, replace=False))
    return over_their_words([part])[0]


@cache
def start(corpus: Corpus, model: str, *, seed: int = 0, d: int = 5, hidden: int = 3, bias: float = 0.3) -> Parameters:
    """Draw a start without zeros.

    Where the head has biases b₁, their signs alternate and `bias` is their least size.
    """
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


def preset_start(
    preset: str, model: str, corpus: Corpus, seed: int | list[int] | np.random.Generator = 0, *, d: int = 10
) -> Parameters:
    """Draw the start of a preset for the words and classes of a corpus, with embeddings of d dimensions."""
    rng = np.random.default_rng(seed)
    return draw(preset, model, n_words=corpus.n_words, n_classes=corpus.n_classes, embedding_dim=d, rng=rng)
