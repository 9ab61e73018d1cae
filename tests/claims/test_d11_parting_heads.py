"""Claim D11: heads part exactly if useful distances scatter more than a head's attention, and some part by a jump."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.theory.parting_heads import common_width, far_shares, moments, parting_rate
from attn_dynamics.window.several_heads import SeveralHeads
from tests.support import examples

DISTANCES = np.array([5.0, 40.0])


def heads_of(share: float, distances: np.ndarray = DISTANCES, power: float = 2.0) -> SeveralHeads:
    half = round((6 if power == 2.0 else 40) * distances[-1])
    return SeveralHeads(distances=distances, chances=np.array([1 - share, share]), half_width=half, power=power)


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1.0, 2.0]), st.integers(2, 5))
def test_every_direction_along_which_heads_differ_has_the_same_rate(seed: int, power: float, number: int) -> None:
    """The Jacobian of the exact gradient at the common width: H - 1 equal rates, and -p/H for the mean width."""
    rng = np.random.default_rng(seed)
    distances, chances = np.sort(rng.integers(3, 25, 4)).astype(float), rng.random(4) + 0.05
    heads = SeveralHeads(distances=distances, chances=chances, half_width=1200, power=power)
    at, step = np.full(number, np.log(common_width(distances, chances, 1200, power))), 1e-6
    columns = [(heads.gradient(at + each) - heads.gradient(at - each)) / (2 * step) for each in step * np.eye(number)]
    rates = np.sort(np.linalg.eigvalsh(-(np.array(columns) + np.array(columns).T) / 2))
    rate = parting_rate(distances, chances, 1200, number, power)
    np.testing.assert_allclose(np.delete(rates, np.abs(rates + power / number).argmin()), rate, atol=1e-7)
    # Negative controls: the threshold 1 for the bell, and a rate without 1/H.
    if power == 2.0:
        assert abs((moments(distances, chances)[1] - 1) / number - rate) > 0.1
    assert abs(number * rate - rate) > 1e-7


@pytest.mark.parametrize(("share", "parts"), [(0.3, True), (0.32, False)])
def test_heads_that_are_nearly_alike_part_on_one_side_of_a_kurtosis_of_three(share: float, parts: bool) -> None:
    """Kurtosis 3.105 and 2.929."""
    assert (1 + moments(DISTANCES, (1 - share, share))[1] > 3) == parts
    width = common_width(DISTANCES, (1 - share, share), 240)
    wide, narrow = heads_of(share).flow([1.001 * width, width / 1.001], [3000.0])[-1]
    assert (wide / narrow > 6) == parts
    if not parts:
        assert wide == pytest.approx(narrow, rel=1e-9)


def test_heads_that_begin_apart_stay_apart_where_alike_ones_stay_alike() -> None:
    """The transition is a jump: two equally likely distances part no heads, but hold those that are apart."""
    heads, times = heads_of(0.5), [3000.0]
    alike, apart = heads.flow([30.0, 27.0], times)[-1], heads.flow([40.0, 5.0], times)[-1]
    assert alike == pytest.approx([812.5**0.5] * 2, rel=1e-6)
    assert apart == pytest.approx([36.8528, 5.0], abs=1e-3)
    assert heads.loss(np.log(apart)) < heads.loss(np.log(alike)) - 0.1


@pytest.mark.parametrize(("far", "which", "jumps"), [(34.0, 0, False), (34.0, 1, True)])
def test_the_far_share_tells_a_jump_from_a_smooth_parting(far: float, which: int, jumps: bool) -> None:
    """The small threshold share of 0.035 lies below the tricritical one of 0.127, the large one of 0.172 above it."""
    distances = np.array([10.0, far])
    threshold = far_shares(far / 10)[which]
    share = float(threshold * (1.002 if which == 0 else 0.998))
    width = common_width(distances, (1 - share, share), 204)
    wide, narrow = heads_of(share, distances).flow([1.01 * width, width / 1.01], [1e5])[-1]
    assert wide > narrow
    assert (np.log(wide / narrow) > 0.5) == jumps
    # On the other side of the threshold heads from apart come back together only where there is no jump.
    across = float(threshold * (0.99 if which == 0 else 1.01))
    wide, narrow = heads_of(across, distances).flow([far, 10.0], [1e5])[-1]
    assert (np.log(wide / narrow) > 0.5) == jumps


@pytest.mark.parametrize(("exponent", "parts"), [(0.0, False), (0.5, False), (1.0, True), (1.5, True), (2.0, True)])
def test_power_laws_part_heads_from_an_exponent_of_one_on(exponent: float, parts: bool) -> None:
    places = np.arange(1.0, 101.0)
    assert (parting_rate(places, places**-exponent, 600, 2) > 0) == parts
