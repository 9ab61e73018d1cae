"""Claim E1: from E = 0, s_w/τ² → (‖q‖²/2)(‖b_w‖² + Σ_i A_iw g_i·c_i) on any text, with a relative error O(τ)."""

from dataclasses import replace

import numpy as np
import pytest

from attn_dynamics import Corpus
from attn_dynamics.claims._support.drawn import sst2, zipf_text
from attn_dynamics.claims.e1_early_scores import LINEAR, distances, grown, of_shuffled_labels, start_on_text
from attn_dynamics.theory.early_training import early_scores
from tests.support import needs_sst


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("model", LINEAR)
def test_e1_the_error_halves_with_the_time_and_the_rest_of_it_quarters(model: str, n_classes: int) -> None:
    corpus = zipf_text(np.random.default_rng(3), n_classes=n_classes, sentences=100)
    start = start_on_text(corpus, model)
    off, left = distances(corpus, start, early_scores(corpus, start))
    np.testing.assert_allclose(off[:-1] / off[1:], 2.0, atol=0.1)
    np.testing.assert_allclose(left[:-1] / left[1:], 4.0, atol=0.2)
    # Negative control: the law of other labels is not met at any time.
    wrong, _ = distances(corpus, start, of_shuffled_labels(corpus, start))
    assert wrong.min() > 0.1
    np.testing.assert_allclose(wrong[:-1] / wrong[1:], 1.0, atol=0.05)


@pytest.fixture(scope="module")
def treebank() -> Corpus:
    corpus = sst2()
    assert corpus is not None
    return corpus


@needs_sst
def test_e1_on_sst2(treebank: Corpus) -> None:
    """The 200 words of largest coefficient: 3 % off at τ = 1 and 16 % at τ = 5, linear in time."""
    start = start_on_text(treebank, "attn-fc")
    limit = early_scores(treebank, start).quadratic
    largest = np.argsort(-np.abs(limit))[:200]
    times = np.array([1.0, 5.0])
    rates = grown(treebank, start, (1.0, 5.0))[:, largest] / times[:, None] ** 2
    off = np.abs(rates / limit[largest] - 1.0).max(axis=1)
    np.testing.assert_allclose(off, [0.032, 0.159], atol=0.001)
    assert off[1] / off[0] == pytest.approx(5.0, abs=0.1)
    assert np.corrcoef(rates[1], limit[largest])[0, 1] > 0.99998


@needs_sst
def test_e1_frequent_words_lead_on_sst2_and_words_that_say_nothing_are_pushed_down(treebank: Corpus) -> None:
    start = start_on_text(treebank, "attn-fc")
    limit = early_scores(treebank, start).quadratic
    order = [str(treebank.vocabulary[word]) for word in np.argsort(-limit)]
    assert order[:7] == ["and", "a", "of", "nt", "too", "bad", "no"]
    assert "mess" in order[:12]
    assert {"is", "it", "that"} < set(order[-6:])
    # Negative control: labels that say nothing about the words make other words lead.
    shuffled = replace(treebank, labels=np.random.default_rng(0).permutation(treebank.labels))
    other = early_scores(shuffled, start).quadratic
    assert not {"too", "bad", "no", "mess"} & {str(treebank.vocabulary[word]) for word in np.argsort(-other)[:7]}
