"""The rate at which trained keys alone select a topic word (theory F2).

Embeddings and head are fixed, so that a sentence has the margin a v, where a is the attention of its topic word. The
inverse gap R = 1/(1-a) = 1 + e^s/m then obeys an equation of its own:

    dR/dτ = c (n-1+e^v)/(n-1+e^{av}) a²,    c = ‖q‖² ρ v (n-1)/(n-1+e^v),    a = 1 - 1/R
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad
from scipy.special import expit

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import settings_within, within


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection:
    """Topic words with fixed embeddings, in as many settings as the arguments broadcast to.

    Raises:
        InputError: an argument is out of its range.
    """

    margin: ArrayLike
    """Margin v > 0 of a sentence that attends to its topic word alone."""
    frequency: ArrayLike
    """Frequency ρ: share of the sentences that hold the topic word."""
    others: ArrayLike
    """Number m > 0 of other words, whose scores and embeddings stay 0."""
    classes: ArrayLike = 2
    """Number n ≥ 2 of classes; the logits of all wrong ones are equal."""
    query_norm: ArrayLike = 1.0
    """Query norm ‖q‖ > 0."""

    def __post_init__(self) -> None:
        settings_within("above 0", margin=self.margin, others=self.others, query_norm=self.query_norm)
        settings_within("above 0 and at most 1", frequency=self.frequency)
        settings_within("2 or above", classes=self.classes)

    @property
    def rate(self) -> Array:
        """Return the rate c at which 1/(1-a) finally grows."""
        scale = np.square(self.query_norm) * np.asarray(self.frequency, float) * np.asarray(self.margin, float)
        return scale * expit(-self._odds)

    @property
    def drift(self) -> Array:
        """Return the coefficient b = -2 + v e^v/(n-1+e^v) of the logarithm in `late`."""
        return np.asarray(self.margin, float) * self._saturated - 2.0

    @property
    def constant(self) -> Array:
        """Return the constant k of `late` from a zero start, by quadrature."""
        start = 1.0 + 1.0 / np.asarray(self.others, float)
        return start - self.drift * np.log(start) - self._left(0.0)

    def late(self, time: ArrayLike) -> Array:
        """Return 1/(1-a) = cτ + b ln(cτ) + k at large times τ; `beyond` gives the next order."""
        grown = self.rate * within("above 0", time=time)[0]
        return grown + self.drift * np.log(grown) + self.constant

    def beyond(self, time: ArrayLike) -> Array:
        """Return the next order of 1/(1-a) after `late`, up to O((ln τ/τ)²).

        It is (b (b ln(cτ) + k) + g)/(cτ), where g = 3 - 2pv + pv²/2 and p = e^v/(n-1+e^v) is the final probability of
        the right class.
        """
        grown, v = self.rate * within("above 0", time=time)[0], np.asarray(self.margin, float)
        second = 3.0 - self._saturated * v * (2.0 - 0.5 * v)
        return (self.drift * (self.drift * np.log(grown) + self.constant) + second) / grown

    def time(self, inverse_gap: ArrayLike) -> Array:
        """Return the exact time τ at which 1/(1-a) is reached from a zero start, by quadrature.

        The round-off is about (R + v) ε/c, ε = 2⁻⁵². At margins above 40, early times are no larger than that.

        Args:
            inverse_gap: 1/(1-a), at least its initial value 1 + 1/m.
        """
        (reached,), start = within("1 or above", inverse_gap=inverse_gap), 1.0 + 1.0 / np.asarray(self.others, float)
        grown = reached - start - self.drift * np.log(reached / start) + self._left(1.0 / reached)
        return grown / self.rate

    @property
    def _saturated(self) -> Array:
        """Return e^v/(n-1+e^v), the final probability of the right class."""
        return expit(self._odds)

    @property
    def _odds(self) -> Array:
        """Return v - ln(n-1), the logarithm of the final odds of the right class."""
        return np.asarray(self.margin, float) - np.log(np.asarray(self.classes, float) - 1.0)

    def _left(self, gap: ArrayLike) -> Array:
        """Return the change of cτ beyond that of R - b ln R, from the start to a gap 1 - a."""
        from_gap, m = np.asarray(gap, float), np.asarray(self.others, float)
        return np.vectorize(_remainder, otypes=[float])(from_gap, m / (1.0 + m), self.margin, self._saturated)


def _remainder(gap: float, start: float, margin: float, saturated: float) -> float:
    """Return ∫ (dτ/dR c - 1 + b/R) dR over gaps h = 1/R from `gap` to `start`."""

    def integrand(h: float) -> float:
        # (n-1+e^{v(1-h)})/(n-1+e^v) = 1 + p (e^{-vh} - 1), where p is the final probability.
        slower = (1.0 + saturated * np.expm1(-margin * h)) / (1.0 - h) ** 2
        return (slower - 1.0 + (margin * saturated - 2.0) * h) / h**2

    return quad(integrand, gap, start, epsabs=0.0, epsrel=1e-12, limit=200)[0]
