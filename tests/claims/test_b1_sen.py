"""Claim B1: s + e^s/m - ‖q‖²‖ν‖²/2 stays as it was along the flow, whatever the data, the head and the start."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, flow
from attn_dynamics.claims._support.sen import SMOOTH, Followed, followed, start_of_topic_words
from attn_dynamics.theory.sen import sen_norm
from tests.support import Array, examples


def distance(run: Followed, others: int) -> float:
    predicted = sen_norm(run.score, others, run.query_norm, run.score[0], run.norm[0])
    return float(np.abs(run.norm / predicted - 1.0).max())


@st.composite
def runs(draw: st.DrawFn, *, hold: bool) -> Followed:
    """Sentences of random class, each with one of two topic words and `m` of four others, which may repeat."""
    others, sentences = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = [[f"t{i % 2}", *(f"w{word}" for word in rng.integers(4, size=others))] for i in range(sentences)]
    labels, words = rng.integers(3, size=sentences), ["t0", "t1"]
    corpus = Corpus.from_sentences(rows, labels, n_classes=3)
    start = start_of_topic_words(corpus, words, draw(st.sampled_from(SMOOTH)), draw(st.integers(0, 99)))
    rest = [word for word in corpus.vocabulary if word not in words]
    run = flow(
        corpus, start, time=5.0, follow=words, frozen_words=rest if hold else (), rtol=1e-10, atol=1e-13
    ).trajectory
    return followed(run, start, others)


@settings(max_examples=examples(8), deadline=None)
@given(runs(hold=True))
def test_the_relation_is_kept_along_the_flow(run: Followed) -> None:
    assert distance(run, run.others) <= 1e-7


@settings(max_examples=examples(8), deadline=None)
@given(runs(hold=True))
def test_with_another_m_it_is_not(run: Followed) -> None:
    """Negative control: among m words the score must move for m to be told."""
    moved = float(np.abs(run.score - run.score[0]).max())
    assert distance(run, 2 * run.others) > 1e-2 * min(moved, 1.0) ** 2 / run.others


@settings(max_examples=examples(50), deadline=None)
@given(st.floats(-5, 30), st.floats(1e-3, 5), st.floats(0.05, 1e4), st.floats(1e-2, 1e2))
def test_the_norm_increases_with_the_score(s: float, step: float, m: float, q: float) -> None:
    def norms(start: float) -> Array:
        return sen_norm(start + step * np.arange(3), m, q, start)

    assert (np.diff(norms(s)) > 0).all()
    assert np.isnan(sen_norm(s - step, m, q, s)), "negative control: from zero no score falls"
