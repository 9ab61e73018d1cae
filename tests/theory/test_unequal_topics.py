"""The mean field of topics that differ: against descent of the real model, and against the five coordinates."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.unequal_topics import TopicTrajectory, UnequalTopics
from tests.support import Array, examples
from tests.theory.private import descent, private_corpus, seen, start

ALL = ("keys", "embeddings", "head")
ROUND_OFF = 1e-12
"""Twelve steps of a hundred operations each, of terms of size 10: a thousand times 2⁻⁵²·10."""


def euler(theory: UnequalTopics, state: Array, rate: float, steps: int) -> TopicTrajectory:
    for _ in range(steps):
        state = state + rate * theory.velocity(state)
    return theory.trajectory(state)


def distance(
    seed: int, rate: float, train: Collection[str], broken: type[UnequalTopics] = UnequalTopics, **wrong
) -> float:
    """Largest difference of the model from the theory after 12 steps from random parameters, on a random task."""
    rng = np.random.default_rng(seed)
    n, d, m = rng.integers(2, 5), rng.integers(1, 6), int(rng.integers(1, 6))
    topics = np.concatenate([np.arange(n), rng.integers(n, size=rng.integers(3))])
    repeats = rng.integers(1, 5, size=topics.size)
    corpus = private_corpus(topics.tolist(), repeats.tolist(), m)
    query, head = rng.standard_normal(3), rng.standard_normal((d, n))
    scores, embeddings = rng.standard_normal(topics.size), rng.standard_normal((topics.size, d))
    theory = broken(
        frequency=repeats / repeats.sum(),
        topic=topics,
        head=head,
        others=m,
        query_norm=float(np.linalg.norm(query)),
        sentences=float(repeats.sum()),
        train=train,
    )
    theory = replace(theory, **wrong)
    model = "attn-tc" if "head" in train else "attn-fc"
    end = descent(corpus, start(corpus, model, query, head, scores, embeddings), rate, 12, train)
    ours, model = euler(theory, theory.start(scores, embeddings), rate, 12), seen(corpus, end, topics.size)
    pairs = [(getattr(ours, name), getattr(model, name)) for name in model._fields] + [
        (ours.head, end.head.first_layer)
    ]
    return max(float(np.max(np.abs(a - b) / (1 + np.abs(b)))) for a, b in pairs)


@settings(max_examples=examples(60))
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 1.0),
    st.sampled_from([ALL, ALL[:2], ALL[:1], ALL[1:], ("embeddings",), ("head",)]),
)
def test_c10_descent_is_eulers_method(seed: int, rate: float, train: Collection[str]) -> None:
    assert distance(seed, rate, train) <= ROUND_OFF


@pytest.mark.parametrize("wrong", [{"sentences": np.inf}, {"others": 9.0}, {"query_norm": 1.0}])
def test_a_wrong_setting_is_rejected(wrong: dict) -> None:
    assert distance(1, 0.3, ALL, **wrong) > 1e3 * ROUND_OFF


@pytest.mark.parametrize("factor", [1 + 1e-6, -1.0])
@pytest.mark.parametrize("part", range(5))
def test_a_wrong_velocity_is_rejected(part: int, factor: float) -> None:
    class Broken(UnequalTopics):
        def velocity(self, state: Array) -> Array:
            velocity = super().velocity(state)
            self._unpacked(velocity)[part][...] *= factor
            return velocity

    assert distance(1, 0.3, ALL, Broken) > 100 * ROUND_OFF


@pytest.mark.parametrize("sentences", [800.0, np.inf])
def test_equal_topics_are_five_coordinates(sentences: float) -> None:
    """To times at which 1 - π is far below the spacing of floats at π = 1."""
    times = np.append(0.0, np.logspace(-1, 100, 12))
    alike = MeanField(
        frequency=1 / 8, classes=4, others=20, head_norm=0.6, sentences=sentences, topic_words=2, train=ALL
    )
    vectors = UnequalTopics(
        frequency=np.full(8, 1 / 8), topic=np.arange(8) // 2, head=0.6 * np.eye(4), others=20, sentences=sentences
    )
    short, long = alike.flow(times), vectors.flow(times)
    # Some hundred steps of 1e-10 each; where the loss falls like e^-M, of M ~ 200, of that error.
    np.testing.assert_allclose(long.score, np.outer(short.score, np.ones(8)), rtol=1e-7)
    np.testing.assert_allclose(long.norm, np.outer(short.norm, np.ones(8)), rtol=1e-7)
    np.testing.assert_allclose(long.loss, np.outer(short.loss, np.ones(8)), rtol=1e-5)
    assert not np.allclose(vectors.flow(2 * times).score, np.outer(short.score, np.ones(8)), rtol=1e-3)


@pytest.mark.parametrize(("learning", "order"), [(0.0, 1.0), (1.0, 2.0)])
def test_descent_follows_the_modified_flow_to_second_order(learning: float, order: float) -> None:
    frequency = np.array([0.2, 0.1, 0.3, 0.4])
    theory = UnequalTopics(frequency=frequency, topic=np.array([0, 0, 1, 2]), head=np.eye(3), others=5, sentences=40)
    errors, rates = [], np.array([0.2, 0.1, 0.05])
    for rate in rates:
        descended = euler(theory, theory.start(0.1), rate, round(20 / rate))
        flow = theory.flow([20.0], score=0.1, learning_rate=learning * rate)
        errors.append(max(np.abs(a - b[0]).max() for a, b in zip(descended, flow, strict=True)))
    np.testing.assert_allclose(np.diff(np.log(errors)) / np.diff(np.log(rates)), order, atol=0.05)
