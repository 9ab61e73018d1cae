"""Claim G2: momentum keeps SEN up to the step, and drifts by its own factor."""

from typing import Any

import numpy as np
import pytest

from attn_dynamics import descend, flow
from attn_dynamics.claims._support.sen import start_of_topic_words, topic_words_among
from attn_dynamics.claims.g2_momentum import OTHERS, TIME, drift_of_relation, ratio_of_drifts
from attn_dynamics.theory.sen_optimisers import momentum_drift
from attn_dynamics.training.rules import DESCENT, Momentum, Rule


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


@pytest.mark.parametrize("nesterov", [False, True])
def test_from_rest_the_modified_flow_is_followed_with_a_lag(nesterov: bool) -> None:
    """Scores are off by the drift of the modified flow, which descent shows without a lag, and by the lag's."""
    beta, rate = 0.9, 1e-4
    corpus, words, rest = topic_words_among(OTHERS, topics=3)
    start = start_of_topic_words(corpus, words, "attn-fc")
    held: dict[str, Any] = {"follow": words, "frozen_words": rest}

    def end(rule: Rule, rate: float, share: float) -> np.ndarray:
        epochs = round(TIME * (1.0 - share) / rate)
        return descend(corpus, start, learning_rate=rate, epochs=epochs, rule=rule, **held).trajectory.score.values[-1]

    true = flow(corpus, start, times=[TIME - 0.01, TIME, TIME + 0.01], rtol=1e-12, atol=1e-14, **held).trajectory
    before, score, after = true.score.values[-3:]
    pace = (after - before) / 0.02
    modified = momentum_drift(beta, nesterov=nesterov) * (end(DESCENT, 1e-3, 0.0) - score) / 1e-3
    off = (end(Momentum(beta, nesterov=nesterov), rate, beta) - score) / rate
    lag = (beta**2 if nesterov else beta) / (1.0 - beta) ** 2
    size = np.abs(lag * pace).max()
    np.testing.assert_allclose(off, modified - lag * pace, rtol=0, atol=0.05 * size)
    assert np.abs(off - modified).max() > 0.9 * size, "negative control"


def test_for_two_layers_no_factor_holds() -> None:
    """Units that switch on the way: from one start the factor is nearly kept, from another the sign turns."""
    near, far = (ratio_of_drifts("attn-tl", 0.9, False, 0.00125, seed) / 19.0 for seed in (0, 6))
    assert np.abs(near - 1.0).max() < 0.05
    assert far.min() < 0.0
