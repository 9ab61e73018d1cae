"""Claim G2: momentum keeps SEN up to the step, and drifts by its own factor."""

import numpy as np
import pytest

from attn_dynamics.claims.g2_momentum import drift_of_relation, ratio_of_drifts
from attn_dynamics.theory.sen_optimisers import momentum_drift


def test_the_drift_halves_with_the_step() -> None:
    """The relation itself is kept: what is left is of the first order in the step."""
    coarse, fine = (drift_of_relation("attn-tc", 0.5, False, step) for step in (0.01, 0.005))
    np.testing.assert_allclose(fine, coarse / 2, rtol=0.02)
    assert np.abs(coarse).max() < 0.05


@pytest.mark.parametrize("beta", [0.3, 0.7])
@pytest.mark.parametrize("nesterov", [False, True])
def test_a_share_that_the_claim_does_not_take(beta: float, nesterov: bool) -> None:
    coarse, fine = (ratio_of_drifts("attn-fc", beta, nesterov, step) for step in (0.01, 0.005))
    extrapolated = 2 * fine - coarse
    np.testing.assert_allclose(extrapolated, momentum_drift(beta, nesterov=nesterov) * (1 - beta), rtol=2e-3)
    other = momentum_drift(beta, nesterov=not nesterov) * (1 - beta)
    assert (np.abs(extrapolated / other - 1) > 0.02).all(), "negative control"
