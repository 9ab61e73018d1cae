"""Claim C12: the integral, the prefactor and the factor of fixed keys, against quadrature by B1 and in closed form."""

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import fixed_quad
from scipy.special import lambertw, zeta

from attn_dynamics.errors import InputError
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.sen import sen_score
from attn_dynamics.theory.zipf import (
    late_zipf_loss,
    summed_loss,
    word_limit,
    zipf_frequencies,
    zipf_keys_factor,
    zipf_loss,
    zipf_prefactor,
)
from tests.support import Array, examples

FIXED = ("embeddings",)


def word(classes: int = 4, others: float = 20, **setting) -> MeanField:
    return MeanField(frequency=1.0, classes=classes, others=others, **setting)


def prefactor_by_norm(alpha: float, n: int, m: float, q: float, u: float) -> float:
    """A without a solver: by B1 time and loss are functions of the norm r, dt = (1 + e^M/(n-1)) dr / (a c u).

    By parts A is (Z^{1/α}/(α - 1)) ∫ t^{1-1/α} (1 - π) dM; Gauss' rule on short panels of r.
    """
    c = (n / (n - 1)) ** 0.5
    nodes, weights = np.polynomial.legendre.leggauss(12)
    # Closer towards 0, where the integrand goes like r^{1-1/α}.
    edges = 60 * alpha / (c * u) * np.linspace(0.0, 1.0, 4001) ** 4
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    r = middle + half * nodes

    def shown(r: Array) -> tuple[Array, Array]:
        a = 1 / (1 + m * np.exp(-sen_score(r, m, q)))
        return a, c * u * a * r

    a, margin = shown(r)
    pace = (1 + np.exp(margin) / (n - 1)) / (a * c * u)
    before = np.concatenate([[0.0], np.cumsum((half * weights * pace).sum(axis=1))[:-1]])
    # Time within a panel: the integral of the interpolating polynomial from its left end to each node.
    powers = np.polynomial.legendre.legvander(nodes, 11)
    inner = np.array([np.polynomial.legendre.legint(row, lbnd=-1) for row in np.linalg.inv(powers).T])
    within = np.polynomial.legendre.legval(nodes, inner.T)
    time = before[:, None] + half * (pace @ within)
    slope = c * u * a * (1 + (1 - a) * (q * r) ** 2 * (1 - a))
    wrong = 1 / (1 + np.exp(margin) / (n - 1))
    total = (half * weights * time ** (1 - 1 / alpha) * wrong * slope).sum()
    return float(zeta(alpha) ** (-1 / alpha) / (alpha - 1) * total)


@settings(max_examples=examples(5))
@given(st.floats(1.1, 3), st.integers(2, 8), st.floats(1, 100), st.floats(0.5, 1.5), st.floats(0.5, 1.5))
def test_c12_the_prefactor_without_a_solver(alpha: float, n: int, m: float, q: float, u: float) -> None:
    ours = zipf_prefactor(alpha, word(n, m, query_norm=q, head_norm=u))
    # Some hundred of the solver's steps of 1e-11.
    assert ours == pytest.approx(prefactor_by_norm(alpha, n, m, q, u), rel=3e-9)
    assert ours != pytest.approx(prefactor_by_norm(1.001 * alpha, n, m, q, u), rel=1e-6)


@pytest.mark.parametrize(("alpha", "n"), [(1.01, 2), (2.0, 1000), (6.0, 3)])
def test_c12_keys_fixed_in_closed_form(alpha: float, n: int) -> None:
    """With an attention of 1, κ t = M + (e^M - 1)/(n - 1): A as an integral over M, by mpmath, by parts."""
    with mpmath.workdps(30):
        kappa, power = mpmath.mpf(n) / (n - 1), 1 - 1 / mpmath.mpf(alpha)

        def integrand(margin: Any) -> Any:
            time = (margin + mpmath.expm1(margin) / (n - 1)) / kappa
            return time**power / (1 + mpmath.exp(margin) / (n - 1))

        integral = mpmath.quad(integrand, [0, 1, 5, 10, 20, 60, 200, 100 * alpha])
        one = float(mpmath.zeta(alpha) ** (-1 / mpmath.mpf(alpha)) / (alpha - 1) * integral)
    for m in (1e-14, 1e4):
        found = zipf_prefactor(alpha, word(n, m, train=FIXED))
        assert found / zipf_keys_factor(m, alpha) == pytest.approx(one, rel=1e-7)
    assert found / (1 + m) ** 2 != pytest.approx(one, rel=0.1), "negative control: the factor of C8"


def test_c12_keys_fixed_slow_the_clock_at_every_time() -> None:
    """L with an attention a that stays is L with an attention of 1 at a² τ; and ℓ by Lambert's W."""
    tau = np.logspace(-2, 8, 6)
    fixed, alone = word(2, 4, train=FIXED), word(2, 1e-14, train=FIXED)
    late, early = (zipf_loss(time, exponent=1.5, word=each) for time, each in ((25 * tau, fixed), (tau, alone)))
    np.testing.assert_allclose(late, early, rtol=1e-8)
    margin = 1 + 2 * tau - lambertw(np.exp(np.minimum(1 + 2 * tau, 300))).real
    here = tau < 100
    np.testing.assert_allclose(summed_loss(tau[here], [1.0], alone), np.log1p(np.exp(-margin[here])), rtol=1e-8)


@settings(max_examples=examples(8))
@given(st.floats(1, 2.5), st.integers(2, 400), st.floats(0.01, 1e4))
def test_c12_the_sum_is_that_of_the_words(alpha: float, words: int, time: float) -> None:
    """`summed_loss` against one equation for each word, and frequencies against their law."""
    rho = zipf_frequencies(words, alpha)
    assert rho.sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(rho[0] / rho, np.arange(1, words + 1) ** alpha, rtol=1e-12)
    each = MeanField(frequency=rho[:: max(1, words // 5)], classes=3, others=5).flow([time]).loss[0]
    alone = [summed_loss(time, [one], word(3, 5)) / one for one in rho[:: max(1, words // 5)]]
    np.testing.assert_allclose(alone, each, rtol=1e-7)


def test_c12_the_integral_is_scipys() -> None:
    """Early, where the curve is smooth: Σ over ranks as an integral over w, and half of both end terms."""
    alpha, words, tau, one = 1.3, 50, 20.0, word(4, 20)
    rho = zipf_frequencies(words, alpha)

    def loss(ranks: Array) -> Array:
        reached = rho[0] * ranks[::-1] ** -alpha
        return (reached * one.flow(tau * reached).loss)[::-1]

    integral = fixed_quad(loss, 1, words, n=100)[0]
    expected = integral + loss(np.array([1.0, words])).sum() / 2
    assert zipf_loss(tau, exponent=alpha, word=one, words=words) == pytest.approx(expected, rel=1e-8)
    assert zipf_loss(tau, exponent=alpha, word=one, words=words) != pytest.approx(integral, rel=1e-3)


@pytest.mark.parametrize("tau", [1e-200, 1e-25, 1e-18, 1e-8])
def test_c12_at_early_times_every_word_has_the_loss_of_the_start(tau: float) -> None:
    """With ℓ = ln n the integral is a power of τ, here by mpmath, on either side of the time at which a flow begins."""
    for alpha, words in ((1.01, np.inf), (1.5, np.inf), (6.0, np.inf), (1.0, 50), (1.01, 50), (6.0, 50)):
        with mpmath.workdps(40):
            a, power = mpmath.mpf(alpha), 1 - 1 / mpmath.mpf(alpha)
            first = 1 / sum(mpmath.mpf(w) ** -a for w in range(1, 51)) if words == 50 else 1 / mpmath.zeta(a)
            last = first * mpmath.mpf(words) ** -a if words == 50 else mpmath.mpf(0)
            span = (first**power - last**power) / power if alpha > 1 else mpmath.log(first / last)
            expected = float(mpmath.log(4) * (first ** (1 / a) / a * span + (first + last) / 2))
        found = float(zipf_loss(tau, exponent=alpha, word=word(), words=words))
        # At 1e-8 some words have learned 1e-8 of it.
        assert found == pytest.approx(expected, rel=1e-9)
        assert found != pytest.approx(expected * (1.0 + 1e-6), rel=1e-9)


def test_c12_an_exponent_just_above_one_has_the_loss_of_one() -> None:
    """Few words: dL/dα is some ln V of L, however close to 0 the integral to infinitely many words begins."""
    near, one = (zipf_loss(1e4, exponent=alpha, words=1000, word=word()) for alpha in (1.0 + 1e-13, 1.0))
    assert near == pytest.approx(float(one), rel=1e-8)


def test_c12_shapes_scalars_and_few_words() -> None:
    tau = np.logspace(3, 6, 6).reshape(2, 3)
    for law in (
        zipf_loss(tau, exponent=1.5, word=word()),
        zipf_loss(tau, exponent=1.0, word=word(), words=9),
        late_zipf_loss(tau, exponent=1.5, word=word()),
        summed_loss(tau, [0.5, 0.25], word()),
    ):
        assert law.shape == (2, 3)
        assert (np.diff(law.ravel()) < 0).all()
    assert np.shape(zipf_loss(10.0, exponent=1.5, word=word())) == ()
    # One word alone: no integral, and both ends are the same.
    assert zipf_loss(10.0, exponent=1.5, word=word(), words=1) == pytest.approx(
        float(summed_loss(10.0, [1.0], word())), rel=1e-8
    )
    assert word_limit(word(4, 20, head_norm=0.5)) == pytest.approx(3.0)
    assert word_limit(word(4, 20, train=FIXED)) == pytest.approx(0.75 * 441)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zipf_frequencies(10, -1.0), "exponent: expected numbers 0 or above"),
        (lambda: zipf_frequencies(0, 1.0), "words: expected 1 or more"),
        (lambda: zipf_frequencies(2.7, 1.0), "words: expected an integer"),  # pyright: ignore[reportArgumentType]
        (lambda: zipf_loss(1.0, exponent=1.5, words=2.7, word=word()), "words: expected an integer"),
        (lambda: zipf_loss(1.0, exponent=1.5, words=3, first=5, word=word()), "first: expected at most 3"),
        (lambda: zipf_loss(1.0, exponent=0.9, word=word()), "exponent: expected numbers 1 or above"),
        (lambda: zipf_loss(1.0, exponent=1.0, word=word()), "exponent: expected a number above 1"),
        (lambda: zipf_loss(0.0, exponent=1.5, word=word()), "time: expected numbers above 0"),
        (lambda: zipf_prefactor(1.0, word()), "exponent: expected a number above 1"),
        (lambda: summed_loss(1.0, [1.5], word()), "frequencies: expected numbers above 0 and at most 1"),
        (lambda: summed_loss(1.0, [0.5], word(train=("keys", "embeddings", "head"))), "word: expected one word"),
        (lambda: summed_loss(1.0, [0.5], word(sentences=800)), "word: expected one word"),
        (lambda: word_limit(MeanField(frequency=0.5, classes=4, others=20)), "word: expected one word"),
        (lambda: zipf_keys_factor(-1.0, 1.5), "others: expected numbers 0 or above"),
    ],
)
def test_what_no_law_holds_for_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
