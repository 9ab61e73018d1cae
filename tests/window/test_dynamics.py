"""Claim: descent is the loop by hand, flow its limit, in time and in log time; the bell has a rate of its own."""

from dataclasses import replace

import numpy as np
import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.training.run import Diverged
from attn_dynamics.window.dynamics import TRAINABLE, descend, flow
from attn_dynamics.window.layer import loss_and_gradient
from attn_dynamics.window.readout import CrossEntropy
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
    run = descend(windows, case.layer, learning_rate=0.1, epochs=2, train=TRAINABLE, bell_rate=3.0)
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


@pytest.mark.parametrize("name", TRAINABLE)
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
        rate: descend(case.windows, case.layer, learning_rate=rate, epochs=round(1 / rate), train=TRAINABLE).layers[-1]
        for rate in (0.02, 0.01)
    }
    limit = flow(case.windows, case.layer, times=[0.5, 1.0], train=TRAINABLE).layers[-1]
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
    assert ways[0].fits[-1].loss == pytest.approx(ways[1].fits[-1].loss, rel=1e-7)


def test_a_rate_of_its_own_is_time_for_the_bell_alone() -> None:
    case = setting("renormalised", "deviation", "likelihood", 5)
    slow = flow(case.windows, case.layer, times=[7.0])
    fast = flow(case.windows, case.layer, times=[1.0], bell_rate=7.0)
    assert fast.widths[0] == pytest.approx(slow.widths[0], rel=1e-9)
    assert abs(fast.widths[0] - case.layer.width) > 1e-3


def test_a_step_to_no_bell_ends_the_run_and_keeps_what_was_before() -> None:
    case = setting("renormalised", "deviation", "reward", 6)
    halving = 0.5 * case.layer.parameter / loss_and_gradient(case.windows, case.layer)[1].parameter
    with pytest.raises(Diverged, match="loss at epoch 2") as caught:
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
