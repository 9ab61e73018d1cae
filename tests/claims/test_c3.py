"""Claim C3: L τ → (n-1)/(ρ u² n), and the distance is that of the next order, O(ln Λ/Λ⁴)."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims.mutual_promotion import drawn_settings
from attn_dynamics.theory.asymptotics import loss_limit
from attn_dynamics.theory.mean_field import MeanField
from tests.support import examples


@settings(max_examples=examples(5))
@given(st.integers(0, 2**32 - 1))
def test_c3_the_constant_and_its_next_order(seed: int) -> None:
    setting = drawn_settings(20, seed)
    n, m, rho, q, u = setting.values()
    time = np.array([1e30, 1e60])
    seen = MeanField(**setting).flow(time).loss * time[:, None]
    limit = loss_limit(frequency=rho, classes=n, head_norm=u)
    log, unit = np.log(rho * u**2 * n * time[:, None]), 2 * n * u**2 / ((n - 1) * q**2)
    second = (2 * np.log(m * log**2 / unit) - 5 - 2 / m) * unit**2 / log**4
    # Some hundred steps of 1e-10 of M ~ 100; of the third order a hundred times B³/Λ⁶.
    allowed = 1e-6 + 100 * (unit / log**2) ** 3 * (1 + np.log(m * log**2)) ** 2
    assert (np.abs(limit / seen - 1 - second) <= allowed).all()
    assert (np.abs(limit * n / (n - 1) / seen - 1 - second) > allowed).any()
    assert (np.abs(limit / seen - 1 - 2 * second) > allowed).any()
