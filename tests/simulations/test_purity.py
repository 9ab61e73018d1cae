"""Claim: purity is LMN21's for two classes and between 0 and 1 for any; shuffled labels have none beyond chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics import Corpus
from attn_dynamics.claims.drawn import ragged
from simulations.labelled import attention_weights
from simulations.purity import chance_purity, leaders, purity


def topical(sentences: int = 400, n_classes: int = 2) -> Corpus:
    """A word of its class and five of forty others in each sentence."""
    rng = np.random.default_rng(0)
    labels = rng.integers(n_classes, size=sentences)
    rows = [[f"class{label}", *(f"w{word}" for word in rng.integers(40, size=5))] for label in labels]
    return Corpus.from_sentences(rows, labels, n_classes=n_classes)


def test_for_two_classes_it_is_the_difference_of_the_shares() -> None:
    sentences = [["good", "film"], ["bad", "film"], ["good", "bad", "good"], ["good"]]
    corpus = Corpus.from_sentences(sentences, [1, 0, 1, 0], vocabulary=["good", "film", "bad", "unseen"])
    np.testing.assert_allclose(purity(corpus), [1 / 3, 0.0, 0.0, np.nan], atol=1e-15)


@given(st.integers(2, 6), st.integers(0, 99))
def test_it_is_0_where_classes_are_even_1_where_one_is_alone_and_between_elsewhere(n: int, seed: int) -> None:
    corpus = ragged(np.random.default_rng(seed), n_classes=n, sentences=30)
    held = purity(corpus)[np.bincount(corpus.counts.indices, minlength=corpus.n_words) > 0]
    assert held.min() >= -1e-15
    assert held.max() <= 1 + 1e-15
    even = Corpus.from_sentences([["even", f"own{label}"] for label in range(n)], range(n))
    assert purity(even) == pytest.approx([0.0, *[1.0] * n])


@pytest.mark.parametrize("n_classes", [2, 5])
def test_beyond_chance_only_the_words_of_a_class_are_pure(n_classes: int) -> None:
    corpus = topical(n_classes=n_classes)
    beyond = purity(corpus) - chance_purity(corpus, np.random.default_rng(1))
    topic = np.array([str(word).startswith("class") for word in corpus.vocabulary])
    # A word of k ≥ 30 sentences: shares of n classes deviate from even ones by chance by some sqrt(n/k).
    assert beyond[topic].min() > 0.5
    assert abs(beyond[~topic].mean()) < 0.05


def test_by_shuffled_labels_no_word_is_pure_beyond_chance() -> None:
    """Negative control: the same words, the same chance, labels that say nothing."""
    corpus, rng = topical(), np.random.default_rng(2)
    beyond = purity(corpus, rng.permutation(corpus.labels)) - chance_purity(corpus, rng)
    assert np.abs(beyond).max() < 0.5
    assert abs(beyond.mean()) < 0.05


@given(st.integers(0, 99))
def test_the_leader_is_the_word_of_largest_score_and_its_weight_that_of_softmax(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corpus = ragged(rng)
    scores = rng.standard_normal(corpus.n_words)
    counts = corpus.counts.toarray()
    held = np.where(counts > 0, scores, -np.inf)
    np.testing.assert_array_equal(leaders(corpus, scores), held.argmax(axis=1))
    assert (leaders(corpus, -scores) != held.argmax(axis=1)).any(), "negative control"
    attention = counts * np.exp(scores)
    attention /= attention.sum(axis=1, keepdims=True)
    words = np.flatnonzero(counts[0])
    np.testing.assert_allclose(attention_weights(corpus, scores, 0, words), attention[0, words], rtol=1e-13)
