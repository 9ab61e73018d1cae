"""Scaling law of the loss where topic words have Zipf's frequencies (theory C12)."""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.special import zeta

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.exact_task import KEYS_FIXED, altered
from attn_dynamics.claims._support.zipf_task import ZipfTask
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.zipf import (
    late_zipf_loss,
    summed_loss,
    word_limit,
    zipf_frequencies,
    zipf_keys_factor,
    zipf_loss,
)
from attn_dynamics.training.rules import DESCENT, Rule, SignDescent

Law = Callable[..., Array]
"""Function of `theory.zipf`, or a wrong one that a control gives instead."""
LMN21 = {"frequency": 1.0, "classes": 4, "others": 20}
"""Sizes of LMN21's task, for a word that every sentence holds."""
TRAINED, FIXED = MeanField(**LMN21), MeanField(**LMN21, train=KEYS_FIXED)
"""Loss curve ℓ(t) of a word that every sentence holds, with keys trained and with keys fixed at zero."""
ALONE = MeanField(**LMN21 | {"others": 1e-14}, train=KEYS_FIXED)
"""Loss curve of a word that has all attention from the start, because it has next to no other words."""
END = 1e10
"""Time at which losses with keys trained and with keys fixed are compared."""
TIMES = {1.0: (1e4, 1e6, END), 1.2: (1e4, 1e6, END), 1.5: (1e5, 1e6, END), 2.0: (1e6, 1e7, END)}
"""Times τ by exponent α. From the first on, so many words are learned at once that an integral replaces their sum."""
SOLVED = 3e-9
"""Relative error of a loss from the solver, in some hundred steps of 1e-11."""


def without_half_ends(time: Array, *, exponent: float, word: MeanField, words: int) -> Array:
    """Return the integral of the law for V words, without half of its end terms."""
    ends = zipf_frequencies(words, exponent)[[0, -1]]
    return zipf_loss(time, exponent=exponent, word=word, words=words) - summed_loss(time, ends, word) / 2


def without_second_term(time: Array, *, exponent: float, word: MeanField) -> Array:
    """Return the first stated term A τ^{-(1-1/α)}, without -c/(2τ)."""
    return late_zipf_loss(time, exponent=exponent, word=word) + word_limit(word) / (2 * time)


@claims(
    "C12",
    control("without half of the end terms", finite=without_half_ends),
    control("without the second term", endless=without_second_term),
    control("1.001 α for α in the exponent", endless=altered(late_zipf_loss, exponent=lambda alpha: 1.001 * alpha)),
    control("(1+m)² at every exponent, as C8", factor=lambda others, alpha: (1.0 + others) ** 2),
    control("the factor as one against trained keys", rival=TRAINED),
    control("sign descent, to which every word is as frequent", rule=SignDescent()),
    control("keys fixed in the model", train=KEYS_FIXED),
    name="scaling under Zipf",
    foundations=("C3",),
    statement=r"\rho_w = Z w^{-\alpha}:\quad L(\tau) = \sum_w \rho_w\, \ell(\rho_w \tau) = "
    r"A\, \tau^{-(1 - 1/\alpha)} - \frac{c}{2 \tau} + o(1/\tau), \quad "
    r"A = \frac{Z^{1/\alpha}}{\alpha} \int_0^\infty t^{-1/\alpha}\, \ell(t)\, dt, \quad c = \frac{n-1}{u^2 n}",
    assumptions="C1: a fixed head, nothing memorised. The two stated terms hold for α > 1 and V → ∞. For V words and α "
    "≥ 1 they are replaced by the integral from ρ_V τ to ρ_1 τ and half of both end terms. Many words must be learned "
    "at once: ln ρ of neighbours must differ by less than the rise of attention takes in ln τ",
    quantity="integral: largest relative distance of the sum over 20,000 words from the integral with half of the end "
    "terms. Two terms: the same for the sum over all words and the two stated terms. Both are shares of the next term. "
    "Fixed keys: relative distance of the ratio of losses, keys fixed at zero over an attention of 1, from "
    "(1+m)^{2(1-1/α)}. Descent: |order - 1|, where the loss of the model under descent differs from the sum like "
    "η^order",
    tolerance="integral, two terms: 1.5 shares of the next term, and the solver's 3e-9. By the Euler–Maclaurin formula "
    "it is (α/12τ) dF/d ln t with F = t ℓ(t), at ρ_1 τ and, for V words, at ρ_V τ. For V → ∞ the distance of F from "
    "its limit, |F - c|/2τ at ρ_1 τ, is added. Fixed keys: 2e-8, the solver's error in four sums. Descent: 0.05, "
    "because the next order bends the order by some tenths of the largest η, 0.25",
)
def zipf_law(
    *,
    quick: bool,
    finite: Law = zipf_loss,
    endless: Law = late_zipf_loss,
    factor: Law = zipf_keys_factor,
    rival: MeanField = ALONE,
    rule: Rule = DESCENT,
    train: tuple[str, ...] = ("keys", "embeddings"),
) -> Measured:
    """Measure sums over words beside both laws, and the model under descent beside a sum."""
    exponents = (2.0,) if quick else tuple(TIMES)
    steep = [alpha for alpha in exponents if alpha > 1.0]
    offs = [_from_the_integral(alpha, 2000 if quick else 20_000, finite) for alpha in exponents]
    ends = [_from_two_terms(alpha, endless) for alpha in steep]
    costs = [_leading_ratio(alpha, rival) / factor(LMN21["others"], alpha) - 1.0 for alpha in steep]
    tasks = (ZipfTask(1.0, 6, 3, 5, 60), ZipfTask(2.0, 4, 2, 5, 144))
    if not quick:
        tasks += (ZipfTask(1.0, 10, 5, 5, 2520), ZipfTask(2.0, 6, 3, 5, 3600))
    orders = [_order(task, rule, train) for task in tasks]
    away = max(abs(relative).max() for relative, _ in (*offs, *ends))
    return together(
        f"in shares of the loss at most {away:.1g}; orders in η {', '.join(f'{order:.3f}' for order in orders)}",
        integral=farthest((relative / allowed for relative, allowed in offs), 1.5),
        two_terms=farthest((relative / allowed for relative, allowed in ends), 1.5),
        fixed_keys=farthest(costs, 2e-8, within=SCATTER),
        descent=farthest((order - 1.0 for order in orders), 0.05),
    )


@cache
def _from_the_integral(alpha: float, words: int, law: Law) -> tuple[Array, Array]:
    """Return the relative distance of the law from the sum over V words, and its bound from the next term."""
    times, rho = np.array(TIMES[alpha]), zipf_frequencies(words, alpha)
    summed, (_, last), (_, first) = _summed(alpha, words), _scaled_loss(times * rho[-1]), _scaled_loss(times * rho[0])
    slope = alpha / 12 * np.abs(first - last / words)
    return law(times, exponent=alpha, word=TRAINED, words=words) / summed - 1.0, slope / (times * summed) + SOLVED


@cache
def _from_two_terms(alpha: float, law: Law) -> tuple[Array, Array]:
    """Return the relative distance of the two terms from the sum over all words, and its bound from the next."""
    times, summed = np.array(TIMES[alpha]), _all_words(alpha, TRAINED)
    gained, slope = _scaled_loss(times / zeta(alpha))
    left = alpha / 12 * np.abs(slope) + np.abs(gained - word_limit(TRAINED)) / 2
    return law(times, exponent=alpha, word=TRAINED) / summed - 1.0, left / (times * summed) + SOLVED


def _scaled_loss(times: Array) -> tuple[Array, Array]:
    """Return F = t ℓ(t), and dF/d ln t by a central difference, with keys trained."""
    beside = np.multiply.outer(times, np.exp([-1e-3, 1e-3]))
    moved = beside * TRAINED.flow(beside.ravel(), tolerance=1e-12).loss.reshape(beside.shape)
    return moved.mean(axis=1), np.diff(moved)[:, 0] / 2e-3


@cache
def _summed(alpha: float, words: int) -> Array:
    """Return the loss (times,) of V words with Zipf's frequencies, with keys trained."""
    return summed_loss(TIMES[alpha], zipf_frequencies(words, alpha), TRAINED)


@cache
def _all_words(alpha: float, word: MeanField) -> Array:
    """Return the loss (times,) of infinitely many words: a sum over the first, and the integral over the rest."""
    first, times = 3000, TIMES[alpha] if word is TRAINED else (END,)
    rho = np.arange(1.0, first) ** -alpha / zeta(alpha)
    return summed_loss(times, rho, word) + zipf_loss(times, exponent=alpha, word=word, first=first)


def _leading_ratio(alpha: float, rival: MeanField) -> float:
    """Return the first stated term of the loss with keys fixed at zero, divided by that of a rival curve."""
    fixed, other = (_all_words(alpha, word)[-1] + word_limit(word) / (2 * END) for word in (FIXED, rival))
    return float(fixed / other)


@cache
def _order(task: ZipfTask, rule: Rule, train: tuple[str, ...]) -> float:
    """Return the order in η of the distance between descent's loss and the sum over the words of a task."""
    times, offs = np.array([25.0, 100.0, 400.0]), []
    wanted = summed_loss(times, task.frequencies, task.word())
    for rate in (0.25, 0.125):
        losses = task.losses(rate, round(times[-1] / rate), rule=rule, train=train)
        offs.append(np.abs(losses[np.rint(times / rate).astype(int)] / wanted - 1.0).max())
    return float(np.log2(offs[0] / offs[1]))
