"""Claims G1 to G3: the stationary curve of decay, drifts of momentum and batches, the change of I in a step."""

from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_optimisers import (
    batch_drift,
    change_in_step,
    decay_crossing,
    decay_norm,
    momentum_drift,
    sen_invariant,
)
from tests.support import EPS, examples

others = st.floats(0.05, 1e4)


@given(st.floats(1e-9, 600.0), others, st.floats(1e-3, 1e3), st.floats(1e-2, 1e2))
def test_g1_the_norm_satisfies_the_stationary_relation(score: float, m: float, q: float, ratio: float) -> None:
    norm = float(decay_norm(score, m, q, ratio))
    assert (q * norm) ** 2 == pytest.approx(ratio * score * (1 + np.exp(score) / m), rel=1e-12)


def test_g1_norms_reach_as_far_as_float64() -> None:
    for score in (1400.0, 710.0, 1e-300):
        with mpmath.workdps(50):
            s = mpmath.mpf(score)
            wanted = float(mpmath.sqrt(s * (1 + mpmath.exp(s) / 20)) / 2)
        assert decay_norm(score, 20.0, 2.0) == pytest.approx(wanted, rel=4 * EPS * (1 + score))
    assert decay_norm(0.0, 20.0, 2.0) == 0.0
    assert np.isnan(decay_norm(-1.0, 20.0, 2.0))


@given(others)
def test_g1_the_curves_cross_once_where_it_is_said(m: float) -> None:
    s = float(decay_crossing(m))
    assert sen_norm(s, m, 1.0) == pytest.approx(float(decay_norm(s, m, 1.0)), rel=1e-9)
    below, above = s * np.linspace(0.01, 0.99, 30), s + np.linspace(0.01, 20.0, 30)
    assert (decay_norm(below, m, 1.0) < sen_norm(below, m, 1.0)).all()
    assert (decay_norm(above, m, 1.0) > sen_norm(above, m, 1.0)).all()


def test_g1_where_lmn21s_sentences_cross() -> None:
    assert decay_crossing(20.0) == pytest.approx(3.7353, abs=1e-4)
    np.testing.assert_allclose(decay_crossing([1.0]), 2.0, rtol=1e-14)


def test_g2_the_factors() -> None:
    beta = np.array([0.0, 0.5, 0.8, 0.9, 0.99])
    np.testing.assert_allclose(momentum_drift(beta) * (1 - beta), [1, 3, 9, 19, 199], rtol=1e-12)
    np.testing.assert_allclose(momentum_drift(beta, nesterov=True)[:2], [1.0, 4.0], rtol=1e-14)


def steps_of(beta: float, *, nesterov: bool, rate: float, time: float) -> float:
    """By how much ln θ after steps with dθ/dτ = -θ is off the flow's -τ."""
    theta, buffer = 1.0, 1.0 / (1.0 - beta)
    for _ in range(round(time * (1 - beta) / rate)):
        slope = theta
        buffer = beta * buffer + slope
        theta -= rate * (slope + beta * buffer if nesterov else buffer)
    return np.log(theta) + time


@pytest.mark.parametrize("nesterov", [False, True])
def test_g2_the_modified_flow_of_a_linear_equation(nesterov: bool) -> None:
    """On dθ/dτ = -θ, f′f = θ: ln θ = -τ (1 + (η/2) factor), whose second term is what the factor says."""
    beta = 0.8
    off = lambda rate, time: steps_of(beta, nesterov=nesterov, rate=rate, time=time)  # noqa: E731
    # Between two times, so that what the steps do to forget their start is left out.
    lost = [(off(rate, 8.0) - off(rate, 4.0)) / (-0.5 * rate * 4.0) for rate in (4e-4, 2e-4)]
    assert 2 * lost[1] - lost[0] == pytest.approx(float(momentum_drift(beta, nesterov=nesterov)), rel=2e-3)
    assert 2 * lost[1] - lost[0] != pytest.approx(float(momentum_drift(beta, nesterov=not nesterov)), rel=0.05)


@settings(max_examples=examples(100))
@given(st.floats(-3.0, 5.0), others, st.floats(0.1, 3.0), st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6))
def test_g3_the_change_is_that_of_the_invariant(score: float, m: float, q: float, entries: list[float]) -> None:
    nu, step = np.split(np.array(entries), 2)
    attention = np.exp(score) / (np.exp(score) + m)
    moved = q**2 * (1 - attention) * nu @ step
    ends = [sen_invariant(s, np.linalg.norm(x), m, q) for s, x in ((score, nu), (score + moved, nu + step))]
    size = np.exp(score) / m * np.exp(abs(moved)) + abs(score) + abs(moved) + q**2 * 12
    assert abs(ends[1] - ends[0] - change_in_step(score, moved, np.linalg.norm(step), m, q)) <= 16 * EPS * size


@given(st.floats(-15.0, 2.9), st.booleans())
def test_g3_the_change_of_steps_of_any_length(exponent: float, falls: bool) -> None:
    """Judged by mpmath: from where all digits of e^Δs - 1 - Δs cancel, to where e^Δs is beyond float64."""
    step = (-1) ** falls * 10.0**exponent
    score = -max(step, 0.0)
    with mpmath.workdps(700):
        s, x = mpmath.mpf(score), mpmath.mpf(step)
        wanted = float(mpmath.exp(s) * (mpmath.exp(x) - 1 - x) / 3)
    assert change_in_step(score, step, 0.0, 3.0, 1.0) == pytest.approx(wanted, rel=16 * EPS * (1 + abs(score)), abs=0)


def test_g3_a_step_out_of_float64_and_none() -> None:
    assert change_in_step(-800.0, 900.0, 0.0, 3.0, 1.0) == pytest.approx(np.exp(100.0) / 3, rel=1e-13)
    assert change_in_step(5.0, 0.0, 2.0, 3.0, 1.0) == -2.0


@pytest.mark.parametrize(("holders", "size", "sentences"), [(3, 4, 12), (5, 1, 20), (2, 12, 12), (1, 2, 9)])
def test_g3_the_factor_is_the_mean_square_of_hypergeometric_numbers(holders: int, size: int, sentences: int) -> None:
    counts = np.arange(min(holders, size) + 1)
    chance = [comb(holders, k) * comb(sentences - holders, size - k) / comb(sentences, size) for k in counts]
    mean, square = counts @ chance, counts**2 @ chance
    assert batch_drift(holders / sentences, size, sentences) == pytest.approx(square / mean**2, rel=1e-13)


@pytest.mark.parametrize(
    ("law", "arguments", "name"),
    [
        (decay_norm, (1.0, 0.0, 1.0), "others"),
        (decay_norm, (1.0, 1.0, 1.0, -1.0), "ratio"),
        (decay_crossing, (-1.0,), "others"),
        (momentum_drift, (1.5,), "beta"),
        (batch_drift, (0.0, 1, 2), "frequency"),
        (batch_drift, (0.5, 0, 2), "batch_size"),
        (batch_drift, (0.25, [4, 100], 16), "batch_size"),
        (sen_invariant, (1.0, 1.0, 0.0, 1.0), "others"),
        (change_in_step, (1.0, 1.0, 1.0, 1.0, -1.0), "query_norm"),
    ],
)
def test_what_is_out_of_range_is_refused(law, arguments: tuple[float, ...], name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: expected "):
        law(*arguments)
