"""Values of expressions at random numbers, which can refute an identity but never prove one."""

import random
from collections.abc import Mapping
from itertools import count
from math import prod
from typing import Any

import mpmath
import sympy as sp

from proofs.sums import Expr

DIGITS = 30
"""Significant digits of a value, enough to tell a nonzero value from a cancellation."""


def value(expression: Expr, seed: int, given: Mapping[Expr, Any] | None = None) -> Any:
    """Evaluate an expression at random numbers that satisfy every symbol's assumptions; sizes are small, indices fit.

    Args:
        expression: expression of symbols, arrays and sums.
        seed: random seed.
        given: numbers for symbols and entries that are not drawn.
    """
    with mpmath.workdps(DIGITS):
        return _Point(expression, seed, given or {}).value(expression, {})


class _Point:
    """Random numbers for symbols and array entries, drawn on demand."""

    def __init__(self, expression: Expr, seed: int, given: Mapping[Expr, Any]) -> None:
        self._draw = random.Random(seed)
        # Distinct sizes keep ranges apart; with sizes of at least 2, any index of 1 or 2 is valid.
        self._sizes = count(2 + self._draw.randrange(2))
        self._indices = {part for each in expression.atoms(sp.Indexed) for part in each.indices}
        self._indices |= {part for each in expression.atoms(sp.KroneckerDelta) for part in each.args}
        self._known: dict[Expr, Any] = dict(given)

    def value(self, expression: Expr, bound: dict[Expr, int]) -> Any:
        """Return an int for an integer, else an mpmath number."""
        if expression.is_Integer:
            return int(expression)
        if expression.is_Number or expression.is_NumberSymbol:
            return mpmath.mpmathify(expression.evalf(DIGITS))
        if expression.is_Symbol:
            return bound[expression] if expression in bound else self._once(expression)
        if isinstance(expression, sp.Indexed):
            base, *places = expression.args
            return self._once(sp.Indexed(base, *(self.value(each, bound) for each in places)))
        if isinstance(expression, sp.Sum):
            return self._sum(expression.function, expression.limits, bound)
        return self._apply(expression, [self.value(each, bound) for each in expression.args])

    def _sum(self, term: Expr, limits: tuple, bound: dict[Expr, int]) -> Any:
        if not limits:
            return self.value(term, bound)
        (name, first, last), rest = limits[-1], limits[:-1]
        run = range(self.value(first, bound), self.value(last, bound) + 1)
        return sum(self._sum(term, rest, bound | {name: k}) for k in run)

    def _apply(self, expression: Expr, values: list[Any]) -> Any:
        if expression.is_Add:
            return sum(values)
        if expression.is_Mul:
            return prod(values)
        if expression.is_Pow:
            return mpmath.power(*values)
        if isinstance(expression, sp.KroneckerDelta):
            return int(values[0] == values[1])
        return getattr(mpmath, type(expression).__name__)(*values)

    def _once(self, unknown: Expr) -> Any:
        if unknown not in self._known:
            self._known[unknown] = self._number(unknown)
        return self._known[unknown]

    def _number(self, unknown: Expr) -> Any:
        if unknown.is_integer:
            names_a_place = isinstance(unknown, sp.Indexed) or unknown in self._indices
            return self._draw.randint(1, 2) if names_a_place else next(self._sizes)
        size = mpmath.mpf(self._draw.randint(1, 40)) / 20
        if unknown.is_nonnegative:
            return size
        return -size if unknown.is_nonpositive else size * self._draw.choice((-1, 1))
