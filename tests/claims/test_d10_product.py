"""Claim D10: under the product a layer passes on at most 1/(σ√(2π)) of its values, and 1/(2w + 1) where it is even."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.model.bell import Bell
from attn_dynamics.window.layer import attention, contexts
from attn_dynamics.window.reach import tail_mass
from tests.support import examples
from tests.window.drawn import Setting, cases


@settings(max_examples=examples(60))
@given(cases("product", readout="attn-fc"))
def test_no_context_is_longer(case: Setting) -> None:
    seen = contexts(case.windows, case.layer, attention(case.windows, case.layer).weights)
    longest = np.linalg.norm(case.layer.values, axis=1).max()
    bound = longest / (case.layer.width * np.sqrt(2 * np.pi))
    assert (np.linalg.norm(seen, axis=0) <= bound * (1 + 1e-12)).all()


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(2, 128), st.floats(1.0, 200.0))
def test_even_attention_is_all_but_switched_off(half_width: int, width: float) -> None:
    windows = needle(1, half_width)
    outputs = {}
    for placement in ("product", "renormalised", "peak"):
        layer = needle_layer(Bell(placement), width)
        outputs[placement] = contexts(windows, layer, attention(windows, layer).weights)[0, 0]
    law = (1.0 - tail_mass(width, half_width)) / (2 * half_width + 1)
    # By Poisson summation the whole bell's sum is off its integral by that; the rest is round-off.
    off = 2.0 * np.exp(-2.0 * (np.pi * width) ** 2) * 1.01 + 1e-12
    assert outputs["product"] / outputs["renormalised"] == pytest.approx(law, rel=off)
    # Negative control: without the prefactor there is σ √(2π) of it.
    assert outputs["peak"] / outputs["renormalised"] == pytest.approx(law * width * np.sqrt(2 * np.pi), rel=off)
