"""Claims B6 to B9: what the theory says beyond one query and one topic word, against independent sums."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from attn_dynamics.errors import InputError
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_companions import companion_gains
from attn_dynamics.theory.sen_last_token import sen_norm_last_token
from attn_dynamics.theory.sen_lengths import sen_norm_bounds
from attn_dynamics.theory.sen_temperature import sen_norm_trained_temperature, sen_score_trained_temperature
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query, sen_score_trained_query, trained_query_norm
from tests.support import examples

scores = st.floats(1e-3, 20)
others = st.floats(0.5, 1e3)
norms = st.floats(0.1, 10)


@settings(max_examples=examples(100))
@given(scores, others, norms, norms, st.integers(1, 9))
def test_b9_the_integrals_as_they_stand(score: float, m: float, q: float, b: float, words: int) -> None:
    def by_quadrature(root) -> float:
        integrand = lambda x: 2 * (1 + np.exp(x) / m) / root(x)  # noqa: E731
        return sum(quad(integrand, *ends, epsabs=0, epsrel=1e-11)[0] for ends in ((0, score / 20), (score / 20, score)))

    query = float(sen_norm_trained_query(score, m, q, words)) ** 2
    assert query == pytest.approx(by_quadrature(lambda x: np.sqrt(q**4 + 4 * words * x**2)), rel=1e-9)
    cooled = float(sen_norm_trained_temperature(score, m, q, b, words)) ** 2
    assert cooled == pytest.approx(by_quadrature(lambda x: q**2 * np.sqrt(b**4 + 4 * words * x**2 / q**2)), rel=1e-9)
    # Negative control: one word for p.
    assert words == 1 or float(sen_norm_trained_query(score, m, q)) ** 2 > query * (1 + 1e-8)


@settings(max_examples=examples(50))
@given(scores, others, norms, norms, st.integers(1, 9))
def test_b9_the_inverses_return_the_score(score: float, m: float, q: float, b: float, words: int) -> None:
    norm = sen_norm_trained_query(score, m, q, words)
    assert float(sen_score_trained_query(norm, m, q, words)) == pytest.approx(score, rel=1e-12)
    norm = sen_norm_trained_temperature(score, m, q, b, words)
    assert float(sen_score_trained_temperature(norm, m, q, b, words)) == pytest.approx(score, rel=1e-12)


def test_b9_at_extremes() -> None:
    """Against mpmath: a score of a thousand, of a billionth, many words, a short query."""
    for score, m, q, words in ((1000.0, 20.0, 0.9, 50.0), (1e-9, 0.5, 3.0, 1e4), (30.0, 1e4, 1e-3, 2.0)):
        with mpmath.workdps(40):
            root = lambda x, q=q, words=words: mpmath.sqrt(mpmath.mpf(q) ** 4 + 4 * words * x**2)  # noqa: E731
            inside = lambda x, m=m, root=root: 2 * (1 + mpmath.exp(x) / m) / root(x)  # noqa: E731
            cuts = [0, *(cut for cut in (1e-8, 1e-6, 1e-4, 1e-2, 1, score - 60, score - 5) if 0 < cut < score), score]
            expected = float(mpmath.log(mpmath.quad(inside, cuts)) / 2)
        assert np.log(float(sen_norm_trained_query(score, m, q, words))) == pytest.approx(expected, abs=1e-12)


def test_b9_lengths_of_the_query() -> None:
    """‖q‖² (‖q‖² - ‖q₀‖²) = ‖s‖²; a query that is not moved, and one that scores alone decide."""
    lengths = trained_query_norm(np.array([0.0, 1.0, 1e200]), 2.0)
    assert lengths[0] == 2.0
    assert lengths[1] ** 2 * (lengths[1] ** 2 - 4.0) == pytest.approx(1.0, rel=1e-14)
    assert lengths[2] == pytest.approx(1e100, rel=1e-14)
    assert trained_query_norm(1.0, 2.0) != pytest.approx(np.sqrt(4.0 + 1.0), rel=1e-3), "negative control"


def test_b6_of_one_last_token_is_b1_and_of_several_the_squares_add_up() -> None:
    s, s0 = np.array([1.5, 2.5, 0.3]), np.array([0.1, 0.2, 0.3])
    m, q = np.array([2.0, 20.0, 7.0]), np.array([0.7, 1.0, 1.4])
    each = sen_norm(s, m, q, s0)
    assert sen_norm_last_token(s[:, None], m[:, None], q[:, None], s0[:, None]) == pytest.approx(each, rel=1e-14)
    assert float(sen_norm_last_token(s, m, q, s0, 0.5)) == pytest.approx(np.sqrt(0.25 + (each**2).sum()), rel=1e-14)
    assert np.isnan(sen_norm_last_token(-s, m, q))


@pytest.mark.parametrize(
    ("score", "start"), [(10.0, -750.0), (10.0, -700.0), (1000.0, 0.0), (1400.0, -1400.0), (3.0 + 1e-12, 3.0)]
)
def test_b6_norms_reach_as_far_as_float64(score: float, start: float) -> None:
    """Judged by mpmath: one query's score that rises, and another's that falls as far and takes half of ‖ν‖² off."""
    with mpmath.workdps(700):

        def side(s: float):
            return mpmath.mpf(s) + mpmath.exp(s) / 20

        gained = 2 * (side(score) - side(start)) / mpmath.mpf(0.9) ** 2
        wanted, less = float(mpmath.sqrt(gained)), float(mpmath.sqrt(gained / 2))
    rel, norms = 1e-15 * (1 + score), [0.9, 0.9 * 2**0.5]
    assert sen_norm_last_token([score], [20.0], [0.9], [start]) == pytest.approx(wanted, rel=rel)
    both = sen_norm_last_token([score, start], [20.0, 20.0], norms, [start, score])
    assert both == pytest.approx(less, rel=2 * rel)
    assert both != pytest.approx(wanted, rel=0.1), "negative control: a fall that adds"
    assert np.isnan(sen_norm_last_token([start, score], [20.0, 20.0], norms, [score, start]))


def test_b7_alike_is_b1_with_a_share_of_the_others() -> None:
    """The gains of k companions that are alike integrate to B1 with m/k; of one alone, with m."""
    s, m, q, step = np.linspace(0.0, 3.0, 3001), 6.0, 0.8, 1e-3
    middles = np.repeat(0.5 * (s[1:] + s[:-1])[:, None], 3, axis=1)
    summed = companion_gains(middles, np.full_like(middles, step), m, q)[:, 0].sum()
    # The midpoint rule leaves step²/24 of the second derivative.
    assert summed == pytest.approx(float(sen_norm(3.0, m / 3, q)) ** 2, rel=1e-7)
    assert summed != pytest.approx(float(sen_norm(3.0, m, q)) ** 2, rel=1e-2)


def test_b7_what_companions_gain_depends_on_the_way() -> None:
    """Negative control for a law of scores alone: first one companion and then the other, and the other way round."""

    def along(order: tuple[int, int]) -> np.ndarray:
        at, gained = np.zeros(2), np.zeros(2)
        for moving in order:
            for _ in range(2000):
                step = 1e-3 * np.eye(2)[moving]
                gained += companion_gains(at + step / 2, step, 5.0, 1.0)
                at = at + step
        return gained

    assert np.abs(along((0, 1)) - along((1, 0))).max() > 1.0


def test_b8_the_bounds_are_b1_for_the_longest_and_the_shortest() -> None:
    low, high = sen_norm_bounds(np.array([0.5, 3.0]), 3, 30, 0.9)
    assert (low < high).all()
    assert low.tolist() == sen_norm(np.array([0.5, 3.0]), 30, 0.9).tolist()
    assert high.tolist() == sen_norm(np.array([0.5, 3.0]), 3, 0.9).tolist()


def test_what_is_out_of_range_is_refused() -> None:
    for wrong in (
        lambda: sen_norm_trained_query(1.0, 20.0, 1.0, 0.0),
        lambda: sen_norm_trained_temperature(1.0, 20.0, 1.0, -1.0),
        lambda: trained_query_norm(-1.0, 1.0),
        lambda: companion_gains([1.0], [1.0], 0.0, 1.0),
        lambda: sen_norm_last_token([1.0], [0.0], [1.0]),
        lambda: sen_norm_bounds(1.0, -1.0, 3.0, 1.0),
    ):
        with pytest.raises(InputError, match="expected numbers"):
            wrong()


def test_b8_exchanged_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="fewest: expected at most `most`, got 30 and 3"):
        sen_norm_bounds(3.0, fewest=30, most=3, query_norm=1.0)
