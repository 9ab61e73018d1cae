"""Claim D8: a cut at w moves a context by at most twice the attention beyond it, times the longest value."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.window.layer import attention, contexts
from attn_dynamics.window.reach import half_width
from tests.support import examples
from tests.window.drawn import Setting, cases

ROUND_OFF = 1e-12


@settings(max_examples=examples(60))
@given(cases("renormalised", readout="attn-fc"), st.integers(0, 4))
def test_no_cut_moves_a_context_farther(case: Setting, cut: int) -> None:
    whole, short = (Setting(case.sequences, case.queries, case.labels, w, case.layer).windows for w in (None, cut))
    weights = attention(whole, case.layer).weights
    moved = contexts(short, case.layer, attention(short, case.layer).weights) - contexts(whole, case.layer, weights)
    beyond = whole.sums(weights * (np.abs(whole.distances) > cut))
    longest = np.linalg.norm(case.layer.values, axis=1).max()
    assert (np.linalg.norm(moved, axis=0) <= 2.0 * beyond * longest + ROUND_OFF).all()


@settings(max_examples=examples(100))
@given(st.floats(0.5, 20.0), st.floats(1e-6, 0.5), st.floats(0.0, 3.0))
def test_the_chosen_cut_keeps_its_promise_and_one_shorter_breaks_it(width: float, error: float, spread: float) -> None:
    """Values of one sign within and of the other beyond, scores highest beyond: the worst there is."""
    cut = half_width(width, error, spread)

    def change(at: int) -> float:
        places = np.arange(-int(30 * width) - 40, int(30 * width) + 41)
        within = np.abs(places) <= at
        weights = np.exp(np.where(within, 0.0, spread) - 0.5 * (places / width) ** 2)
        beyond = weights[~within].sum() / weights.sum()
        return 2.0 * beyond

    assert change(cut) <= error * (1.0 + 1e-9)
    assert cut == 0 or change(cut - 1) > error * (1.0 - 1e-9)
