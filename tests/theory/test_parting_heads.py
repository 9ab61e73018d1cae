"""Claim D11: the rate at which heads part, its threshold, and whether they part by a jump, each found another way."""

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from attn_dynamics.errors import InputError
from attn_dynamics.theory.parting_heads import (
    alibi_threshold,
    amplitude,
    attended,
    common_width,
    far_shares,
    least_ratio,
    moments,
    parting_rate,
    tricritical_share,
    whole_kernel_rate,
)
from tests.support import examples


@pytest.mark.parametrize("width", [2.0, 7.5, 30.0])
def test_what_a_kernel_attends_to_over_all_integers(width: float) -> None:
    bell, alibi = attended(width, int(12 * width)), attended(width, int(60 * width), 1.0)
    assert bell == pytest.approx((width**2, 2 * width**4), rel=1e-12)
    with mpmath.workdps(40):
        inverse = 1 / mpmath.mpf(width)
        wanted = 1 / mpmath.sinh(inverse), mpmath.cosh(inverse) / mpmath.sinh(inverse) ** 2
        assert alibi == pytest.approx([float(each) for each in wanted], rel=1e-12)
    assert attended(1e9, 6) == pytest.approx((14.0, np.var(np.arange(-6, 7) ** 2)))


@settings(max_examples=examples(20))
@given(st.integers(0, 2**31), st.sampled_from([1.0, 2.0, 3.0]))
def test_the_rate_is_the_second_derivative_of_the_loss(seed: int, power: float) -> None:
    """By mpmath's differences of -E ln(mean of attention) along heads that part, in 40 digits."""
    rng = np.random.default_rng(seed)
    distances, chances, half, heads = rng.integers(1, 9, 3), rng.random(3) + 0.05, 40, int(rng.integers(2, 5))
    width = common_width(distances, chances, half, power)
    along = rng.standard_normal(heads)
    along -= along.mean()
    with mpmath.workdps(40):

        def loss(length: Any) -> Any:
            total = mpmath.mpf(0)
            widths = [mpmath.mpf(width) * mpmath.exp(length * mpmath.mpf(each)) for each in along]
            kernels = [lambda x, w=w: mpmath.exp(-(mpmath.mpf(x) ** power) / (power * w**power)) for w in widths]
            sums = [1 + 2 * sum(kernel(k) for k in range(1, half + 1)) for kernel in kernels]
            for distance, chance in zip(distances.tolist(), chances / chances.sum(), strict=True):
                mean = sum(kernel(distance) / each for kernel, each in zip(kernels, sums, strict=True)) / heads
                total -= mpmath.mpf(float(chance)) * mpmath.log(mean)
            return total

        step = mpmath.mpf(10) ** -8
        curvature = float((loss(step) - 2 * loss(mpmath.mpf(0)) + loss(-step)) / step**2)
    rate = parting_rate(distances, chances, half, heads, power)
    assert -curvature / float(along @ along) == pytest.approx(rate, rel=1e-9, abs=1e-9)
    # Negative control: a threshold of 1.
    if power > 1.0:
        cv2 = moments(distances, chances, power)[1]
        assert abs(-curvature / float(along @ along) - (cv2 - 1) / heads) > 1e-3


def test_a_whole_kernel_parts_heads_at_a_kurtosis_of_three_for_the_bell() -> None:
    """Draws of a normal distribution sit on the threshold, and so do those of Laplace's for ALiBi."""
    rng = np.random.default_rng(0)
    draws = 1_000_000
    for power, drawn in ((2.0, rng.standard_normal(draws)), (1.0, rng.laplace(size=draws))):
        # The standard error of CV² is below √(moments of order 4p)/1000.
        assert whole_kernel_rate(drawn, np.ones(draws), 2, power) == pytest.approx(0.0, abs=0.02)
    distances, chances = (5, 40), (0.7, 0.3)
    assert 1 + moments(distances, chances)[1] == pytest.approx(3.1047195777884395, rel=1e-12)
    assert parting_rate(distances, chances, 240, 2) == pytest.approx(0.05235978889421977, rel=1e-12)
    assert whole_kernel_rate(distances, chances, 2) == pytest.approx(0.05235978889421977, rel=1e-12)


def test_alibi_parts_at_its_own_threshold() -> None:
    """On integers it is not 1: where the exact rate changes sign, CV² is the closed form."""
    of = lambda share: ((1, 9), (1 - share, share))  # noqa: E731
    share = brentq(lambda f: parting_rate(*of(f), 400, 2, 1.0), 0.2, 0.5, xtol=1e-14)  # pyright: ignore
    assert moments(*of(share), 1.0)[1] == pytest.approx(alibi_threshold(*of(share)), rel=1e-10)
    assert alibi_threshold(*of(share)) > 1.02


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_two_distances_part_heads_between_two_shares_alone(power: float) -> None:
    least = least_ratio(power)
    assert np.isnan(far_shares(0.999 * least, power)).all()
    low, high = far_shares(1.2 * least, power)
    rate = lambda share: whole_kernel_rate((1.0, 1.2 * least), (1 - share, share), 2, power)  # noqa: E731
    assert [rate(low), rate(high)] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert rate(0.5 * (low + high)) > 0.0 > max(rate(0.9 * low), rate(1.1 * high))
    assert high < 1 / (1 + power), "however far the far one is, for its share stays below 1/(1 + p)"


def test_the_least_ratios_are_those_of_the_bell_and_of_alibi() -> None:
    assert least_ratio() == pytest.approx(2**0.5 + 3**0.5, rel=1e-15)
    assert least_ratio(1.0) == pytest.approx((1 + 2**0.5) ** 2, rel=1e-15)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_along_the_threshold_heads_part_by_a_jump_where_the_far_share_is_large(power: float) -> None:
    turn = tricritical_share(power)
    for share, jumps in ((0.9 * turn, False), (1.1 * turn, True)):
        # The ratio of X at which p(1 + R f)² = R² f(1 - f).
        root = np.sqrt(share * (1 - share) / power)
        ratio = (1 + 1 / (root - share)) ** (1 / power)
        orders = amplitude((1.0, ratio), (1 - share, share), power)
        assert orders.linear == pytest.approx(0.0, abs=1e-9)
        assert (orders.effective > 0) == jumps
        mean, _ = moments((1.0, ratio), (1 - share, share), power)
        x = np.array([1.0, ratio**power]) / mean - 1.0
        fourth = float(np.array([1 - share, share]) @ x**4)
        assert orders.effective == pytest.approx(power**3 - fourth / 3, rel=1e-9)


def test_the_amplitude_settles_on_one_side_alone() -> None:
    low = float(far_shares(3.4)[0])
    assert amplitude((10, 34), (1 - 1.02 * low, 1.02 * low)).settled == pytest.approx(0.0248, abs=1e-4)
    assert np.isnan(amplitude((10, 34), (1 - 0.98 * low, 0.98 * low)).settled)
    # Where heads part by a jump, no amplitude is stable on either side of the threshold.
    high = float(far_shares(3.4)[1])
    for share in (0.98 * high, 1.02 * high):
        assert np.isnan(amplitude((10, 34), (1 - share, share)).settled)


@pytest.mark.parametrize("ratio", [4.0, 1e3, 1e6, 1e60])
def test_the_shares_are_roots_however_far_the_far_token_is(ratio: float) -> None:
    with mpmath.workdps(300):
        far = mpmath.mpf(ratio) ** 2 - 1
        roots = mpmath.polyroots([3 * far**2, 4 * far - far**2, 2], maxsteps=500, extraprec=3000)
        assert far_shares(ratio) == pytest.approx(sorted(float(each) for each in roots), rel=1e-12, abs=0.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: moments((1.0, 2.0), (1.0,)),
        lambda: moments((1.0, 2.0), (-1.0, 2.0)),
        lambda: moments((0.0,), (1.0,)),
        lambda: attended(0.0, 5),
        lambda: attended(1.0, 0),
        lambda: far_shares(0.5),
        lambda: least_ratio(0.0),
    ],
)
def test_what_no_law_holds_for_is_refused(call) -> None:
    with pytest.raises(InputError):
        call()


def test_a_window_that_is_too_short_holds_no_common_width() -> None:
    assert np.isinf(common_width((15.0,), (1.0,), 20))
    assert np.isnan(parting_rate((15.0,), (1.0,), 20, 2)), "nor a rate"
    assert np.isfinite(parting_rate((10.0,), (1.0,), 20, 2))


def test_a_window_of_no_tokens_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match="half_width"):
        common_width((15.0,), (1.0,), 0)


def test_below_a_power_of_a_third_no_share_makes_heads_jump() -> None:
    assert np.isnan(tricritical_share(0.33))
    assert 0.4 < tricritical_share(0.34) < 0.5
