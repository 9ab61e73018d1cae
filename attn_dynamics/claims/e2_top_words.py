"""Words of largest score on text, which training makes rarer and purer (theory E2)."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, ttest_1samp

from attn_dynamics.claims._support.drawn import (
    over_their_words,
    preset_start,
    rows_of,
    sst2,
    treebank_in_words,
    treebanks,
    zipf_text,
)
from attn_dynamics.claims._support.top_words import Leader, held_by_class, purity, word_of_largest_score
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.descent import descend

REPLICATES = 30
"""Number of replicates, each with sentences and a start of its own."""
SIGNIFICANT = 0.01
"""Level of each test."""
RATE = 0.5
"""Learning rate η, at which the training loss still falls at every epoch."""
BEGUN = 2
"""First epoch at which scores are not 0."""


class Course(NamedTuple):
    """Scores along the training of a model on one half of some sentences."""

    seen: Corpus
    """Training sentences."""
    unseen: Corpus
    """As many other sentences of each class, which training does not see."""
    epochs: Array
    """Recorded epochs, some ten per decade."""
    scores: Array
    """Scores (epochs, V)."""


class Lead(NamedTuple):
    """Means over training sentences for their words of largest score, along training (epochs,)."""

    occurrence: Array
    """Number of training sentences that contain the word."""
    purity: Array
    """Purity δ among the training sentences, as LMN21 count it."""
    purity_elsewhere: Array
    """Share in unseen sentences of the class that the word has most often in training, as a purity. The mean leaves out
    the few training sentences whose word does not occur there."""


def word_of_smallest_score(corpus: Corpus, scores: Array) -> NDArray[np.int64]:
    """Return the first word of smallest score in each sentence (N,)."""
    return word_of_largest_score(corpus, -scores)


def lead(course: Course, leader: Leader = word_of_largest_score) -> Lead:
    """Measure the words of largest score, or those that `leader` picks, at every recorded epoch."""
    occurrence = held_by_class(course.seen).sum(axis=0)
    within, elsewhere = purity(course.seen), purity(course.seen, course.unseen)
    words = np.array([leader(course.seen, scores) for scores in course.scores])
    return Lead(occurrence[words].mean(axis=1), within[words].mean(axis=1), np.nanmean(elsewhere[words], axis=1))


@claims(
    "E2",
    control("labels are shuffled", shuffled=True),
    control("epochs in random order", mixed=True),
    control("the word of smallest score", leader=word_of_smallest_score),
    name="the lead passes on",
    foundations=("E1",),
    statement=r"\frac{d}{d\tau}\, \mathrm{mean}_i\, N_{w_i(\tau)} < 0, \quad "
    r"\frac{d}{d\tau}\, \mathrm{mean}_i\, \delta_{w_i(\tau)} > 0, \quad "
    r"w_i(\tau) = \mathrm{argmax}_{w \in i}\, s_w(\tau)",
    source="LMN21; that purity has to be taken elsewhere: here",
    assumptions="Attn-FC from the start of LMN21's text, d = 200. Both classes are equally frequent. Purity is counted "
    "in sentences that training never saw, because in the training sentences it rises under shuffled labels too. Parts "
    "of SST-2 overlap by a seventh, and speak of this treebank alone",
    quantity="largest p-value over data and two trends, as a share of the level. The trends are Kendall's τ with the "
    "epoch, for 30 replicates (sentences and starts): of the mean occurrence N_w and of the mean purity δ_w of the "
    "words of largest score. One-sided t-tests judge that the first is below 0 and the second above",
    tolerance="0.01, the level of each test",
)
def lead_passes_on(
    *, quick: bool, shuffled: bool = False, mixed: bool = False, leader: Leader = word_of_largest_score
) -> Measured:
    """Measure drawn texts, and unless quick parts of SST-2 if it is available."""
    parts, seen = {}, []
    for name in sources(quick=quick):
        leads = [followed(name, seed, shuffled=shuffled, leader=leader) for seed in range(REPLICATES)]
        trends = np.array(
            [trend(each, np.random.default_rng(seed) if mixed else None) for seed, each in enumerate(leads)]
        )
        for what, series, alternative in (("occurrence", 0, "less"), ("purity", 2, "greater")):
            level = float(np.asarray(ttest_1samp(trends[:, series], 0.0, alternative=alternative))[1])
            parts[f"{what}, {name}"] = Measured(level, SIGNIFICANT, within=np.inf)
        seen.append(
            "{}: mean Kendall's τ {:+.2f} of occurrence, {:+.2f} of purity ({:+.2f} where trained)".format(
                name, *trends.mean(axis=0)[[0, 2, 1]]
            )
        )
    data = treebank_in_words(quick=quick, measured=f"{REPLICATES} parts of SST-2")
    return together(f"{'; '.join(seen)}; {data}", **parts)


@cache
def followed(name: str, seed: int, *, shuffled: bool = False, leader: Leader = word_of_largest_score) -> Lead:
    """Return the means for the words of largest score in one replicate."""
    return lead(course(name, seed, shuffled=shuffled), leader)


def trend(lead: Lead, mixed: np.random.Generator | None = None) -> list[float]:
    """Return Kendall's τ with the epoch for each series of a `Lead`; `mixed` draws a random order of epochs."""
    epochs = np.arange(lead.occurrence.size)
    at = epochs if mixed is None else mixed.permutation(epochs)
    return [float(np.asarray(kendalltau(at, series))[0]) for series in lead]


def sources(*, quick: bool) -> list[str]:
    """Return the names in `SOURCES` whose data are available."""
    return ["drawn text", *treebanks(quick=quick)]


def drawn_part(rng: np.random.Generator) -> tuple[Corpus, int]:
    """Draw a text; return it, and the number of sentences of each class in a half."""
    return zipf_text(rng, sentences=1200), 150


def treebank_part(rng: np.random.Generator) -> tuple[Corpus, int]:
    """Return SST-2, and the number of sentences of each class in a half."""
    treebank = sst2()
    assert treebank is not None
    return treebank, 250


SOURCES = {"drawn text": (drawn_part, 60), "SST-2": (treebank_part, 200)}
"""Function that returns the sentences to choose from, and number of epochs, by name."""


@cache
def course(name: str, seed: int, *, shuffled: bool = False) -> Course:
    """Train one replicate; `shuffled` shuffles the labels of its training half only."""
    make, epochs = SOURCES[name]
    rng = np.random.default_rng(seed)
    seen, unseen = halves(*make(rng), rng)
    if shuffled:
        seen = replace(seen, labels=rng.permutation(seen.labels))
    start = preset_start("paper", "attn-fc", seen, rng, d=200)
    run = descend(seen, start, learning_rate=RATE, epochs=epochs).trajectory.all_score.sel(snapshot=slice(BEGUN, None))
    return Course(seen, unseen, run.snapshot.values, run.values)


def halves(corpus: Corpus, each: int, rng: np.random.Generator) -> tuple[Corpus, Corpus]:
    """Draw two disjoint sets of random sentences, `each` of every class, over the words that both contain together.

    Raises:
        ValueError: a class has fewer sentences than both sets need.
    """
    least = int(np.bincount(corpus.labels, minlength=corpus.n_classes).min())
    if least < 2 * each:
        raise ValueError(f"expected {2 * each} sentences of every class, got {least} of one")
    rows = [rng.permutation(np.flatnonzero(corpus.labels == label))[: 2 * each] for label in range(corpus.n_classes)]
    parts = [
        rows_of(corpus, np.concatenate([of_class[k * each : (k + 1) * each] for of_class in rows])) for k in (0, 1)
    ]
    seen, unseen = over_their_words(parts)
    return seen, unseen
