"""The limits of C3, C4 and C8 and their next orders, beside the trajectory of C1 followed to large times."""

from typing import Any

import mpmath
import pytest

N_CLASSES, RHO, OTHERS = 4, 0.125, 20
"""n, ρ and m, with u = ‖q‖ = 1."""
WIDTH = 2 * N_CLASSES / (N_CLASSES - 1)
"""k."""
PACE = RHO * N_CLASSES / (N_CLASSES - 1)
"""The limit of dR/dτ."""


def state(s: Any) -> tuple[Any, Any, Any]:
    """a, ξ (by B1) and r at a score."""
    a = mpmath.exp(s) / (mpmath.exp(s) + OTHERS)
    xi = mpmath.sqrt(WIDTH * (s + mpmath.expm1(s) / OTHERS))
    return a, xi, (N_CLASSES - 1) * mpmath.exp(-a * xi)


def time_at(score: float) -> Any:
    """τ when the score is reached: the integral of ds over ds/dτ of C1, in z = √s, where it is smooth."""

    def pace(z: Any) -> Any:
        a, xi, r = state(z**2)
        return 2 * z / (RHO * a * (1 - a) * r / (1 + r) * xi)

    return mpmath.quad(pace, mpmath.linspace(0, mpmath.sqrt(score), 16))


@pytest.mark.parametrize(("score", "size"), [(7.0, 0.4), (9.0, 0.08), (11.0, 0.012)])
def test_attention_approaches_one_as_derived(score: float, size: float) -> None:
    with mpmath.workdps(20):
        a, _, _ = state(mpmath.mpf(score))
        log = mpmath.log(RHO * N_CLASSES * time_at(score))
        ahead = log**2 / WIDTH + 3 + mpmath.mpf(1) / OTHERS - mpmath.log(OTHERS * log**2 / WIDTH)
        assert abs(1 / (1 - a) - ahead) < size


@pytest.mark.parametrize("score", [7.0, 9.0, 11.0])
def test_the_loss_falls_as_derived(score: float) -> None:
    with mpmath.workdps(40):
        a, xi, r = state(mpmath.mpf(score))
        slow = WIDTH**2 * (2 * score - 5 - 2 / OTHERS) / (a * xi) ** 4
        excess = 1 / (PACE * mpmath.log1p(r) * time_at(score)) - 1
        # h is as it was when most of the time passed, which is of order 1/Y ago in ln Y.
        assert abs(excess / slow - 1) < 6 / (a * xi)
