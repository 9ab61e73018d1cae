"""Sums with symbolic bounds: written with named indices, differentiated, and brought to one normal form.

Every index runs over the whole range of its kind and a free index lies within it, so Σ_j δ_ij f_j = f_i. Sympy's
`deltasummation` does this for one sum over one product, as a case for i within the range, which always holds here.
This module adds f(δ) = f(0) + δ (f(1) - f(0)) for other functions of δ, nested sums in one normal form, and the
factoring of sums. Derivatives, powers and cancelling are sympy's.
"""

import inspect
from collections.abc import Callable, Mapping
from itertools import chain, permutations, product
from typing import Any, TypeAlias

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

Expr: TypeAlias = Any
"""Sympy expression; Any, because sympy's annotations reject much valid arithmetic."""
Term = Callable[..., Expr]
"""Function from indices to an expression."""
Bounds = Mapping[sp.Symbol, Expr]
"""Size of each index."""


def index(name: str) -> Expr:
    """Return a free index."""
    return sp.Symbol(name, integer=True, positive=True)


def size(name: str) -> Expr:
    """Return the upper end of an index."""
    return sp.Symbol(name, integer=True, positive=True)


def array(name: str, **assumptions: bool) -> Expr:
    """Return an array of real numbers with indices."""
    return sp.IndexedBase(name, **{"real": True, **assumptions})  # pyright: ignore[reportArgumentType]


def total(term: Term, *sizes: Expr) -> Expr:
    """Return Σ over the arguments of `term`, each from 1 to its size, with fresh indices."""
    indices = [sp.Dummy(name, integer=True, positive=True) for name in inspect.signature(term).parameters]
    return sp.Sum(term(*indices), *((each, 1, bound) for each, bound in zip(indices, sizes, strict=True)))


def delta(one: Expr, other: Expr) -> Expr:
    """Return δ, 1 if two indices agree, else 0."""
    return sp.KroneckerDelta(one, other)


Flow = Mapping[Expr, Any]
"""dx/dτ of each variable, for an array as a function of its indices."""


class Rate(sp.Function):
    """Unevaluated d/dτ of its argument, for display."""

    nargs = 1

    def _sympystr(self, printer: StrPrinter) -> str:
        return f"d/dτ({printer.doprint(self.args[0])})"

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\frac{{d}}{{d\tau}}\left({printer.doprint(self.args[0])}\right)"


def along(expression: Expr, flow: Flow) -> Expr:
    """Return d/dτ of an expression along a flow."""
    time = sp.Dummy("time", real=True)
    return stepped(expression, flow, time).diff(time).subs(time, 0)


def stepped(expression: Expr, flow: Flow, length: Expr) -> Expr:
    """Return the expression after one step of the flow, x + length · dx/dτ for all variables at once."""

    def moves(each: Expr) -> bool:
        return (each.base if isinstance(each, sp.Indexed) else each) in flow and not isinstance(each, sp.IndexedBase)

    def moved(each: Expr) -> Expr:
        return each + length * (flow[each.base](*each.indices) if isinstance(each, sp.Indexed) else flow[each])

    return expression.replace(moves, moved)


# --- the normal form


def normal(expression: Expr) -> Expr:
    """Return equal sums in equal form: expanded, every δ used up, factors pulled out, indices renamed."""
    if not expression.has(sp.Sum, sp.KroneckerDelta):
        return expression
    if isinstance(expression, sp.Sum):
        bounds = {each: bound for each, _, bound in expression.limits}
        return sp.Add(*(_summed(term, bounds) for term in _terms(normal(expression.function))))
    return sp.Add(*_terms(expression.func(*map(normal, expression.args))))


def _terms(expression: Expr) -> tuple[Expr, ...]:
    """Return the terms of an expression, each linear in every δ."""
    return sp.Add.make_args(sp.expand(_linear(sp.expand(expression))))


def _linear(expression: Expr) -> Expr:
    """Rewrite any function f of δ, powers too, as f(0) + δ (f(1) - f(0)); inner sums contain no δ."""
    if isinstance(expression, sp.Add | sp.Mul):
        return expression.func(*map(_linear, expression.args))
    if not isinstance(expression, sp.KroneckerDelta):
        for each in sorted(_deltas(expression), key=sp.default_sort_key):
            off, on = _linear(expression.subs(each, 0)), _linear(expression.subs(each, 1))
            return off + each * (on - off)
    return expression


def _deltas(expression: Expr) -> set[Expr]:
    if isinstance(expression, sp.Sum):
        return set()
    if isinstance(expression, sp.KroneckerDelta):
        return {expression}
    return set().union(*(map(_deltas, expression.args)))


def _summed(term: Expr, bounds: Bounds) -> Expr:
    """Return Σ of one product: merge sums that depend on an index, use up every δ, nest the rest anew."""
    factors, bounds = _flattened(term, bounds)
    for each in factors:
        for one, other in (each.args, each.args[::-1]) if isinstance(each, sp.KroneckerDelta) else ():
            if one in bounds:
                rest = sp.Mul(*(factor for factor in factors if factor is not each)).subs(one, other)
                left = {name: bound for name, bound in bounds.items() if name != one}
                return sp.Add(*(_summed(part, left) for part in _terms(rest)))
    whole = sp.Mul(*factors)
    return min((_nested(whole, order) for order in _orders(bounds)), key=lambda each: (each.count_ops(), str(each)))


def _flattened(term: Expr, bounds: Bounds) -> tuple[list[Expr], Bounds]:
    """Return factors and indices, with every factor that is a sum depending on an index taken apart."""
    flat, rest = [], list(sp.Mul.make_args(term))
    while rest:
        base, power = (factor := rest.pop()).as_base_exp()
        if isinstance(base, sp.Sum) and power.is_Integer and power > 0 and base.free_symbols & bounds.keys():
            rest += [base] * (int(power) - 1)
            fresh = {limit[0]: sp.Dummy("index", integer=True, positive=True) for limit in base.limits}
            bounds = {**bounds} | {fresh[limit[0]]: limit[2] for limit in base.limits}
            rest += sp.Mul.make_args(base.function.xreplace(fresh))  # pyright: ignore[reportArgumentType]
        else:
            flat.append(factor)
    return flat, bounds


def _orders(bounds: Bounds) -> list[list[tuple[sp.Symbol, Expr]]]:
    """Return nestings from the inside out: ranges in one fixed order, the indices of one range in every order."""
    ranges = sorted(set(bounds.values()), key=str, reverse=True)
    groups = [permutations((each, bound) for each, bound in bounds.items() if bound == wanted) for wanted in ranges]
    return [list(chain(*order)) for order in product(*groups)]


def _nested(expression: Expr, order: list[tuple[sp.Symbol, Expr]]) -> Expr:
    """Nest the sums from the inside out, each without the factors that do not depend on its index."""
    for each, bound in order:
        outside, inside = expression.as_independent(each, as_Add=False)
        # Names from range and height make equal sums equal, so that sympy cancels them.
        named = size(f"{bound}_{_height(inside)}")
        expression = outside * (bound if inside == 1 else sp.Sum(inside.xreplace({each: named}), (named, 1, bound)))
    return expression


def _height(expression: Expr) -> int:
    """Return the nesting depth of sums."""
    return isinstance(expression, sp.Sum) + max(map(_height, expression.args), default=0)
