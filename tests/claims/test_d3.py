"""Claim D3: after the softmax a bell moves with the work of its tokens; its prefactor rewards narrow windows."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.model.bell import Bell
from attn_dynamics.window.layer import Layer, attention, contexts, loss_and_gradient
from tests.support import EPS, examples
from tests.window.drawn import Setting, cases, round_off, setting


def terms(case: Setting) -> tuple[float, float]:
    """σ⁻³ Σ A U Δ² g·v and σ⁻¹ Σ A U g·v, with whatever U the layer has."""
    windows, layer = case.windows, case.layer
    weights = attention(windows, layer).weights
    slopes = layer.readout.read(contexts(windows, layer, weights), windows.labels).slopes
    work = weights * (layer.values[windows.words] * windows.spread(slopes).T).sum(axis=1)
    return float(work @ windows.distances**2.0) / layer.width**3, float(work.sum()) / layer.width


@settings(max_examples=examples(60))
@given(st.sampled_from(["peak", "product"]).flatmap(cases))
def test_the_gradient_is_work_by_distance_less_height(case: Setting) -> None:
    exact = loss_and_gradient(case.windows, case.layer)[1]
    wide, high = terms(case)
    law = wide - high * (case.layer.bell.placement == "product")
    allowed = 64 * EPS * (abs(wide) + abs(high)) + round_off(case)["parameter"]
    assert abs(law - exact.parameter) <= allowed


def test_only_the_prefactor_tells_the_two_apart() -> None:
    """Negative control: the law of one is not that of the other."""
    off = {"peak": 0.0, "product": 0.0}
    for seed in range(20):
        for placement in off:
            case = setting(placement, "deviation", "attn-fc", seed)
            wide, high = terms(case)
            wrong = wide - high * (placement == "peak")
            off[placement] = max(off[placement], abs(wrong - loss_and_gradient(case.windows, case.layer)[1].parameter))
    assert min(off.values()) > 1e-3


def test_a_window_of_one_token_narrows_for_its_height_alone() -> None:
    """Where attention pays, ∂L/∂σ > 0 under the product though there is no distance; the others rest."""
    for seed in range(20):
        case = setting("product", "deviation", "reward", seed)
        for placement, sign in (("product", 1.0), ("peak", 0.0), ("renormalised", 0.0)):
            layer: Layer = replace(case.layer, bell=Bell(placement))
            alone = Setting(case.sequences, case.queries, case.labels, 0, layer)
            assert np.sign(loss_and_gradient(alone.windows, layer)[1].parameter) == sign
