"""Claim C3: L τ → (n-1)/(ρ u² n), and the distance is that of the next order, O(ln Λ/Λ⁴), and of the one after."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims.c5_mutual_promotion import drawn_settings
from attn_dynamics.theory.asymptotics import loss_limit
from attn_dynamics.theory.mean_field import MeanField
from tests.support import examples


@settings(max_examples=examples(3))
@given(st.integers(0, 2**32 - 1))
def test_c3_the_constant_and_its_next_order(seed: int) -> None:
    setting = drawn_settings(20, seed)
    n, m, rho, q, u = setting.values()
    time = np.array([1e30, 1e60])
    seen = MeanField(**setting).flow(time, tolerance=1e-11).loss * time[:, None]
    limit = loss_limit(frequency=rho, classes=n, head_norm=u)
    log, unit = np.log(rho * u**2 * n * time[:, None]), 2 * n * u**2 / ((n - 1) * q**2)
    psi = 2 * np.log(m * log**2 / unit) - 5 - 2 / m
    second, third = psi * unit**2 / log**4, 4 * (psi - 1) * unit**2 / log**5
    # Of the solver's steps of 1e-11 some hundred; of what follows, 20 ψ B²/Λ⁶ and B³ ln²/Λ⁶, up to four times each.
    terms = np.log(m * log**2)
    allowed = 2e-9 + (40 * terms * unit**2 + 4 * unit**3 * terms**2) / log**6
    assert (np.abs(limit / seen - 1 - second - third) <= allowed).all()
    # Negative controls: without n/(n-1), -4 for -5, and without the order after.
    assert (np.abs(limit * n / (n - 1) / seen - 1 - second - third) > allowed).any()
    assert (np.abs(limit / seen - 1 - second - third - unit**2 / log**4) > allowed).any()
    assert (np.abs(limit / seen - 1 - second) > allowed).any()
