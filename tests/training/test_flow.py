"""Claim: gradient flow is what descent follows as its learning rate goes to 0, recorded and stopped as asked."""

import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attn_dynamics import Corpus, Parameters, Run, descend, flow, loss_and_gradient
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.training.flow import MOST_STIFF, RECORDED, SOLVERS, STIFF
from attn_dynamics.training.run import Diverged, Interrupted
from tests.support import MODELS, apart, built, dense, end, named, parameters_for, topic_corpus, trained_names

SMOOTH = [model for model in MODELS if HEADS[model].smooth]
DEFAULT = ("keys", "embeddings", "head")


@pytest.fixture
def corpus() -> Corpus:
    return topic_corpus(0)


@pytest.fixture
def start(corpus: Corpus) -> Parameters:
    return parameters_for(corpus, "attn-tc", 0)


def without_switches(corpus: Corpus, model: str, **shape: int) -> Parameters:
    """A start from which no relu switches for a while."""
    start = parameters_for(corpus, model, 0, spread=0.5, **shape)
    away = {"bias_in": 4.0 * (-1.0) ** np.arange(start.head.first_layer.shape[1])}
    return start if start.head.smooth else replace(start, head=start.head.replace(**away))


# --- it is the flow


def by_hand(
    corpus: Corpus,
    start: Parameters,
    time: float,
    *,
    train: Collection[str] = DEFAULT,
    frozen_words: Sequence[int] = (),
) -> Parameters:
    """The classical Runge-Kutta scheme along the gradient of dense autograd."""
    moving = {name for name in trained_names(start.head) if name.split(".")[0] in train}
    steps = 100
    step = time / steps

    def velocity(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        gradient = dense(corpus, built(start, arrays)).gradient
        for name in ("keys", "embeddings"):
            gradient[name][list(frozen_words)] = 0.0
        return {name: -gradient[name] if name in moving else np.zeros_like(array) for name, array in arrays.items()}

    def ahead(by: float, slopes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array + by * slopes[name] for name, array in arrays.items()}

    arrays = named(start)
    for _ in range(steps):
        first = velocity(arrays)
        second = velocity(ahead(step / 2, first))
        third = velocity(ahead(step / 2, second))
        fourth = velocity(ahead(step, third))
        mean = {name: (first[name] + 2 * (second[name] + third[name]) + fourth[name]) / 6 for name in arrays}
        arrays = ahead(step, mean)
    return built(start, arrays)


@pytest.mark.parametrize("train", [("embeddings",), DEFAULT, TRAINABLE], ids="+".join)
@pytest.mark.parametrize("model", MODELS)
def test_it_is_what_an_independent_integration_gives(model: str, train: tuple[str, ...], corpus: Corpus) -> None:
    start = without_switches(corpus, model)
    ours = end(flow(corpus, start, time=0.5, train=train, max_steps=1000))
    theirs = by_hand(corpus, start, 0.5, train=train)
    assert apart(ours, theirs) <= 1e-8
    assert apart(ours, start) > 1e-2


def order_of_descent(corpus: Corpus, start: Parameters, *, later: float = 1.0, **options: Any) -> float:
    """Slope of ln distance between descent and flow over ln η."""
    time, rates = 2.0, 0.02 / 2.0 ** np.arange(4)
    limit = end(flow(corpus, start, time=later * time, max_steps=1000, **options))
    ends = (end(descend(corpus, start, learning_rate=eta, epochs=round(time / eta), **options)) for eta in rates)
    return float(np.polyfit(np.log(rates), np.log([apart(limit, each) for each in ends]), 1)[0])


@pytest.mark.parametrize("train", [("keys",), ("keys", "embeddings"), DEFAULT, TRAINABLE], ids="+".join)
@pytest.mark.parametrize("model", MODELS)
def test_descent_reaches_it_at_first_order(model: str, train: tuple[str, ...], corpus: Corpus) -> None:
    assert order_of_descent(corpus, without_switches(corpus, model), train=train) == pytest.approx(1.0, abs=0.05)


def test_descent_does_not_reach_the_flow_at_another_time(corpus: Corpus, start: Parameters) -> None:
    """Negative control: one percent off, as a wrong time scale would have it."""
    assert order_of_descent(corpus, start, later=1.01) < 0.7


@pytest.mark.parametrize("model", SMOOTH)
def test_time_and_log_time_agree(model: str, corpus: Corpus) -> None:
    start, times = parameters_for(corpus, model, 0), [0.5, 3.0, 40.0]
    linear, log = (flow(corpus, start, times=times, follow=[1], log_time=choice) for choice in (False, True))
    assert apart(end(linear), end(log)) <= 1e-7
    np.testing.assert_allclose(linear.trajectory.train_loss, log.trajectory.train_loss, atol=1e-9)
    np.testing.assert_allclose(linear.trajectory.score, log.trajectory.score, atol=1e-7)


@pytest.mark.parametrize("train", [("keys", "embeddings"), ("query", "embeddings"), TRAINABLE], ids="+".join)
@pytest.mark.parametrize("model", SMOOTH)
def test_the_reduced_flow_is_the_full_one(model: str, train: tuple[str, ...], corpus: Corpus) -> None:
    start = parameters_for(corpus, model, 0, d=9)
    reduced, full = (flow(corpus, start, time=20.0, train=train, reduced=choice) for choice in (True, False))
    assert apart(end(reduced), end(full)) <= 1e-8
    np.testing.assert_allclose(reduced.trajectory.train_loss, full.trajectory.train_loss, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_gives_the_same_flow(solver: str, corpus: Corpus, start: Parameters) -> None:
    exact, ours = (
        end(flow(corpus, start, times=[5.0], solver=name, rtol=rtol, atol=rtol))
        for name, rtol in (("DOP853", 1e-11), (solver, 1e-8))
    )
    assert apart(exact, ours) <= 1e-5


@pytest.mark.parametrize("train", [("keys", "embeddings"), ("embeddings", "head")], ids="+".join)
def test_held_words_do_not_move_and_the_others_do_as_beside_them(
    train: tuple[str, ...], corpus: Corpus, start: Parameters
) -> None:
    held, others = [1, 5], [0, 2, 3, 4]
    ours = end(flow(corpus, start, time=1.0, train=train, frozen_words=held))
    assert apart(ours, by_hand(corpus, start, 1.0, train=train, frozen_words=held)) <= 1e-8
    np.testing.assert_array_equal(ours.keys[held], start.keys[held])
    np.testing.assert_array_equal(ours.embeddings[held], start.embeddings[held])
    assert np.abs(ours.embeddings[others] - start.embeddings[others]).min(axis=1).max() > 1e-3
    assert apart(ours, by_hand(corpus, start, 1.0, train=train)) > 1e-3


@pytest.mark.parametrize("solver", SOLVERS)
def test_with_nothing_to_train_nothing_moves(solver: str, corpus: Corpus, start: Parameters) -> None:
    run = flow(corpus, start, time=5.0, train=(), solver=solver)
    assert (run.ended, run.trajectory.sizes["time"]) == ("time", RECORDED)
    assert apart(end(run), start) == 0.0


# --- what is recorded


@pytest.mark.parametrize("log_time", [False, True])
def test_the_times_recorded_are_those_asked_for(log_time: bool, corpus: Corpus, start: Parameters) -> None:
    asked = [7.3, 0.1, 1.0, 1.0, 1.0 / 3.0]
    run = flow(corpus, start, times=asked, log_time=log_time)
    assert run.trajectory.time.values.tolist() == [0.0, *sorted(set(asked))]
    assert (run.ended, run.best_epoch) == ("time", 4)
    assert set(run.trajectory.snapshot.values) <= set(run.trajectory.time.values)


@pytest.mark.parametrize(("log_time", "clock"), [(False, np.asarray), (True, np.log1p)])
def test_otherwise_they_are_even_over_the_clock(
    log_time: bool, clock: Callable[[np.ndarray], np.ndarray], corpus: Corpus, start: Parameters
) -> None:
    times = flow(corpus, start, time=9.7, log_time=log_time).trajectory.time.values
    assert (times.size, times[0], times[-1]) == (RECORDED, 0.0, 9.7)
    np.testing.assert_allclose(clock(times), np.linspace(0.0, clock(np.array(9.7)), RECORDED), rtol=1e-13)


def test_what_is_recorded_is_the_flow_at_that_time(corpus: Corpus, start: Parameters) -> None:
    """Between the solver's own steps too; and further corpora are judged, words followed."""
    dev = topic_corpus(1)
    trajectory = flow(corpus, start, times=[0.9, 2.1, 3.0], evaluate_on={"dev": dev}, follow=[3, 1]).trajectory
    assert trajectory.word.values.tolist() == ["3", "1"]
    for time in (0.9, 2.1, 3.0):
        at, there = trajectory.sel(time=time), end(flow(corpus, start, times=[time]))
        assert float(at.train_loss) == pytest.approx(loss_and_gradient(corpus, there)[0], abs=1e-8)
        assert float(at.dev_loss) == pytest.approx(loss_and_gradient(dev, there)[0], abs=1e-8)
        np.testing.assert_allclose(at.score, there.scores[[3, 1]], atol=1e-7)
        np.testing.assert_allclose(at.embedding_norm, np.linalg.norm(there.embeddings[[3, 1]], axis=1), atol=1e-7)


def last_snapshot(run: Run) -> tuple[float, np.ndarray]:
    last = run.trajectory.isel(snapshot=-1)
    return float(last.snapshot), last.all_score.values


def test_the_meter_is_told_each_step_and_changes_nothing(corpus: Corpus, start: Parameters) -> None:
    told: list[tuple[float, float]] = []
    run = flow(corpus, start, times=[1.3, 4.0], meter=lambda *seen: told.append(seen))
    times, losses = np.array(told).T
    assert (np.diff(times) > 0.0).all()
    assert (np.diff(losses) < 0.0).all()
    assert told[-1] == (4.0, float(run.trajectory.train_loss[-1]))
    alone = flow(corpus, start, times=[1.3, 4.0])
    assert run.trajectory.identical(alone.trajectory)
    assert apart(end(run), end(alone)) == 0.0


def test_the_last_snapshot_is_of_the_end(corpus: Corpus, start: Parameters) -> None:
    for stop_loss, reduced in ((None, True), (0.6, True), (None, False)):
        run = flow(corpus, start, times=[0.2, 4.0], stop_loss=stop_loss, reduced=reduced)
        time, scores = last_snapshot(run)
        assert time == run.trajectory.time[-1]
        np.testing.assert_allclose(scores, end(run).scores, atol=1e-14)


# --- events


@pytest.mark.parametrize("log_time", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_it_stops_where_the_loss_has_fallen_so_far(
    solver: str, log_time: bool, corpus: Corpus, start: Parameters
) -> None:
    run = flow(corpus, start, times=[0.5, 400.0], stop_loss=0.5, solver=solver, rtol=1e-8, log_time=log_time)
    times, losses = run.trajectory.time.values, run.trajectory.train_loss.values
    assert run.ended == "loss"
    assert times.tolist()[:2] == [0.0, 0.5]
    assert len(times) == 3
    assert losses[1] > losses[2] == pytest.approx(0.5, abs=1e-12)
    assert loss_and_gradient(corpus, end(run))[0] == pytest.approx(0.5, abs=1e-12)
    there = flow(corpus, start, times=[times[-1]], rtol=1e-11)
    assert apart(end(there), end(run)) <= 1e-4


def test_it_stops_where_every_followed_word_is_attended_so_much(corpus: Corpus, start: Parameters) -> None:
    run = flow(corpus, start, times=[1000.0], follow=[0, 1, 2], stop_attention=0.4)
    assert run.ended == "attention"
    assert float(run.trajectory.attention[-1].min()) == pytest.approx(0.4, abs=1e-12)
    assert float(run.trajectory.attention[0].min()) < 0.4


def test_the_first_of_two_events_ends_it(corpus: Corpus, start: Parameters) -> None:
    both: dict[str, Any] = {"times": [1000.0], "follow": [0, 1, 2]}
    attended = flow(corpus, start, stop_attention=0.4, **both).trajectory
    reached = float(attended.train_loss[-1])
    for loss, ended in ((1.01 * reached, "loss"), (0.99 * reached, "attention")):
        assert flow(corpus, start, stop_loss=loss, stop_attention=0.4, **both).ended == ended


@pytest.mark.parametrize(
    ("options", "ended"), [({"stop_loss": 50.0}, "loss"), ({"follow": [0], "stop_attention": 1e-9}, "attention")]
)
def test_an_event_already_met_leaves_the_start(
    options: dict[str, Any], ended: str, corpus: Corpus, start: Parameters
) -> None:
    run = flow(corpus, start, **options)
    assert (run.ended, run.trajectory.time.values.tolist()) == (ended, [0.0])
    assert apart(end(run), start) <= 1e-15


# --- when it cannot go on


@pytest.fixture
def default_handler() -> Iterator[None]:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("default_handler")
@pytest.mark.parametrize("at", [0.5, 4.0], ids=["on the way", "in the last step"])
def test_ctrl_c_gives_the_run_so_far(at: float, corpus: Corpus, start: Parameters) -> None:
    def press(time: float, loss: float) -> None:
        if time >= at:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="interrupted after time ") as caught:
        flow(corpus, start, times=[0.2, 4.0], meter=press)
    run = caught.value.run
    times = run.trajectory.time.values
    assert run.ended == "interrupted"
    assert run.best_epoch == 2 == len(times) - 1
    assert at <= times[-1] <= 4.0
    assert apart(end(run), end(flow(corpus, start, times=[times[-1]]))) <= 1e-7
    assert last_snapshot(run)[0] == times[-1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_gives_up_after_so_many_steps_with_the_run_so_far(corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(Diverged, match=r"gradient flow after time 0\.01: .* more than 5 steps") as caught:
        flow(corpus, start, times=[0.01, 1000.0], max_steps=5)
    run = caught.value.run
    assert (run.ended, run.parameters) == ("diverged", None)
    assert run.trajectory.time.values.tolist() == [0.0, 0.01]
    time, scores = last_snapshot(run)
    assert time == 0.01
    np.testing.assert_allclose(scores, end(flow(corpus, start, times=[0.01])).scores, atol=1e-9)
    assert flow(corpus, start, times=[0.01], max_steps=5).ended == "time"


def test_where_a_relu_switches_the_flow_may_slide_and_the_solver_is_stopped(corpus: Corpus) -> None:
    with pytest.raises(Diverged, match="more than 100 steps"):
        flow(corpus, parameters_for(corpus, "attn-tl", 0), time=200.0, max_steps=100)


# --- what it refuses


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": 0.0}, r"time: expected a finite number above 0, got 0\.0\."),
        ({"time": -1.0}, "time: expected"),
        ({"time": np.inf}, "time: expected"),
        ({"time": np.nan}, "time: expected"),
        ({"times": []}, "times: expected"),
        ({"times": [[1.0]]}, "times: expected"),
        ({"times": [0.0]}, "times: expected"),
        ({"times": [-1.0, 2.0]}, "times: expected"),
        ({"times": [1.0, np.nan]}, "times: expected finite numbers"),
        ({"times": ["soon"]}, "times: expected an array of numbers"),
        ({"train": "keys"}, "train: expected any of query, keys, embeddings, head, got 'keys'"),
        ({"train": ("values",)}, "train: expected any of"),
        ({"evaluate_on": {"train": topic_corpus(1)}}, "evaluate_on: expected names other than 'train'"),
        (
            {"evaluate_on": {"dev": topic_corpus(words=13)}},
            "evaluate_on 'dev': expected the 14 words of the training data",
        ),
        ({"follow": ["none"]}, "follow: expected words of the vocabulary"),
        ({"frozen_words": ["none"]}, "frozen_words: expected words of the vocabulary"),
        (
            {"frozen_words": [1], "train": TRAINABLE},
            "frozen_words: expected words whose key is 0, because",
        ),
        ({"solver": "Euler"}, "solver: expected one of DOP853, RK45, LSODA, Radau, BDF, got 'Euler'"),
        ({"rtol": 0.0}, "rtol: expected a finite number above 0"),
        ({"rtol": np.nan}, "rtol: expected"),
        ({"atol": -1.0}, "atol: expected"),
        ({"atol": np.inf}, "atol: expected"),
        ({"stop_loss": np.nan}, "stop_loss: expected"),
        ({"stop_loss": 0.0}, "stop_loss: expected"),
        ({"stop_attention": 0.9}, "stop_attention: expected words to watch, got none"),
        ({"stop_attention": -0.9, "follow": [1]}, "stop_attention: expected a finite number above 0"),
        ({"max_steps": 0}, "max_steps: expected 1 or more, got 0"),
    ],
    ids=str,
)
def test_a_bad_argument_is_refused(options: dict[str, Any], message: str, corpus: Corpus, start: Parameters) -> None:
    with pytest.raises(InputError, match=message):
        flow(corpus, start, **options)


@pytest.mark.parametrize("solver", STIFF)
def test_a_stiff_solver_is_refused_where_its_jacobian_would_be_too_large(solver: str) -> None:
    corpus = topic_corpus(words=MOST_STIFF + 1)
    start = parameters_for(corpus, "attn-fc", 0)
    with pytest.raises(InputError, match=f"for more than {MOST_STIFF} moving coordinates, got {solver} for"):
        flow(corpus, start, train=("keys",), solver=solver)
    words = topic_corpus(words=MOST_STIFF)
    assert flow(words, parameters_for(words, "attn-fc", 0), train=("head",), solver=solver, time=0.1).ended == "time"


def test_parameters_of_another_corpus_are_refused(start: Parameters) -> None:
    with pytest.raises(InputError, match="parameters: expected 13 words"):
        flow(topic_corpus(words=13), start)
