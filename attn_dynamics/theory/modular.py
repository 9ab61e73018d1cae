"""Exact derivatives in whole numbers modulo a prime: arithmetic with infinitesimals, and the rank of a matrix.

A jet holds a number and its mixed derivatives along k directions: Σ_S x_S ε_S over the subsets S of ε₁ … ε_k, with
ε_i² = 0. Its leading axis has 2^k entries, that of S at the number whose binary digits are S; the other axes are those
of an array. Nothing is rounded: what vanishes is 0, and what is not 0 modulo a prime is not 0.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.errors import InputError

Jet = NDArray[np.int64]
"""Array whose leading axis has 2^k entries, each from 0 to `PRIME` - 1."""
PRIME = 268_435_399
"""Largest prime below 2²⁸."""
LONGEST = 128
"""Largest number of products of two residues whose sum stays within int64."""


def constant(value: Jet, like: Jet) -> Jet:
    """Return an array as a jet without derivatives, along as many directions as another jet has."""
    return np.concatenate([value[None] % PRIME, np.zeros((len(like) - 1, *value.shape), np.int64)])


def moved(value: Jet, velocity: Jet) -> Jet:
    """Return value + ε velocity, with ε a new infinitesimal; shapes are broadcast."""
    return np.concatenate(np.broadcast_arrays(value, velocity))


def times(one: Jet, other: Jet, product: Callable[..., Jet] = np.multiply) -> Jet:
    """Return a product of jets: entry by entry, or by `np.matmul` over sums of at most `LONGEST` terms.

    Raises:
        InputError: a sum of `np.matmul` has more terms.
    """
    if product is np.matmul and one.shape[-1] > LONGEST:
        fix = "Take fewer sentences, words or dimensions."
        raise InputError("terms", expected=f"at most {LONGEST} in a sum", given=one.shape[-1], fix=fix)
    return np.array([
        sum(product(one[part], other[whole ^ part]) % PRIME for part in _subsets(whole)) % PRIME
        for whole in range(len(one))
    ])  # fmt: skip


def inverse(one: Jet) -> Jet:
    """Return the reciprocal of a jet, entry by entry; where its number is 0 modulo the prime, the result is 0."""
    first = _power(one[0], PRIME - 2)
    out = [first]
    for whole in range(1, len(one)):
        rest = sum(one[part] * out[whole ^ part] % PRIME for part in _subsets(whole) if part) % PRIME
        out.append(-rest * first % PRIME)
    return np.array(out)


def rank(matrix: NDArray[np.int64]) -> int:
    """Return the rank of a matrix (rows, columns) of whole numbers modulo `PRIME`.

    The rank over the rational numbers is at least as large, and larger only if a minor is a multiple of the prime.
    """
    rows, found = np.array(matrix) % PRIME, 0
    for column in range(rows.shape[1]):
        pivots = found + np.flatnonzero(rows[found:, column])
        if pivots.size:
            rows[[found, pivots[0]]] = rows[[pivots[0], found]]
            rows[found] = rows[found] * pow(int(rows[found, column]), -1, PRIME) % PRIME
            below = rows[found + 1 :]
            below -= below[:, column, None] * rows[found] % PRIME
            below %= PRIME
            found += 1
    return found


def _subsets(whole: int) -> list[int]:
    """Return all subsets of a set of binary digits."""
    return [part for part in range(whole + 1) if part & whole == part]


def _power(base: Jet, exponent: int) -> Jet:
    """Return a power modulo the prime, entry by entry."""
    out = np.ones_like(base)
    for digit in f"{exponent:b}":
        out = out * out % PRIME
        out = out * base % PRIME if digit == "1" else out
    return out
