"""Claim C6: a score first moves against the sign of M = Σ_i A_it g_i·(ν_t - v_i); from x < 0 it turns in mean field."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics import descend
from attn_dynamics.claims import find
from attn_dynamics.claims._support.drawn import zipf_text
from attn_dynamics.claims._support.synthetic_run import PUBLISHED, synthetic_task
from attn_dynamics.claims.c6_mutual_suppression import misalignment, suppressed, trained, turn, waited, without_contexts
from attn_dynamics.claims.e1_early_scores import start_on_text
from attn_dynamics.theory.early_training import early_scores
from tests.support import MODELS, Array, Case, cases, examples


def first_moves(case: Case) -> Array:
    run = descend(case.corpus, case.parameters, epochs=1, follow=case.corpus.vocabulary).trajectory
    return np.diff(run.score.values, axis=0)[0]


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_the_sign_of_every_first_move_is_told(model: str, data: st.DataObject) -> None:
    case = data.draw(cases(model, spreads=(0.0, 0.5, 3.0)))
    law, moves = misalignment(case.corpus, case.parameters), first_moves(case)
    clear = np.abs(law) > max(1e-12, 1e-9 * np.abs(law).max())
    assume(clear.any())
    assert (np.sign(moves[clear]) == -np.sign(law[clear])).all()


def test_without_the_contexts_it_is_not() -> None:
    """Negative control."""
    corpus, start = suppressed(PUBLISHED, "attn-fc", 0)
    wrong = np.sign(without_contexts(corpus, start)) == np.sign(first_moves(Case(corpus, start)))
    assert 0.05 < wrong.mean() < 0.95


def test_from_zero_every_m_is_zero_and_most_words_fall_all_the_same() -> None:
    """At order τ², by E1: M tells of a first move that is of order τ, and there is none."""
    for corpus, share in ((zipf_text(np.random.default_rng(0)), 0.61), (synthetic_task("attn-fc")[0].train, 0.96)):
        start = start_on_text(corpus, "attn-fc")
        assert not misalignment(corpus, start).any()
        assert (early_scores(corpus, start).quadratic < 0).mean() == pytest.approx(share, abs=0.01)


def test_the_turn_of_a_score_takes_a_time_of_the_order_of_m_over_e_to_the_score() -> None:
    """From x < 0 in mean field: within the stated time and more than a tenth of it, over three decades of it."""
    stated = waited(lambda m, lowest: 1 + m * np.exp(-lowest))
    assert stated.max() / stated.min() > 1e3
    assert (turn() <= stated).all()
    assert (turn() > 0.1 * stated).all()


@pytest.mark.slow
def test_at_full_size() -> None:
    assert find("C6").judge().holds
    moves, recovered = np.concatenate([trained(PUBLISHED, "attn-tc", seed, 500.0) for seed in range(10)], axis=1)
    assert 0.2 < (moves < 0).mean() < 0.8
    assert recovered[moves < 0].mean() > 0.9
