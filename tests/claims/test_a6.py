"""Claim A6: with a linear head training closes in as many dimensions as classes, exactly, fixed or from E(0) = 0."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from attn_dynamics import FixedLinear, Parameters, descend
from attn_dynamics.dynamics import Dynamics
from tests.support import (
    MODELS,
    SUBSETS,
    apart,
    differences,
    end,
    ids,
    parameters_for,
    states,
    topic_corpus,
)

WITHOUT_HEAD = [train for train in SUBSETS if "head" not in train and train]


@pytest.mark.parametrize("train", WITHOUT_HEAD, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a6_the_reduced_course_is_the_full_one(model: str, train: tuple[str, ...]) -> None:
    """Wherever the head's first layer is fixed, not only in Attn-FC."""
    for seed, (d, hidden) in enumerate(((2, 2), (5, 3), (12, 4))):
        corpus, test = topic_corpus(seed), topic_corpus(seed + 10)
        start = parameters_for(corpus, model, seed, d=d, hidden=hidden)
        reduced, full = (
            descend(corpus, start, train=train, epochs=150, judge={"test": test}, follow=range(6), reduced=choice)
            for choice in (True, False)
        )
        assert max(differences(reduced, full).values()) <= 1e-11
        assert apart(end(reduced), end(full)) <= 1e-11


@pytest.mark.parametrize("d", [2, 3, 4, 10, 40])
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
            state = Dynamics(corpus, start, train=train, reduced=reduced).state()
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
    right = Dynamics.step

    def wrong(self: Dynamics, gradient, learning_rate: float) -> None:
        factor = -1.0 if breakage == "a sign" else 1.0 + 1e-6
        right(self, gradient._replace(values=factor * gradient.values), learning_rate)

    monkeypatch.setattr(Dynamics, "step", wrong)
    reduced = descend(corpus, start, epochs=50)
    assert max(differences(reduced, full).values()) > 1e-11
    assert apart(end(reduced), end(full)) > 1e-11
