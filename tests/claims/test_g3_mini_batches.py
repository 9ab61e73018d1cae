"""Claim G3: on batches the relation is kept step by step, and the drift is systematic."""

import numpy as np
import pytest

from attn_dynamics.claims._support.sen import start_of_topic_words
from attn_dynamics.claims.g3_mini_batches import OTHERS, SENTENCES, alike, tallied
from attn_dynamics.model.gradient import loss_and_gradient
from attn_dynamics.theory.sen_optimisers import change_in_step, sen_invariant


@pytest.mark.parametrize("model", ["attn-fc", "attn-tc", "attn-tl"])
@pytest.mark.parametrize("rows", [[0], [1, 5, 9], [*range(SENTENCES)]])
def test_one_step_by_hand(model: str, rows: list[int]) -> None:
    corpus, words, _ = alike()
    batch, start = corpus.take(np.array(rows)), start_of_topic_words(corpus, words, model, seed=3)
    _, slope = loss_and_gradient(batch, start)
    columns, q, rate = corpus.columns(words), float(np.linalg.norm(start.query)), 0.3
    keys, embeddings = start.keys - rate * slope.keys, start.embeddings - rate * slope.embeddings
    before, after = start.scores[columns], (keys @ start.query)[columns]
    norms = [np.linalg.norm(each[columns], axis=1) for each in (start.embeddings, embeddings)]
    moved = np.linalg.norm((embeddings - start.embeddings)[columns], axis=1)
    change = sen_invariant(after, norms[1], OTHERS, q) - sen_invariant(before, norms[0], OTHERS, q)
    np.testing.assert_allclose(change, change_in_step(before, after - before, moved, OTHERS, q), atol=1e-14)
    assert np.abs(change).max() > 1e-5


def test_the_second_order_is_most_of_it() -> None:
    second = lambda s, ds, length, m, q: 0.5 * (np.exp(s) / m * ds**2 - (q * length) ** 2)  # noqa: E731
    errors = []
    for rate in (0.02, 0.01):
        run = tallied("attn-fc", 4, 0, rate, second)
        errors.append(np.abs(run.seen - run.said).max())
        assert errors[-1] < 0.01 * np.abs(run.seen).max()
    assert errors[1] == pytest.approx(errors[0] / 4, rel=0.3), "what is left is of the second order in η"


def test_the_drift_does_not_average_out_over_orders() -> None:
    drifts = np.array([tallied("attn-fc", 4, seed, 0.02).seen for seed in range(6)])
    assert (drifts < 0).all()
    assert (drifts.std(axis=0) < 0.3 * np.abs(drifts.mean(axis=0))).all()


def test_noise_on_embeddings_alone_moves_the_relation_at_random() -> None:
    """Negative control: of the same size it moves I either way, by far more."""
    quiet, noisy = (tallied("attn-fc", SENTENCES, 0, 0.02, noise=noise).seen for noise in (0.0, 0.5))
    assert np.abs(noisy).max() > 10 * np.abs(quiet).max()
