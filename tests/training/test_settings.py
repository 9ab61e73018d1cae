"""Claim: one object decides a run, keywords are its fields, and former names of arguments work, with a warning."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from attn_dynamics import InputError, Objective, Parameters, Run, Training, descend, descend_many, flow
from attn_dynamics.window.settings import WindowTraining
from tests.support import end, parameters_for, topic_corpus

CORPUS, DEV = topic_corpus(0), topic_corpus(1)
SETTINGS: dict[str, Any] = {"learning_rate": 0.3, "epochs": 12, "train": ("keys",), "patience": 5, "frozen_words": (2,)}


@pytest.fixture(scope="module")
def start() -> Parameters:
    return parameters_for(CORPUS, "attn-tc", 0, d=6)


def same_runs(first: Run, second: Run) -> bool:
    return first.trajectory.identical(second.trajectory)


WAYS: dict[str, Callable[..., Run]] = {
    "descend": descend,
    "descend_many": lambda corpus, start, *training, **settings: descend_many(corpus, [start], *training, **settings)[
        0
    ],
}


@pytest.mark.parametrize("way", WAYS)
def test_keywords_are_fields_of_the_object_and_replace_them(way: str, start: Parameters) -> None:
    train, given = WAYS[way], {"evaluate_on": {"dev": DEV}, "follow": (3,)}
    by_keywords = train(CORPUS, start, **SETTINGS, **given)
    assert by_keywords.training == Training(**SETTINGS)
    assert same_runs(by_keywords, train(CORPUS, start, Training(**SETTINGS), **given))
    replaced = train(CORPUS, start, Training(**{**SETTINGS, "learning_rate": 0.1}), learning_rate=0.3, **given)
    assert same_runs(by_keywords, replaced)
    assert not same_runs(by_keywords, train(CORPUS, start, Training(**SETTINGS), learning_rate=0.1, **given)), "control"


def test_the_object_is_frozen_and_in_one_form() -> None:
    training = Training(train=["head", "keys"], learning_rate=np.float64(0.1), frozen_words=["a"])
    assert training.train == ("keys", "head")
    assert training.frozen_words == ("a",)
    assert type(training.learning_rate) is float
    with pytest.raises(FrozenInstanceError):
        training.epochs = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("way", [*WAYS, "flow"])
def test_former_names_of_arguments_warn_and_do_the_same(way: str, start: Parameters) -> None:
    train = flow if way == "flow" else WAYS[way]
    length: dict[str, Any] = {"time": 2.0} if way == "flow" else {"epochs": 12}
    now = train(CORPUS, start, evaluate_on={"test": DEV}, frozen_words=(2,), **length)
    with pytest.warns(DeprecationWarning, match="now") as told:
        former = train(CORPUS, start, judge={"test": DEV}, hold=(2,), **length)  # pyright: ignore
    assert {str(each.message) for each in told} == {
        "judge is called evaluate_on now",
        "hold is called frozen_words now",
    }
    assert {each.filename for each in told} <= {__file__, descend_many.__code__.co_filename}
    assert "test_loss" in former.trajectory
    np.testing.assert_array_equal(end(former).embeddings, end(now).embeddings)
    np.testing.assert_array_equal(end(former).embeddings[2], start.embeddings[2])
    with pytest.raises(InputError, match="hold: expected frozen_words alone, got both"):
        train(CORPUS, start, hold=(2,), frozen_words=(2,), **length)  # pyright: ignore


def test_former_names_of_the_objective_warn_and_do_the_same(start: Parameters) -> None:
    axes = np.ascontiguousarray(start.embeddings.T)
    with pytest.warns(DeprecationWarning, match="now"):
        former = Objective(CORPUS, start.scores, axes, start.head, held=np.array([2]), judged=[DEV])  # pyright: ignore
    now = Objective(CORPUS, start.scores, axes, start.head, frozen=np.array([2]), others=[DEV])
    free = Objective(CORPUS, start.scores, axes, start.head)
    scores = [each.evaluate()[1].scores.copy() for each in (former, now, free)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert scores[0][2] == 0.0
    assert scores[2][2] != 0.0, "negative control"


def test_what_is_no_training_is_refused(start: Parameters) -> None:
    with pytest.raises(InputError, match="training: expected a Training, got 500"):
        descend(CORPUS, start, 500)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"epoch: expected a field .* Perhaps you meant epochs"):
        descend(CORPUS, start, epoch=1)


def test_runs_that_are_the_same_have_one_identity_and_others_another() -> None:
    assert Training(frozen_words={"a", "b"}).identity == Training(frozen_words=("b", "a", np.str_("b"))).identity
    assert Training(frozen_words=(1,)).identity == Training(frozen_words=(np.int64(1),)).identity
    assert Training(frozen_words=(1,)).identity != Training(frozen_words=("1",)).identity
    assert hash(Training(decay={"keys": 0.1})) == hash(Training(decay={"keys": 0.1}))
    assert replace(Training(decay={"keys": 0.1}), epochs=3).decay_of("keys") == 0.1


def test_a_training_of_windows_is_none_of_models(start: Parameters) -> None:
    with pytest.raises(InputError, match="training: expected a Training, got a WindowTraining"):
        descend(CORPUS, start, WindowTraining())


def test_modules_are_reached_by_the_package_without_an_import_of_their_own() -> None:
    script = "import attn_dynamics; print(attn_dynamics.tasks.Synthetic().topics); attn_dynamics.nothing"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "4\n"
    assert "has no attribute 'nothing'" in done.stderr


def test_a_run_is_one_line(start: Parameters) -> None:
    assert repr(descend(CORPUS, start, epochs=3)).startswith("Run(4 recorded, ended by epochs, train loss ")
