"""Claim E2: the lead passes to rarer words, purer in sentences never seen; shuffled labels make them rarer alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics import Corpus
from attn_dynamics.claims._support.drawn import zipf_text
from attn_dynamics.claims._support.top_words import purity, word_of_largest_score
from attn_dynamics.claims.e2_top_words import SOURCES, followed, halves, trend, word_of_smallest_score
from tests.support import corpora, needs_sst, numbered

SENTENCES = [["good", "a"], ["good", "a", "the"], ["bad", "the"], ["bad", "a", "a"], ["dull", "good"]]
TASK = Corpus.from_sentences(SENTENCES, [1, 1, 0, 0, 0])


def test_purity_is_the_difference_of_shares() -> None:
    found = dict(zip(TASK.vocabulary, purity(TASK), strict=True))
    assert found == pytest.approx({"good": 1 / 3, "a": 1 / 3, "the": 0.0, "bad": 1.0, "dull": 1.0})


def test_purity_elsewhere_may_be_negative_and_needs_the_word() -> None:
    other = Corpus.from_sentences(
        [["good", "bad"], ["good", "a"]], [0, 1], vocabulary=TASK.vocabulary, n_classes=TASK.n_classes
    )
    found = dict(zip(TASK.vocabulary, purity(TASK, other), strict=True))
    assert found["good"] == pytest.approx(0.0)
    assert found["bad"] == pytest.approx(1.0)
    assert found["a"] == pytest.approx(1.0)
    assert np.isnan(found["dull"])
    flipped = Corpus.from_sentences([["bad"], ["a"]], [1, 1], vocabulary=TASK.vocabulary, n_classes=2)
    assert dict(zip(TASK.vocabulary, purity(TASK, flipped), strict=True))["bad"] == pytest.approx(-1.0)


def test_purity_among_five_classes_is_0_at_chance_and_1_at_one_class() -> None:
    corpus = numbered([[0, 1]] + [[0]] * 4, [0, 1, 2, 3, 4], 2, 5)
    np.testing.assert_allclose(purity(corpus), [0.0, 1.0], atol=1e-15)


@given(corpora(), st.integers(0, 2**32 - 1))
def test_the_lead_of_a_sentence_is_one_of_its_words_and_none_scores_more(corpus: Corpus, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, corpus.n_words).astype(float)
    held = corpus.counts.toarray() > 0
    rows = np.arange(corpus.n_sentences)
    for leader, sign in ((word_of_largest_score, 1.0), (word_of_smallest_score, -1.0)):
        words = leader(corpus, scores)
        assert held[rows, words].all()
        np.testing.assert_array_equal(sign * scores[words], np.where(held, sign * scores, -np.inf).max(axis=1))


def test_halves_share_no_sentence_and_hold_each_class_alike() -> None:
    corpus = numbered([[k] for k in range(20)], [k % 3 % 2 for k in range(20)], 20, 2)
    seen, unseen = halves(corpus, 3, np.random.default_rng(0))
    for half in (seen, unseen):
        assert np.bincount(half.labels).tolist() == [3, 3]
    words = [{half.vocabulary[word] for word in half.counts.indices} for half in (seen, unseen)]
    assert not words[0] & words[1]
    assert seen.vocabulary == unseen.vocabulary


@pytest.mark.parametrize("name", ["drawn text", pytest.param("SST-2", marks=needs_sst)])
def test_e2_purity_where_a_word_was_trained_rises_for_shuffled_labels_too(name: str) -> None:
    """Why purity has to be taken elsewhere: training finds what is pure by chance, and rare words are."""
    assert name in SOURCES
    own, shuffled = (
        np.mean([trend(followed(name, seed, shuffled=each)) for seed in range(6)], axis=0) for each in (False, True)
    )
    assert own[0] < -0.7
    assert shuffled[0] < -0.7
    assert own[1] > 0.7
    assert shuffled[1] > 0.7


@needs_sst
def test_e2_on_sst2_the_lead_passes_to_words_that_are_purer_elsewhere() -> None:
    own, shuffled = ([followed("SST-2", seed, shuffled=each) for seed in range(6)] for each in (False, True))
    gain = lambda leads: np.mean([each.purity_elsewhere[-1] - each.purity_elsewhere[0] for each in leads])  # noqa: E731
    assert gain(own) > 0.1
    assert abs(gain(shuffled)) < 0.05
    assert np.mean([each.occurrence[-1] / each.occurrence[0] for each in own]) < 0.2


def test_frequencies_of_the_drawn_text_are_zipfs_and_purity_does_not_know_them() -> None:
    corpus = zipf_text(np.random.default_rng(0), sentences=20_000)
    often = np.sort(corpus.counts.sum(axis=0))[::-1]
    slope = np.polyfit(np.log(np.arange(5, 200)), np.log(often[4:199]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)
    found = purity(halves(corpus, 2500, np.random.default_rng(0))[0])[:200]
    assert abs(np.corrcoef(found, np.arange(200))[0, 1]) < 0.2
    # Beta(1, 4) has a mean of 1/5.
    assert found.mean() == pytest.approx(0.2, abs=0.04)
