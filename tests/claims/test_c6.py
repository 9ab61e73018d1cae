"""Claim C6: a word's score first falls exactly where M = Σ_i A_it g_i·(ν_t - v_i) > 0; most then recover."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics import descend
from attn_dynamics.claims import find
from attn_dynamics.claims.published import PUBLISHED
from attn_dynamics.claims.suppression import misalignment, suppressed, trained, without_contexts
from tests.support import MODELS, Array, Case, cases, examples


def first_moves(case: Case) -> Array:
    run = descend(case.corpus, case.parameters, epochs=1, follow=case.corpus.vocabulary).trajectory
    return np.diff(run.score.values, axis=0)[0]


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=examples(50), deadline=None)
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


@pytest.mark.slow
def test_at_full_size() -> None:
    assert find("C6").judge().holds
    moves, recovered = np.concatenate([trained(PUBLISHED, "attn-tc", seed, 500.0) for seed in range(10)], axis=1)
    assert 0.2 < (moves < 0).mean() < 0.8
    assert recovered[moves < 0].mean() > 0.9
