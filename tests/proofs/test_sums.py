"""Sums with symbolic bounds: the normal form keeps every value, and equal sums have equal forms."""

import pytest
import sympy as sp

from proofs import sampling
from proofs.notation import NORM
from proofs.printing import latex, legible, line
from proofs.sums import Expr, along, array, delta, index, normal, size, stepped, total

i, j, w = index("i"), index("j"), index("w")
N, V = size("N"), size("V")
a, b, c = array("a"), array("b"), array("c")
x = sp.Symbol("x", real=True)

STEPS = ((a, 3), (b, 5), (c, 2))
GIVEN = {N: 3, V: 4, j: 2, i: 1, x: 0.7} | {each[k]: (k * by) % 7 / 3 - 1 for each, by in STEPS for k in range(1, 5)}

FORMS = {
    "a product": total(lambda i: a[i], N) * total(lambda i: b[i], N),
    "a square": total(lambda i: a[i], N) ** 2,
    "a square within": total(lambda w: c[w] * total(lambda i: a[i] * b[w], N) ** 2, V),
    "nested": total(lambda i: a[i] * total(lambda w: c[w] * b[i] + c[w] ** 2 * delta(w, 1), V), N),
    "two of one range": total(lambda i, k: a[i] * b[k] * sp.exp(a[i] * b[k]), N, N),
    "a quotient": total(lambda w: c[w] * sp.exp(x * b[w]), V) / total(lambda w: sp.exp(x * b[w]), V),
    "a function of δ": total(lambda i: a[i] * sp.exp(x * delta(i, j)) / (2 + delta(i, j)), N),
    "δ twice": total(lambda i, k: a[i] * b[k] * delta(i, k) * delta(k, j), N, N),
    "a constant": total(lambda i: x, N),
    "its own letter outside": total(lambda i: a[i] * b[j], N) + a[i],
}


@pytest.mark.parametrize("name", FORMS)
def test_the_normal_form_keeps_the_value(name: str) -> None:
    plain, formed = (sampling.value(each, 0, GIVEN) for each in (FORMS[name], normal(FORMS[name])))
    assert abs(plain - formed) < 1e-12


EQUAL = {
    "order of the sums": (
        total(lambda w: c[w] * total(lambda i: a[i] * b[w] * sp.exp(a[i] * c[w]), N), V),
        total(lambda i: a[i] * total(lambda w: b[w] * c[w] * sp.exp(a[i] * c[w]), V), N),
    ),
    "names within one range": (
        total(lambda i, k: a[i] * b[k] * sp.exp(a[i] * b[k]), N, N),
        total(lambda i, k: a[k] * b[i] * sp.exp(a[k] * b[i]), N, N),
    ),
    "a δ": (total(lambda i: a[i] * delta(i, j), N), a[j]),
    "as many as there are": (total(lambda i: sp.S.One, N), N),
    "what is normalised": (total(lambda w: sp.exp(c[w]) / total(lambda u: sp.exp(c[u]), V), V), sp.S.One),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_sums_have_equal_forms(name: str) -> None:
    left, right = EQUAL[name]
    assert normal(left - right) == 0


def test_an_index_is_never_captured() -> None:
    # A term that is itself a sum in the same letter, put where that letter is already bound.
    def inner(k: Expr) -> Expr:
        return total(lambda i: a[i] * b[k], N)

    outer = total(lambda i: c[i] * inner(i), N)
    apart = total(lambda i: c[i] * b[i], N) * total(lambda i: a[i], N)
    assert normal(outer - apart) == 0


def test_a_flow_moves_every_variable_at_once() -> None:
    square = total(lambda i: a[i] ** 2, N)
    assert normal(along(square, {a: lambda i: b[i]}) - 2 * total(lambda i: a[i] * b[i], N)) == 0
    swapped = stepped(a[1] * x, {a: lambda i: x, x: a[1]}, sp.S.One)
    assert sp.expand(swapped - (a[1] + x) * (x + a[1])) == 0


def test_what_is_printed_tells_bound_from_free() -> None:
    shown = line(sp.Eq(total(lambda i: a[i] * delta(i, j), N), a[i], evaluate=False))
    assert shown == "Σ[i'](δ[i',j]*a[i']) = a[i]"
    assert legible(a[i]) == a[i]


def test_a_summand_that_begins_with_a_minus_has_brackets() -> None:
    """The negative control: sympy's own LaTeX has none."""
    lowered = sp.Eq(a[j], total(lambda i: -a[i], N), evaluate=False)
    assert r"\sum_{i=1}^{N} - " in sp.latex(legible(lowered))
    assert r"\sum_{i=1}^{N} \left(- {a}_{i}\right)" in latex(lowered)
    assert latex(total(lambda i: x - a[i], N)).count(r"\left(") == 1
    assert r"\left(" not in latex(total(lambda i: a[i], N))


def test_a_norm_is_printed_as_in_the_theory() -> None:
    assert line(NORM**2) == "‖q‖**2"
    assert latex(NORM**2).replace(" ", "") == r"\|q\|^{2}"
