"""What a token far beyond the bell contributes through tokens that are exempt from the bell (theory D14)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.theory.domain import within


def relayed_share(length: ArrayLike, exempt: ArrayLike, width: ArrayLike) -> NDArray[np.float64]:
    """Return the share that a token far away has in a context after two layers of even scores, through exempt tokens.

    Each of E exempt tokens takes up 1/L of every token in the first layer. In the second a query gives each of them
    1/(S + E), S = σ √(2π) the sum of its bell. The distance of the token does not matter.

    Args:
        length: number L of tokens.
        exempt: number E of exempt ones among them.
        width: width σ of the bell, in tokens, of 0.7 or more, so that the bell's sum is its integral.

    Raises:
        InputError: an argument is below 0.
    """
    tokens, number, σ = within("0 or above", length=length, exempt=exempt, width=width)
    return number / (tokens * (σ * np.sqrt(2.0 * np.pi) + number))


def local_share(distance: ArrayLike, width: ArrayLike, layers: int) -> NDArray[np.float64]:
    """Return the share that a token at distance δ has in a context after some layers without an exempt token.

    It is a bell whose variance is that of one layer times the number of layers.

    Args:
        distance: distance δ, in tokens.
        width: width σ of the bell of each layer, in tokens, of 0.7 or more.
        layers: number of layers.

    Raises:
        InputError: a width is below 0.
    """
    (σ,) = within("0 or above", width=width)
    variance = layers * σ**2
    return np.exp(-0.5 * np.asarray(distance, float) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)


def finding_time(length: ArrayLike) -> NDArray[np.float64]:
    """Return the time at which an exempt query attends to its useful token by half, from even scores under -α.

    The scores of the useful token and of all others are trained, so u, their difference, moves as 2 α (1 - α), with
    α = e^u/(e^u + L - 1). Neither the distance of the token nor the width appears.

    Args:
        length: number L > 2 of tokens.

    Raises:
        InputError: the length is below 0.
    """
    (tokens,) = within("0 or above", length=length)
    others = tokens - 1.0
    return np.log(others) + 0.5 * (others - 1.0 / others)
