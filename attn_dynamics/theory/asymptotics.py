"""The limits of training in mean field (theory C3, C4, C8, C11).

Let c² = n/(n-1), let D count the trained linear layers of the head, and let e = 2D/(1+D). Late in training the margin M
of a topic word of frequency ρ follows dM/dτ = κ M^e (n-1) e^-M. Hence L τ M^e → 1/κ. Under a fixed head (D = 0) of
orthogonal columns of norm u

    κ = ρ u² c² A,    A = a² + (1-a)²/(ρ m N),

where A → 1 if attention is learned. If it is not, the second term of A comes from memorised sentences. D ≥ 1 balanced
layers end at u = c sqrt(p) R with R = r sqrt(A)/a, so that M = c sqrt(A) (c sqrt(p))^D R^{1+D} and

    κ = (1+D) ρ (c sqrt(A) (c sqrt(p))^D)^{2/(1+D)}.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import Array
from attn_dynamics.theory.domain import within
from attn_dynamics.theory.sen import sen_score


class Late(NamedTuple):
    """State of a topic word late in training."""

    margin: Array
    """Margin M, the logit of its topic minus any other."""
    norm: Array
    """Embedding norm ‖ν‖; x of theory C4 is ‖ν‖ u / c."""
    score: Array
    """Score s."""
    gap: Array
    """Gap 1 - a of attention."""


def late(
    time: ArrayLike,
    *,
    frequency: ArrayLike,
    classes: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike = 1.0,
    head_norm: ArrayLike = 1.0,
    start_score: ArrayLike = 0.0,
    start_norm: ArrayLike = 0.0,
) -> Late:
    """Return the state of a topic word late in training under a fixed head, with nothing memorised (theory C4).

    Keys and embeddings are trained. The result is one order beyond C4. Let Λ = ln(ρ u² n τ),
    B = 2 n u² / ((n-1) ‖q‖²) and b = 2/‖q‖². Attention enters dM/dτ as a (a + r da/dr) = (1 - b/r²)(1 + b/r²), whose
    first order cancels. Hence M = Λ up to O(ln Λ/Λ⁴). Inserted into M = c u a r and into the SEN relation (B1) this
    gives, up to O(ln Λ/Λ²),

        1/(1 - a) = Λ²/B + 2 + k - ln(m Λ²/B),    k = 1 + s₀ + e^{s₀}/m - ‖q‖² r₀²/2.

    Args:
        time: time τ, so large that Λ² is well above B ln(m Λ²/B). The result is NaN if Λ² is below B, or if these
            formulas give no attention between 0 and 1.
        frequency: frequency ρ.
        classes: number n of classes.
        others: number m of other words.
        query_norm: query norm ‖q‖.
        head_norm: norm u of the head's columns.
        start_score: initial score s₀.
        start_norm: initial embedding norm ‖ν₀‖.

    Raises:
        InputError: an argument is out of its range.
    """
    (rho,), (n,) = within("above 0 and at most 1", frequency=frequency), within("2 or above", classes=classes)
    m, q, u, tau = within("above 0", others=others, query_norm=query_norm, head_norm=head_norm, time=time)
    s0, r0 = np.asarray(start_score, float), np.asarray(start_norm, float)
    margin = np.log(rho * u**2 * n) + np.log(tau)
    leading = margin**2 * (n - 1) * q**2 / (2 * n * u**2)
    with np.errstate(all="ignore"):
        gap = 1 / (leading + 3 + s0 + np.exp(s0) / m - 0.5 * (q * r0) ** 2 - np.log(m * leading))
        is_late = (margin > 0) & (leading > 1) & (gap > 0) & (gap < 1)
        norm = margin * np.sqrt((n - 1) / n) / (u * (1 - gap))
        score = np.log(m) + np.log1p(-gap) - np.log(gap)
    return Late._make(np.where(is_late, each, np.nan)[()] for each in (margin, norm, score, gap))


def late_score(
    log_time: ArrayLike,
    *,
    depth: ArrayLike,
    frequency: ArrayLike,
    classes: ArrayLike,
    others: ArrayLike,
    query_norm: ArrayLike = 1.0,
    head_norm: ArrayLike = 1.0,
    topic_words: ArrayLike = 1,
) -> Array:
    """Return the score s of a topic word late in training from zero, with nothing memorised (theory C11).

    The head may have any depth, and τ may exceed the range of floats. Up to O(1/M) the margin M at time τ solves
    ln τ = M - e ln M + ln(lim L τ M^e / (n-1)), with the limit of `loss_limit`. It is M = c a u^D r, where
    u² = u₀² + c² p r² by law A3, and the inverse SEN relation (B4) gives a from r.

    Args:
        log_time: ln τ, well above 1.
        depth: number D of trained layers of the head; 0 for one fixed layer.
        frequency: frequency ρ.
        classes: number n of classes.
        others: number m of other words.
        query_norm: query norm ‖q‖.
        head_norm: initial norm u₀ of each layer.
        topic_words: number p of words of a topic.

    Raises:
        InputError: an argument is out of its range.
    """
    (d,), (n,), time = within("0 or above", depth=depth), within("2 or above", classes=classes), np.asarray(log_time)
    u0, m, _ = within("above 0", head_norm=head_norm, others=others, query_norm=query_norm)
    c2, power = n / (n - 1), 2 * d / (1 + d)
    limit = loss_limit(frequency=frequency, classes=n, head_norm=u0, topic_words=topic_words, depth=d)

    def reached(log_norm: Array) -> Array:
        """Return ln τ at ln ‖ν‖; it uses logarithms, because u^D r may overflow."""
        attention = -np.logaddexp(0.0, np.log(m) - sen_score(np.exp(log_norm), m, query_norm))
        grown = np.log(c2 * np.asarray(topic_words)) + 2 * log_norm
        gain = np.where(d > 0, d * np.logaddexp(2 * np.log(u0), grown) / 2, np.log(u0))
        log_margin = np.log(c2) / 2 + attention + gain + log_norm
        # M - e ln M grows with M only above M = e. A smaller margin is not late.
        grows = np.exp(log_margin) > power
        with np.errstate(over="ignore"):
            late = np.exp(log_margin) - power * log_margin + np.log(limit / (n - 1))
        return np.where(grows, late, -np.inf)

    shape = np.broadcast(time, limit, m, query_norm).shape
    low, high = np.full(shape, -50.0), np.full(shape, 300.0)
    for _ in range(80):
        middle = (low + high) / 2
        above = reached(middle) > time
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    early = reached(high) > time + 1e-6 * np.maximum(time, 1.0)
    return np.where(early, np.nan, sen_score(np.exp(high), m, query_norm))


def loss_limit(
    *,
    frequency: ArrayLike,
    classes: ArrayLike,
    head_norm: ArrayLike = 1.0,
    topic_words: ArrayLike = 1,
    depth: ArrayLike = 0,
    attention: ArrayLike = 1.0,
    own_words: ArrayLike = np.inf,
) -> Array:
    """Return the limit of L τ M^{2D/(1+D)} for τ → ∞, where M ~ ln τ (theory C3; with fixed keys C8).

    Args:
        frequency: frequency ρ.
        classes: number n of classes.
        head_norm: norm u of a fixed head; without effect if D > 0.
        topic_words: number p of words of a topic; without effect if D = 0.
        depth: number D of trained layers of the head; at 0 the result is the limit of L τ.
        attention: attention a at the end: 1 if keys are trained, e^{s₀}/(e^{s₀} + m) if they are not.
        own_words: ρ m N, the other words of all sentences with the topic word, each in one sentence only; infinite if
            nothing is memorised. Without effect if a = 1.

    Raises:
        InputError: an argument is out of its range.
    """
    (n,), (a,) = within("2 or above", classes=classes), within("from 0 to 1", attention=attention)
    (d,), (rho,) = within("0 or above", depth=depth), within("above 0 and at most 1", frequency=frequency)
    within("above 0", head_norm=head_norm, topic_words=topic_words, own_words=own_words)
    c2 = n / (n - 1)
    gain = np.where(d > 0, np.sqrt(c2 * np.asarray(topic_words)) ** d, head_norm)
    effective = a**2 + (1 - a) ** 2 / np.asarray(own_words, float)
    return 1.0 / ((1 + d) * rho * (c2 * effective * gain**2) ** (1 / (1 + d)))


def keys_factor(others: ArrayLike, *, depth: ArrayLike = 0, own_words: ArrayLike = np.inf) -> Array:
    """Return the factor in training time, or in loss, by which trained keys beat keys at zero (theory C8).

    The factor is ((1 + m)²/(1 + m²/(ρ m N)))^{1/(1+D)}: (1 + m)² for a fixed head if nothing is memorised. A trained
    head, and memorised sentences, make up for a part of it.

    Args:
        others: number m of other words.
        depth: number D of trained layers of the head.
        own_words: ρ m N, or infinite if nothing is memorised.

    Raises:
        InputError: an argument is out of its range.
    """
    (m, d), (own,) = within("0 or above", others=others, depth=depth), within("above 0", own_words=own_words)
    return ((1 + m) ** 2 / (1 + m**2 / own)) ** (1 / (1 + d))


def norm_exponent(depth: ArrayLike) -> Array:
    """Return the exponent 1/(1+D) of ‖ν‖ ~ (ln τ)^{1/(1+D)} under D trained homogeneous layers (theory C11)."""
    return 1.0 / (1.0 + within("0 or above", depth=depth)[0])


def score_exponent(depth: ArrayLike) -> Array:
    """Return the factor 2/(1+D) in s ~ (2/(1+D)) ln ln τ, from the norm by the SEN relation (theory B1, C11)."""
    return 2.0 * norm_exponent(depth)
