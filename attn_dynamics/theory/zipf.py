"""Loss of topic words whose frequencies follow Zipf's law: a sum over words, and its scaling law (theory C12).

Under a fixed head, with nothing memorised, words do not interact, and the frequency of a word only sets its pace. The
loss of a word of frequency ρ at time τ is ℓ(ρ τ), where ℓ is the loss of a word in all sentences. With
ρ_w = Z w^-α for the word of rank w = 1 … V, the loss is L(τ) = Σ_w ρ_w ℓ(ρ_w τ). The Euler–Maclaurin formula turns this
sum into an integral over t = ρ_w τ:

    L ≈ (Z^{1/α}/α) τ^{-(1-1/α)} ∫_{ρ_V τ}^{ρ_1 τ} t^{-1/α} ℓ(t) dt + (ρ_1 ℓ(ρ_1 τ) + ρ_V ℓ(ρ_V τ))/2.

For V → ∞ and α > 1 the integral starts at 0. As t ℓ(t) → c, L = A τ^{-(1-1/α)} - c/(2τ) + o(1/τ), where A has the
integral from 0 to ∞.

The argument `word` gives the curve ℓ. It is a `MeanField` of frequency 1, with infinitely many sentences and a fixed
head.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import boxcox, zeta

from attn_dynamics.check import Array, integer
from attn_dynamics.errors import InputError
from attn_dynamics.theory.asymptotics import keys_factor, loss_limit
from attn_dynamics.theory.domain import settings_within, within
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.ode import flow

EARLIEST = 1e-20
"""Time before which the loss equals its initial value ln n to the last digit."""
TOLERANCE = 1e-11
"""Relative error of a step of the solver."""
TERMS = 20.0
"""Decades of the factor t^{-1/α} after which the rest of the integral is that of the limit c/t, c α t^{-1/α}."""


def zipf_frequencies(words: int, exponent: float) -> Array:
    """Return the frequencies ρ_w = Z w^-α (words,) of the ranks w = 1 … V, which sum to 1.

    Args:
        words: number V ≥ 1 of words.
        exponent: exponent α ≥ 0; at 0 all words are alike.

    Raises:
        InputError: an argument is out of its range.
    """
    settings_within("0 or above", exponent=exponent)
    weights = np.arange(1.0, integer("words", words, 1) + 1.0) ** -exponent
    return weights / weights.sum()


def summed_loss(time: ArrayLike, frequencies: ArrayLike, word: MeanField) -> Array:
    """Return the loss Σ_w ρ_w ℓ(ρ_w τ) of words of any frequencies, in nats, from one solution of C1.

    Args:
        time: time τ ≥ 0, any shape.
        frequencies: frequencies ρ (words,).
        word: curve ℓ of one word.

    Raises:
        InputError: an argument is out of its range, or the word's curve is not that of a word alone.
        ArithmeticError: the solver failed.
    """
    _alone(word)
    (rho,) = within("above 0 and at most 1", frequencies=frequencies)
    times = np.multiply.outer(within("0 or above", time=time)[0], rho)
    reached, places = np.unique(times, return_inverse=True)
    losses = word.flow(reached, tolerance=TOLERANCE).loss
    return losses[places].reshape(times.shape) @ rho


def zipf_loss(time: ArrayLike, *, exponent: float, word: MeanField, words: float = np.inf, first: float = 1.0) -> Array:
    """Return the loss of words whose frequencies follow Zipf's law, in nats (theory C12).

    The sum over words is an integral plus half of its first and last term.

    Args:
        time: time τ > 0, any shape.
        exponent: exponent α ≥ 1, above 1 for infinitely many words.
        word: curve ℓ of one word.
        words: number V of words, which may be infinite.
        first: rank of the first word in the loss, at most V; the words before it count only in Z.

    Raises:
        InputError: an argument is out of its range, or the word's curve is not that of a word alone.
        ArithmeticError: the solver failed.
    """
    settings_within("1 or above", exponent=exponent, words=words, first=first)
    if first > words:
        expected = f"at most {words}, the number of words"
        raise InputError("first", expected=expected, given=first, fix="Leave out fewer words.")
    (tau,) = within("above 0", time=time)
    scale = _scale(exponent, words)
    ends = [rank for rank in (first, words) if np.isfinite(rank)]
    rho = scale * np.array(ends) ** -exponent
    times = np.multiply.outer(rho, tau)
    late, loss = _late_integral(times, exponent, word)
    early = np.minimum(times, EARLIEST)
    begin, before = (early[1], late[1]) if len(ends) > 1 else (np.zeros_like(tau), 0.0)
    inner = _early_integral(begin, early[0], exponent, word) + late[0] - before
    halves = np.tensordot(rho, loss, 1) / 2
    return scale ** (1 / exponent) / exponent * tau ** (1 / exponent - 1) * inner + halves


@cache
def zipf_prefactor(exponent: float, word: MeanField) -> float:
    """Return the prefactor A of the law L ≈ A τ^{-(1-1/α)} for V → ∞ (theory C12).

    A = (Z^{1/α}/α) ∫_0^∞ t^{-1/α} ℓ(t) dt.

    Args:
        exponent: exponent α > 1.
        word: curve ℓ of one word.

    Raises:
        InputError: an argument is out of its range, or the word's curve is not that of a word alone.
        ArithmeticError: the solver failed.
    """
    scale, far = _scale(exponent, np.inf), 10.0 ** min(TERMS * exponent, 280.0)
    early = _early_integral(np.zeros(()), np.array(EARLIEST), exponent, word)
    late = _late_integral(np.array(far), exponent, word)[0]
    rest = word_limit(word) * exponent * far ** (-1 / exponent)
    return float(scale ** (1 / exponent) / exponent * (early + late + rest))


def late_zipf_loss(time: ArrayLike, *, exponent: float, word: MeanField) -> Array:
    """Return the loss A τ^{-(1-1/α)} - c/(2τ) for V → ∞ up to o(1/τ), in nats (theory C12).

    Args:
        time: time τ > 0, any shape, so large that the most frequent word is learned.
        exponent: exponent α > 1.
        word: curve ℓ of one word.

    Raises:
        InputError: an argument is out of its range, or the word's curve is not that of a word alone.
        ArithmeticError: the solver failed.
    """
    (tau,) = within("above 0", time=time)
    return zipf_prefactor(exponent, word) * tau ** (1 / exponent - 1) - word_limit(word) / (2 * tau)


def zipf_keys_factor(others: ArrayLike, exponent: ArrayLike) -> Array:
    """Return the loss with keys fixed at zero, divided by that with attention 1 from the start (theory C12).

    The factor (1+m)^{2(1-1/α)} of A is exact for V → ∞, because a constant attention a slows the clock of a word by a².
    The loss with trained keys lies between the two, because the keys first have to find the words.

    Args:
        others: number m ≥ 0 of other words.
        exponent: exponent α ≥ 1.

    Raises:
        InputError: an argument is out of its range.
    """
    (alpha,) = within("1 or above", exponent=exponent)
    return keys_factor(others) ** (1 - 1 / alpha)


def word_limit(word: MeanField) -> float:
    """Return the limit c of t ℓ(t): (n-1)/(u² n), or (1+m)² times this if keys stay at zero (theory C3, C8)."""
    _alone(word)
    seen = "keys" in word.train and np.asarray(word.query_norm).item() > 0
    attention = 1.0 if seen else 1.0 / (1.0 + np.asarray(word.others).item())
    norm = np.asarray(word.head_norm).item() ** np.asarray(word.depth).item()
    return float(loss_limit(frequency=1.0, classes=word.classes, head_norm=norm, attention=attention))


def _scale(exponent: float, words: float) -> float:
    """Return the Z for which Σ_w Z w^-α = 1."""
    settings_within("1 or above", exponent=exponent, words=words)
    if np.isfinite(words):
        return float(zipf_frequencies(words, exponent)[0])  # pyright: ignore[reportArgumentType]
    if exponent == 1.0:
        raise InputError(
            "exponent",
            expected="a number above 1 for infinitely many words",
            given=exponent,
            fix="Give a number of words, or a larger exponent.",
        )
    return float(1.0 / zeta(exponent))


def _early_integral(low: Array, high: Array, exponent: float, word: MeanField) -> Array:
    """Return ∫ t^{-1/α} ln n dt from `low` to `high`, both up to `EARLIEST`, in closed form; `low` may be 0 for α > 1.

    For α close to 1 most of the integral lies here, and a difference of two integrals from 0 would cancel.
    """
    power = 1.0 - 1.0 / exponent
    shape = np.where(low > 0.0, low, high)  # the limit of `low` to 0 is high^power / power
    above = shape**power * boxcox(high / shape, power)
    whole = shape**power / power if power else np.inf
    return np.log(float(np.asarray(word.classes))) * np.where(low > 0.0, above, whole)


def _late_integral(times: Array, exponent: float, word: MeanField) -> tuple[Array, Array]:
    """Return ∫ x^{-1/α} ℓ(x) dx from `EARLIEST` up to each later time t, else 0, and ℓ(t); both shaped like `times`.

    The integral and its variable are two more coordinates of the flow. So the solver takes steps that are short enough
    for the sudden rise of attention. Both are counted in units of their size at `EARLIEST`, so that the solver takes
    neither for zero.
    """
    _alone(word)
    power, start = 1.0 - 1.0 / exponent, word.start().ravel()

    def velocity(state: NDArray) -> NDArray:
        loss = word.trajectory(state[:-2]).loss
        return np.append(word.velocity(state[:-2]), [1.0 / EARLIEST, state[-2] ** (power - 1.0) * loss / EARLIEST])

    reached, places = np.unique(np.maximum(times - EARLIEST, 0.0), return_inverse=True)
    states = flow(velocity, np.append(start, [1.0, 0.0]), reached, tolerance=TOLERANCE)
    found = EARLIEST**power * states[:, -1], word.trajectory(states[:, :-2]).loss
    integral, loss = (each[places].reshape(times.shape) for each in found)
    return integral, loss


def _alone(word: MeanField) -> None:
    """Refuse a curve that is not that of one word, or not a function of ρ τ alone.

    Raises:
        InputError: the frequency is not 1, sentences memorise, the head is trained, or the embedding is fixed.
    """
    single = word.start().ndim == 1 and float(np.asarray(word.frequency)) == 1.0
    if not single or not np.isinf(word.sentences) or "head" in word.train or "embeddings" not in word.train:
        raise InputError(
            "word",
            expected="one word of frequency 1, its embedding trained, the head fixed, infinitely many sentences",
            given=f"frequency {word.frequency}, sentences {word.sentences}, trained {' '.join(sorted(word.train))}",
            fix="MeanField(frequency=1.0, classes=4, others=20) is such a word.",
        )
