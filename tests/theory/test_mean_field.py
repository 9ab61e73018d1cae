"""The five coordinates of the mean field: against descent of the real model, quadrature, closed forms and the laws."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import wrightomega

from attn_dynamics.theory.mean_field import MeanField, Trajectory
from attn_dynamics.theory.sen import sen_norm, sen_score
from tests.support import examples
from tests.theory.private import Seen, descent, private_corpus, seen, start

ALL = ("keys", "embeddings", "head")
TASK = {"frequency": 1 / 8, "classes": 4, "others": 20}
"""LMN21's synthetic task."""


# --- a step of Euler's method is a step of gradient descent


@dataclass(frozen=True)
class Setting:
    """A task whose topics are alike, a start and a way to train."""

    classes: int
    topic_words: int
    repeats: int
    others: int
    query_norm: float
    head_norm: float
    score: float
    norm: float
    rate: float
    train: Collection[str]

    @property
    def field(self) -> MeanField:
        words = self.classes * self.topic_words
        return MeanField(
            frequency=1 / words,
            classes=self.classes,
            others=self.others,
            query_norm=self.query_norm,
            head_norm=self.head_norm,
            sentences=words * self.repeats,
            topic_words=self.topic_words,
            train=self.train,
        )


setting = st.builds(
    Setting,
    classes=st.integers(2, 5),
    topic_words=st.integers(1, 2),
    repeats=st.integers(1, 3),
    others=st.integers(1, 6),
    query_norm=st.floats(0.1, 4.0),
    head_norm=st.floats(0.1, 3.0),
    score=st.floats(-3.0, 3.0),
    norm=st.floats(-3.0, 3.0),
    rate=st.floats(0.01, 1.0),
    train=st.sampled_from([ALL, ALL[:2], ALL[:1], ALL[1:], ("embeddings",), ("head",)]),
)


def euler(field: MeanField, state: np.ndarray, rate: float, steps: int) -> Trajectory:
    for _ in range(steps):
        state = state + rate * field.velocity(state)
    return field.trajectory(state)


def simulated(case: Setting, steps: int) -> tuple[Seen, np.ndarray, np.ndarray]:
    """Descent of the real model in random directions; ê of each word, and u read off the columns of the head."""
    n = case.classes
    rng = np.random.default_rng(0)
    columns = np.linalg.qr(rng.standard_normal((n + 2, n)))[0]
    topics = np.repeat(np.arange(n), case.topic_words)
    corpus = private_corpus(topics.tolist(), [case.repeats] * len(topics), case.others)
    along = (columns - columns.mean(axis=1, keepdims=True)).T[topics] * np.sqrt(n / (n - 1))
    query = rng.standard_normal(3)
    query *= case.query_norm / np.linalg.norm(query)
    model = "attn-tc" if "head" in case.train else "attn-fc"
    scores = np.full(len(topics), case.score)
    begin = start(corpus, model, query, case.head_norm * columns, scores, case.norm * along)
    end = descent(corpus, begin, case.rate, steps, case.train)
    head = end.head.first_layer
    gains = (columns * (head - head.mean(axis=1, keepdims=True))).sum(axis=0) * n / (n - 1)
    return seen(corpus, end, len(topics)), along, gains


def distance(case: Setting, field: MeanField, steps: int = 12) -> float:
    """Largest difference of the model from the mean field, in shares of the size of each quantity or of 1."""
    model, along, gains = simulated(case, steps)
    theory = euler(field, field.start(case.score, case.norm), case.rate, steps)
    pairs = [
        (model.score, theory.score),
        (model.embedding, theory.norm * along),
        (model.other_score, theory.other_score),
        (model.other_embedding, theory.other_norm * along),
        (model.attention, theory.attention),
        (model.loss, theory.loss),
        (gains, theory.head_norm),
    ]
    return max(float(np.max(np.abs(ours - theirs) / (1 + np.abs(theirs)))) for ours, theirs in pairs)


ROUND_OFF = 1e-12
"""Twelve steps of a hundred operations each, of terms of size 10: a thousand times 2⁻⁵²·10."""


@settings(max_examples=examples(40))
@given(setting)
def test_c1_c9_c10_descent_is_eulers_method(case: Setting) -> None:
    assert distance(case, case.field) <= ROUND_OFF


CASE = Setting(4, 2, 2, 5, 0.9, 0.8, 0.3, 0.2, 0.3, ALL)


@pytest.mark.parametrize("coordinate", range(5))
@pytest.mark.parametrize("factor", [1 + 1e-6, -1.0])
def test_a_wrong_velocity_is_rejected(coordinate: int, factor: float) -> None:
    """A coordinate that moves a little too fast, or backwards."""

    class Broken(MeanField):
        def velocity(self, state: np.ndarray) -> np.ndarray:
            return super().velocity(state) * np.where(np.arange(5) == coordinate, factor, 1.0)

    assert distance(CASE, Broken(**vars(CASE.field))) > 100 * ROUND_OFF


@pytest.mark.parametrize(
    "wrong",
    [{"sentences": np.inf}, {"topic_words": 1}, {"classes": 5}, {"others": 6}, {"frequency": 1 / 4}, {"depth": 2}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_setting_is_rejected(wrong: dict) -> None:
    assert distance(CASE, replace(CASE.field, **wrong)) > 1e3 * ROUND_OFF


def test_c11_a_head_of_several_layers_is_what_a_product_of_matrices_does() -> None:
    """Descent by autograd through U₁ U₂ … U_D, orthogonal at the start; D = 1 is the model above."""
    torch = pytest.importorskip("torch")
    n, m, u, rate, steps = 3, 2, 0.8, 0.3, 15
    identity = torch.eye(n, dtype=torch.float64)
    for depth in (1, 2, 3):
        # One sentence a topic: its word and m others, which are alike.
        tensors = [torch.zeros(n, dtype=torch.float64), 0.1 * (identity - 1 / n), torch.zeros(n, dtype=torch.float64)]
        tensors += [0 * identity, *(u * identity for _ in range(depth))]
        for _ in range(steps):
            s, e, s_other, e_other, *layers = (each.clone().requires_grad_() for each in tensors)
            a = torch.sigmoid(s - s_other - np.log(m))[:, None]
            logits = torch.linalg.multi_dot([a * e + (1 - a) * e_other, *layers, identity])
            torch.nn.functional.cross_entropy(logits, torch.arange(n)).backward()
            # The other words move m at once here, one by one in the theory.
            rates = [rate, rate, rate / m, rate / m] + depth * [rate]
            moving = [s, e, s_other, e_other, *layers]
            tensors = [x.detach() - r * x.grad for x, r in zip(moving, rates, strict=True)]
        field = MeanField(frequency=1 / n, classes=n, others=m, head_norm=u, sentences=n, depth=depth, train=ALL)
        theory = euler(field, field.start(norm=0.1 * np.sqrt(1 - 1 / n)), rate, steps)
        assert tensors[0][0].item() == pytest.approx(float(theory.score), rel=1e-12)
        assert torch.linalg.norm(tensors[1][0]).item() == pytest.approx(float(theory.norm), rel=1e-12)


# --- the flow as it stands in the theory, its laws, and quadrature


@given(st.integers(2, 9), st.floats(0.5, 50.0), st.floats(0.01, 0.5), st.floats(0.1, 5.0), st.floats(-4, 4))
def test_c1_in_the_letters_of_the_theory(n: int, m: float, rho: float, u: float, x: float) -> None:
    field = MeanField(frequency=rho, classes=n, others=m, query_norm=0.7, head_norm=u)
    c, s = np.sqrt(n / (n - 1)), 0.4
    a = np.exp(s) / (np.exp(s) + m)
    pi = 1 / (1 + (n - 1) * np.exp(-a * x * n / (n - 1)))
    velocity = field.velocity(field.start(s, c * x / u))
    # 1 - π loses digits here where π is near 1; the theory's own does not.
    allowed = 1e-13 * (1 + abs(x))
    assert velocity[0] == pytest.approx(0.49 * rho * a * (1 - a) * (1 - pi) * x * n / (n - 1), rel=1e-12, abs=allowed)
    assert velocity[1] * u / c == pytest.approx(rho * a * u**2 * (1 - pi), rel=1e-12, abs=allowed)
    assert (velocity[2:] == 0).all()


def laws(trajectory: Trajectory, field: MeanField) -> np.ndarray:
    """A1 and A3, (2, times)."""
    n, rho, m, sentences, words = (
        np.asarray(each) for each in (field.classes, field.frequency, field.others, field.sentences, field.topic_words)
    )
    own = rho * m * sentences
    spent = n / (n - 1) * words * (trajectory.norm**2 + own * trajectory.other_norm**2)
    return np.array([trajectory.score + own * trajectory.other_score, trajectory.head_norm**2 - spent])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a1_and_a3_are_conserved(depth: int) -> None:
    times = np.append(0.0, np.logspace(-2, 16, 30))
    field = MeanField(**TASK, sentences=800, topic_words=2, head_norm=0.6, depth=depth, train=ALL)
    kept = laws(field.flow(times, score=0.1, norm=0.3), field)
    # Of terms of size (Nρm) s ~ 1e3 and n/(n-1) p r² ~ 1e2: some hundred steps of relative error 1e-10.
    assert np.ptp(kept, axis=1) == pytest.approx([0, 0], abs=1e-5)
    broken = laws(replace(field, topic_words=1).flow(times, score=0.1, norm=0.3), field)
    assert np.ptp(broken[1]) > 1e-2
    # Descent conserves A1, linear in the parameters, and drifts in A3 by O(η).
    drifts = [
        np.ptp(laws(euler(field, field.start(0.1, 0.3), 20.0 / steps, steps), field) - kept[:, 0], axis=None)
        for steps in (100, 200)
    ]
    assert drifts[0] / drifts[1] == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("train", [ALL, ALL[:2]])
def test_b1_holds_along_the_flow_where_nothing_is_memorised(train: Collection[str]) -> None:
    run = MeanField(**TASK, query_norm=0.9, train=train).flow(np.logspace(-1, 16, 40), score=0.5, norm=0.4)
    np.testing.assert_allclose(sen_norm(run.score, 20, 0.9, 0.5, 0.4), run.norm, rtol=1e-7)


NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)


def log_time(norm: float, u0: float, depth: int, words: int, conserved: bool = True) -> float:
    """ln τ at which ‖ν‖ has grown from 0: τ = ∫ dr/(dr/dτ), s from r by B4, u from r by law A3, no solver."""
    n, m, rho, c = 4, 20, 1 / 8, np.sqrt(4 / 3)
    ends = norm * np.linspace(0, 1, 601)
    r = ends[:-1, None] + np.diff(ends)[:, None] * (NODES + 1) / 2
    s = sen_score(r, m, 1.0)
    a = 1 / (1 + m * np.exp(-s))
    u = np.sqrt(u0**2 + conserved * c**2 * words * r**2) ** depth
    # 1/(1-π) = 1 + e^M/(n-1) by logarithms: M reaches 700.
    terms = np.logaddexp(0, c * u * a * r - np.log(n - 1)) - np.log(rho * a * c * u)
    return float(np.logaddexp.reduce(terms + np.log(np.diff(ends)[:, None] * WEIGHTS / 2), axis=None))


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_c1_c10_c11_the_time_by_quadrature(depth: int) -> None:
    times = np.array([1.0, 30.0, 500.0, 1e4, 1e16, 1e64, 1e256, 1e300])
    train = ALL if depth else ALL[:2]
    run = MeanField(**TASK, topic_words=2, head_norm=0.7, depth=max(depth, 1), train=train).flow(times)
    layers, gain = max(depth, 1), depth > 0
    found = [log_time(norm, 0.7, layers, 2, conserved=gain) for norm in run.norm]
    # A relative error of M ~ 700 of 1e-8, some hundred steps of 1e-10, is 1e-5 of τ.
    np.testing.assert_allclose(found, np.log(times), atol=1e-5)
    lost = [log_time(norm, 0.7, layers, 1 if gain else 2, conserved=True) for norm in run.norm]
    assert not np.allclose(lost, np.log(times), atol=1e-2)


@given(st.floats(-5, 5), st.floats(-3, 3), st.floats(0.1, 3.0))
@settings(max_examples=examples(20))
def test_keys_fixed_in_closed_form(score: float, norm: float, u: float) -> None:
    """M + e^M/(n-1) grows by ρ u² c² a² τ."""
    times = np.logspace(-2, 16, 10)
    run = MeanField(**TASK, head_norm=u, train=("embeddings",)).flow(times, score=score, norm=norm)
    assert (run.score == score).all()
    a = 1 / (1 + 20 * np.exp(-score))
    margin = np.sqrt(4 / 3) * u * a * norm
    total = margin + np.exp(margin) / 3 + u**2 * a**2 * times / 6
    expected = total - wrightomega(total - np.log(3)).real
    # M = total - ω cancels where ω is large: there to ε·total, and better by M = ln 3 + ln ω.
    expected = np.where(total > 10, np.log(3) + np.log(wrightomega(total - np.log(3)).real), expected)
    np.testing.assert_allclose(run.margin, expected, atol=1e-7)


def test_embeddings_fixed_never_move() -> None:
    run = MeanField(**TASK, sentences=800, train=("keys",)).flow(np.logspace(0, 6, 5), norm=0.5)
    assert (run.norm == 0.5).all()
    assert (run.other_norm == 0).all()
    assert (np.diff(run.score) > 0).all()


# --- descent and the modified flow


def errors(rates: np.ndarray, learning: float, case: MeanField) -> np.ndarray:
    """Of Euler's method up to time 30 against the flow of `learning` times each rate, over all coordinates."""
    ends = []
    for rate in rates:
        state = case.start(0.2, 0.3)
        for _ in range(round(30 / rate)):
            state = state + rate * case.velocity(state)
        flow = case.flow([30.0], score=0.2, norm=0.3, learning_rate=learning * rate)
        ends.append(np.abs(state - np.stack(flow[:5], axis=-1)[0]).max())
    return np.array(ends)


@pytest.mark.parametrize(("learning", "order"), [(0.0, 1.0), (1.0, 2.0), (-1.0, 1.0), (0.5, 1.0)])
def test_descent_follows_the_modified_flow_to_second_order(learning: float, order: float) -> None:
    """The sign and the factor 1/2 count: with others the first order is back."""
    field = MeanField(**TASK, sentences=800, topic_words=2, train=ALL)
    rates = np.array([0.2, 0.1, 0.05])
    slopes = np.diff(np.log(errors(rates, learning, field))) / np.diff(np.log(rates))
    np.testing.assert_allclose(slopes, order, atol=0.05)


# --- whatever the numbers


@settings(max_examples=examples(20))
@given(
    st.floats(-50, 50),
    st.floats(-1e3, 1e3),
    st.floats(1e-2, 30),
    st.floats(0.3, 3),
    st.integers(1, 3),
    st.sampled_from([np.inf, 800]),
    st.sampled_from([ALL, ALL[:2]]),
)
def test_nothing_overflows(
    score: float, norm: float, q: float, u: float, depth: int, sentences: float, train: Collection[str]
) -> None:
    if depth > 1 and "head" in train:
        # Of two layers that are pushed the wrong way none is left, and the rest is no flow but an equilibrium.
        norm = abs(norm)
    field = MeanField(**TASK, query_norm=q, head_norm=u, depth=depth, sentences=sentences, train=train)
    run = field.flow([0.0, 1.0, 1e10, 1e256], score=score, norm=norm, tolerance=1e-6)
    assert all(np.isfinite(part).all() for part in run)


def test_a_head_that_dies_is_said_or_followed() -> None:
    field = MeanField(**TASK, depth=2, train=ALL)
    assert abs(field.flow([1e5], norm=-1.0).head_norm[0]) < 1e-3
    with pytest.raises(ArithmeticError, match="expected a solution"):
        field.flow([1e256], norm=-1.0, tolerance=1e-6)


def test_settings_are_vectorised() -> None:
    times = [0.0, 3.0, 500.0]
    rho, m = np.array([0.1, 0.2, 0.05]), np.array([[5.0], [20.0]])
    run = MeanField(frequency=rho, classes=4, others=m, sentences=800).flow(times, score=0.1)
    assert all(part.shape == (3, 2, 3) for part in run)
    alone = MeanField(frequency=0.2, classes=4, others=20, sentences=800).flow(times, score=0.1)
    for part, single in zip(run, alone, strict=True):
        np.testing.assert_allclose(part[:, 1, 1], single, rtol=1e-7, atol=1e-9)
