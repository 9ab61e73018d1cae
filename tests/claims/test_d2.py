"""Claim D2: under renormalised attention the window widens where farther tokens lower the loss, and only there."""

import numpy as np
from hypothesis import given, settings

from attn_dynamics.window.layer import attention, contexts, loss_and_gradient
from tests.support import examples
from tests.window.drawn import Setting, cases, round_off, setting


def pull(case: Setting) -> float:
    """σ⁻³ Σ_i Cov_{α_i}(Δ², g_i·v), each covariance a sum over pairs of tokens."""
    windows, layer = case.windows, case.layer
    shares, weights = attention(windows, layer)
    slopes, found = layer.readout.read(contexts(windows, layer, weights), windows.labels).slopes, 0.0
    for row, (first, last) in enumerate(zip(windows.offsets[:-1], windows.offsets[1:], strict=True)):
        alpha, square = shares[first:last], windows.distances[first:last] ** 2.0
        work = layer.values[windows.words[first:last]] @ slopes[:, row]
        apart = np.subtract.outer(square, square) * np.subtract.outer(work, work)
        found += 0.5 * float(alpha @ apart @ alpha)
    return found / layer.width**3


@settings(max_examples=examples(60))
@given(cases("renormalised"))
def test_the_gradient_is_the_covariance(case: Setting) -> None:
    exact = loss_and_gradient(case.windows, case.layer)[1]
    assert abs(pull(case) - exact.parameter) <= round_off(case)["parameter"] + 1e-12 * abs(exact.parameter)


def test_a_bell_after_the_softmax_has_another_gradient() -> None:
    """Negative control."""
    off = []
    for seed in range(20):
        case = setting("peak", "deviation", "attn-fc", seed)
        off.append(abs(pull(case) - loss_and_gradient(case.windows, case.layer)[1].parameter))
    assert max(off) > 1e-3


def test_equal_distances_do_not_move_a_window() -> None:
    """Every token of a window of one is at Δ = 0; two neighbours of the query are alike."""
    for seed in range(20):
        case = setting("renormalised", "deviation", "attn-fc", seed)
        alone = Setting(case.sequences, case.queries, case.labels, 0, case.layer)
        assert loss_and_gradient(alone.windows, alone.layer)[1].parameter == 0.0
