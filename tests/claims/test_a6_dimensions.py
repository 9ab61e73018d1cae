"""Claim A6: with a linear head training closes in as many dimensions as classes, exactly, fixed or from E(0) = 0."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, FixedLinear, Parameters, TrainedLinear, descend, flow
from attn_dynamics.kernels.epochs import Rates
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.settings import Training
from tests.support import MODELS, apart, corpora, differences, end, examples, ids, parameters_for, states, topic_corpus

WITHOUT_HEAD = [("embeddings",), ("keys", "embeddings"), ("query", "keys", "embeddings")]


@pytest.mark.parametrize("train", WITHOUT_HEAD, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a6_the_reduced_course_is_the_full_one(model: str, train: tuple[str, ...]) -> None:
    """Wherever the head's first layer is fixed, not only in Attn-FC."""
    for seed, (d, hidden) in enumerate(((2, 2), (5, 3), (12, 4))):
        corpus, test = topic_corpus(seed), topic_corpus(seed + 10)
        start = parameters_for(corpus, model, seed, d=d, hidden=hidden)
        reduced, full = (
            descend(corpus, start, train=train, epochs=60, evaluate_on={"test": test}, follow=range(6), reduced=choice)
            for choice in (True, False)
        )
        assert max(differences(reduced, full).values()) <= 1e-11
        assert apart(end(reduced), end(full)) <= 1e-11


@pytest.mark.parametrize("d", [2, 4, 40])
def test_a6_attn_fc_in_n_dimensions_is_attn_fc_in_d(d: int) -> None:
    corpus = topic_corpus(7)
    start = parameters_for(corpus, "attn-fc", 7, d=d)
    reduced, full = (descend(corpus, start, epochs=1000, follow=range(6), reduced=choice) for choice in (True, False))
    assert max(differences(reduced, full).values()) <= 1e-11
    assert apart(end(reduced), end(full)) <= 1e-11


def test_a6_fewer_numbers_move_where_it_holds() -> None:
    corpus = topic_corpus(n_classes=3)
    for model, train, moving in (
        ("attn-fc", ("embeddings", "head"), 2),
        ("attn-tc", ("embeddings",), 2),
        ("attn-tl", ("embeddings",), 4),
        ("attn-tc", ("embeddings", "head"), 9),
        ("attn-tl", ("embeddings", "head"), 9),
    ):
        start = parameters_for(corpus, model, 0, d=9, hidden=4)
        for reduced, wanted in ((True, moving), (False, 9)):
            state = Dynamics(corpus, start, Training(train=train, reduced=reduced)).state()
            assert sorted(state["axes"].shape) == sorted((wanted, corpus.n_words))


def strayed(start: Parameters, course: Iterator[Parameters]) -> float:
    """How far the part of E orthogonal to all differences of two columns of U moves, relative to what E moves."""
    weight = start.head.first_layer
    basis = np.linalg.svd(weight[:, 1:] - weight[:, :1], full_matrices=False)[0]
    moved = np.array([each.embeddings - start.embeddings for each in course])
    return float(np.abs(moved - moved @ basis @ basis.T).max() / np.abs(moved).max())


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_a6_only_contrasts_of_classes_move_the_embeddings(n_classes: int, reduced: bool) -> None:
    """The law sharpened: n − 1 directions, spanned by differences of columns of U, hold all motion of E."""
    corpus = topic_corpus(8, n_classes=n_classes)
    start = parameters_for(corpus, "attn-fc", 8, d=9)
    course = list(states(corpus, start, ("keys", "embeddings"), epochs=60, reduced=reduced))
    assert strayed(start, iter(course)) <= 1e-13
    moved = np.concatenate([each.embeddings - start.embeddings for each in course])
    sizes = np.linalg.svd(moved, compute_uv=False)
    assert (sizes > 1e-10 * sizes[0]).sum() == n_classes - 1


def test_a6_rejects_a_head_that_is_trained_and_a_span_that_is_another() -> None:
    """Negative controls: E leaves the span of U₀ where U moves, and that of another U at once."""
    corpus = topic_corpus(9)
    start = parameters_for(corpus, "attn-tc", 9, d=9)
    course = list(states(corpus, start, ("embeddings", "head"), epochs=60))
    assert strayed(start, iter(course)) > 1e-3
    fixed = replace(start, head=FixedLinear(weight=start.head.first_layer))
    course = list(states(corpus, fixed, ("embeddings",), epochs=60))
    other = replace(fixed, head=FixedLinear(weight=start.head.first_layer[::-1]))
    assert strayed(fixed, iter(course)) <= 1e-13
    assert strayed(other, iter(course)) > 1e-3


@pytest.mark.parametrize("breakage", ["a sign", "a factor"])
def test_a6_rejects_a_reduced_gradient_that_is_wrong(breakage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = topic_corpus(7)
    start = parameters_for(corpus, "attn-fc", 7, d=10)
    full = descend(corpus, start, epochs=50, reduced=False)
    right = Dynamics.rates

    def wrong(self: Dynamics, learning_rate: float) -> Rates:
        factor = -1.0 if breakage == "a sign" else 1.0 + 1e-6
        return right(self, learning_rate)._replace(embeddings=factor * learning_rate)

    monkeypatch.setattr(Dynamics, "rates", wrong)
    reduced = descend(corpus, start, epochs=50)
    assert max(differences(reduced, full).values()) > 1e-11
    assert apart(end(reduced), end(full)) > 1e-11


# --- Attn-TC from E(0) = 0


def off_span(start: Parameters, after: Parameters) -> float:
    """Largest singular value of E off the span of U₀, in shares of the largest."""
    basis = np.linalg.qr(start.head.first_layer)[0]
    outside = after.embeddings - after.embeddings @ basis @ basis.T
    return float(np.linalg.norm(outside, 2) / np.linalg.norm(after.embeddings, 2))


@settings(max_examples=examples(10))
@given(corpora(), st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from((("embeddings", "head"), TRAINABLE)))
def test_a6_a_trained_head_keeps_embeddings_in_its_first_span(
    corpus: Corpus, seed: int, flows: bool, train: tuple[str, ...]
) -> None:
    drawn = parameters_for(corpus, "attn-tc", seed, d=9)
    start = replace(drawn, embeddings=0 * drawn.embeddings)
    after = end(
        flow(corpus, start, times=[2.0], train=train, reduced=False)
        if flows
        else descend(corpus, start, train=train, epochs=99, reduced=False)
    )
    assert off_span(start, after) <= 1e-12
    sizes = np.linalg.svd(after.embeddings, compute_uv=False)
    assert (sizes > 1e-10 * sizes[0]).sum() <= corpus.n_classes - 1


@pytest.mark.parametrize("train", [("embeddings", "head"), ("keys", "embeddings", "head"), TRAINABLE], ids=ids)
@pytest.mark.parametrize("model", ["attn-tc", "attn-tl"])
def test_a6_a_trained_head_from_zero_is_reduced_too(model: str, train: tuple[str, ...]) -> None:
    """The run and its parameters, the part of the first layer included that never moves."""
    corpus = topic_corpus(7)
    drawn = parameters_for(corpus, model, 7, d=9, hidden=4)
    start = replace(drawn, embeddings=0 * drawn.embeddings)
    reduced, full = (
        descend(corpus, start, train=train, epochs=300, follow=range(6), reduced=choice) for choice in (True, False)
    )
    assert max(differences(reduced, full).values()) <= 1e-11
    assert apart(end(reduced), end(full)) <= 1e-11
    assert Dynamics(corpus, start, Training(train=train)).state()["axes"].shape[0] < 9
    assert Dynamics(corpus, drawn, Training(train=train)).state()["axes"].shape[0] == 9, (
        "negative control: E(0) is not 0"
    )


def test_a6_a_trained_head_leads_embeddings_out_of_it_from_another_start() -> None:
    """Negative control: E(0) ≠ 0."""
    corpus = topic_corpus(9)
    start = parameters_for(corpus, "attn-tc", 9, d=9, scale=1e-2)
    assert isinstance(start.head, TrainedLinear)
    assert off_span(start, end(descend(corpus, start, epochs=99))) > 1e-4


@pytest.mark.parametrize("d", [3, 9])
def test_a6_the_reduced_flow_is_the_full_one(d: int) -> None:
    corpus = topic_corpus(7)
    start = parameters_for(corpus, "attn-fc", 7, d=d)
    runs = (flow(corpus, start, times=[5.0], rtol=1e-12, reduced=choice) for choice in (True, False))
    assert apart(*map(end, runs)) <= 1e-11
