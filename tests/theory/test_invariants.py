"""Claim: along the exact velocity the rate of every invariant is round-off, at any state of any head, kinks too."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, Parameters, TwoLayer, loss_and_gradient
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.theory.invariants import invariants
from tests.support import (
    EPS,
    MODELS,
    SUBSETS,
    Array,
    Case,
    attention_of,
    built,
    cases,
    examples,
    named,
    parameters_for,
    topic_corpus,
    trained_names,
)

BOUND = 64 * EPS


def norm(arrays: Mapping[str, Array]) -> float:
    return sum(float((array**2).sum()) for array in arrays.values()) ** 0.5


def rates(corpus: Corpus, state: Parameters, train: Collection[str], law=invariants) -> dict[str, float]:
    """d/dτ of each invariant along the velocity, in shares of ‖θ‖‖dθ/dτ‖; nothing where all but stands still.

    No invariant is more than quadratic, so the central difference is exact; its step is ‖θ‖/‖dθ/dτ‖.
    """
    gradient = named(loss_and_gradient(corpus, state)[1])
    moving = {name for name in trained_names(state.head) if name.split(".")[0] in train}
    arrays, velocity = named(state), {name: -gradient[name] for name in moving}
    speed, size = norm(velocity), norm(arrays)
    if speed <= 1e-4:  # a sum that cancels: what is left of its terms, of size 10⁻² and more, may be round-off
        return {}
    ahead, behind = (
        law(
            built(state, {n: a + sign * size / speed * velocity[n] if n in moving else a for n, a in arrays.items()}),
            train,
        )
        for sign in (1.0, -1.0)
    )
    return {name: float(np.abs(ahead[name] - behind[name]).max(initial=0.0)) / 2.0 / size**2 for name in ahead}


@settings(max_examples=examples(100))
@given(
    st.sampled_from(MODELS).flatmap(lambda model: cases(model, spreads=(0.0, 0.5, 3.0))),
    st.sampled_from([train for train in SUBSETS if train]),
)
def test_nothing_moves_at_any_state(case: Case, train: tuple[str, ...]) -> None:
    moving = rates(case.corpus, case.parameters, train)
    assume(moving)
    assert max(moving.values()) <= BOUND, moving


@pytest.mark.parametrize("sentence", range(5))
def test_nothing_moves_where_a_relu_switches(sentence: int) -> None:
    """All hidden units at 0 in a sentence, to round-off; and in all sentences exactly."""
    corpus = topic_corpus(sentence)
    state = parameters_for(corpus, "attn-tl", sentence)
    assert isinstance(state.head, TwoLayer)
    context = (attention_of(corpus, state.scores) @ state.embeddings)[sentence]
    switching = state.head.replace(bias_in=-state.head.weight_in.T @ context)
    zero = replace(state, embeddings=0 * state.embeddings, head=state.head.replace(bias_in=0 * state.head.bias_in))
    for at in (replace(state, head=switching), zero):
        assert max(rates(corpus, at, TRAINABLE).values()) <= BOUND


def with_wrong_signs(parameters: Parameters, train: Collection[str]) -> dict[str, Array]:
    """Every invariant with a sign turned."""
    q, keys, embeddings, head = parameters.query, parameters.keys, parameters.embeddings, parameters.head
    kept = invariants(parameters, train)
    turned = {
        "key_sum": keys[1:].sum(axis=0) - keys[0],
        "query_keys": np.outer(q, q) + keys.T @ keys,
        "embeddings_head": embeddings.T @ embeddings + head.first_layer @ head.first_layer.T,
        "embeddings_outside": 2.0 * embeddings - kept.get("embeddings_outside", 0.0),
        "class_sum": (last := head.arrays().get("weight_out", head.first_layer))[:, 1:].sum(axis=1) - last[:, 0],
    }
    if isinstance(head, TwoLayer):
        turned["hidden_units"] = head.balances()["hidden_units"] + 2.0 * (head.weight_out**2).sum(axis=1)
    return {name: turned[name] for name in kept}


@pytest.mark.parametrize("train", [TRAINABLE, ("keys", "embeddings")], ids="+".join)
@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_sign_in_any_invariant_is_seen(model: str, train: tuple[str, ...]) -> None:
    """Negative control."""
    corpus = topic_corpus(0)
    moving = rates(corpus, parameters_for(corpus, model, 0, d=7), train, with_wrong_signs)
    assert min(moving.values()) > 1e6 * BOUND, moving


def test_an_invariant_a_millionth_off_is_seen() -> None:
    """Negative control."""

    def off(state: Parameters, train: Collection[str]) -> dict[str, Array]:
        return {"": np.outer(state.query, state.query) - (1.0 + 1e-6) * state.keys.T @ state.keys}

    corpus = topic_corpus(0)
    assert rates(corpus, parameters_for(corpus, "attn-tc", 0), TRAINABLE, off)[""] > 10 * BOUND


@pytest.mark.parametrize("model", MODELS)
def test_an_invariant_is_named_only_where_its_parameters_are_trained(model: str) -> None:
    corpus = topic_corpus(0)
    state = parameters_for(corpus, model, 0, d=7, d_k=3, hidden=4)
    for train in SUBSETS:
        head = "head" in train and bool(state.head.trained)
        shapes = {name: array.shape for name, array in invariants(state, train).items()}
        expected = {
            "key_sum": ((3,), "keys" in train),
            "query_keys": ((3, 3), {"query", "keys"} <= {*train}),
            "embeddings_head": ((7, 7), "embeddings" in train and head),
            "embeddings_outside": ((corpus.n_words, 7), "embeddings" in train and not head),
            "hidden_units": ((4,), model == "attn-tl" and head),
            "class_sum": ((7,) if model == "attn-tc" else (5,), head),
        }
        assert shapes == {name: shape for name, (shape, holds) in expected.items() if holds}, train
