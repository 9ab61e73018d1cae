"""Claims C3, C4, C8, C11: the limits, approached by the flow in logarithmic time at the rate that was derived."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.theory.asymptotics import keys_factor, late, late_score, loss_limit, norm_exponent, score_exponent
from attn_dynamics.theory.mean_field import MeanField, Trajectory
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query, sen_score_trained_query
from attn_dynamics.theory.unequal_topics import UnequalTopics
from tests.support import examples

TASK = {"frequency": 1 / 8, "classes": 4, "others": 20}
KEYS, HEAD = ("keys", "embeddings"), ("keys", "embeddings", "head")

settings_of_c1 = st.fixed_dictionaries(
    {
        "classes": st.integers(2, 10),
        "others": st.floats(1, 100),
        "frequency": st.floats(0.01, 0.5),
        "query_norm": st.floats(0.5, 2),
        "head_norm": st.floats(0.3, 2),
    }
)


@settings(max_examples=examples(15))
@given(settings_of_c1, st.floats(-1, 1), st.floats(-0.5, 1))
def test_c3_c4_at_1e100(setting: dict, score: float, norm: float) -> None:
    time = np.array([1e100])
    run = MeanField(**setting).flow(time, score=score, norm=norm)
    theory = late(time, **setting, start_score=score, start_norm=norm)
    limit = loss_limit(**{name: setting[name] for name in ("frequency", "classes", "head_norm")})
    # The next order: squares of the terms kept, (1-a) times 2 + k - ln(m Λ²/B) each; and the solver's hundred 1e-10.
    order = float(4 * ((1 - run.attention[0]) * (10 + abs(run.score[0]))) ** 2 + 1e-7)
    assert run.loss[0] * time[0] == pytest.approx(float(limit), rel=order)
    assert run.margin[0] == pytest.approx(theory.margin[0], abs=order)
    assert run.norm[0] == pytest.approx(theory.norm[0], rel=order)
    assert run.score[0] == pytest.approx(theory.score[0], abs=order)
    assert 1 - run.attention[0] == pytest.approx(theory.gap[0], rel=order)
    # The leading order alone, a lost n/(n-1) and a lost factor are not within it.
    n, u = setting["classes"], setting["head_norm"]
    leading = 2 * n * u**2 / ((n - 1) * setting["query_norm"] ** 2) / theory.margin[0] ** 2
    assert leading != pytest.approx(theory.gap[0], rel=order)
    assert run.loss[0] * time[0] != pytest.approx(float(limit) * n / (n - 1), rel=order)


def test_c3_c4_the_numbers_of_the_synthetic_task() -> None:
    """L τ = 5.9996 and (1-a) Λ² = 2.700 at 1e16, against limits of 6 and 8/3."""
    run, theory = MeanField(**TASK).flow([1e16]), late([1e16], **TASK)
    assert loss_limit(frequency=1 / 8, classes=4) == pytest.approx(6.0, rel=1e-15)
    assert run.loss[0] * 1e16 == pytest.approx(5.9996, abs=5e-5)
    for gap in ((1 - run.attention)[0], theory.gap[0]):
        assert gap * theory.margin[0] ** 2 == pytest.approx(2.700, abs=1e-3)


def both(times: np.ndarray, depth: int, sentences: float) -> tuple[Trajectory, Trajectory]:
    """Keys trained, and keys fixed at zero."""
    common = {**TASK, "sentences": sentences, "depth": max(depth, 1), "topic_words": 2}
    trained, fixed = (HEAD, HEAD[1:]) if depth else (KEYS, KEYS[1:])
    return MeanField(**common, train=trained).flow(times), MeanField(**common, train=fixed).flow(times)


@pytest.mark.parametrize("sentences", [np.inf, 800.0])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_c8_what_the_keys_are_worth(depth: int, sentences: float) -> None:
    """Under a trained head the limit is approached by powers of 1/ln τ only."""
    times = np.array([1e128, 1e256])
    trained, fixed = both(times, depth, sentences)
    own = sentences * 20 / 8
    ratio, limit = fixed.loss / trained.loss, float(keys_factor(20, depth=depth, own_words=own))
    # Margins differ by ln of the limit, M^e by e/M times that; u^2D differs from (c² p r²)^D by D u₀²/(c² p r²).
    allowed = 1e-6 + np.sign(depth) * 2 * np.log(limit) / trained.margin + depth / (8 / 3 * trained.norm**2)
    assert (np.abs(ratio / limit - 1) <= allowed).all()
    if depth:
        assert abs(ratio[1] - limit) < 0.75 * abs(ratio[0] - limit)
    for wrong in (441.0, 21.0, 441.0 / 1.2, 21 / 1.2**0.5, 441 ** (1 / 3), 367.5 ** (1 / 3)):
        assert abs(wrong / limit - 1) < 1e-9 or not (np.abs(ratio / wrong - 1) <= allowed).all()


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("fixed", [False, True])
def test_c3_c8_the_loss_under_any_depth(depth: int, fixed: bool) -> None:
    times = np.array([1e64, 1e128, 1e256])
    run = both(times, depth, 800.0)[fixed]
    attention = 1 / 21 if fixed else 1.0
    limit = loss_limit(frequency=1 / 8, classes=4, topic_words=2, depth=depth, attention=attention, own_words=20 * 100)
    off = np.abs(run.loss * times * run.margin ** (2 * depth / (1 + depth)) / limit - 1)
    # The next order of τ = ∫ e^M M^-e dM is e/M, and u₀²/u² weighs M^{-2/(1+D)}, with D of them.
    assert off[-1] <= (1e-6 if depth == 0 else 3 / run.margin[-1] + 1.5 * depth * run.margin[-1] ** (-2 / (1 + depth)))
    wrong = loss_limit(frequency=1 / 8, classes=4, topic_words=1, depth=depth, attention=attention, own_words=2000)
    assert depth == 0 or abs(float(wrong / limit) - 1) > 0.4


def growth(score: np.ndarray, log_time: np.ndarray) -> np.ndarray:
    return np.diff(score) / np.diff(np.log(log_time))


def test_c11_growth_of_the_score_to_1e256() -> None:
    """The figures of the theory: 2.004, 1.039 and 0.852 per e-fold of ln τ between 1e128 and 1e256."""
    times = np.array([1e64, 1e128, 1e256])
    scores = [both(times, depth, np.inf)[0].score for depth in range(4)]
    rates = np.array([growth(score, np.log(times)) for score in scores])
    np.testing.assert_allclose(rates[:3, 1], [2.004, 1.039, 0.852], atol=1e-3)
    # From either side towards the exponent.
    assert (np.abs(rates[:3, 1] - score_exponent([0, 1, 2])) < np.abs(rates[:3, 0] - score_exponent([0, 1, 2]))).all()
    assert (np.diff(rates[:, 1]) < 0).all()


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_c11_exponents_beyond_the_range_of_floats(depth: int) -> None:
    """The law at finite time, at ln τ = 10¹² to 10⁶⁰: the constants of u and r leave M^{-2/(1+D)} ≤ 1e-6 there."""
    log_time = np.logspace(12, 60, 9)
    score = late_score(log_time, depth=depth, **TASK, topic_words=2)
    # s in e^s ~ r² weighs ln r/r².
    np.testing.assert_allclose(growth(score, log_time), score_exponent(depth), rtol=1e-4)
    np.testing.assert_allclose(growth(np.log(sen_norm(score, 20, 1.0)), log_time), norm_exponent(depth), rtol=1e-4)
    for other in {0, 1, 2, 3} - {depth}:
        assert not np.allclose(growth(score, log_time), score_exponent(other), rtol=1e-2)


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_c11_the_law_at_finite_time(depth: int) -> None:
    """Scores from 1e32 on: the law leaves out O(1/M) of M, and s goes with ln M."""
    times = np.array([1e32, 1e128, 1e256])
    run = both(times, depth, np.inf)[0]
    theory = late_score(np.log(times), depth=depth, **TASK, topic_words=2)
    assert (np.abs(run.score - theory) <= 1 / run.margin).all()
    if depth:
        assert (np.abs(run.score - late_score(np.log(times), depth=depth, **TASK, topic_words=1)) > 0.1).all()


@pytest.mark.filterwarnings("error")
def test_what_is_not_late_is_no_number() -> None:
    times = np.array([1e-9, 1.0, 10.0, 1e16])
    theory = late(times, frequency=1 / 8, classes=4, others=20)
    np.testing.assert_array_equal(np.isnan(theory), np.broadcast_to([True, True, True, False], (4, 4)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: late(-1.0, **TASK),
        lambda: late(1e9, **TASK | {"others": 0}),
        lambda: late(1e9, **TASK | {"frequency": 1.5}),
        lambda: late_score(100.0, depth=-1, **TASK),
        lambda: loss_limit(frequency=1 / 8, classes=1),
        lambda: loss_limit(frequency=1 / 8, classes=4, attention=1.5),
        lambda: keys_factor(-1.0),
        lambda: norm_exponent(-1),
        lambda: sen_norm_trained_query(1.0, 0.0, 1.0),
        lambda: sen_norm_trained_query(1.0, 20.0, 0.0),
        lambda: sen_score_trained_query(-1.0, 20.0, 1.0),
        lambda: UnequalTopics(frequency=np.array([0.5]), topic=np.array([0]), head=np.eye(2), others=0.0),
    ],
)
def test_what_no_theory_holds_for_is_refused(call) -> None:
    with pytest.raises(InputError, match="expected numbers"):
        call()
