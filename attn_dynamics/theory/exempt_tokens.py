"""The share of a far token in a context if some tokens are exempt from the bell, and how fast it is found (D14)."""

import numpy as np
from numpy.typing import ArrayLike

from attn_dynamics.check import Array
from attn_dynamics.errors import InputError
from attn_dynamics.theory.domain import within


def relayed_share(length: ArrayLike, exempt: ArrayLike, width: ArrayLike) -> Array:
    """Return the share of a far token in a context after two layers of even scores with exempt tokens.

    In the first layer each of E exempt tokens gives every token the attention 1/L. In the second a query gives each
    exempt token 1/(S + E), where S = σ √(2π) is the sum of its bell. The distance of the far token does not matter.

    Args:
        length: number L > 0 of tokens.
        exempt: number E of exempt tokens among them.
        width: width σ of the bell, in tokens, 0.7 or more, so that the bell's sum is its integral.

    Raises:
        InputError: an argument is out of its range.
    """
    (tokens, σ), (number,) = within("above 0", length=length, width=width), within("0 or above", exempt=exempt)
    if np.any(number > tokens):
        fix = "Count exempt tokens among all."
        raise InputError("exempt", expected="at most the number of tokens", given=np.max(number), fix=fix)
    return number / (tokens * (σ * np.sqrt(2.0 * np.pi) + number))


def local_share(distance: ArrayLike, width: ArrayLike, layers: int) -> Array:
    """Return the share of a token at distance δ in a context after some layers without exempt tokens.

    As a function of δ it is a bell, whose variance is that of one layer times the number of layers.

    Args:
        distance: distance δ, in tokens.
        width: width σ > 0 of the bell of each layer, in tokens, of 0.7 or more.
        layers: number of layers, 1 or more.

    Raises:
        InputError: a width or the number of layers is out of its range.
    """
    (σ,), _ = within("above 0", width=width), within("1 or above", layers=layers)
    variance = layers * σ**2
    return np.exp(-0.5 * np.asarray(distance, float) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)


def finding_time(length: ArrayLike, words: ArrayLike = 1) -> Array:
    """Return the time τ at which an exempt query gives its useful token the attention 1/2, under the loss -α.

    All scores are trained and start even. That of the useful token rises at the rate α (1 - α). That of each of k other
    words falls at 1/k of this rate. So their difference u moves at (1 + 1/k) α (1 - α), where α = e^u/(e^u + L - 1).
    Neither the distance of the token nor the width of the bell matters.

    Args:
        length: number L of tokens, 2 or more.
        words: number k of words among the other tokens, each as frequent as the others, from 1 to L - 1.

    Raises:
        InputError: an argument is out of its range.
    """
    (tokens,), (k,) = within("2 or above", length=length), within("1 or above", words=words)
    others = tokens - 1.0
    return k / (k + 1.0) * (2.0 * np.log(others) + others - 1.0 / others)
