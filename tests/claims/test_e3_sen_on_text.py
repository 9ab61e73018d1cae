"""Claim E3: trained on text, the words of highest score are as near to SEN as others' weights and memorising allow."""

import numpy as np
import pytest

from attn_dynamics.claims._support.drawn import sst2, zipf_text
from attn_dynamics.claims.e1_early_scores import start_on_text
from attn_dynamics.claims.e3_sen_on_text import deviation, scale, trained
from attn_dynamics.theory.early_training import early_scores
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.training.flow import flow
from tests.support import needs_sst, numbered


def test_e3_on_another_drawn_text() -> None:
    run = trained(zipf_text(np.random.default_rng(1), sentences=1000), rate=0.5, seed=1)
    assert deviation(run, run.others) < scale(run)
    # Negative control: not any number of others will do.
    assert deviation(run, np.ones_like(run.others)) > scale(run)
    assert deviation(run, 0.0 * run.others + 1e-9) > 0.99


def test_e3_says_where_it_fails() -> None:
    """Negative control: few sentences, so that words lead that stand in two or three of them."""
    run = trained(zipf_text(np.random.default_rng(0), sentences=400), rate=0.5)
    assert deviation(run, run.others) > scale(run)


def test_e3_the_weight_of_others_is_their_number_while_scores_are_zero() -> None:
    """No word repeated, sentences of one length: e^s (1/a - 1) is m, and what memorising allows is left."""
    rng = np.random.default_rng(0)
    sentences = [rng.permutation(40)[:8].tolist() for _ in range(50)]
    run = trained(numbered(sentences, rng.integers(2, size=50).tolist(), 40, 2), rate=0.001, time=0.001)
    np.testing.assert_allclose(run.weight, run.others, rtol=1e-6)
    np.testing.assert_allclose(run.others, 7.0)
    assert scale(run) == pytest.approx(np.median(1.0 / run.sentences), rel=1e-5)


@pytest.mark.slow
@needs_sst
@pytest.mark.parametrize("seed", [1, 2])
def test_e3_on_sst2_from_other_starts(seed: int) -> None:
    treebank = sst2()
    assert treebank is not None
    run = trained(treebank, seed=seed)
    assert 0.08 < deviation(run, run.others) < min(0.11, scale(run))


def test_e1_says_how_far_from_sen_a_word_begins() -> None:
    """From E = 0: ‖ν‖ = τ‖b‖ and s by E1, so ‖ν‖/SEN → sqrt(own/((own + beside)(1 + 1/m))), whatever m."""
    corpus = zipf_text(np.random.default_rng(2), sentences=100)
    start = start_on_text(corpus, "attn-fc")
    law, others = early_scores(corpus, start), 15.0
    gains = np.flatnonzero(law.quadratic > 0.1 * law.own)
    run = flow(corpus, start, times=[law.time(1e-4)], rtol=1e-11, atol=1e-20).trajectory
    norm, score = run.all_embedding_norm.values[-1, gains], run.all_score.values[-1, gains]
    begun = np.sqrt(law.own[gains] / law.quadratic[gains] / (1.0 + 1.0 / others))
    np.testing.assert_allclose(norm / sen_norm(score, others, 1.0), begun, rtol=2e-3)
    # Negative control: it does not begin on the curve.
    assert np.median(np.abs(begun - 1.0)) > 0.05
