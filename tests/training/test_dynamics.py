"""Claim: one step, and the velocity, are those of the exact gradient, whatever moves and in whichever coordinates."""

from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import descend, loss_and_gradient
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.settings import Training
from tests.support import (
    MODELS,
    PAIRS,
    SUBSETS,
    Case,
    cases,
    dense,
    examples,
    ids,
    named,
    parameters_for,
    relative_error,
    states,
    topic_corpus,
    trained_names,
)

# --- one step


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("train", PAIRS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a_step_takes_the_gradient_times_the_rate_off_what_is_trained_and_nothing_else(
    model: str, train: tuple[str, ...], reduced: bool
) -> None:
    for seed, d in enumerate((2, 7)):
        corpus = topic_corpus(seed)
        start = parameters_for(corpus, model, seed, d=d, hidden=4)
        gradient = named(loss_and_gradient(corpus, start)[1])
        *_, after = states(corpus, start, train, epochs=1, rate=0.7, reduced=reduced)
        moving = {name for name in trained_names(start.head) if name.split(".")[0] in train}
        for name, array in named(after).items():
            before = named(start)[name]
            if name in moving:
                np.testing.assert_allclose(array, before - 0.7 * gradient[name], rtol=0, atol=1e-13)
            else:
                np.testing.assert_array_equal(array, before, err_msg=name)


@pytest.mark.parametrize("train", PAIRS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_the_velocity_is_minus_the_gradient(model: str, train: tuple[str, ...]) -> None:
    corpus = topic_corpus(1)
    start = parameters_for(corpus, model, 1, d=7)
    gradient = loss_and_gradient(corpus, start)[1]
    every = named(gradient)
    # What moves in coordinates of its own: E by its axes, and the scores where the query is fixed.
    every |= {"axes": gradient.embeddings.T, "scores": gradient.keys @ start.query}
    dynamics = Dynamics(corpus, start, Training(train=train, reduced=False))
    velocity = dynamics.velocity(dynamics.evaluate()[1])
    assert velocity.keys() == dynamics.state().keys()
    for name, array in velocity.items():
        np.testing.assert_allclose(array, -every[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("train", PAIRS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a_step_goes_along_the_velocity(model: str, train: tuple[str, ...], reduced: bool) -> None:
    corpus = topic_corpus(2)
    dynamics = Dynamics(corpus, parameters_for(corpus, model, 2, d=7), Training(train=train, reduced=reduced))
    before = {name: array.copy() for name, array in dynamics.state().items()}
    gradient = dynamics.evaluate()[1]
    velocity = dynamics.velocity(gradient)
    dynamics.step(gradient, 0.7)
    for name, array in dynamics.state().items():
        np.testing.assert_allclose(array, before[name] + 0.7 * velocity[name], rtol=0, atol=1e-14)


@settings(max_examples=examples(50))
@given(st.sampled_from(MODELS).flatmap(cases), st.sampled_from(SUBSETS), st.booleans())
def test_the_gradient_along_a_course_is_that_of_loss_and_gradient(
    case: Case, train: tuple[str, ...], reduced: bool
) -> None:
    """Whatever coordinates move inside."""
    dynamics = Dynamics(case.corpus, case.parameters, Training(train=train, reduced=reduced))
    fit, gradient = dynamics.evaluate()
    loss, reference = loss_and_gradient(case.corpus, case.parameters)
    allowed = dense(case.corpus, case.parameters).round_off
    assert fit.loss == pytest.approx(loss, rel=1e-11)
    ours = np.outer(gradient.scores, case.parameters.query)
    assert relative_error(ours, reference.keys, 2 * allowed["keys"]) <= 1e-10
    signals = descend(case.corpus, case.parameters, train=train, reduced=reduced, epochs=0).trajectory.isel(epoch=0)
    for name, exact in (("scores", gradient.scores), ("embeddings", reference.embeddings)):
        measured = float(signals[f"{name.removesuffix('s')}_signal"])
        assert measured == pytest.approx(np.linalg.norm(exact), rel=1e-10, abs=2 * allowed[name] * exact.size**0.5)


@pytest.mark.parametrize("train", PAIRS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a_state_that_is_restored_goes_on_as_it_did(model: str, train: tuple[str, ...]) -> None:
    corpus = topic_corpus(3)
    dynamics = Dynamics(corpus, parameters_for(corpus, model, 3, d=6), Training(train=train))
    dynamics.step(dynamics.evaluate()[1], 0.5)
    kept = {name: array.copy() for name, array in dynamics.state().items()}

    def goes_on() -> list[bytes]:
        for _ in range(3):
            dynamics.step(dynamics.evaluate()[1], 0.5)
        return [array.tobytes() for array in named(dynamics.parameters()).values()]

    first = goes_on()
    dynamics.restore(kept)
    assert goes_on() == first


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_words_that_are_held_have_no_part_in_the_training_signals(model: str, reduced: bool) -> None:
    corpus = topic_corpus(4)
    start = parameters_for(corpus, model, 4, d=6)
    gradient = loss_and_gradient(corpus, start)[1]
    slopes = {"score": gradient.keys @ start.query / (start.query @ start.query), "embedding": gradient.embeddings}
    sizes = (np.abs(slopes["score"]), np.linalg.norm(slopes["embedding"], axis=1))
    held = np.unique([np.argsort(size)[-2:] for size in sizes]).tolist()
    for hold in ([], held):
        run = descend(corpus, start, epochs=0, frozen_words=hold, reduced=reduced).trajectory.isel(epoch=0)
        for name, slope in slopes.items():
            moving = np.delete(slope, hold, axis=0)
            assert float(run[f"{name}_signal"]) == pytest.approx(np.linalg.norm(moving), rel=1e-12)
            # Negative control: the words that are held would show.
            assert np.linalg.norm(np.delete(slope, held, axis=0)) < 0.95 * np.linalg.norm(slope)


def test_parameters_come_in_arrays_of_their_own() -> None:
    corpus = topic_corpus()
    for model in MODELS:
        for reduced in (True, False):
            start = parameters_for(corpus, model, 0, d=6)
            dynamics = Dynamics(corpus, start, Training(train=TRAINABLE, reduced=reduced))
            before = dynamics.parameters()
            kept = {name: array.copy() for name, array in named(before).items()}
            dynamics.step(dynamics.evaluate()[1], 0.5)
            for name, array in named(before).items():
                np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize(("train", "given_"), [("keys", "'keys'"), (("keys", "heads"), "'heads'"), (("",), "''")])
def test_an_unknown_name_in_train_is_refused(train: Collection[str], given_: str) -> None:
    corpus = topic_corpus()
    with pytest.raises(InputError, match=f"train: expected any of query, keys, embeddings, head, got {given_}"):
        Dynamics(corpus, parameters_for(corpus, "attn-fc", 0), Training(train=train))


def test_keys_orthogonal_to_a_fixed_query_never_move() -> None:
    corpus = topic_corpus(6)
    start = parameters_for(corpus, "attn-fc", 6, d_k=5)
    *_, end = states(corpus, start, ("keys", "embeddings"), epochs=50)
    moved = end.keys - start.keys
    unit = start.query / np.linalg.norm(start.query)
    assert np.abs(moved).max() > 0.1
    assert np.abs(moved - np.outer(moved @ unit, unit)).max() <= 1e-15 * 50


def test_embedding_norms_are_those_of_the_parameters() -> None:
    for model in HEADS:
        for reduced in (True, False):
            corpus = topic_corpus(1)
            dynamics = Dynamics(
                corpus, parameters_for(corpus, model, 1, d=8), Training(train=("embeddings",), reduced=reduced)
            )
            for _ in range(3):
                dynamics.step(dynamics.evaluate()[1], 1.0)
            wanted = np.linalg.norm(dynamics.parameters().embeddings, axis=1)
            np.testing.assert_allclose(dynamics.embedding_norms(), wanted, rtol=1e-13)
