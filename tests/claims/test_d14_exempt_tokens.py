"""Claim D14: exempt tokens join what a window severs, at a share and in a time that know no distance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from attn_dynamics.claims._support.window_drawn import needle_layer
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import PLACEMENTS, Bell
from attn_dynamics.theory.exempt_tokens import finding_time, local_share, relayed_share
from attn_dynamics.window.layer import loss_and_gradient
from attn_dynamics.window.windows import Windows
from tests.support import Array, examples


def even_attention(length: int, width: float, exempt: set[int]) -> Array:
    """Softmax of ln U, by hand."""
    places = np.arange(length)
    weights = np.exp(-((places - places[:, None]) ** 2) / (2.0 * width**2))
    weights[[*exempt]], weights[:, [*exempt]] = 1.0, 1.0
    return weights / weights.sum(axis=1, keepdims=True)


@settings(max_examples=examples(20), deadline=None)
@given(st.floats(0.9, 4.0), st.integers(1, 20), st.integers(80, 150))
def test_two_layers_relay_whatever_the_distance(width: float, exempt: int, distance: int) -> None:
    attend = even_attention(401, width, set(range(exempt)))
    found = (attend @ attend)[200, 200 + distance]
    # The bell's sum is its integral up to 2 e^{-2π²σ²}.
    allowed = 3.0 * np.exp(-2.0 * (np.pi * width) ** 2) + 1e-13
    assert found == pytest.approx(float(relayed_share(401, exempt, width)), rel=allowed)
    # Negative control: with nothing exempt, next to nothing comes through.
    local = even_attention(401, width, set())
    assert (local @ local)[200, 200 + distance] < 1e-40 * found


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_variances_of_layers_add(layers: int) -> None:
    attend = np.linalg.matrix_power(even_attention(401, 2.5, set()), layers)
    near = np.arange(30)
    assert attend[200, 200 + near] == pytest.approx(local_share(near, 2.5, layers), rel=1e-12)
    assert attend[200, 200 + near] != pytest.approx(local_share(near, 2.5, layers + 1), rel=0.05)


@pytest.mark.parametrize(("length", "words"), [(3, 1), (13, 1), (13, 4), (13, 12), (400, 399)])
def test_the_time_is_that_of_an_integration_of_all_scores(length: int, words: int) -> None:
    counts = np.array([1.0, *[(length - 1) / words] * words])

    def rate(time: float, scores: Array) -> Array:
        shares = counts * np.exp(scores) / (counts @ np.exp(scores))
        return shares[0] * ((np.arange(words + 1) == 0) - shares)

    time = float(finding_time(length, words))
    end = solve_ivp(rate, (0.0, time), np.zeros(words + 1), rtol=1e-11, atol=1e-13, method="DOP853").y[:, -1]
    assert np.exp(end[0] - end[1]) == pytest.approx(length - 1, rel=1e-8)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_an_exempt_query_gives_the_width_no_gradient(placement: str) -> None:
    tokens, exempt = np.array([0, 0, 0, 1]), np.array([True, False, False, False])
    layer = needle_layer(Bell(placement), 2.0)
    free = Windows.of([tokens], [(0, 0)], [0], n_words=2, exempt=[exempt])
    assert loss_and_gradient(free, layer)[1].parameter == 0.0
    bound = Windows.of([tokens], [(0, 0)], [0], n_words=2)
    assert loss_and_gradient(bound, layer)[1].parameter != 0.0


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="exempt"):
        relayed_share(10, -1, 1.0)
    with pytest.raises(InputError, match="width"):
        local_share(1, -1.0, 2)
    with pytest.raises(InputError, match="length"):
        finding_time(1)
    with pytest.raises(InputError, match="at most the number of tokens"):
        relayed_share(10, 11, 1.0)
