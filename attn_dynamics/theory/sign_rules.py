"""Sign descent and Adam on two classes, from zero and under a fixed linear head (theory G4, G5).

The gradient of every embedding is then a multiple of one vector D, the difference of the head's columns. That of every
key is a multiple of the query q. Neither rule's step depends on the size of an entry. So E = x sgn(D)ᵀ and
K = y sgn(q)ᵀ, with one number x and one number y for each word. These numbers have the gradients of a layer of one
dimension with the query ‖q‖₁ and the contrast ‖D‖₁.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter

from attn_dynamics.check import Array, as_floats, at_least_one, integer, reals
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import FixedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.theory.domain import settings_within, within
from attn_dynamics.theory.ode import logistic


def sign_score(norm: ArrayLike, query: ArrayLike, dimensions: ArrayLike, learning_rate: ArrayLike) -> Array:
    """Return the score of a word of one class at embedding norm ‖ν‖ under sign descent (theory G4).

    The score is a straight line, s = (‖q‖₁/√d) (‖ν‖ - η √d). The first step, of length η √d, moves only the embedding.

    Args:
        norm: embedding norm ‖ν‖, any shape, at least η √d, up to a relative round-off of 1e-12.
        query: query q (d_k,), d_k ≥ 1.
        dimensions: dimension d ≥ 1 of the embeddings.
        learning_rate: learning rate η ≥ 0.

    Raises:
        InputError: an argument is out of its range.
    """
    (d,), (eta,) = within("1 or above", dimensions=dimensions), within("0 or above", learning_rate=learning_rate)
    q, travelled = as_floats("query", query), reals("norm", norm).reshape(np.shape(norm)) / np.sqrt(d)
    at_least_one("query", q.tolist())
    if np.any(travelled < eta * (1.0 - 1e-12)):
        given = np.nanmin(norm)
        raise InputError("norm", expected="η √d or above", given=given, fix="Leave out norms before the first step.")
    return np.abs(q).sum() * (travelled - eta)


def in_one_dimension(start: Parameters) -> Parameters:
    """Return a layer with d = d_k = 1 that has the same scores and loss at all steps of sign descent and Adam.

    Args:
        start: initial values with two classes, a fixed linear head, keys and embeddings of 0.

    Raises:
        InputError: the start is of another kind.
    """
    head = start.head
    if not isinstance(head, FixedLinear) or head.n_classes != 2 or start.keys.any() or start.embeddings.any():
        raise InputError(
            "start",
            expected="keys and embeddings of 0, and a fixed linear head of two classes",
            given=f"{type(head).__name__} of {head.n_classes} classes",
            fix="Take attn-fc from zero.",
        )
    words, half = len(start.keys), 0.5 * float(np.abs(head.weight[:, 0] - head.weight[:, 1]).sum())
    return Parameters(
        query=np.array([np.abs(start.query).sum()]),
        keys=np.zeros((words, 1)),
        embeddings=np.zeros((words, 1)),
        head=FixedLinear(weight=np.array([[half, -half]])),
    )


def adam_steps(gradients: ArrayLike, beta1: ArrayLike = 0.9, beta2: ArrayLike = 0.999) -> Array:
    """Return Adam's steps m̂/√v̂ for a history of gradients, in units of the learning rate and with ε = 0 (theory G5).

    A positive factor on all gradients does not change them. Steps are 0 while all gradients so far are 0. Gradients
    below 1e-154 of the largest count as 0.

    Args:
        gradients: gradient of one number at each step (steps,), finite.
        beta1: share β₁ of the mean of gradients that is kept, from 0 to below 1.
        beta2: share β₂ of the mean of squares that is kept, from 0 to below 1.

    Returns:
        The steps (steps,), with the sign of the mean gradient.

    Raises:
        InputError: a share is out of its range, or a gradient is not finite.
    """
    settings_within("from 0 to below 1", beta1=beta1, beta2=beta2)
    history = as_floats("gradients", gradients)
    # Relative to the largest gradient, because squares may leave the range of float64.
    history = history / (np.abs(history).max(initial=0.0) or 1.0)
    mean, square = _mean(history, float(beta1)), _mean(history**2, float(beta2))  # pyright: ignore[reportArgumentType]
    return np.divide(mean, np.sqrt(square), out=np.zeros_like(history), where=square > 0.0)


def _mean(history: Array, share: float) -> Array:
    """Return the bias-corrected moving means of a history."""
    corrected = 1.0 - share ** np.arange(1.0, history.size + 1.0)
    return np.asarray(lfilter([1.0 - share], [1.0, -share], history)) / corrected


def adam_slope(steps: int, beta1: ArrayLike = 0.9, beta2: ArrayLike = 0.999) -> Array:
    """Return s/‖ν‖ of a word of one class under Adam, in units of ‖q‖₁/√d, after each step for η → 0 (theory G5).

    The gradient of the embedding is then constant, and that of the key grows like k - 1 at step k.

    Args:
        steps: number of steps, at least 1.
        beta1: share β₁ of the mean of gradients that is kept.
        beta2: share β₂ of the mean of squares that is kept.

    Returns:
        The slope after each step (steps,).

    Raises:
        InputError: an argument is out of its range.
    """
    count = np.arange(1.0, integer("steps", steps, 1, fix="Give the number of steps.") + 1.0)
    return np.cumsum(adam_steps(count - 1.0, beta1, beta2)) / count


class AdamCourse(NamedTuple):
    """Trajectory of a topic word under Adam, before each step and after the last (steps + 1,)."""

    score: Array
    """Score s."""
    travelled: Array
    """Distance ‖ν‖/√d of the embedding along sgn(D)."""


def adam_course(
    steps: int,
    learning_rate: float,
    others: float,
    query_length: float,
    contrast_length: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> AdamCourse:
    """Return the trajectory of a topic word under Adam, from zero and with ε = 0 (theory G5).

    There are two classes, and the other words are frozen. Let a = e^s/(e^s + m), let a ‖D‖₁ x be the margin, and let π
    be the probability of the wrong class. The gradients of x = ‖ν‖/√d and y = s/‖q‖₁ are proportional to a π and
    a (1 - a) x π. Adam does not depend on the common factor, the word's frequency.

    Args:
        steps: number of steps, at least 0.
        learning_rate: learning rate η > 0.
        others: number m > 0 of other words in a sentence, whose scores and embeddings stay 0.
        query_length: norm ‖q‖₁ > 0 of the query.
        contrast_length: norm ‖D‖₁ > 0 of the difference D of the head's columns.
        beta1: share β₁ of the mean of gradients that is kept, from 0 to below 1.
        beta2: share β₂ of the mean of squares that is kept, from 0 to below 1.

    Raises:
        InputError: an argument is out of its range.
    """
    settings_within(
        "above 0",
        learning_rate=learning_rate,
        others=others,
        query_length=query_length,
        contrast_length=contrast_length,
    )
    settings_within("from 0 to below 1", beta1=beta1, beta2=beta2)
    place = np.zeros((integer("steps", steps, 0, fix="Give the number of steps.") + 1, 2))
    mean, square = np.zeros((2, 2))
    for k in range(steps):
        x, y = place[k]
        attention = float(logistic(query_length * y - np.log(others)))
        wrong = float(logistic(-attention * contrast_length * x))
        gradient = attention * wrong * np.array([1.0, (1.0 - attention) * x])
        mean += (1.0 - beta1) * (gradient - mean)
        square += (1.0 - beta2) * (gradient**2 - square)
        # 1 - βᵏ to round-off, also while βᵏ is near 1.
        seen = [-math.expm1((k + 1) * (math.log(beta) if beta else -math.inf)) for beta in (beta1, beta2)]
        corrected = mean / seen[0], np.sqrt(square / seen[1])
        place[k + 1] = place[k] + learning_rate * np.divide(*corrected, out=np.zeros(2), where=square > 0.0)
    return AdamCourse(query_length * place[:, 1], place[:, 0])
