"""Jets multiply and divide like truncated polynomials, and ranks are those of sympy's exact matrices."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import GF
from sympy.polys.matrices import DomainMatrix

from attn_dynamics.errors import InputError
from attn_dynamics.theory.modular import LONGEST, PRIME, constant, inverse, moved, rank, times
from tests.support import examples

numbers = st.integers(1, PRIME - 1)


def residue(fraction: Fraction) -> int:
    return fraction.numerator * pow(fraction.denominator, -1, PRIME) % PRIME


@settings(max_examples=examples(50))
@given(numbers, numbers, numbers, numbers)
def test_second_derivatives_are_those_of_a_quotient(x: int, y: int, u: int, v: int) -> None:
    """x/y along (u, 0) and then (0, v): the mixed derivative is -u v/y²."""
    one, other = np.array([[x]]), np.array([[y]])
    one, other = moved(one, np.array([[u]])), moved(other, np.array([[0]]))
    one, other = moved(one, 0 * one), moved(other, np.array([[v], [0]]))
    found = times(one, inverse(other))[:, 0].tolist()
    expected = [Fraction(x, y), Fraction(u, y), Fraction(-x * v, y * y), Fraction(-u * v, y * y)]
    assert found == [residue(each) for each in expected]


def test_products_of_matrices_are_those_of_their_entries() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(PRIME, size=(4, *shape)) for shape in ((3, 5), (5, 2)))
    found = times(one, other, np.matmul)
    by_entry = times(one[..., :, :, None], other[..., None, :, :]).sum(axis=-2) % PRIME
    assert (found == by_entry).all()
    assert (times(one, constant(np.ones((3, 5), int), one)) == one).all()


def test_the_longest_sums_are_exact_and_longer_ones_refused() -> None:
    """At the largest residues: -1 times -1, as often as there are terms."""
    one, other = (np.full((1, *shape), PRIME - 1) for shape in ((1, LONGEST), (LONGEST, 1)))
    assert times(one, other, np.matmul).item() == LONGEST
    with pytest.raises(InputError, match=f"terms: expected at most {LONGEST} in a sum, got {LONGEST + 1}"):
        times(np.full((1, 1, LONGEST + 1), PRIME - 1), np.full((1, LONGEST + 1, 1), PRIME - 1), np.matmul)
    ones = np.ones((1, LONGEST + 1), int)
    assert times(ones, ones).all(), "entry by entry there is no sum"


@settings(max_examples=examples(50))
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.integers(0, 6))
def test_ranks(seed: int, rows: int, columns: int, inner: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-3, 4, size=(rows, inner)) @ rng.integers(-3, 4, size=(inner, columns))
    domain = GF(PRIME, symmetric=False)
    exact = DomainMatrix([[domain(int(each)) for each in row] for row in matrix], matrix.shape, domain)
    assert rank(matrix) == exact.rank()
    # Negative control: what is 0 modulo the prime adds none, and one entry off a matrix of rank 0 adds one.
    assert rank(PRIME * matrix) == 0
    assert rank(PRIME * matrix + (np.arange(rows * columns).reshape(rows, columns) == 0)) == 1
