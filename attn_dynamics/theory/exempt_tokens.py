"""How much of a far token reaches a context, and when, where some tokens are exempt from the bell (theory D14)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.theory.domain import within


def relayed_share(length: ArrayLike, exempt: ArrayLike, width: ArrayLike) -> NDArray[np.float64]:
    """Return the share that a token far away has in a context after two layers of even scores, through exempt tokens.

    Each of E exempt tokens takes up 1/L of every token in the first layer. In the second a query gives each of them
    1/(S + E), S = σ √(2π) the sum of its bell. The distance of the token does not matter.

    Args:
        length: number L > 0 of tokens.
        exempt: number E of exempt ones among them.
        width: width σ > 0 of the bell, in tokens, of 0.7 or more, so that the bell's sum is its integral.

    Raises:
        InputError: an argument is out of its range.
    """
    (tokens, σ), (number,) = within("above 0", length=length, width=width), within("0 or above", exempt=exempt)
    if np.any(number > tokens):
        fix = "Count exempt tokens among all."
        raise InputError("exempt", expected="at most the number of tokens", given=np.max(number), fix=fix)
    return number / (tokens * (σ * np.sqrt(2.0 * np.pi) + number))


def local_share(distance: ArrayLike, width: ArrayLike, layers: int) -> NDArray[np.float64]:
    """Return the share that a token at distance δ has in a context after some layers without an exempt token.

    It is a bell whose variance is that of one layer times the number of layers.

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


def finding_time(length: ArrayLike, words: ArrayLike = 1) -> NDArray[np.float64]:
    """Return the time at which an exempt query attends to its useful token by half, from even scores under -α.

    All scores are trained. The useful one rises by α (1 - α) and that of each of k other words falls by 1/k of it, so
    their difference u moves as (1 + 1/k) α (1 - α), with α = e^u/(e^u + L - 1). Neither the distance of the token nor
    the width appears.

    Args:
        length: number L of tokens, 2 or more.
        words: number k of words among the other tokens, each as frequent as the others, from 1 to L - 1.

    Raises:
        InputError: an argument is out of its range.
    """
    (tokens,), (k,) = within("2 or above", length=length), within("1 or above", words=words)
    others = tokens - 1.0
    return k / (k + 1.0) * (2.0 * np.log(others) + others - 1.0 / others)
