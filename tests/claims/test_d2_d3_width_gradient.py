"""Claims D2 and D3: what widens a window, with its bell renormalised and put on after the softmax.

Renormalised (D2) it widens where farther tokens lower the loss, and only there. After the softmax (D3) it moves with
the work of its tokens, and a prefactor rewards narrow windows.
"""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.model.bell import Bell
from attn_dynamics.window.layer import Layer, attention, contexts, loss_and_gradient
from tests.support import EPS, examples
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
def test_d2_the_gradient_is_the_covariance(case: Setting) -> None:
    exact = loss_and_gradient(case.windows, case.layer)[1]
    assert abs(pull(case) - exact.parameter) <= round_off(case)["parameter"] + 1e-12 * abs(exact.parameter)


def test_d2_a_bell_after_the_softmax_has_another_gradient() -> None:
    """Negative control."""
    off = []
    for seed in range(20):
        case = setting("peak", "deviation", "attn-fc", seed)
        off.append(abs(pull(case) - loss_and_gradient(case.windows, case.layer)[1].parameter))
    assert max(off) > 1e-3


def test_d2_equal_distances_do_not_move_a_window() -> None:
    """Every token of a window of one is at Δ = 0; two neighbours of the query are alike."""
    for seed in range(20):
        case = setting("renormalised", "deviation", "attn-fc", seed)
        alone = Setting(case.sequences, case.queries, case.labels, 0, case.layer)
        assert loss_and_gradient(alone.windows, alone.layer)[1].parameter == 0.0


def terms(case: Setting) -> tuple[float, float]:
    """σ⁻³ Σ A U Δ² g·v and σ⁻¹ Σ A U g·v, with whatever U the layer has."""
    windows, layer = case.windows, case.layer
    weights = attention(windows, layer).weights
    slopes = layer.readout.read(contexts(windows, layer, weights), windows.labels).slopes
    work = weights * (layer.values[windows.words] * windows.spread(slopes).T).sum(axis=1)
    return float(work @ windows.distances**2.0) / layer.width**3, float(work.sum()) / layer.width


@settings(max_examples=examples(60))
@given(st.sampled_from(["peak", "product"]).flatmap(cases))
def test_d3_the_gradient_is_work_by_distance_less_height(case: Setting) -> None:
    exact = loss_and_gradient(case.windows, case.layer)[1]
    wide, high = terms(case)
    law = wide - high * (case.layer.bell.placement == "product")
    allowed = 64 * EPS * (abs(wide) + abs(high)) + round_off(case)["parameter"]
    assert abs(law - exact.parameter) <= allowed


def test_d3_only_the_prefactor_tells_the_two_apart() -> None:
    """Negative control: the law of one is not that of the other."""
    off = {"peak": 0.0, "product": 0.0}
    for seed in range(20):
        for placement in off:
            case = setting(placement, "deviation", "attn-fc", seed)
            wide, high = terms(case)
            wrong = wide - high * (placement == "peak")
            off[placement] = max(off[placement], abs(wrong - loss_and_gradient(case.windows, case.layer)[1].parameter))
    assert min(off.values()) > 1e-3


def test_d3_a_window_of_one_token_narrows_for_its_height_alone() -> None:
    """Where attention pays, ∂L/∂σ > 0 under the product though there is no distance; the others rest."""
    for seed in range(20):
        case = setting("product", "deviation", "reward", seed)
        for placement, sign in (("product", 1.0), ("peak", 0.0), ("renormalised", 0.0)):
            layer: Layer = replace(case.layer, bell=Bell(placement))
            alone = Setting(case.sequences, case.queries, case.labels, 0, layer)
            assert np.sign(loss_and_gradient(alone.windows, layer)[1].parameter) == sign
