"""Solver of gradient flow, and of the modified flow that descent follows, in the logarithm of time."""

import warnings
from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from attn_dynamics.check import Array, ascending

Velocity = Callable[[NDArray], NDArray]
"""Velocity ẏ as a function of y alone, of the same shape; analytic, because it is also called with complex y."""

TINY = 1e-60
"""Step of the complex-step derivative, which takes no difference, so that nothing cancels however small the step."""


class TooManyEvaluations(ArithmeticError):
    """The solver needs more evaluations than allowed."""


def flow(
    velocity: Velocity,
    start: ArrayLike,
    times: ArrayLike,
    *,
    learning_rate: float = 0.0,
    tolerance: float = 1e-10,
    bandwidth: int | None = None,
    most: int = 1_000_000,
) -> Array:
    """Return the solution of ẏ = f(y) at the given times.

    The solver (LSODA) runs in θ = ln(1 + τ), dy/dθ = (1 + τ) f, so that it reaches both τ = 0 and τ = 1e300: f falls
    like 1/τ once a classifier has learned.

    Args:
        velocity: velocity f.
        start: value of y at time 0, any shape.
        times: times τ ≥ 0 (times,), ascending.
        learning_rate: learning rate η of the descent to follow, by ẏ = f - (η/2) f′f; 0 for the flow itself. By
            backward error analysis this is O(η²) away from descent; the flow is O(η) away.
        tolerance: relative error per step; values below a millionth of it count as zero.
        bandwidth: largest distance, in C order, between two coordinates such that f of one depends on the other.
        most: number of evaluations of f after which to give up, because the modified flow of a large learning rate may
            never end.

    Returns:
        Solution y of shape (times, ...).

    Raises:
        InputError: times do not ascend from 0 or later.
        TooManyEvaluations: the solver needs more than `most` evaluations.
        ArithmeticError: a velocity is not finite, or the solver failed.
    """
    y0 = np.asarray(start, float)
    # Two neighbouring times may have the same logarithm.
    theta, places = np.unique(np.log1p(ascending("times", times)), return_inverse=True)
    followed = modified(velocity, learning_rate) if learning_rate else velocity
    evaluations = count()

    def slope(at: float, y: NDArray) -> NDArray:
        if next(evaluations) >= most:
            raise TooManyEvaluations(f"flow: expected at most {most} evaluations, got more, at time {np.expm1(at)}")
        with np.errstate(over="ignore", invalid="ignore"):
            rate = np.exp(at) * followed(y.reshape(y0.shape)).ravel()
        # Without this error the solver would try ever smaller steps forever.
        if not np.isfinite(rate).all():
            raise ArithmeticError(
                f"flow: expected a velocity that is finite, got one that is not at time {np.expm1(at)}"
            )
        return rate

    with warnings.catch_warnings():
        # The solver also fails in the cases that it warns of.
        warnings.simplefilter("ignore", UserWarning)
        solution = solve_ivp(
            slope,
            (0.0, max(theta[-1], TINY)),
            y0.ravel(),
            method="LSODA",
            t_eval=theta,
            rtol=tolerance,
            atol=1e-6 * tolerance,
            # A solution may rest for hundreds of e-folds, and a longer step could miss the end of the rest.
            max_step=1.0,
            lband=bandwidth,
            uband=bandwidth,
        )
    if not solution.success:
        raise ArithmeticError(f"flow: expected a solution up to time {np.max(times)}, got: {solution.message}")
    return solution.y.T[places].reshape(-1, *y0.shape)


def modified(velocity: Velocity, learning_rate: float) -> Velocity:
    """Return f - (η/2) f′f, with the directional derivative f′f exact by a complex step."""

    def followed(y: NDArray) -> NDArray:
        slope = velocity(y)
        return slope - 0.5 * learning_rate * np.imag(velocity(y + 1j * TINY * slope)) / TINY

    return followed


def logistic(x: NDArray) -> NDArray:
    """Return 1/(1 + e^-x) of real or complex x of any size."""
    # e^-|x| cannot overflow.
    falling = np.exp(np.where(np.real(x) < 0.0, x, -x))
    return np.where(np.real(x) < 0.0, falling, 1.0) / (1.0 + falling)
