"""Exact derivatives in whole numbers modulo a prime: arithmetic with infinitesimals, and the rank of a matrix.

A jet holds an array and its mixed derivatives along k directions: Σ_S x_S ε_S over the subsets S of ε₁ … ε_k, with
ε_i² = 0. Its leading axis has 2^k entries. The binary digits of an index are the members of its subset S. Nothing is
rounded: a number that is 0 gives 0, and a result that is not 0 modulo the prime is not 0.
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
"""Largest number of products of two residues whose sum certainly fits into int64."""


def constant(value: Jet, like: Jet) -> Jet:
    """Return an array as a jet whose derivatives are 0, with as many directions as the jet `like`."""
    return np.concatenate([value[None] % PRIME, np.zeros((len(like) - 1, *value.shape), np.int64)])


def moved(value: Jet, velocity: Jet) -> Jet:
    """Return the jet value + ε velocity, where ε is a new infinitesimal; shapes are broadcast."""
    return np.concatenate(np.broadcast_arrays(value, velocity))


def times(one: Jet, other: Jet, product: Callable[..., Jet] = np.multiply) -> Jet:
    """Return the product of two jets, entry by entry or by `np.matmul`, whose sums may have `LONGEST` terms.

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
    """Return the reciprocal of a jet, entry by entry; it is 0 for numbers that are 0 modulo the prime."""
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
    """Return all subsets of a set; the binary digits of a number are the members of its set."""
    return [part for part in range(whole + 1) if part & whole == part]


def _power(base: Jet, exponent: int) -> Jet:
    """Return the power of an array modulo the prime, entry by entry."""
    out = np.ones_like(base)
    for digit in f"{exponent:b}":
        out = out * out % PRIME
        out = out * base % PRIME if digit == "1" else out
    return out
