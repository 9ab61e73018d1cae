"""Claim: a run ends when and as it says (its epochs over, by patience, by Ctrl-C, by diverging) and loses nothing."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, FixedLinear, Parameters, Run, descend
from attn_dynamics.errors import InputError
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.run import Diverged, Interrupted
from attn_dynamics.training.settings import Training
from tests.support import (
    MODELS,
    PAIRS,
    SUBSETS,
    corpora,
    dense,
    examples,
    ids,
    naive_descent,
    named,
    numbered,
    parameters_for,
    relative_error,
    topic_corpus,
    trained_names,
)


def parameters_of(run: Run) -> dict[str, np.ndarray]:
    assert run.parameters is not None
    return named(run.parameters)


@pytest.fixture
def corpus() -> Corpus:
    return topic_corpus(0)


@pytest.fixture
def start(corpus: Corpus) -> Parameters:
    return parameters_for(corpus, "attn-tc", 0)


# --- all its epochs


@pytest.mark.parametrize("model", MODELS)
def test_descent_learns_a_task_that_can_be_learned(model: str) -> None:
    corpus = topic_corpus(0)
    run = descend(corpus, parameters_for(corpus, model, 0), learning_rate=0.3, epochs=3000)
    assert run.ended == "epochs"
    assert run.best_epoch == 3000
    assert run.trajectory.train_accuracy[-1] == 1.0
    assert run.trajectory.train_loss[-1] < 0.05


@settings(max_examples=examples(30))
@given(
    corpora(n_classes=3, n_words=6),
    st.sampled_from(MODELS),
    st.sampled_from(SUBSETS),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_two_epochs_are_those_of_a_loop_by_hand_for_any_data_and_any_subset(
    corpus: Corpus, model: str, train: tuple[str, ...], reduced: bool, seed: int
) -> None:
    start = parameters_for(corpus, model, seed, d=5)
    if dense(corpus, start).preactivation < 1e-6:
        return
    run = descend(corpus, start, learning_rate=0.01, epochs=2, train=train, reduced=reduced)
    states = naive_descent({"train": corpus}, start, train=train, rate=0.01, epochs=2)
    np.testing.assert_allclose(run.trajectory.train_loss, [state.scalars["train_loss"] for state in states], rtol=1e-12)
    moving = {name for name in trained_names(start.head) if name.split(".")[0] in train}
    for name, array in parameters_of(run).items():
        expected = named(states[-1].parameters)[name]
        if name in moving:
            assert relative_error(array, expected, 1e-14) <= 1e-12
        else:
            np.testing.assert_array_equal(array, named(start)[name])


@pytest.mark.parametrize("train", PAIRS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_the_start_is_never_changed(model: str, train: tuple[str, ...], corpus: Corpus) -> None:
    for reduced in (True, False):
        start = parameters_for(corpus, model, 1, d=6)
        kept = {name: array.tobytes() for name, array in named(start).items()}
        for array in named(start).values():
            array.setflags(write=False)
        options = {"evaluate_on": {"dev": corpus}, "patience": 2, "learning_rate": 0.5, "reduced": reduced}
        descend(corpus, start, epochs=4, train=train, **options)
        assert {name: array.tobytes() for name, array in named(start).items()} == kept


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_the_parameters_of_a_run_share_no_memory_with_the_start(model: str, reduced: bool, corpus: Corpus) -> None:
    start = parameters_for(corpus, model, 1, d=6)
    for train in PAIRS:
        ends = parameters_of(descend(corpus, start, epochs=2, train=train, reduced=reduced))
        shared = {name for name in ends if any(np.shares_memory(ends[name], each) for each in named(start).values())}
        assert shared == set(), train


def test_the_same_run_twice_is_the_same_to_the_bit(corpus: Corpus, start: Parameters) -> None:
    first, second = (descend(corpus, start, epochs=50, follow=[1, 2]) for _ in range(2))
    assert first.trajectory.identical(second.trajectory)


def test_the_meter_is_told_every_epoch_and_its_loss(corpus: Corpus, start: Parameters) -> None:
    told = []
    run = descend(corpus, start, epochs=7, meter=lambda epoch, loss: told.append((epoch, loss)))
    assert told == list(enumerate(run.trajectory.train_loss.values.tolist()))


def test_with_nothing_to_train_nothing_moves(corpus: Corpus, start: Parameters) -> None:
    run = descend(corpus, start, epochs=5, train=())
    assert len(set(run.trajectory.train_loss.values.tolist())) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, r"learning_rate: expected a finite number above 0, got 0\.0\."),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": np.inf}, "learning_rate"),
        ({"learning_rate": np.nan}, "learning_rate"),
        ({"epochs": -1}, r"epochs: expected 0 or more, got -1\."),
        ({"patience": 3}, r"patience: expected a development corpus to watch, got none\."),
        ({"train": "keys"}, "train: expected any of query, keys, embeddings, head, got 'keys'"),
        ({"train": ("values",)}, "train: expected any of"),
    ],
)
def test_a_bad_argument_is_refused(options: dict[str, Any], message: str, corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(InputError, match=message):
        descend(corpus, start, **options)


def test_patience_below_one_is_refused(corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(InputError, match="patience: expected 1 or more, got 0"):
        descend(corpus, start, epochs=2, evaluate_on={"dev": corpus}, patience=0)


def test_a_judged_corpus_must_fit_the_parameters(corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(InputError, match="evaluate_on 'test': expected the 14 words of the training data, got 13"):
        descend(corpus, start, epochs=2, evaluate_on={"test": topic_corpus(words=13)})


# --- patience


def stopped(patience: int, *, epochs: int = 4000, seed: int = 0, **options) -> tuple[Run, Run, Parameters, Corpus]:
    """A run that overfits under early stopping, and the same run without it."""
    train, dev = topic_corpus(seed, sentences=12), shuffled(seed)
    start = parameters_for(train, options.pop("model", "attn-tl"), seed)
    options = {"learning_rate": 0.3, "evaluate_on": {"dev": dev}} | options
    run = descend(train, start, epochs=epochs, patience=patience, **options)
    return run, descend(train, start, epochs=int(run.trajectory.epoch[-1]), **options), start, train


def shuffled(seed: int) -> Corpus:
    """Sentences whose classes say nothing: what is learned must hurt here in the end."""
    corpus = topic_corpus(seed + 1)
    return replace(corpus, labels=np.random.default_rng(seed).permutation(corpus.labels))


@pytest.mark.parametrize("patience", [1, 2, 17, 100])
@pytest.mark.parametrize("model", MODELS)
def test_a_run_ends_once_so_many_epochs_brought_no_lower_dev_loss(model: str, patience: int) -> None:
    run, undisturbed, *_ = stopped(patience, model=model)
    dev = run.trajectory.dev_loss.values
    assert run.ended == "patience"
    assert run.trajectory.identical(undisturbed.trajectory)
    best = int(dev.argmin())
    assert run.best_epoch == best
    assert len(dev) - 1 == best + patience
    # It did not end sooner than it had to: until then no lapse was as long.
    records = np.flatnonzero(dev[: best + 1] == np.minimum.accumulate(dev[: best + 1]))
    assert (np.diff(records) < patience).all() or patience == 1


@pytest.mark.parametrize("train", [train for train in PAIRS if train], ids="+".join)
@pytest.mark.parametrize("model", MODELS)
def test_the_best_state_comes_back(model: str, train: tuple[str, ...]) -> None:
    run, _, start, corpus = stopped(30, model=model, train=train, epochs=300)
    until_best = descend(corpus, start, learning_rate=0.3, train=train, epochs=run.best_epoch)
    for name, array in parameters_of(run).items():
        np.testing.assert_array_equal(array, parameters_of(until_best)[name])
    again = descend(corpus, run.parameters or start, epochs=0, evaluate_on={"dev": shuffled(0)})
    assert float(again.trajectory.dev_loss[0]) == pytest.approx(run.trajectory.dev_loss.values.min(), rel=1e-12)


def test_the_best_state_comes_back_although_the_epochs_ended_first() -> None:
    run, undisturbed, start, corpus = stopped(4000, epochs=600)
    assert run.ended == "epochs"
    assert run.best_epoch == int(run.trajectory.dev_loss.values.argmin()) < 600
    until_best = descend(corpus, start, learning_rate=0.3, epochs=run.best_epoch)
    for name, array in parameters_of(run).items():
        np.testing.assert_array_equal(array, parameters_of(until_best)[name])
    assert run.trajectory.identical(undisturbed.trajectory)


def test_a_dev_loss_that_only_stays_the_same_is_not_lower(corpus: Corpus, start: Parameters) -> None:
    run = descend(corpus, start, epochs=100, train=(), evaluate_on={"dev": corpus}, patience=5)
    assert run.ended == "patience"
    assert run.best_epoch == 0
    assert run.trajectory.epoch[-1] == 5


def test_a_dev_loss_that_is_never_finite_does_not_lose_the_run(corpus: Corpus) -> None:
    """A word of the development sentences alone whose embedding is beyond all bounds."""
    start = parameters_for(corpus, "attn-fc", 0)
    embeddings = start.embeddings.copy()
    embeddings[13] = 1e308
    dev = numbered([[13], [13, 1]], [0, 1], corpus.n_words, corpus.n_classes)
    far = replace(start, embeddings=embeddings, head=FixedLinear(weight=10.0 * start.head.first_layer))
    try:
        run = descend(corpus, far, epochs=20, evaluate_on={"dev": dev}, patience=5)
    except (InputError, Diverged):
        return
    assert run.parameters is not None
    assert run.best_epoch in run.trajectory.epoch


# --- Ctrl-C


@pytest.fixture
def default_handler() -> Iterator[None]:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


def press(at: int, times: int = 1) -> Callable[[int, float], None]:
    """A meter that presses Ctrl-C at an epoch."""

    def meter(epoch: int, loss: float) -> None:
        if epoch == at:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return meter


@pytest.mark.usefixtures("default_handler", "epoch_by_epoch")
@pytest.mark.parametrize("model", MODELS)
def test_ctrl_c_ends_the_epoch_and_gives_the_run_so_far(model: str, corpus: Corpus) -> None:
    start = parameters_for(corpus, model, 0)
    with pytest.raises(Interrupted, match=r"interrupted after epoch 6$") as caught:
        descend(corpus, start, epochs=10_000, follow=[3], meter=press(6))
    run = caught.value.run
    undisturbed = descend(corpus, start, epochs=6, follow=[3])
    assert run.ended == "interrupted"
    assert run.best_epoch == 6
    assert run.trajectory.identical(undisturbed.trajectory)
    for name, array in parameters_of(run).items():
        np.testing.assert_array_equal(array, parameters_of(undisturbed)[name])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert isinstance(caught.value, KeyboardInterrupt)


@pytest.mark.usefixtures("default_handler", "epoch_by_epoch")
def test_ctrl_c_under_early_stopping_gives_the_best_state() -> None:
    train, dev = topic_corpus(0, sentences=12), shuffled(0)
    start = parameters_for(train, "attn-tl", 0)
    with pytest.raises(Interrupted) as caught:
        descend(
            train, start, learning_rate=0.3, epochs=10_000, evaluate_on={"dev": dev}, patience=5000, meter=press(400)
        )
    run = caught.value.run
    assert run.best_epoch == int(run.trajectory.dev_loss.values.argmin()) < 400
    until_best = descend(train, start, learning_rate=0.3, epochs=run.best_epoch)
    for name, array in parameters_of(run).items():
        np.testing.assert_array_equal(array, parameters_of(until_best)[name])


@pytest.mark.usefixtures("default_handler", "epoch_by_epoch")
def test_a_second_ctrl_c_interrupts_at_once(corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        descend(corpus, start, epochs=10_000, meter=press(3, times=2))
    assert not isinstance(caught.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_handler", "epoch_by_epoch")
def test_a_program_that_handles_ctrl_c_itself_still_does(corpus: Corpus, start: Parameters) -> None:
    seen = []

    def handler(number: int, frame: object) -> None:
        seen.append(number)

    signal.signal(signal.SIGINT, handler)
    run = descend(corpus, start, epochs=5, meter=press(2))
    assert run.ended == "epochs"
    assert seen == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_run_in_another_thread_is_the_same_run(corpus: Corpus, start: Parameters) -> None:
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(descend(corpus, start, epochs=20)))
    thread.start()
    thread.join()
    assert runs[0].trajectory.identical(descend(corpus, start, epochs=20).trajectory)


# --- divergence


@settings(max_examples=examples(40))
@given(
    corpora(n_classes=3, n_words=6),
    st.sampled_from(MODELS),
    st.sampled_from([1e2, 1e5, 1e20, 1e100, 1e150, 1e200, 1e300]),
    st.integers(0, 2**32 - 1),
)
def test_a_run_that_diverges_keeps_its_earlier_epochs_all_finite(
    corpus: Corpus, model: str, rate: float, seed: int
) -> None:
    start = parameters_for(corpus, model, seed)
    message, run = "", None
    try:
        run = descend(corpus, start, learning_rate=rate, epochs=30, follow=[0], train=TRAINABLE)
    except Diverged as stop:
        message, run = str(stop), stop.run
    if message:
        epochs = run.trajectory.sizes["epoch"]
        assert (run.ended, run.parameters) == ("diverged", None)
        assert 1 <= epochs <= 30
        assert f"loss at epoch {epochs}: " in message
        assert f"below {rate:g}" in message
    counted = [name for name in run.trajectory.data_vars if "attention" not in str(name)]
    assert {str(name) for name in counted if not np.isfinite(run.trajectory[name]).all()} == set()


def test_what_came_before_divergence_is_as_in_a_shorter_run(corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(Diverged) as caught:
        descend(corpus, start, learning_rate=1e4, epochs=10_000, follow=[1])
    trajectory = caught.value.run.trajectory
    last = int(trajectory.epoch[-1])
    shorter = descend(corpus, start, learning_rate=1e4, epochs=last, follow=[1])
    every_epoch = [name for name in trajectory.data_vars if "epoch" in trajectory[name].dims]
    assert trajectory[every_epoch].identical(shorter.trajectory[every_epoch])


def test_the_best_epoch_of_a_run_that_diverged_is_one_that_it_recorded(corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(Diverged) as caught:
        descend(corpus, start, learning_rate=1e4, epochs=10_000)
    assert caught.value.run.best_epoch in caught.value.run.trajectory.epoch


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("follow", [(), (1,)])
def test_a_loss_that_is_not_finite_at_the_start_is_reported_with_an_empty_record(
    reduced: bool, follow: tuple[int, ...]
) -> None:
    corpus = numbered([[0, 1], [1, 2]], [0, 2], 3, 3)
    weight = np.zeros((4, 3))
    weight[:2, 1] = 1e10, -1e10
    drawn = parameters_for(corpus, "attn-fc", 0, d=4)
    start = replace(drawn, embeddings=1e300 * np.tile([1.0, -1.0, 0.0, 0.0], (3, 1)), head=FixedLinear(weight=weight))
    with pytest.raises(Diverged, match="loss at epoch 0: expected a finite number") as caught:
        descend(corpus, start, epochs=5, reduced=reduced, follow=follow)
    assert caught.value.run.trajectory.sizes["epoch"] == 0


@pytest.mark.parametrize("name", ["scores", "axes"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_no_longer_finite_is_never_recorded_as_finite(
    name: str, wrong: float, corpus: Corpus, start: Parameters
) -> None:
    """What a step that overflows leaves in one entry, in many, and in all."""
    for share in (0.05, 0.5, 1.0):
        dynamics = Dynamics(corpus, start, Training(train=("keys", "embeddings", "head")))
        row = np.empty(6)
        assert dynamics.record(row), "negative control"
        array = dynamics.state()[name]
        array.reshape(-1)[: max(1, int(share * array.size))] = wrong
        assert not dynamics.record(row)
