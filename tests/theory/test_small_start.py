"""Claim C13: the pull at zero is what the exact gradient does to a small start, and of topic words a closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics import Parameters, TrainedLinear, loss_and_gradient
from attn_dynamics.claims._support.drawn import ragged
from attn_dynamics.errors import InputError
from attn_dynamics.tasks import Synthetic
from attn_dynamics.theory.small_start import decay_threshold, pull_at_zero


@given(st.integers(0, 2**32 - 1))
def test_c13_the_gradient_of_a_small_start(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corpus, d, size = ragged(rng), 4, 1e-7
    query, keys = rng.standard_normal(3), rng.standard_normal((corpus.n_words, 3))
    embeddings, weight = rng.standard_normal((corpus.n_words, d)), rng.standard_normal((d, corpus.n_classes))
    head = TrainedLinear(weight=size * weight)
    start = Parameters(query=query, keys=keys, embeddings=size * embeddings, head=head)
    slopes, pull = loss_and_gradient(corpus, start)[1], pull_at_zero(corpus, keys @ query)
    np.testing.assert_allclose(-slopes.embeddings / size, pull @ weight.T, atol=1e-11)
    np.testing.assert_allclose(-slopes.head.first_layer / size, embeddings.T @ pull, atol=1e-11)
    assert np.abs(slopes.keys).max() < 1e3 * size**2
    # Negative control: scores at 0 give another pull.
    assert np.abs(pull - pull_at_zero(corpus)).max() > 1e-6


def test_c13_the_rows_of_topic_words() -> None:
    task = Synthetic(test_sentences=0).draw(0)
    counts, labels = task.train.counts, task.train.labels
    pull = pull_at_zero(task.train)
    for topic, words in enumerate(task.topic_words):
        for column in task.train.columns(words):
            share = counts[:, [column]].sum() / labels.size
            np.testing.assert_allclose(pull[column], share / 21 * (np.eye(4)[topic] - 0.25), atol=1e-15)
    assert decay_threshold(task.train) == pytest.approx(np.linalg.svd(pull)[1][0], rel=1e-12)


def test_c13_of_topic_words_alone_the_threshold_is_a_closed_form() -> None:
    """M of p words for each of n equally frequent topics has n - 1 equal singular values, a ρ √p."""
    task = Synthetic(topics=3, topic_words=2, other_words=0, sentences=3000, test_sentences=0).draw(1)
    assert decay_threshold(task.train) == pytest.approx(2**0.5 / 6, rel=0.05)


def test_what_is_no_corpus_is_refused() -> None:
    with pytest.raises(InputError, match="corpus: expected a Corpus"):
        pull_at_zero(np.ones((2, 2)))  # pyright: ignore[reportArgumentType]
