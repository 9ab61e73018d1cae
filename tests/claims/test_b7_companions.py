"""Claim B7: companions share their company, and the relation of unequal ones is one of rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, loss_and_gradient
from attn_dynamics.claims._support.sen import SMOOTH, start_of_topic_words
from attn_dynamics.claims.b7_companions import alike
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_companions import companion_gains
from tests.support import MODELS, examples


@settings(max_examples=examples(30), deadline=None)
@given(st.sampled_from(MODELS), st.integers(2, 5), st.integers(1, 9), st.integers(0, 999))
def test_the_rates_of_unequal_companions(model: str, count: int, others: int, seed: int) -> None:
    """Of any number in sentences of any class, several sentences of each."""
    words, rest = [f"t{k}" for k in range(count)], [f"w{k}" for k in range(others)]
    corpus = Corpus.from_sentences([words + rest] * 3, [0, 0, 1])
    start = start_of_topic_words(corpus, words, model, seed)
    slopes, columns = loss_and_gradient(corpus, start)[1], corpus.columns(words)
    rates = -(slopes.keys[columns] @ start.query)
    grown = -2 * (start.embeddings[columns] * slopes.embeddings[columns]).sum(axis=1)
    predicted = companion_gains(start.scores[columns], rates, others, float(np.linalg.norm(start.query)))
    size = 1e-14 * max(np.abs(slopes.embeddings).max(), 1e-3) * (1 + np.exp(start.scores.max()))
    np.testing.assert_allclose(grown, predicted, rtol=0, atol=10 * size)


@pytest.mark.parametrize("model", SMOOTH)
@pytest.mark.parametrize("companions", [("a", "b", "c"), ("a",) * 3], ids=["alike", "repeated"])
def test_three_share_their_company(model: str, companions: tuple[str, ...]) -> None:
    run = alike(model, 6, companions)
    shared, whole = (sen_norm(run.score, m, run.query_norm, run.score[0], run.norm[0]) for m in (2.0, 6.0))
    np.testing.assert_allclose(run.norm, shared, rtol=1e-9)
    assert np.abs(run.norm / whole - 1).max() > 0.01, "negative control"
    assert np.ptp(run.score[:, 0]) > 0.2
