"""Claim: the synthetic task is LMN21's, topic words of the class among m others, the same to the bit everywhere."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from attn_dynamics import Corpus
from attn_dynamics.errors import InputError
from attn_dynamics.tasks import Options, Synthetic, load_task
from attn_dynamics.tasks.label_noise import with_label_noise

small = st.builds(
    Synthetic,
    topics=st.integers(2, 5),
    topic_words=st.integers(1, 3),
    other_words=st.integers(0, 6),
    dictionary=st.integers(1, 20),
    sentences=st.integers(1, 30),
    test_sentences=st.integers(0, 5),
)


def digest(corpus: Corpus) -> str:
    parts = corpus.counts.indptr, corpus.counts.indices, corpus.counts.data, corpus.labels
    return hashlib.sha256(b"".join(np.asarray(part, np.int64).tobytes() for part in parts)).hexdigest()


@given(small, st.integers(0, 1000))
def test_every_sentence_holds_one_topic_word_of_its_class_and_m_others(task: Synthetic, seed: int) -> None:
    drawn = task.draw(seed)
    n_topic_words = task.topics * task.topic_words
    assert set(drawn.splits) == ({"train", "test"} if task.test_sentences else {"train"})
    for name, corpus in drawn.splits.items():
        counts = corpus.counts.toarray()
        assert corpus.n_sentences == (task.sentences if name == "train" else task.test_sentences)
        assert corpus.n_classes == task.topics
        assert corpus.n_words == n_topic_words + task.dictionary
        by_class = counts[:, :n_topic_words].reshape(-1, task.topics, task.topic_words).sum(axis=2)
        np.testing.assert_array_equal(by_class, np.eye(task.topics)[corpus.labels])
        assert (counts[:, n_topic_words:].sum(axis=1) == task.other_words).all()


@given(small, st.integers(0, 1000))
def test_topic_words_are_named_class_by_class(task: Synthetic, seed: int) -> None:
    drawn = task.draw(seed)
    assert len(drawn.topic_words) == task.topics
    assert all(len(words) == task.topic_words for words in drawn.topic_words)
    for label, words in enumerate(drawn.topic_words):
        columns = drawn.train.columns(words)
        held = drawn.train.counts.toarray()[:, columns].sum(axis=1) > 0
        np.testing.assert_array_equal(held, drawn.train.labels == label)


@given(small, st.integers(0, 1000))
def test_the_same_seed_draws_the_same_task_and_another_seed_another(task: Synthetic, seed: int) -> None:
    first, second = task.draw(seed), task.draw(seed)
    assert first.train.vocabulary == second.train.vocabulary
    for name, corpus in first.splits.items():
        assert digest(corpus) == digest(second.splits[name])


def test_the_default_task_is_the_published_one_the_same_to_the_bit_everywhere() -> None:
    task = Synthetic().draw(0)
    assert task.test is not None
    assert (task.train.n_sentences, task.test.n_sentences) == (800, 200)
    assert (task.train.n_classes, task.train.n_words) == (4, 5008)
    assert set(task.train.lengths.tolist()) == {21}
    assert task.dev is None
    assert digest(task.train) == "680eb19cfd265ebf3cb84dd9a4870b996fe15ad49e26bc9024fd80d5d7c88ee6"
    assert digest(task.test) == "033f3f5cab4a58b44c6c4979fe7bc7857ecff37ae402c825857a11835dac06bb"
    assert digest(Synthetic().draw(1).train) != digest(task.train)


def test_training_sentences_do_not_depend_on_how_many_test_sentences_follow() -> None:
    assert digest(Synthetic(test_sentences=0).draw(3).train) == digest(Synthetic(test_sentences=50).draw(3).train)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_topic_words_have_zipfs_frequencies_within_each_class(exponent: float) -> None:
    task = Synthetic(topics=3, topic_words=5, zipf=exponent, sentences=30_000, dictionary=10, test_sentences=0).draw(0)
    counts = np.asarray(task.train.counts.sum(axis=0))[:15].reshape(3, 5)
    for law, fits in ((exponent, True), (exponent + 0.1, False)):
        weights = np.arange(1.0, 6.0) ** -law
        expected = counts.sum(axis=1, keepdims=True) * weights / weights.sum()
        assert (chisquare(counts, expected, axis=1).pvalue > 1e-3).all() == fits, "negative control: another exponent"


def test_the_command_knows_it_by_name() -> None:
    task = load_task("synthetic", Options(seed=4, synthetic=Synthetic(sentences=20)))
    assert digest(task.train) == digest(Synthetic(sentences=20).draw(4).train)


@pytest.mark.parametrize("distribution", [None, (0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1), (0.5, 0.5, 0.0, 0.0)])
def test_classes_topic_words_and_others_are_drawn_as_said(distribution: tuple[float, ...] | None) -> None:
    task = Synthetic(sentences=20_000, dictionary=50, topic_distribution=distribution, test_sentences=0).draw(7)
    expected = np.array(distribution or [0.25] * 4)
    classes = np.bincount(task.train.labels, minlength=4)
    assert (classes[expected == 0] == 0).all()
    assert chisquare(classes[expected > 0], 20_000 * expected[expected > 0]).pvalue > 1e-3
    words = np.asarray(task.train.counts.sum(axis=0))
    for label in np.flatnonzero(expected):
        assert chisquare(words[2 * label : 2 * label + 2]).pvalue > 1e-3
    assert chisquare(words[8:]).pvalue > 1e-3


def test_a_wrong_distribution_is_told_from_the_right_one() -> None:
    """Negative control of the test above."""
    task = Synthetic(sentences=20_000, topic_distribution=(0.27, 0.25, 0.25, 0.23), test_sentences=0).draw(7)
    assert chisquare(np.bincount(task.train.labels)).pvalue < 1e-3


@given(small, st.integers(1, 3), st.integers(0, 1000))
def test_several_topic_words_of_a_sentence_are_different_words_of_its_class(
    task: Synthetic, several: int, seed: int
) -> None:
    several = min(several, task.topic_words)
    corpus = replace(task, topic_words_per_sentence=several).draw(seed).train
    topical = corpus.counts.toarray()[:, : task.topics * task.topic_words]
    assert topical.max() == 1
    by_class = topical.reshape(-1, task.topics, task.topic_words).sum(axis=2)
    np.testing.assert_array_equal(by_class, several * np.eye(task.topics)[corpus.labels])
    assert (corpus.lengths == several + task.other_words).all()


def test_all_pairs_of_topic_words_are_equally_frequent() -> None:
    task = Synthetic(topics=2, topic_words=4, topic_words_per_sentence=2, other_words=0, sentences=20_000)
    counts = task.draw(5).train.counts.toarray()[:, :4]
    pairs = np.unique(counts[counts.any(axis=1)], axis=0, return_counts=True)[1]
    assert pairs.size == 6
    assert chisquare(pairs).pvalue > 1e-3


def test_several_topic_words_by_zipfs_law_are_drawn_one_after_the_other() -> None:
    """Two of weights 1, 1/2, 1/3: a pair is drawn in either order, the second from those that are left."""
    task = Synthetic(topics=2, topic_words=3, topic_words_per_sentence=2, zipf=1.0, other_words=0, sentences=20_000)
    counts = task.draw(5).train.counts.toarray()
    absent = 1 - counts[:, :3][counts[:, :3].any(axis=1)]
    weights = np.array([6.0, 3.0, 2.0]) / 11
    first = np.outer(weights, weights) / (1 - weights)[:, None]
    pairs = np.array([first[b, c] + first[c, b] for b, c in ((1, 2), (0, 2), (0, 1))])
    assert chisquare(absent.sum(axis=0), absent.sum() * pairs).pvalue > 1e-3
    # Negative control: pairs in proportion to the products of their weights.
    products = np.array([weights[b] * weights[c] for b, c in ((1, 2), (0, 2), (0, 1))])
    assert chisquare(absent.sum(axis=0), absent.sum() * products / products.sum()).pvalue < 1e-3


@given(small, st.floats(0.0, 1.0), st.integers(0, 1000))
def test_noise_changes_labels_of_training_alone(task: Synthetic, noise: float, seed: int) -> None:
    clean, noisy = task.draw(seed), replace(task, label_noise=noise).draw(seed)
    np.testing.assert_array_equal(clean.train.counts.toarray(), noisy.train.counts.toarray())
    assert clean.test is None or digest(clean.test) == digest(noisy.test or clean.train)
    if noise in (0.0, 1.0):
        assert ((clean.train.labels == noisy.train.labels) == (noise == 0.0)).all()


def test_noise_takes_its_share_and_every_other_class_alike() -> None:
    task = Synthetic(sentences=20_000, other_words=1, test_sentences=0)
    clean = task.draw(2).train.labels
    noisy, noisier = (replace(task, label_noise=share).draw(2).train.labels for share in (0.2, 0.4))
    moved = (noisy - clean) % 4
    assert chisquare(np.bincount(moved, minlength=4), 20_000 * np.array([0.8, *[0.2 / 3] * 3])).pvalue > 1e-3
    # More noise replaces the same labels by the same classes, and further ones.
    np.testing.assert_array_equal(noisier[moved > 0], noisy[moved > 0])
    assert np.count_nonzero(noisier != clean) > 1.9 * np.count_nonzero(moved)


def test_each_sentence_may_have_noise_of_its_own() -> None:
    corpus = Synthetic(topics=3, sentences=60, other_words=1).draw(0).train
    share = (corpus.labels == 1).astype(float)
    noisy = with_label_noise(corpus, share, np.random.default_rng(0)).labels
    np.testing.assert_array_equal(noisy != corpus.labels, corpus.labels == 1)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), [0.1, 0.2], [[0.1] * 60], []], ids=repr)
def test_shares_that_no_sentences_have_are_refused(share) -> None:
    corpus = Synthetic(topics=3, sentences=60, other_words=1).draw(0).train
    with pytest.raises(InputError, match="share: expected"):
        with_label_noise(corpus, share, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topic_words_per_sentence": 0}, "topic_words_per_sentence: expected 1 or more, got 0"),
        ({"topic_words_per_sentence": 3}, "topic_words_per_sentence: expected at most 2, got 3"),
        ({"label_noise": -0.1}, "label_noise: expected a finite number from 0 to 1, got -0.1"),
        ({"label_noise": 1.1}, "label_noise: expected a finite number from 0 to 1, got 1.1"),
        ({"label_noise": float("nan")}, "label_noise: expected a finite number"),
        ({"topics": 1}, "topics: expected 2 or more, got 1"),
        ({"topic_words": 0}, "topic_words: expected 1 or more, got 0"),
        ({"other_words": -1}, "other_words: expected 0 or more, got -1"),
        ({"dictionary": 0}, "dictionary: expected 1 or more, got 0"),
        ({"sentences": 0}, "sentences: expected 1 or more, got 0"),
        ({"test_sentences": -1}, "test_sentences: expected 0 or more, got -1"),
        ({"zipf": -1.0}, "zipf: expected a finite number from 0, got -1.0"),
        ({"zipf": float("nan")}, "zipf: expected a finite number from 0, got nan"),
        ({"topic_distribution": (0.5, 0.5)}, "topic_distribution: expected 4 probabilities"),
        ({"topic_distribution": (0.5, 0.5, 0.5, 0.5)}, "that sum to 1"),
        ({"topic_distribution": (1.5, -0.5, 0.0, 0.0)}, "topic_distribution"),
        ({"topic_distribution": (float("nan"), 0.5, 0.25, 0.25)}, "topic_distribution"),
        ({"topic_distribution": (0.5, float("nan"), 0.25, 0.25)}, "topic_distribution"),
    ],
)
def test_what_makes_no_task_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Synthetic(**options)
