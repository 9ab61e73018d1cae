"""Claim: the gradient of several heads is that of their loss, and one head is the layer with a bell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.window.dynamics import flow
from attn_dynamics.window.layer import loss_and_gradient
from attn_dynamics.window.several_heads import SeveralHeads
from tests.support import examples


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1.0, 1.7, 2.0]))
def test_the_gradient_is_that_of_the_loss(seed: int, power: float) -> None:
    """By central differences of a loss that is written anew, in exponentials and sums over both sides."""
    rng = np.random.default_rng(seed)
    distances, chances, half = rng.integers(1, 12, 3), rng.random(3) + 0.1, 14
    sizes = distances.astype(float)
    heads = SeveralHeads(distances=sizes, chances=chances, half_width=half, power=power)
    places = np.abs(np.arange(-half, half + 1))

    def loss(log_widths: np.ndarray) -> float:
        kernels = np.exp(-(places ** float(power)) / (power * np.exp(power * log_widths)[:, None]))
        attention = (kernels / kernels.sum(axis=1, keepdims=True))[:, half + distances].mean(axis=0)
        return float(-(chances / chances.sum()) @ np.log(attention))

    at, step = rng.uniform(0.5, 2.5, 4), 1e-6
    assert heads.loss(at) == pytest.approx(loss(at), rel=1e-13)
    slopes = [(loss(at + each) - loss(at - each)) / (2 * step) for each in step * np.eye(4)]
    np.testing.assert_allclose(heads.gradient(at), slopes, rtol=1e-7, atol=1e-9)
    # Negative control: the gradient of another power.
    other = SeveralHeads(distances=sizes, chances=chances, half_width=half, power=power + 0.5)
    assert np.abs(other.gradient(at) - slopes).max() > 1e-3


def test_one_head_is_the_layer_with_a_bell() -> None:
    layer = needle_layer(Bell(scale="log"), 2.5)
    fit, gradient = loss_and_gradient(needle(7, 30), layer)
    heads = SeveralHeads(distances=np.array([7.0]), chances=np.array([1.0]), half_width=30)
    assert heads.loss(np.log([2.5])) == pytest.approx(fit.loss, rel=1e-14)
    assert heads.gradient(np.log([2.5]))[0] == pytest.approx(gradient.parameter, rel=1e-13)
    times = [0.3, 2.0]
    course = flow(needle(7, 30), layer, times=times).widths
    np.testing.assert_allclose(heads.flow([2.5], times)[:, 0], course, rtol=1e-8)


def test_heads_that_are_alike_stay_alike_and_equal_one() -> None:
    heads = SeveralHeads(distances=np.array([3.0, 9.0]), chances=np.array([3.0, 1.0]), half_width=60)
    assert heads.loss(np.full(3, 1.2)) == pytest.approx(heads.loss(np.array([1.2])), rel=1e-14)
    np.testing.assert_allclose(3 * heads.gradient(np.full(3, 1.2)), np.repeat(heads.gradient(np.array([1.2])), 3))


def test_a_head_far_too_narrow_has_no_share_and_stays() -> None:
    """The others find the useful token, so that the unbounded loss does not wake it, as it wakes one head alone."""
    heads = SeveralHeads(distances=np.array([5.0, 40.0]), chances=np.array([0.5, 0.5]), half_width=240)
    assert np.isfinite(heads.gradient(np.log([0.02, 30.0]))).all()
    assert heads.flow([0.5, 30.0], [1e4])[-1] == pytest.approx([0.5, 812.5**0.5], rel=1e-6)
    assert heads.flow([0.5], [1e4])[-1] == pytest.approx([812.5**0.5], rel=1e-6)
    assert heads.flow([3.0, 30.0], [1e4])[-1] == pytest.approx([5.0, 36.853], abs=1e-2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"distances": []},
        {"distances": [3.0, 31.0]},
        {"distances": [-31.0, 3.0]},
        {"distances": [3.0, np.nan]},
        {"chances": [1.0]},
        {"chances": [-1.0, 2.0]},
        {"half_width": 0},
        {"power": 0.0},
    ],
)
def test_what_cannot_be_used_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        SeveralHeads(**({"distances": [3.0, 9.0], "chances": [0.5, 0.5], "half_width": 30} | wrong))


def test_the_last_token_of_a_window_is_attended() -> None:
    heads = SeveralHeads(distances=np.array([3.0, 30.0]), chances=np.array([0.5, 0.5]), half_width=30)
    assert np.isfinite(heads.loss(np.log([2.0, 30.0])))


@pytest.mark.parametrize("widths", [[], [0.0, 3.0], [-1.0, 3.0], [np.nan, 3.0], [np.inf, 3.0]])
def test_a_flow_begins_at_widths_above_0(widths: list[float]) -> None:
    heads = SeveralHeads(distances=np.array([3.0, 9.0]), chances=np.array([0.5, 0.5]), half_width=30)
    with pytest.raises(InputError, match="widths"):
        heads.flow(widths, [1.0])
