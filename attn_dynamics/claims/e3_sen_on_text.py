"""SEN relation on text, where no word is a perfect topic word (theory E3)."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from attn_dynamics.claims._support.drawn import preset_start, treebank_in_words, treebanks, zipf_text
from attn_dynamics.claims._support.sen import WITHOUT_HALF, Relation
from attn_dynamics.claims._support.synthetic_run import TIME
from attn_dynamics.claims.claim import Measured, claims, control, largest
from attn_dynamics.model.heads import Array
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.training.descent import descend

LEADERS = 100
"""Number of words of highest score."""


class Leaders(NamedTuple):
    """Words of highest score of a trained model; arrays are (words,)."""

    score: Array
    norm: Array
    """Final embedding norms ‖ν‖."""
    begun: Array
    """Embedding norms ‖ν₀‖ at the start; scores start at 0."""
    others: Array
    """m, mean number of other words in the sentences of each word."""
    weight: Array
    """Final weight Σ e^{s_u} of the other words, M = e^s (1/a - 1), from the word's mean attention a."""
    sentences: Array
    """Number of sentences that contain each word."""
    query_norm: float
    """Query norm ‖q‖."""
    length: float
    """Mean length of the sentences of the corpus."""


@claims(
    "E3",
    control("no other words, m = 0", others=lambda run: np.full_like(run.others, 1e-9)),
    control("one other word", others=lambda run: np.ones_like(run.others)),
    WITHOUT_HALF,
    name="SEN on text",
    foundations=("B2", "E1"),
    statement=r"\mathrm{median}_w \left| \frac{\|\nu_w\|}{\|\nu\|_{\mathrm{SEN}}(s_w, m_w)} - 1 \right| \leq "
    r"\mathrm{median}_w \left( \left| \frac{\|\nu\|_{\mathrm{SEN}}(s_w, M_w)}{\|\nu\|_{\mathrm{SEN}}(s_w, m_w)} - 1 "
    r"\right| + \frac{1}{N_w} \right)",
    assumptions="Attn-FC with d = 200, trained from the start of LMN21's text to time 500. The 100 words of highest "
    "score are measured. m_w is the mean number of other words in the N_w sentences of a word. This is an observation: "
    "the bound is a scale, not a theorem",
    quantity="median relative distance of ‖ν‖ from the SEN relation (B1), as a share of the bound; the largest over "
    "data",
    tolerance="1 share of two scales. Scores of other words do not stay 0, and B1 lies between m of them and the "
    "weight M that they have at the end. By B2 a word's sentences memorise 1/N_w",
    observed=True,
)
def relation_on_text(
    *, quick: bool, relation: Relation = sen_norm, others: Callable[[Leaders], Array] = lambda run: run.others
) -> Measured:
    """Measure a drawn text, and unless quick SST-2 if it is available."""
    shares, seen = [], []
    for name, run in runs(quick=quick).items():
        off, allowed = deviation(run, others(run), relation), scale(run)
        shares.append(off / allowed)
        rivals = {"M": run.weight, "the mean length of all sentences": np.full_like(run.others, run.length - 1.0)}
        instead = ", ".join(f"{deviation(run, each, relation):.1%} with {said}" for said, each in rivals.items())
        seen.append(f"{name} {off:.1%} of {allowed:.1%} (in the place of m, {instead})")
    data = treebank_in_words(quick=quick, measured="all training sentences of SST-2")
    return Measured(largest(shares), 1.0, f"{'; '.join(seen)}; {data}")


def deviation(run: Leaders, others: Array, relation: Relation = sen_norm) -> float:
    """Return the median relative distance of ‖ν‖ from the relation with `others` other words (words,)."""
    return float(np.median(np.abs(run.norm / relation(run.score, others, run.query_norm, 0.0, run.begun) - 1.0)))


def scale(run: Leaders) -> float:
    """Return the bound: the median over words of the distance between B1 at m and B1 at M, plus 1/N_w."""
    counted, weighed = (sen_norm(run.score, each, run.query_norm, 0.0, run.begun) for each in (run.others, run.weight))
    return float(np.median(np.abs(weighed / counted - 1.0) + 1.0 / run.sentences))


def runs(*, quick: bool) -> dict[str, Leaders]:
    """Return trained runs by data: of a drawn text with a larger learning rate, and LMN21's training on SST-2."""
    drawn = {"drawn text": trained(zipf_text(np.random.default_rng(0), sentences=1000), rate=0.5)}
    return drawn | {name: trained(corpus) for name, corpus in treebanks(quick=quick).items()}


@cache
def trained(corpus: Corpus, *, rate: float = 0.1, time: float = TIME, seed: int = 0) -> Leaders:
    """Train Attn-FC by descent from the start of LMN21's text, and return its words of highest score."""
    start = preset_start("paper", "attn-fc", corpus, seed, d=200)
    run = descend(corpus, start, learning_rate=rate, epochs=round(time / rate)).trajectory
    score = run.all_score.values[-1]
    leaders = np.argsort(-score, kind="stable")[:LEADERS]
    words, lengths = corpus.counts.indices, np.repeat(corpus.lengths, np.diff(corpus.counts.indptr))
    sentences = np.bincount(words, minlength=corpus.n_words)[leaders].astype(float)
    return Leaders(
        score=score[leaders],
        norm=run.all_embedding_norm.values[-1, leaders],
        begun=run.all_embedding_norm.values[0, leaders],
        others=np.bincount(words, lengths, minlength=corpus.n_words)[leaders] / sentences - 1.0,
        weight=np.exp(score[leaders]) * (1.0 / run.all_attention.values[-1, leaders] - 1.0),
        sentences=sentences,
        query_norm=float(np.linalg.norm(start.query)),
        length=float(corpus.lengths.mean()),
    )
