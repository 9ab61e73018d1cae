"""The SEN relation under weight decay, momentum and mini-batches (theory G1 to G3).

Gradient flow conserves I = s + e^s/m - ‖q‖²‖ν‖²/2, which is the SEN relation. Under weight decay all stationary points
lie on another curve. Under momentum and mini-batches I drifts in proportion to the learning rate, as under descent, but
by other factors.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import hyp1f1

from attn_dynamics.check import Array
from attn_dynamics.errors import InputError
from attn_dynamics.theory.domain import within


def sen_invariant(score: ArrayLike, norm: ArrayLike, others: ArrayLike, query_norm: ArrayLike) -> Array:
    """Return I = s + e^s/m - ‖q‖²‖ν‖²/2, which gradient flow conserves (theory B1).

    It is infinite if a term exceeds float64, as e^s does above s = 709, and NaN if both terms do.

    Args:
        score: score s, any shape.
        norm: embedding norm ‖ν‖.
        others: number m > 0 of other words in the word's sentences.
        query_norm: query norm ‖q‖ ≥ 0.

    Raises:
        InputError: an argument is out of its range.
    """
    (m,), (q,) = within("above 0", others=others), within("0 or above", query_norm=query_norm)
    s, r = np.asarray(score, float), np.asarray(norm, float)
    return s + np.exp(s) / m - 0.5 * np.square(q * r)


# --- weight decay


def decay_norm(score: ArrayLike, others: ArrayLike, query_norm: ArrayLike, ratio: ArrayLike = 1.0) -> Array:
    """Return the embedding norm ‖ν‖ of a topic word at score s at a stationary point of weight decay (theory G1).

    λ_ν ‖q‖²‖ν‖² = λ_κ s (1 + e^s/m) for any classifier, loss and labels.

    Args:
        score: score s, any shape; the result is NaN below 0, where there is no stationary point.
        others: number m > 0 of other words in the word's sentences.
        query_norm: query norm ‖q‖ > 0.
        ratio: decay of keys divided by that of embeddings, λ_κ/λ_ν > 0.

    Raises:
        InputError: an argument is out of its range.
    """
    m, q, share = within("above 0", others=others, query_norm=query_norm, ratio=ratio)
    s = np.asarray(score, float)
    with np.errstate(invalid="ignore", over="ignore"):
        # The factor e^{s/2} follows the root, so that norms reach as far as float64 does, not only their squares.
        high = np.maximum(s, 0.0)
        return np.exp(0.5 * high) * np.sqrt(share * s * (np.exp(-high) + np.exp(s - high) / m)) / q


def decay_crossing(others: ArrayLike) -> Array:
    """Return the score s > 0 at which the curve of equal decay (G1) crosses the SEN relation from zero (B1).

    It solves e^s (s - 2) = m s - 2. At lower scores decay ends at a smaller norm than the relation's, at higher scores
    at a larger one. A run that ends near the crossing looks as if decay kept the relation.

    Args:
        others: number m > 0 of other words, any shape.

    Raises:
        InputError: there are no other words.
    """
    (m,) = within("above 0", others=others)
    # f = e^s (s - 2) - m s + 2 is convex for s > 0, falls from f(0) = 0, and is above 0 at this start. So Newton's
    # method descends to the only root.
    s = np.maximum(3.0, np.log(3.0 * m))
    for _ in range(80):
        s = s - (np.exp(s) * (s - 2.0) - m * s + 2.0) / (np.exp(s) * (s - 1.0) - m)
    return s


# --- momentum and mini-batches


def momentum_drift(beta: ArrayLike, *, nesterov: bool = False) -> Array:
    """Return the drift of I under momentum, as a multiple of that of descent with the same learning rate (theory G2).

    By the modified flow it is (1 + β)/(1 - β)² for the heavy ball and (1 - β + 2β²)/(1 - β)² for Nesterov's variant,
    at equal time, which is k η/(1 - β) after k steps of momentum. With the learning rate η (1 - β), whose steps are as
    long as those of descent, it is this factor times 1 - β.

    Args:
        beta: share β of the last step's buffer that is kept, from 0 to below 1; at 1 the result is infinite.
        nesterov: whether steps look ahead.

    Raises:
        InputError: β is out of its range.
    """
    (share,) = within("from 0 to 1", beta=beta)
    with np.errstate(divide="ignore"):
        return (1.0 + (2.0 * share**2 - share if nesterov else share)) / np.square(1.0 - share)


def change_in_step(
    score: ArrayLike, score_step: ArrayLike, norm_of_step: ArrayLike, others: ArrayLike, query_norm: ArrayLike
) -> Array:
    """Return the exact change of I in a step of descent on any batch (theory G3).

    It is (e^s/m) (e^Δs - 1 - Δs) - ‖q‖²‖Δν‖²/2, to second order in the step (e^s/m) Δs²/2 - ‖q‖²‖Δν‖²/2.

    Args:
        score: score s before the step, any shape.
        score_step: change Δs of the score.
        norm_of_step: length ‖Δν‖ of the embedding's step.
        others: number m > 0 of other words in the word's sentences.
        query_norm: query norm ‖q‖ ≥ 0.

    Raises:
        InputError: an argument is out of its range.
    """
    (m,), (q,) = within("above 0", others=others), within("0 or above", query_norm=query_norm)
    s, ds, length = (np.asarray(each, float) for each in (score, score_step, norm_of_step))
    # e^x - 1 - x = x²/2 ₁F₁(1; 3; x), and ₁F₁(1; 3; x) = e^x ₁F₁(2; 3; -x): nothing cancels, however short the step.
    curved = 0.5 * np.square(ds) * hyp1f1(np.where(ds < 0.0, 1.0, 2.0), 3.0, -np.abs(ds))
    return np.exp(s + np.maximum(ds, 0.0)) / m * curved - 0.5 * np.square(q * length)


def batch_drift(frequency: ArrayLike, batch_size: ArrayLike, sentences: ArrayLike) -> Array:
    """Return the mean drift of I on mini-batches, as a multiple of that on all sentences, for η → 0 (theory G3).

    A word stands in a share ρ of N sentences, which all pull it alike. The number of these in a batch of B sentences is
    hypergeometric. So the mean square of a step is that of the mean step times 1 + (1 - ρ)(N - B)/(ρ B (N - 1)).

    Args:
        frequency: share ρ of the sentences that hold the word, above 0 and at most 1.
        batch_size: number B ≥ 1 of sentences in a batch, at most N.
        sentences: number N ≥ 1 of sentences.

    Raises:
        InputError: an argument is out of its range, or a batch has more than all sentences.
    """
    (rho,) = within("above 0 and at most 1", frequency=frequency)
    size, n = within("1 or above", batch_size=batch_size, sentences=sentences)
    if np.any(size > n):
        given = f"{size.max():g} of {n.min():g}"
        raise InputError("batch_size", expected="at most all sentences", given=given, fix="Take smaller batches.")
    return 1.0 + (1.0 - rho) / (rho * size) * (n - size) / np.maximum(n - 1.0, 1.0)
