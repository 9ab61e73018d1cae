"""What a verdict needs: every control fails, every part is failed by one, no bound is loose, and NaN holds nothing."""

import math
from collections.abc import Callable

import pytest

from attn_dynamics.claims import Claim, Measured, control
from attn_dynamics.claims.claim import FEW, Control, largest, together


def claim(measurement: Callable[..., Measured], *controls: Control) -> Claim:
    """A claim with this measurement; the words do not matter."""
    return Claim(
        id="Z1",
        name="a claim",
        statement="x",
        source="here",
        assumptions="none",
        quantity="x",
        tolerance="x",
        observed=False,
        controls=controls,
        measurement=measurement,
    )


def half(*, quick: bool, value: float = 0.4) -> Measured:
    """One number with a bound of one half."""
    return Measured(value, 0.5)


def test_one_control_that_fails_is_not_enough() -> None:
    """All of them have to fail: a control that passes shows that the measurement does not see what is broken."""
    fails, passes = control("seen", value=1.0), control("not seen", value=0.3)
    assert claim(half, fails, control("seen too", value=2.0)).judge().holds
    verdict = claim(half, fails, passes).judge()
    assert verdict.rejected == 1
    assert verdict.measured.holds
    assert not verdict.holds


@pytest.mark.parametrize("values", [(0.1, math.nan), (math.nan, 0.1), ([0.1, math.nan], 0.2)])
def test_the_largest_of_what_broke_is_no_number(values: tuple) -> None:
    assert math.isnan(largest(*values))
    assert largest(0.1, [0.3, 0.2]) == 0.3
    assert not Measured(largest(*values), 1.0).holds


def test_a_part_that_no_control_fails_is_named() -> None:
    def parts(*, quick: bool, moved: float = 0.3) -> Measured:
        return together(moved=Measured(moved, 0.5), still=Measured(0.2, 0.5))

    verdict = claim(parts, control("moved", moved=1.0)).judge()
    assert verdict.unguarded == ["still"]
    assert not verdict.holds


@pytest.mark.parametrize(
    ("measured", "slack", "loose"),
    [
        (Measured(0.1, 0.5), 5.0, False),
        (Measured(0.1, 1.01 * FEW * 0.1), 1.01 * FEW, True),
        (Measured(0.1, 0.5, within=4.0), 5.0, True),
        (Measured(0.0, 0.5), math.inf, True),
        (Measured(0.0, 0.5, within=math.inf), math.inf, False),
        (Measured(-1.0, 0.0), math.nan, False),
        (Measured(0.0, 0.0), math.nan, False),
    ],
)
def test_a_bound_far_above_its_value_is_loose(measured: Measured, slack: float, loose: bool) -> None:
    assert measured.slack == pytest.approx(slack, nan_ok=True)
    assert measured.loose == loose


def test_a_claim_with_a_loose_bound_does_not_hold() -> None:
    """A bound that is widened a hundredfold holds as a number, and fails the claim."""

    def wide(*, quick: bool, factor: float = 1.0, value: float = 0.1) -> Measured:
        return together(first=Measured(value, 0.2 * factor), second=Measured(value, 0.2))

    broken = control("broken", value=100.0)
    assert claim(wide, broken).judge().holds
    verdict = claim(lambda *, quick, **rest: wide(quick=quick, factor=100.0, **rest), broken).judge()
    assert verdict.measured.holds
    assert verdict.loose == ["first"]
    assert not verdict.holds
