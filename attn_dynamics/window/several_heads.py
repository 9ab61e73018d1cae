"""Several heads that look for one useful token, each through a kernel with a trained width (theory D11)."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax

from attn_dynamics.check import as_floats, integer, number
from attn_dynamics.errors import InputError
from attn_dynamics.theory.domain import settings_within
from attn_dynamics.theory.ode import flow

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SeveralHeads:
    """The loss L = -E ln(mean over heads of α_h(δ)), and its exact gradient in the logarithms of the widths.

    Scores are equal, so head h attends by its kernel alone: α_h(Δ) ∝ e^{-|Δ|^p/(p σ_h^p)} over |Δ| ≤ w. The kernel is
    the bell at p = 2, and at p = 1 ALiBi with a trained slope 1/σ.

    Raises:
        InputError: distances and chances do not fit each other, a chance is negative, a distance lies outside of the
            window, or a number is out of range.
    """

    distances: Array
    """Distances |δ| (D,) of the useful token, in tokens."""
    chances: Array
    """Probability (D,) of each distance, up to a factor; they are divided by their sum."""
    half_width: int
    """Half-width w of the window, in tokens."""
    power: float = 2.0
    """Power p of the kernel."""

    def __post_init__(self) -> None:
        distances, chances = (as_floats(name, getattr(self, name)).ravel() for name in ("distances", "chances"))
        if not distances.size or distances.shape != chances.shape or (chances < 0).any() or not chances.sum() > 0:
            given, fix = f"{distances.size} and {chances.size}", "Give a chance, 0 or more, for each distance."
            raise InputError("chances", expected="one for each distance", given=given, fix=fix)
        integer("half_width", self.half_width, 1)
        number("power", self.power, above=0, fix="2 is the bell, 1 is ALiBi.")
        object.__setattr__(self, "distances", np.abs(distances))
        if (farthest := self.distances.max()) > self.half_width:
            fix = "Give a larger half_width: beyond it no head attends."
            raise InputError("distances", expected=f"at most {self.half_width} tokens", given=farthest, fix=fix)
        object.__setattr__(self, "chances", chances / chances.sum())

    def loss(self, log_widths: NDArray) -> Any:
        """Return the loss at ln σ (H,), in nats."""
        found, _ = self._log_attention(log_widths)
        return -self.chances @ (logsumexp(found, axis=0) - np.log(len(found)))

    def gradient(self, log_widths: NDArray) -> Array:
        """Return ∂L/∂ln σ_h (H,) = -E[r_h (|δ|^p - E_{α_h}|Δ|^p)/σ_h^p].

        r_h is the share that head h has in the attention of all heads on the useful token.
        """
        found, slopes = self._log_attention(log_widths)
        return -(softmax(found, axis=0) * slopes) @ self.chances

    def flow(self, widths: ArrayLike, times: ArrayLike, *, tolerance: float = 1e-11) -> Array:
        """Return the widths σ (times, H) along gradient flow of their logarithms, from initial widths (H,).

        Raises:
            InputError: times do not ascend from 0 or later, there is no width, or one is not above 0.
            ArithmeticError: the solver failed.
        """
        settings_within("above 0", widths=(begun := as_floats("widths", widths)))
        return np.exp(flow(lambda state: -self.gradient(state), np.log(begun), times, tolerance=tolerance))

    def _log_attention(self, log_widths: NDArray) -> tuple[Array, Array]:
        """Return ln α_h(δ) (H, D), and its derivative in ln σ_h (H, D)."""
        inverse = np.exp(-self.power * np.asarray(log_widths))[:, None]
        useful, every = self.distances**self.power, np.arange(1.0, self.half_width + 1.0) ** self.power
        weights = 2.0 * np.exp(-every * inverse / self.power)
        total = 1.0 + weights.sum(axis=1, keepdims=True)
        mean = (weights * every).sum(axis=1, keepdims=True) / total
        return -useful * inverse / self.power - np.log(total), (useful - mean) * inverse
