"""Claim: descent is the loop by hand, flow its limit, in time and in log time; the bell has a rate of its own."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.training import checkpoint
from attn_dynamics.training.checkpoint import Checkpoint, CheckpointMismatch
from attn_dynamics.training.rules import Adam, Momentum, Rule
from attn_dynamics.training.run import Diverged, Interrupted
from attn_dynamics.window.dynamics import Trajectory, WindowTraining, descend, flow
from attn_dynamics.window.layer import evaluate, loss_and_gradient
from attn_dynamics.window.readout import CrossEntropy
from attn_dynamics.window.tasks import WindowOptions, WindowTask, load_window_task
from tests.window.drawn import KINDS, setting


@pytest.mark.parametrize("model", ["attn-fc", "attn-tc", "attn-tl"])
def test_two_epochs_are_those_of_a_loop_by_hand(model: str) -> None:
    case = setting("renormalised", "log", model, 5)
    windows, layer = case.windows, case.layer
    for _ in range(2):
        gradient = loss_and_gradient(windows, layer)[1]
        assert isinstance(layer.readout, CrossEntropy)
        head = layer.readout.head
        layer = replace(
            layer,
            scores=layer.scores - 0.1 * gradient.scores,
            values=layer.values - 0.1 * gradient.values,
            parameter=layer.parameter - 0.3 * gradient.parameter,
            readout=CrossEntropy(
                head.replace(**{name: getattr(head, name) - 0.1 * each for name, each in gradient.head.items()})
            ),
        )
    run = descend(windows, case.layer, learning_rate=0.1, epochs=2, train=WindowTraining.PARTS, bell_rate=3.0)
    assert run.times.tolist() == [0.0, 0.1, 0.2]
    assert run.layers[0].scores.tolist() == case.layer.scores.tolist()
    assert run.layers[0].parameter == case.layer.parameter
    end = run.layers[-1]
    np.testing.assert_allclose(end.scores, layer.scores, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(end.values, layer.values, rtol=1e-14, atol=1e-16)
    assert end.parameter == pytest.approx(layer.parameter, rel=1e-14)
    assert isinstance(end.readout, CrossEntropy)
    assert isinstance(layer.readout, CrossEntropy)
    for name, each in end.readout.head.arrays().items():
        np.testing.assert_allclose(each, getattr(layer.readout.head, name), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("rule", [Momentum(), Adam()], ids=["momentum", "adam"])
def test_a_rule_steps_the_bell_as_it_steps_a_number(rule: Rule) -> None:
    """And a rate of the bell's own is a factor on the step under Adam, which would undo one on the gradient."""
    case = setting("renormalised", "log", "likelihood", 5)
    layer, number = case.layer, {"p": np.array([case.layer.parameter])}
    buffers = rule.start(number)
    for _ in range(5):
        slope = loss_and_gradient(case.windows, replace(layer, parameter=float(number["p"][0])))[1].parameter
        rule.step(number, {"p": np.array([slope])}, buffers, 0.1)
    run = descend(case.windows, layer, learning_rate=0.1, epochs=5, rule=rule)
    assert run.layers[-1].parameter == pytest.approx(number["p"][0], rel=1e-14)
    plain = descend(case.windows, layer, learning_rate=0.1, epochs=5)
    assert abs(run.layers[-1].parameter - plain.layers[-1].parameter) > 1e-3, "negative control"
    first = [
        descend(case.windows, layer, learning_rate=0.01, epochs=1, rule=rule, bell_rate=rate).layers[-1].parameter
        for rate in (1.0, 3.0)
    ]
    steps = np.array(first) - layer.parameter
    assert steps[1] == pytest.approx(3.0 * steps[0], rel=1e-10)


@pytest.mark.parametrize("name", WindowTraining.PARTS)
def test_only_what_is_trained_moves(name: str) -> None:
    case = setting("product", "deviation", "attn-tc", 5)
    end = descend(case.windows, case.layer, learning_rate=0.1, epochs=3, train=(name,)).layers[-1]
    assert isinstance(end.readout, CrossEntropy)
    assert isinstance(case.layer.readout, CrossEntropy)
    moved = {
        "scores": (end.scores != case.layer.scores).any(),
        "values": (end.values != case.layer.values).any(),
        "bell": end.parameter != case.layer.parameter,
        "head": (end.readout.head.first_layer != case.layer.readout.head.first_layer).any(),
    }
    assert [each for each, did in moved.items() if did] == [name]


@pytest.mark.parametrize(("placement", "scale"), KINDS)
def test_descent_tends_to_the_flow(placement: str, scale: str) -> None:
    case = setting(placement, scale, "attn-fc", 5)
    ends = {
        rate: descend(
            case.windows, case.layer, learning_rate=rate, epochs=round(1 / rate), train=WindowTraining.PARTS
        ).layers[-1]
        for rate in (0.02, 0.01)
    }
    limit = flow(case.windows, case.layer, times=[0.5, 1.0], train=WindowTraining.PARTS).layers[-1]
    off = [np.abs(each.values - limit.values).max() for each in ends.values()]
    assert off[0] / off[1] == pytest.approx(2.0, abs=0.15)
    assert off[1] < 1e-2


def test_log_time_is_another_clock_of_the_same_flow() -> None:
    case = setting("renormalised", "deviation", "attn-tc", 5)
    ways = [
        flow(case.windows, case.layer, times=[0.0, 0.3, 20.0], log_time=way, train=("values", "bell"))
        for way in (False, True)
    ]
    np.testing.assert_allclose(ways[0].widths, ways[1].widths, rtol=1e-7)
    assert ways[0].widths[0] == case.layer.width
    ends = [each.fit("train", each.epochs[-1]).loss for each in ways]
    assert ends[0] == pytest.approx(ends[1], rel=1e-7)


def test_a_rate_of_its_own_is_time_for_the_bell_alone() -> None:
    case = setting("renormalised", "deviation", "likelihood", 5)
    slow = flow(case.windows, case.layer, times=[7.0])
    fast = flow(case.windows, case.layer, times=[1.0], bell_rate=7.0)
    assert fast.widths[0] == pytest.approx(slow.widths[0], rel=1e-9)
    assert abs(fast.widths[0] - case.layer.width) > 1e-3


def test_a_step_to_no_bell_ends_the_run_and_keeps_what_was_before() -> None:
    case = setting("renormalised", "deviation", "reward", 6)
    halving = 0.5 * case.layer.parameter / loss_and_gradient(case.windows, case.layer)[1].parameter
    with pytest.raises(Diverged, match="epoch 2: expected a bell") as caught:
        descend(case.windows, case.layer, learning_rate=halving, epochs=50)
    pushed = caught.value.run
    assert pushed.ended == "diverged"
    assert pushed.layer is None
    assert len(pushed.layers) == pushed.recorded == 2
    assert all(each.parameter > 0 for each in pushed.layers)
    # Negative control: a shorter step leads to a bell.
    assert descend(case.windows, case.layer, learning_rate=0.1 * halving, epochs=2).ended == "epochs"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"train": ("keys",)}, "'keys'"),
        ({"train": ()}, "nothing"),
        ({"bell_rate": 0.0}, "bell_rate"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_what_cannot_be_used_is_refused(wrong: dict, said: str) -> None:
    case = setting("peak", "log", "reward", 0)
    with pytest.raises(InputError, match=said):
        descend(case.windows, case.layer, **({"learning_rate": 0.1, "epochs": 1} | wrong))


@pytest.mark.parametrize("times", [[], [-1.0, 2.0], [2.0, 1.0]])
def test_times_must_ascend(times: list[float]) -> None:
    case = setting("peak", "log", "reward", 0)
    with pytest.raises(InputError, match="ascend"):
        flow(case.windows, case.layer, times=times)


# --- cut off and resumed

DRAWN = WindowOptions(window=21, length=31, distance=3, sequences=12, words=20)


def topics(seed: int = 0) -> WindowTask:
    return load_window_task("topics", DRAWN, Bell(), 6.0, "likelihood", seed, dev=True)


def go(task: WindowTask, path: Path | None = None, **options) -> Trajectory:
    saving: dict[str, Any] = {} if path is None else {"checkpoint": Checkpoint(path, every=0.0)}
    usual: dict[str, Any] = {
        "learning_rate": 1.0,
        "epochs": 90,
        "train": task.train,
        "evaluate_on": task.others,
        "record": 10,
    }
    return descend(task.windows, task.layer, **usual | saving | options)


def assert_same(one: Trajectory, other: Trajectory) -> None:
    """To the bit."""
    assert (one.ended, one.best_epoch, one.epochs) == (other.ended, other.best_epoch, other.epochs)
    assert one.times.tobytes() == other.times.tobytes()
    assert {name: each.tobytes() for name, each in one.curves.items()} == {
        name: each.tobytes() for name, each in other.curves.items()
    }
    for ours, theirs in zip([*one.layers, one.layer], [*other.layers, other.layer], strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.scores.tobytes() == theirs.scores.tobytes()
        assert ours.values.tobytes() == theirs.values.tobytes()
        assert ours.parameter == theirs.parameter


class PowerCut(BaseException):
    """Ends a run in the middle of an epoch."""


def cut(at: int) -> Callable[[int, float], None]:
    def meter(epoch: int, loss: float) -> None:
        if epoch >= at:
            raise PowerCut

    return meter


@pytest.mark.usefixtures("epoch_by_epoch")
@pytest.mark.parametrize(
    ("patience", "settings"), [(None, {}), (5, {}), (None, {"rule": Adam(), "learning_rate": 0.01})]
)
def test_a_run_cut_off_again_and_again_ends_to_the_bit(
    patience: int | None, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SHARE", 0)
    task, path = topics(), tmp_path / "run.npz"
    whole = go(task, patience=patience, epochs=400, **settings)
    assert whole.ended == ("patience" if patience else "epochs")
    last = whole.recorded - 1
    for at in (last // 4, last // 2, last):
        with pytest.raises(PowerCut):
            go(task, path, patience=patience, epochs=400, **settings, meter=cut(at))
    assert int(Checkpoint(path).peek("epoch")["epoch"]) >= last - 1
    assert_same(go(task, path, patience=patience, epochs=400, **settings), whole)


def test_a_longer_run_is_what_it_would_have_been(tmp_path: Path) -> None:
    task = topics()
    go(task, tmp_path / "run.npz", epochs=37)
    assert_same(go(task, tmp_path / "run.npz", epochs=90), go(task))


def test_patience_returns_to_the_lowest_dev_loss() -> None:
    task = topics()
    run = go(task, patience=30, epochs=2000)
    dev = run.curves["dev"][:, 0]
    assert run.ended == "patience"
    assert run.best_epoch == dev.argmin() == dev.size - 31 > 0
    assert run.layer is not None
    assert task.dev is not None
    assert evaluate(task.dev, run.layer).loss == dev.min()
    # Negative control: the last state is another, with a higher loss on these windows.
    assert evaluate(task.dev, run.layers[-1]).loss > dev.min()


def test_judged_windows_change_nothing_of_the_training() -> None:
    task = topics()
    alone = go(task, evaluate_on={})
    assert alone.curves["train"].tobytes() == go(task).curves["train"].tobytes()
    # Negative control: the further windows are others.
    assert go(task).curves["dev"].tobytes() != alone.curves["train"].tobytes()


@pytest.mark.parametrize(
    "other",
    [
        {"learning_rate": 0.9},
        {"bell_rate": 2.0},
        {"rule": Adam()},
        {"train": ("bell",)},
        {"record": None},
        {"evaluate_on": {}},
        {"patience": 9},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_checkpoint_of_other_settings_is_refused(other: dict, tmp_path: Path) -> None:
    task, path = topics(), tmp_path / "run.npz"
    go(task, path)
    with pytest.raises(CheckpointMismatch, match="another corpus, start or setting"):
        go(task, path, **other)
    assert_same(go(task, path), go(task))


def test_a_checkpoint_of_other_data_another_start_or_a_longer_run_is_refused(tmp_path: Path) -> None:
    task, path = topics(), tmp_path / "run.npz"
    go(task, path)
    wider = replace(task, layer=replace(task.layer, parameter=7.0))
    for another in (replace(task, windows=topics(1).windows), replace(task, dev=topics(1).dev), wider):
        with pytest.raises(CheckpointMismatch, match="another corpus, start or setting"):
            go(another, path)
    with pytest.raises(InputError, match="epochs"):
        go(task, path, epochs=89)


@pytest.mark.usefixtures("epoch_by_epoch")
def test_ctrl_c_keeps_what_was_computed_and_the_run_resumes_to_the_bit(tmp_path: Path) -> None:
    def press(epoch: int, loss: float) -> None:
        if epoch == 23:
            signal.raise_signal(signal.SIGINT)

    task, path = topics(), tmp_path / "run.npz"
    with pytest.raises(Interrupted, match="epoch 23") as caught:
        go(task, path, meter=press)
    assert caught.value.run.ended == "interrupted"
    assert caught.value.run.recorded == 24
    whole = go(task)
    assert caught.value.run.curves["dev"].tobytes() == whole.curves["dev"][:24].tobytes()
    assert_same(go(task, path), whole)


def test_ctrl_c_keeps_what_the_flow_reached() -> None:
    def press(time: float, loss: float) -> None:
        if time > 5.0:
            signal.raise_signal(signal.SIGINT)

    task, times = topics(), np.linspace(0.0, 50.0, 101)
    with pytest.raises(Interrupted) as caught:
        flow(task.windows, task.layer, times=times, train=task.train, meter=press)
    run, whole = caught.value.run, flow(task.windows, task.layer, times=times, train=task.train)
    assert 5.0 < run.times[-1] < 50.0
    assert run.widths[:-1].tolist() == whole.widths[: len(run.widths) - 1].tolist()


def test_patience_wants_dev_windows() -> None:
    with pytest.raises(InputError, match="patience"):
        go(topics(), evaluate_on={}, patience=3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"evaluate_on": {"train": None}}, r"evaluate_on\['train'\]: expected a Windows"),
        ({"evaluate_on": {"dev": [1]}}, r"evaluate_on\['dev'\]: expected a Windows"),
        ({"batch_size": 3}, "batch_size: expected any of"),
        ({"reduced": False}, "reduced: expected any of"),
        ({"decay": {"keys": 0.1}}, "decay: expected any of scores, values, head, bell, got 'keys'"),
        ({"bell_rate": 0.0}, "bell_rate: expected a finite number above 0"),
        ({"train": ()}, "train: expected any of scores, values, head, bell, got nothing"),
    ],
)
def test_what_windows_do_not_take_is_refused(options: dict, told: str) -> None:
    case = setting("renormalised", "deviation", "attn-fc", 5)
    with pytest.raises(InputError, match=told):
        descend(case.windows, case.layer, epochs=1, **options)
    with pytest.raises(InputError, match="evaluate_on: expected names other than 'train'"):
        descend(case.windows, case.layer, epochs=1, evaluate_on={"train": case.windows})
