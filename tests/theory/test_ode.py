"""The flow and the modified flow on equations with known solutions."""

import numpy as np
import pytest

from attn_dynamics.theory.ode import flow, logistic, modified

TIMES = np.array([0.0, 1e-9, 0.3, 2.0, 40.0])


def linear(y):
    """ẏ = λ y with a rotation in it; f′f = A A y."""
    return y @ MATRIX.T


MATRIX = np.array([[-0.2, 1.0], [-1.0, -0.3]])


def exact(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(matrix)
    return np.real([(vectors * np.exp(values * time)) @ np.linalg.solve(vectors, [1.0, 0.5]) for time in TIMES])


def test_the_flow_of_a_linear_equation() -> None:
    # A hundred times the tolerance of a step: some hundred steps add up.
    np.testing.assert_allclose(flow(linear, [1.0, 0.5], TIMES), exact(MATRIX), atol=1e-8)


@pytest.mark.parametrize(("sign", "right"), [(1.0, True), (-1.0, False), (0.5, False)])
def test_the_modified_flow_of_a_linear_equation(sign: float, right: bool) -> None:
    ours = flow(linear, [1.0, 0.5], TIMES, learning_rate=0.1)
    assert np.allclose(ours, exact(MATRIX - sign * 0.05 * MATRIX @ MATRIX), atol=1e-8) == right


def test_the_directional_derivative_loses_no_digit() -> None:
    """f = y², f′f = 2 y³, for y of any size."""
    y = np.array([1e-90, 1e-20, 1.0, 3.0, 1e40])
    np.testing.assert_allclose(modified(np.square, 0.1)(y), y**2 - 0.1 * y**3, rtol=4e-16)


def test_times_of_any_size() -> None:
    """ẏ = 1/(1 + e^y/10), y + e^y/10 = τ + 1/10: logarithmic from 1 to 1e300."""
    times = 10.0 ** np.arange(0, 301, 20)
    y = flow(lambda y: logistic(np.log(10.0) - y), [0.0], times)[:, 0]
    np.testing.assert_allclose(y + np.exp(y) / 10 - 0.1, times, rtol=1e-6)


def test_a_start_alone_and_a_shape() -> None:
    start = np.arange(6.0).reshape(2, 3)
    assert flow(np.negative, start, 0.0).shape == (1, 2, 3)
    np.testing.assert_array_equal(flow(np.negative, start, [0.0])[0], start)
    np.testing.assert_allclose(flow(np.negative, start, [0.0, 1.0], bandwidth=0)[1], start / np.e, rtol=1e-8)


def test_times_that_do_not_ascend_are_refused() -> None:
    for times in ([1.0, 0.5], [-0.5, 1.0]):
        with pytest.raises(ValueError, match="ascend"):
            flow(np.negative, [1.0], times)


def test_a_solution_that_ends_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="finite"):
        flow(np.square, [1.0], [2.0])


def test_the_logistic_function_of_any_number() -> None:
    x = np.array([-1e4, -745.0, -40.0, -1e-9, 0.0, 2.0, 40.0, 1e4])
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(logistic(x), 1 / (1 + np.exp(-x)), rtol=1e-13, atol=1e-320)
    z = np.array([-30 + 0.5j, 0.2 - 1j, 700 + 3j])
    np.testing.assert_allclose(logistic(z), 1 / (1 + np.exp(-z)), rtol=1e-13)
