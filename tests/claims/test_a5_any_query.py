"""Claim A5: for q, q' ≠ 0 and any K there is K' with K'q' = Kq: fixing the query costs no capacity."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics import descend
from tests.support import MODELS, differences, ids, parameters_for, topic_corpus


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0.01, 100.0))
def test_a5_whatever_one_query_can_say_another_can(d_k: int, n_words: int, seed: int, size: float) -> None:
    """For q, q' ≠ 0 and any K there is K' with K'q' = Kq."""
    rng = np.random.default_rng(seed)
    query, other = rng.standard_normal(d_k), size * rng.standard_normal(d_k)
    keys = rng.standard_normal((n_words, d_k))
    keys_of_other = np.outer(keys @ query, other) / (other @ other)
    np.testing.assert_allclose(keys_of_other @ other, keys @ query, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("train", [("keys",), ("keys", "embeddings"), ("keys", "embeddings", "head")], ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a5_queries_of_one_norm_lead_the_same_course(model: str, train: tuple[str, ...]) -> None:
    rng = np.random.default_rng(5)
    corpus = topic_corpus(5)
    start = parameters_for(corpus, model, 5, d_k=4)
    turned = np.linalg.qr(rng.standard_normal((4, 4)))[0] @ start.query
    keys = np.outer(start.scores, turned) / (turned @ turned)
    other = replace(start, query=turned, keys=keys)
    runs = [descend(corpus, each, train=train, epochs=200, follow=range(5)) for each in (start, other)]
    assert max(differences(*runs).values()) <= 1e-11
    assert not np.allclose(runs[0].trajectory.score[-1], runs[0].trajectory.score[0], atol=1e-2)
    first, second = (run.parameters for run in runs)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-11)


def test_a5_a_query_of_another_norm_leads_another_course() -> None:
    """Negative control of the check above."""
    corpus = topic_corpus(5)
    start = parameters_for(corpus, "attn-fc", 5)
    longer = replace(start, query=1.01 * start.query, keys=start.keys / 1.01)
    runs = [descend(corpus, each, epochs=200) for each in (start, longer)]
    assert max(differences(*runs).values()) > 1e-6
