"""Claims B1 and B4: the score-embedding-norm relation and its inverse in closed form, to the accuracy of float64."""

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.theory.sen import sen_norm, sen_score
from tests.support import EPS, examples

LARGEST_EXPONENT = 600.0
"""Of e^s/m: beyond it the relation itself leaves the range of float64."""

scores = st.floats(-30.0, LARGEST_EXPONENT)
others = st.floats(0.05, 1e4)
query_norms = st.floats(1e-3, 1e3)
starts = st.one_of(st.just((0.0, 0.0)), st.tuples(st.floats(-5.0, 5.0), st.floats(0.0, 10.0)))


def relation(norm: float, score: float, m: float, query_norm: float, start: tuple[float, float]) -> float:
    """Both sides of B1 as they stand in the theory: the difference, in shares of the terms that it adds."""
    start_score, start_norm = start
    terms = (
        score,
        np.exp(score) / m,
        -start_score,
        -np.exp(start_score) / m,
        -0.5 * query_norm**2 * norm**2,
        0.5 * query_norm**2 * start_norm**2,
    )
    return float(abs(sum(terms)) / sum(map(abs, terms))) if any(terms) else 0.0


@settings(max_examples=examples(500))
@given(scores, others, query_norms, starts)
def test_b1_the_norm_satisfies_the_relation(
    score: float, m: float, query_norm: float, start: tuple[float, float]
) -> None:
    norm = float(sen_norm(score, m, query_norm, *start))
    # Below its start a word may not reach the score at any norm.
    assume(np.isfinite(norm))
    assert relation(norm, score, m, query_norm, start) <= 1e-13 * (1 + abs(score))


def inverse_error(
    score: float, m: float, query_norm: float, start: tuple[float, float], inverse=sen_score
) -> tuple[float, float]:
    """|s(‖ν‖(s)) − s|, and what round-off in the terms of the relation allows: ds = dc/(1 + e^s/m), ε|s|, ε|ln m|."""
    norm = float(sen_norm(score, m, query_norm, *start))
    terms = abs(start[0]) + np.exp(start[0]) / m + 0.5 * query_norm**2 * (norm**2 + start[1] ** 2)
    allowed = 16 * EPS * (1 + abs(score) + abs(start[0]) + abs(np.log(m)) + terms / (1 + np.exp(score) / m))
    return abs(float(inverse(norm, m, query_norm, *start)) - score), float(allowed)


@settings(max_examples=examples(500))
@given(scores, others, query_norms, starts)
def test_b4_the_inverse_returns_the_score(
    score: float, m: float, query_norm: float, start: tuple[float, float]
) -> None:
    assume(np.isfinite(sen_norm(score, m, query_norm, *start)))
    error, allowed = inverse_error(score, m, query_norm, start)
    assert error <= allowed


@settings(max_examples=examples(200))
@given(st.floats(0.0, 1e6), others, st.floats(1e-3, 10.0), starts)
def test_b4_the_norm_of_the_inverse_is_the_norm(
    norm: float, m: float, query_norm: float, start: tuple[float, float]
) -> None:
    """The other way round, for norms of any size and any start."""
    start_score, start_norm = start
    score = float(sen_score(norm, m, query_norm, *start))
    # c and, where ω is small, s = c − ω are known to round-off; e^s passes on an error ε|s|.
    half, half_start = 0.5 * query_norm**2 * np.square([norm, start_norm])
    terms = 1 + np.exp(start_score) / m + abs(start_score) + abs(np.log(m)) + half_start
    allowed = 32 * EPS * (1 + 1 / m) * (1 + np.exp(start_score) / m) * (terms + (1 + abs(score)) * half)
    reached = score - start_score + (np.exp(score) - np.exp(start_score)) / m
    assert abs(reached - (half - half_start)) <= allowed
    back = float(sen_norm(score, m, query_norm, *start))
    assert abs(0.5 * query_norm**2 * back**2 - half) <= allowed or (np.isnan(back) and half <= allowed)


def test_at_a_norm_of_a_million_nothing_overflows_and_the_score_is_exact() -> None:
    for m, query_norm in ((1.0, 1.0), (20.0, 0.9), (20.0, 30.0), (1e4, 1e-3)):
        half = 0.5 * query_norm**2 * 1e12
        score = float(sen_score(1e6, m, query_norm))
        # By bisection in s + (e^s − 1)/m = half, whose slope is at least 1.
        low, high = 0.0, np.log(m * half + m + 1.0)
        while high - low > 2 * np.spacing(high):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if middle + np.expm1(middle) / m < half else (low, middle)
        assert score == pytest.approx(low, abs=1e-12)


def test_a_start_other_than_zero_is_where_the_curve_begins() -> None:
    for start in ((0.0, 0.0), (1.5, 0.0), (-2.0, 3.0), (4.0, 0.1)):
        assert sen_norm(start[0], 20.0, 0.9, *start) == pytest.approx(start[1], abs=1e-15)
        assert sen_score(start[1], 20.0, 0.9, *start) == pytest.approx(start[0], abs=1e-14)


@given(others, query_norms, starts)
def test_the_curve_and_its_inverse_rise(m: float, query_norm: float, start: tuple[float, float]) -> None:
    score = start[0] + np.linspace(0.0, 50.0, 200)
    norm = sen_norm(score, m, query_norm, *start)
    assert (np.diff(norm) > 0).all()
    assert (np.diff(sen_score(start[1] + np.linspace(0.0, 1e3, 200), m, query_norm, *start)) >= 0).all()


def test_from_zero_it_is_the_published_curve() -> None:
    score = np.linspace(0.0, 8.0, 50)
    published = np.sqrt(2.0 * (score + (np.exp(score) - 1.0) / 20.0)) / 0.7
    np.testing.assert_allclose(sen_norm(score, 20.0, 0.7), published, rtol=1e-14)
    assert sen_norm(0.0, 20.0, 0.7) == 0.0


def test_a_score_that_the_relation_does_not_reach_has_no_norm() -> None:
    assert np.isnan(sen_norm(-1.0, 20.0, 1.0))
    assert np.isfinite(sen_norm(-1.0, 20.0, 1.0, start_norm=5.0))


def test_arrays_of_any_shape_broadcast() -> None:
    score, m = np.linspace(0, 3, 6).reshape(2, 3), np.array([5.0, 20.0, 80.0])
    norm = sen_norm(score, m, 0.9)
    assert norm.shape == (2, 3)
    np.testing.assert_allclose(sen_score(norm, m, 0.9), score, atol=1e-14)
    assert sen_norm(1.0, 20.0, 1.0) == sen_norm([1.0], [20.0], [1.0])[0]


def test_small_scores_lose_no_digits() -> None:
    """Near zero ‖q‖²‖ν‖² = 2 s (1 + 1/m) + O(s²)."""
    for score in (1e-3, 1e-8, 1e-15, 1e-100):
        series = 2.0 * (score * (1 + 1 / 20) + score**2 / 40 + score**3 / 120)
        assert sen_norm(score, 20.0, 1.0) ** 2 == pytest.approx(series, rel=1e-13)


def test_the_relation_is_what_the_flow_of_one_topic_word_integrates_to() -> None:
    """dν = a dτ, ds = ‖q‖²(1 − a) ν dν with a = e^s/(e^s + m), by small steps: what the relation was derived from."""
    m, query_norm, score, norm = 20.0, 0.9, 0.3, 0.2
    start = score, norm
    step = 1e-3
    slope = lambda s, x: query_norm**2 * x * m / (np.exp(s) + m)  # noqa: E731
    for _ in range(4000):
        k1 = slope(score, norm)
        k2 = slope(score + step * k1 / 2, norm + step / 2)
        k3 = slope(score + step * k2 / 2, norm + step / 2)
        k4 = slope(score + step * k3, norm + step)
        score, norm = score + step * (k1 + 2 * k2 + 2 * k3 + k4) / 6, norm + step
    assert sen_norm(score, m, query_norm, *start) == pytest.approx(norm, rel=1e-11)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda norm, m, q, s0, x0: sen_score(norm / 2**0.5, m, q, s0, x0),
        lambda norm, m, q, s0, x0: sen_score(norm, m + 1, q, s0, x0),
        lambda norm, m, q, s0, x0: sen_score(norm, m * (1 + 1e-9), q, s0, x0),
        lambda norm, m, q, s0, x0: sen_score(norm, m, q, 0.0, x0),
    ],
    ids=["a lost factor 2", "m off by one", "m off by 10⁻⁹", "a forgotten start"],
)
def test_a_wrong_inverse_is_rejected(wrong) -> None:
    error, allowed = inverse_error(3.0, 20.0, 0.9, (0.5, 0.1), wrong)
    assert error > allowed


@pytest.mark.parametrize(
    ("score", "m", "query_norm", "start_score", "start_norm"),
    [
        (715.0, 20.0, 1.0, 0.0, 0.0),
        (1400.0, 3.0, 0.5, 0.0, 2.0),
        (725.0, 20.0, 2.0, 720.0, 1.0),
        (1.0, 20.0, 1.0, 0.0, 1e200),
        (1e-9, 20.0, 0.9, -3.0, 1e-8),
    ],
)
def test_norms_reach_as_far_as_float64(
    score: float, m: float, query_norm: float, start_score: float, start_norm: float
) -> None:
    """Judged by mpmath, where e^s and ‖ν‖² are far beyond."""
    with mpmath.workdps(600):
        s, s0, q, r0 = map(mpmath.mpf, (score, start_score, query_norm, start_norm))
        wanted = mpmath.sqrt(r0**2 + 2 * (s - s0 + (mpmath.exp(s) - mpmath.exp(s0)) / mpmath.mpf(m)) / q**2)
    norm = sen_norm(score, m, query_norm, start_score, start_norm)
    assert norm == pytest.approx(float(wanted), rel=4 * EPS * (1 + score))
    if start_norm < 1e100:
        assert sen_score(norm, m, query_norm, start_score, start_norm) == pytest.approx(score, rel=1e-12, abs=1e-9)


@pytest.mark.filterwarnings("error")
def test_limits_are_taken_without_a_warning() -> None:
    norms = sen_norm([0.0, 1.0, -1.0, np.inf, np.nan], 0.0, 1.0)
    np.testing.assert_array_equal(norms, [0.0, np.inf, np.nan, np.inf, np.nan])
    np.testing.assert_array_equal(sen_score([0.0, 3.0, np.inf], 0.0, 1.0, 0.5), [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(sen_norm([0.0, 1.0], 20.0, 0.0, start_norm=3.0), [3.0, np.inf])
    assert sen_score(1e200, 20.0, 1.0) == pytest.approx(np.log(20.0) + 2 * np.log(1e200) - np.log(2.0), rel=1e-15)
    assert sen_score(np.inf, 20.0, 1.0) == np.inf


@pytest.mark.parametrize("relation", [sen_norm, sen_score])
@pytest.mark.parametrize("wrong", [{"others": -1.0}, {"query_norm": -1.0}])
def test_what_the_relation_does_not_hold_for_is_refused(relation, wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: expected numbers 0 or above, got -1.0"):
        relation(1.0, **{"others": 20.0, "query_norm": 1.0} | wrong)


def test_what_is_not_known_makes_the_norm_unknown_also_at_the_start() -> None:
    assert np.isnan(sen_norm(0.0, np.nan, 1.0, 0.0, 0.5))
    assert np.isnan(sen_norm(0.0, 20.0, np.nan, 0.0, 0.5))
    assert sen_norm(0.0, 20.0, 1.0, 0.0, 0.5) == 0.5
