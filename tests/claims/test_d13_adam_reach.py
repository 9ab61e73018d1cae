"""Claim D13: a bell under Adam gets no farther than the sum of its rates, and settles at δ, as W22's may have done."""

import numpy as np
import pytest

from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.claims.d13_adam_reach import reached
from attn_dynamics.model.bell import Bell
from attn_dynamics.theory.adam_reach import largest_step, remembering_width
from attn_dynamics.training.rules import Adam
from attn_dynamics.window.dynamics import descend


@pytest.mark.parametrize("scale", ["deviation", "variance", "log"])
def test_a_narrow_bell_gets_no_farther_than_the_sum_of_its_rates(scale: str) -> None:
    """Its gradient shrinks as it widens; what its width is at the end follows from no other bound."""
    layer, rate = needle_layer(Bell(scale=scale), 2.8), 0.01
    run = descend(needle(60, 120), layer, learning_rate=rate, epochs=300, rule=Adam())
    moved = np.array([each.parameter for each in run.layers]) - layer.parameter
    assert (moved <= rate * np.arange(301) * (1 + 1e-9)).all()
    assert moved[-1] > 0.3 * rate * 300


def test_a_bell_under_adam_settles_at_the_distance() -> None:
    run = descend(needle(10, 60), needle_layer(Bell(), 2.0), learning_rate=0.01, epochs=2500, rule=Adam(beta2=0.99))
    assert run.widths[-1] == pytest.approx(10.0, rel=1e-3)


def test_adam_passes_the_bound_of_its_paper_where_gradients_grow() -> None:
    """And not the one here, which a run of many more steps than 1/(1 - β₂) all but reaches."""
    rule, steps = Adam(beta1=0.5, beta2=0.9), 500
    gradients = np.asarray((rule.beta2 / rule.beta1) ** np.arange(steps)[:, None], float)
    share = float(reached(gradients, np.ones(steps), rule)[0]) / steps
    assert share > 1.15 * (1 - rule.beta1) / (1 - rule.beta2) ** 0.5
    assert 0.98 * largest_step(0.5, 0.9) < share <= largest_step(0.5, 0.9)


def variance(distance_squared: float, rate: float, steps: int) -> float:
    """A variance of 1 under Adam, at the rate of D4 for a whole bell."""
    state, rule = {"p": np.array([1.0])}, Adam()
    buffers = rule.start(state)
    for _ in range(steps):
        p = state["p"]
        rule.step(state, {"p": (p - distance_squared) / (2 * p**2)}, buffers, rate)
    return float(state["p"][0])


def test_ten_times_the_rate_buys_the_root_of_ten_unless_the_bell_has_settled() -> None:
    """A base rate that reaches W22's 9.5 reaches some 29 at ten times the rate; 14.55 to 15.08 would be a δ²."""
    base = (9.5**2 - 1) / 2 / 1000
    far, faster = variance(1e6, base, 1000), variance(1e6, 10 * base, 1000)
    assert far == pytest.approx(9.5, rel=0.15)
    assert 28.0 < faster < 36.0
    assert remembering_width([base * 1000], np.inf, 1.0, "variance")[0] ** 2 == pytest.approx(9.5, rel=1e-6)
    settled = variance(14.8, 0.0565, 1000), variance(14.8, 0.565, 1000)
    assert settled[0] == pytest.approx(9.5, rel=0.05)
    assert 14.55 < settled[1] < 15.08
