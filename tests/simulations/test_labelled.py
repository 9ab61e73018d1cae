"""Claim: how pure leading words are is taken where training has not been, and there shuffled labels have no purity."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics import Corpus
from attn_dynamics.claims._support.drawn import ragged
from attn_dynamics.claims._support.top_words import held_by_class, purity, word_of_largest_score
from attn_dynamics.errors import InputError
from attn_dynamics.results.summary import annotate
from attn_dynamics.tasks import Task
from attn_dynamics.training import configured_run
from attn_dynamics.training.corpus_config import Config
from simulations.labelled import ALL, attention_weights, followed, subset, telling, unseen, with_leaders

DRAWS = 200
"""Permutations of the labels of sentences not trained on."""


def topical(rng: np.random.Generator, *, shuffled: bool = False, n_classes: int = 2, sentences: int = 800) -> Task:
    """In each sentence a word of its class, three of eight frequent ones and four of 300 rare ones; half are seen."""
    labels = rng.integers(n_classes, size=sentences)
    rows = [
        [
            f"class{label}",
            *(f"w{word}" for word in rng.integers(8, size=3)),
            *(f"r{r}" for r in rng.integers(300, size=4)),
        ]
        for label in labels
    ]
    labels, half = rng.permutation(labels) if shuffled else labels, sentences // 2
    words = sorted({word for row in rows for word in row})
    train, test = (
        Corpus.from_sentences(rows[part], labels[part], vocabulary=words, n_classes=n_classes)
        for part in (slice(half), slice(half, None))
    )
    return Task(name="topical", train=train, test=test)


def trained(task: Task) -> tuple[xr.Dataset, xr.Dataset]:
    """A run, and what is kept of it."""
    config = Config(model="attn-fc", epochs=800, embedding_dim=20, learning_rate=0.5, follow=("w0",))
    start = configured_run.start(config, task)
    run = annotate(configured_run.train(config, task, start), config, task, start)
    return run, with_leaders(run, task)


def by_chance(task: Task, scores: np.ndarray) -> np.ndarray:
    """Mean purity elsewhere (DRAWS,) of the words that lead, were the labels there drawn anew."""
    rng, judge, words = np.random.default_rng(1), unseen(task), word_of_largest_score(task.train, scores)
    assert judge is not None
    others = (replace(judge, labels=rng.permutation(judge.labels)) for _ in range(DRAWS))
    return np.array([np.nanmean(purity(task.train, other)[words]) for other in others])


def last(kept: xr.Dataset, part: str) -> float:
    return float(kept.led.sel(group=ALL, part=part)[-1])


def test_by_true_labels_leading_words_are_pure_elsewhere() -> None:
    task = topical(np.random.default_rng(0))
    run, kept = trained(task)
    # Under chance a value above all of 200 has probability 1/201.
    assert last(kept, "purity_elsewhere") > by_chance(task, run.all_score.values[-1]).max()


def test_trained_on_shuffled_labels_they_are_not_though_pure_where_trained() -> None:
    """Negative control; purity where trained, in the place of that elsewhere, would not pass."""
    task = topical(np.random.default_rng(0), shuffled=True)
    run, kept = trained(task)
    chance = by_chance(task, run.all_score.values[-1])
    away = {part: abs(last(kept, part) - chance.mean()) / chance.std() for part in ("purity_elsewhere", "purity")}
    # In standard deviations of chance; a normal one is beyond 3 with probability 0.003.
    assert away["purity_elsewhere"] < 3
    assert away["purity"] > 3


def test_without_other_sentences_it_is_left_out() -> None:
    alone = replace(topical(np.random.default_rng(0)), test=None)
    assert trained(alone)[1].part.values.tolist() == ["purity", "occurrence"]
    assert "purity_elsewhere" in trained(replace(alone, dev=alone.train))[1].part


@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_words_that_tell_most_are_those_of_the_classes(n_classes: int) -> None:
    told = [
        followed(topical(np.random.default_rng(0), n_classes=n_classes, shuffled=shuffled), (), ())
        for shuffled in (False, True)
    ]
    assert {word for word in told[0] if word.startswith("class")} == {f"class{label}" for label in range(n_classes)}
    assert told[0][:n_classes] != told[1][:n_classes], "negative control: shuffled labels"


@given(st.integers(2, 6), st.integers(0, 99))
def test_chi_squared_is_that_of_the_table_of_a_word(n: int, seed: int) -> None:
    """Pearson's Σ (observed - expected)²/expected, word by word; 0 where the classes are those of all sentences."""
    corpus = ragged(np.random.default_rng(seed), n_classes=n, sentences=30)
    shares, held = np.bincount(corpus.labels, minlength=n) / 30, held_by_class(corpus)
    for word, found in enumerate(telling(corpus)):
        pairs = zip(held[:, word], shares * held[:, word].sum(), strict=True)
        # Sums of n ≤ 6 terms: round-off of some 10 eps.
        assert found == pytest.approx(sum((seen - due) ** 2 / due for seen, due in pairs if due), rel=1e-14, abs=1e-14)
    even = Corpus.from_sentences([["even", f"own{label}"] for label in range(n)], range(n))
    assert telling(even) == pytest.approx([0.0, *[n - 1.0] * n], abs=1e-14)


@given(st.integers(0, 99))
def test_attention_weights_are_those_of_softmax(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corpus = ragged(rng)
    scores, counts = rng.standard_normal(corpus.n_words), corpus.counts.toarray()
    attention = counts * np.exp(scores)
    attention /= attention.sum(axis=1, keepdims=True)
    words = np.flatnonzero(counts[0])
    np.testing.assert_allclose(attention_weights(corpus, scores, 0, words), attention[0, words], rtol=1e-13)


@pytest.mark.parametrize(
    ("labels", "test", "message"),
    [
        ([1] + [0] * 7, "own0", "sentences of at least two classes, got 2 training sentences with those of one"),
        ([0] * 6 + [1] * 2, "own0", "words that test data hold, too, got 2 training sentences with none of them"),
        ([0] * 6 + [1] * 2, "shared", None),
    ],
)
def test_too_few_training_sentences_are_refused_by_the_option(labels: list[int], test: str, message: str) -> None:
    words = [[f"own{number}", "shared"] for number in range(8)]
    train = Corpus.from_sentences(words, labels, class_names=("no", "yes"))
    judge = Corpus.from_sentences([[test]], [0], vocabulary=train.vocabulary, class_names=("no", "yes"))
    task = Task(name="few", train=train, test=judge)
    if message is not None:
        with pytest.raises(InputError, match=f"--sentences: expected {message}"):
            subset(task, 2)
    else:
        few = subset(task, 2)
        assert (few.train.n_sentences, few.train.n_words, few.train.class_names) == (2, 3, ("no", "yes"))
