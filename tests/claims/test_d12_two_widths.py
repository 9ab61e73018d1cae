"""Claim D12: a narrow start stays at the near of two useful tokens where both widths are stable, and only there."""

import numpy as np
import pytest

from attn_dynamics.claims._support.window_drawn import two_useful, two_useful_layer
from attn_dynamics.claims.d12_two_widths import (
    CUT,
    between_sentences,
    ends_at_one,
    in_one_sentence,
    measured_end,
    off_predicted,
    steepest,
)
from attn_dynamics.theory.two_widths import ends, stable_widths, width_at
from attn_dynamics.window.dynamics import flow
from attn_dynamics.window.layer import loss_and_gradient
from attn_dynamics.window.several_heads import SeveralHeads


def reached(near: int, far: int, odds: float, start: float) -> float:
    run = flow(two_useful(near, far, 6 * far), two_useful_layer(odds, start), times=[1e4], log_time=True)
    return float(run.widths[0])


def test_the_context_is_the_attention_on_both_tokens() -> None:
    fit, gradient = loss_and_gradient(two_useful(3, 8, 40), two_useful_layer(2.5, 4.0))
    places = np.arange(-40, 41)
    bell = np.exp(-(places**2) / 32.0)
    shares = bell[[43, 48]] / bell.sum() * [1.0, 2.5]
    assert fit.loss == pytest.approx(-np.log(shares.sum()), rel=1e-14)
    squares = shares @ [9.0, 64.0] / shares.sum()
    assert gradient.parameter == pytest.approx(1.0 - squares / 16.0, rel=1e-6)


def test_a_narrow_start_stays_where_a_wide_one_goes_far() -> None:
    assert reached(3, 30, 10.0, 1.0) == pytest.approx(3.0, abs=1e-4)
    assert reached(3, 30, 10.0, 60.0) == pytest.approx(27.6529, abs=1e-4)
    assert [reached(3, 30, 2.0, start) for start in (1.0, 60.0)] == pytest.approx([3.0, 3.0], abs=1e-4)


@pytest.mark.parametrize(("far", "number"), [(30, 1), (31, 1), (32, 2), (35, 2)])
def test_ratios_of_3_0_and_3_1_have_one_width_and_3_2_and_3_5_two(far: int, number: int) -> None:
    odds = steepest(10, far)
    found = [reached(10, far, odds, start) for start in (10.0, float(far))]
    assert len(stable_widths(odds, 10, far)) == number
    assert (found[1] / found[0] > 1.05) == (number == 2)


def test_the_loop_is_left_at_its_ends() -> None:
    """1 % within an end a width holds, 1 % beyond it does not."""
    low, high = ends(10, 36)
    assert reached(10, 36, 0.99 * high, 10.0) < 15.0 < reached(10, 36, 1.01 * high, 10.0)
    assert reached(10, 36, 0.99 * low, 36.0) < 15.0 < reached(10, 36, 1.01 * low, 36.0)


@pytest.mark.parametrize(("far", "number"), [(31, 1), (32, 2)])
def test_a_wrong_number_of_widths_is_told_by_the_flow(far: int, number: int) -> None:
    off = {each: off_predicted(10, far, steepest(10, far), in_one_sentence, each) for each in (1, 2)}
    assert np.abs(off[number]).max() < CUT
    assert off[3 - number][:2] == off[number][:2]
    assert off[3 - number][2] > 0.05, "two widths lie apart, and one is not two"


def test_the_ends_of_the_control_are_where_the_tokens_have_a_variance_of_one() -> None:
    low, high = ends_at_one(10, 36)
    assert (low, high) == pytest.approx((1.905, 1.961), abs=1e-3)
    assert ends(10, 36)[0] < low < high < ends(10, 36)[1]
    for odds in (low, high):
        # The shares at which both tokens would rest, by their worth: one of them has CV² = 1.
        shares = np.linspace(0.001, 0.999, 99_801)
        worth = shares / (1 - shares) * np.exp((36**2 - 10**2) / (2 * width_at(shares, 10, 36) ** 2))
        at = shares[np.flatnonzero(np.diff(np.sign(worth - odds)))]
        spread = at * (1 - at) * (36**2 - 10**2) ** 2 / width_at(at, 10, 36) ** 4
        assert np.abs(spread - 1.0).min() < 1e-3


def test_tokens_of_different_sentences_have_one_width() -> None:
    """Negative control: the closed form of D4, which is where a flow ends from either side."""
    one = SeveralHeads(distances=np.array([3, 30]), chances=np.array([1.0, 10.0]), half_width=180)
    for start in (1.0, 60.0):
        found = one.flow([start], [100.0])[-1, 0]
        assert found == pytest.approx(between_sentences(3, 30, 10.0, start), rel=1e-6)
    leaves = [measured_end(3, 30, between_sentences, upper=upper) for upper in (False, True)]
    assert leaves[0] == pytest.approx(leaves[1], rel=1e-4)
