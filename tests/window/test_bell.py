"""Claim: a scale's derivatives are those of its functions, and a width and its parameter belong together."""

import numpy as np
import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import SCALES, Bell
from tests.window.drawn import KINDS

STEP = 1e-60


@pytest.mark.parametrize(("placement", "scale"), KINDS)
@pytest.mark.parametrize("width", [0.3, 1.0, 7.5])
def test_the_slope_is_the_derivative(placement: str, scale: str, width: float) -> None:
    bell, distances = Bell(placement, scale), np.arange(-5, 6)
    p = bell.parameter(width)
    stepped = bell.log(p + STEP * 1j, distances).imag / STEP
    np.testing.assert_allclose(bell.log_slope(p, distances), stepped, rtol=1e-13)
    # Negative control: that of another width.
    assert not np.allclose(bell.log_slope(bell.parameter(1.01 * width), distances), stepped, rtol=1e-3)


@pytest.mark.parametrize("scale", SCALES)
def test_a_width_is_that_of_its_parameter(scale: str) -> None:
    bell = Bell(scale=scale)
    for width in (0.1, 1.0, 30.0):
        p = bell.parameter(width)
        assert bell.of.width(p) == pytest.approx(width, rel=1e-14)
        np.testing.assert_allclose(np.exp(bell.log(p, [0, 3])), [1.0, np.exp(-4.5 / width**2)], rtol=1e-12)


def test_the_product_has_the_height_that_is_printed() -> None:
    for scale in ("deviation", "log"):
        bell = Bell("product", scale)
        assert np.exp(bell.log(bell.parameter(4.0), 0)) == pytest.approx(1 / (4 * np.sqrt(2 * np.pi)))
    # With σ as a variance the printed formula divides by the variance.
    assert np.exp(Bell("product", "variance").log(16.0, 0)) == pytest.approx(1 / (16 * np.sqrt(2 * np.pi)))


@pytest.mark.parametrize(("names", "said"), [(("beside", "log"), "'beside'"), (("peak", "width"), "'width'")])
def test_an_unknown_name_is_refused(names: tuple[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Bell(*names)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_a_width_must_be_above_0(width: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        Bell(scale="log").parameter(width)
