"""Claim B5: the relation with a trained query, against quadrature, the real model's gradient, and known limits."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from attn_dynamics import Parameters, loss_and_gradient
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_trained_query import HIGHEST, sen_norm_trained_query, sen_score_trained_query
from tests.support import EPS, Array, examples
from tests.theory.private import private_corpus, start

others = st.floats(0.05, 1e4)
query_norms = st.floats(1e-3, 1e3)


@settings(max_examples=examples(200))
@given(st.floats(1e-9, 300), others, query_norms)
def test_b5_the_integral_as_it_stands(score: float, m: float, q: float) -> None:
    ours = float(sen_norm_trained_query(score, m, q)) ** 2

    def integrand(x: float) -> float:
        return 2 * (1 + np.exp(x) / m) / np.hypot(q**2, 2 * x)

    cuts = sorted({0.0, *(c for c in (q**2, 10 * q**2, score - 30, score - 5) if 0 < c < score), score})
    parts = [quad(integrand, *ends, epsabs=0, epsrel=1e-11, limit=500)[0] for ends in pairwise(cuts)]
    # What quad is asked for, of a sum of at most five parts.
    assert ours == pytest.approx(sum(parts), rel=1e-10, abs=0)
    assert ours != pytest.approx(0.999 * sum(parts), rel=1e-10, abs=0)


@settings(max_examples=examples(100))
@given(st.one_of(st.floats(0, 1), st.floats(1e-12, HIGHEST)), others, query_norms)
def test_b5_the_inverse_returns_the_score(score: float, m: float, q: float) -> None:
    norm = float(sen_norm_trained_query(score, m, q))
    assert np.isfinite(norm)
    # s is half ‖q₀‖² sinh T: its relative error is that of T times T, and ε|s| of e^s weighs as much.
    end = np.arcsinh(2 * score / q**2)
    assert float(sen_score_trained_query(norm, m, q)) == pytest.approx(score, rel=64 * EPS * (1 + end), abs=1e-300)
    assert not 1e-9 < score < 1400 or float(sen_score_trained_query(1.001 * norm, m, q)) > score * (1 + 1e-7)


def test_a_query_too_long_to_move_is_a_fixed_query() -> None:
    score = np.linspace(0, 8, 20)
    # To relative order (2s/‖q₀‖²)².
    np.testing.assert_allclose(sen_norm_trained_query(score, 20, 1e4), sen_norm(score, 20, 1e4), rtol=1e-13)
    assert not np.allclose(sen_norm_trained_query(score, 20, 1.0), sen_norm(score, 20, 1.0), rtol=0.1)


def test_small_scores_large_scores_and_none() -> None:
    """‖ν‖² = (1 + 1/m)(2s/‖q₀‖²) at first and e^s/(m s) in the end; nothing below zero."""
    small = np.array([1e-300, 1e-100, 1e-20])
    np.testing.assert_allclose(sen_norm_trained_query(small, 20, 0.9) ** 2, 2 * 1.05 * small / 0.81, rtol=1e-14)
    large = np.array([400.0, 1400.0])
    expected = 0.5 * large - 0.5 * np.log(20 * large)
    # ∫ e^x/x dx = (e^s/s)(1 + 1/s + ...), of which the square root is taken.
    np.testing.assert_allclose(np.log(sen_norm_trained_query(large, 20, 0.9)), expected + 0.5 / large, atol=2e-5)
    assert sen_norm_trained_query(0.0, 20, 0.9) == 0.0
    assert np.isnan(sen_norm_trained_query(-1.0, 20, 0.9))


def test_arrays_of_any_shape_broadcast() -> None:
    score, m = np.linspace(0, 3, 6).reshape(2, 3), np.array([5.0, 20.0, 80.0])
    norm = sen_norm_trained_query(score, m, 0.9)
    assert norm.shape == (2, 3)
    np.testing.assert_allclose(sen_score_trained_query(norm, m, 0.9), score, atol=1e-14)


def test_b5_along_the_flow_of_the_model() -> None:
    """Query, and key and embedding of one topic word, along the model's gradient by Runge-Kutta; the others rest."""
    corpus, m = private_corpus([0, 1], [3, 1], 4), 4
    query = np.array([0.5, -0.4, 0.3])
    model = start(corpus, "attn-fc", query, np.diag([1.0, 2.0]), np.zeros(2), np.array([[1e-9, 0.0], [0.0, 0.0]]))
    only = np.zeros((corpus.n_words, 1))
    only[0] = 1.0

    def moved(at: Parameters, velocity: Parameters, step: float) -> Parameters:
        return replace(
            at,
            query=at.query - step * velocity.query,
            keys=at.keys - step * only * velocity.keys,
            embeddings=at.embeddings - step * only * velocity.embeddings,
        )

    def slope(at: Parameters) -> Parameters:
        gradient = loss_and_gradient(corpus, at)[1]
        return replace(gradient, query=at.keys[0] * _along(gradient.keys[0], at.query))

    step = 0.25
    for _ in range(1200):
        k1 = slope(model)
        k2 = slope(moved(model, k1, step / 2))
        k3 = slope(moved(model, k2, step / 2))
        k4 = slope(moved(model, k3, step))
        for k, weight in ((k1, 1), (k2, 2), (k3, 2), (k4, 1)):
            model = moved(model, k, step * weight / 6)
    score, norm, q0 = model.scores[0], np.linalg.norm(model.embeddings[0]), np.linalg.norm(query)
    assert score > 2
    # What the method leaves at this step, its fourth power times the time.
    assert sen_norm_trained_query(score, m, q0) == pytest.approx(norm, rel=1e-6)
    assert sen_norm(score, m, q0) != pytest.approx(norm, rel=0.1)


def _along(row: Array, query: Array) -> float:
    return float(row @ query / (query @ query))
