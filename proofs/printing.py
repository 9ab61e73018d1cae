"""Relations as one line of text, and as LaTeX without packages of its own."""

import re
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.pretty.pretty_symbology import pretty_symbol
from sympy.printing.str import StrPrinter

from proofs.sums import Expr


class _Line(StrPrinter):
    """Sympy's text printer with the symbols of the theory."""

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return str(pretty_symbol(expr.name))

    _print_Dummy = _print_Symbol

    def _print_Indexed(self, expr: Expr) -> str:
        return f"{self._print(expr.base.label)}[{','.join(map(self._print, expr.indices))}]"

    def _print_KroneckerDelta(self, expr: sp.KroneckerDelta) -> str:
        return f"δ[{','.join(map(self._print, expr.args))}]"

    def _print_Sum(self, expr: sp.Sum) -> str:
        return f"Σ[{','.join(self._print(name) for name, _, _ in expr.limits)}]({self._print(expr.function)})"

    def _print_Limit(self, expr: sp.Limit) -> str:
        term, variable, point, _ = map(self._print, expr.args)
        return f"lim[{variable}→{point}]({term})"

    def _print_Infinity(self, expr: Any) -> Any:
        return "∞"

    def _print_Relational(self, expr: Expr) -> str:
        sign = {"==": "=", ">=": "≥"}.get(expr.rel_op, expr.rel_op)
        return f"{self._print(expr.args[0])} {sign} {self._print(expr.args[1])}"


def line(relation: sp.Basic) -> str:
    """Return a relation as one line of text."""
    return str(_Line().doprint(legible(relation)))


def legible(relation: sp.Basic) -> sp.Basic:
    """Return a relation with a prime at every bound index whose letter is also used otherwise."""
    taken = frozenset(each.name for each in relation.free_symbols if isinstance(each, sp.Symbol))
    if isinstance(relation, sp.Rel):
        return type(relation)(*(_primed(side, taken) for side in relation.args), evaluate=False)
    return _primed(relation, taken)


def _primed(expression: sp.Basic, taken: frozenset[str]) -> sp.Basic:
    if not expression.has(sp.Sum):
        return expression
    if not isinstance(expression, sp.Sum):
        return expression.func(*(_primed(each, taken) for each in expression.args))
    term, limits = expression.function, []
    for bound, first, last in expression.limits:
        name = bound.name
        while name in taken:
            name += "'"
        taken |= {name}
        limits.append((sp.Symbol(name, integer=True, positive=True), first, last))
        term = term.xreplace({bound: limits[-1][0]})
    return sp.Sum(_primed(term, taken), *limits)


# --- LaTeX

SIGNS = {
    "∂": r"\partial", "Σ": r"\sum", "‖": r"\|", "²": "^2", "⁴": "^4", "·": r"\cdot", "→": r"\to", "∞": r"\infty",
    "≥": r"\ge", "≤": r"\le", "≠": r"\ne", "√": r"\surd", "∫": r"\int", "ℓ": r"\ell", "ᵀ": "^T", "⁻": "^-", "¹": "^1",
    "₀": "_0", "₁": "_1", "₂": "_2", "ˢ": "^s", "Û": r"\hat U", "…": r"\dots", "η": r"\eta", "α": r"\alpha",
    "ζ": r"\zeta", "κ": r"\kappa", "ν": r"\nu", "μ": r"\mu", "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma",
    "τ": r"\tau", "ω": r"\omega", "δ": r"\delta", "³": "^3", "Δ": r"\Delta", "½": r"\tfrac{1}{2}", "ψ": r"\psi",
    "≪": r"\ll", "⁶": "^6", "⁷": "^7", "ô": r"\hat{o}", "β": r"\beta", "ε": r"\varepsilon",
    "λ": r"\lambda", "θ": r"\theta",
}  # fmt: skip
"""LaTeX of the mathematical signs in texts and in names of symbols."""


class _Latex(LatexPrinter):
    """Sympy's LaTeX printer, with signs in names and with brackets around a summand that begins with a minus."""

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        signs = "".join(f"{SIGNS[each]} " if each in SIGNS else each for each in expr.name)
        return signs if "‖" in expr.name else super()._print_Symbol(expr, style)

    def _print_Sum(self, expr: sp.Sum) -> str:
        whole, term = super()._print_Sum(expr), self._print(expr.function)
        bare = term.startswith("-") and not isinstance(expr.function, sp.Add)  # sympy puts brackets around an Add
        return rf"{whole.removesuffix(term)}\left({term}\right)" if bare else whole


def latex(relation: sp.Basic) -> str:
    """Return LaTeX of a relation."""
    return _Latex().doprint(legible(relation))


HEAD = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amsmath,graphicx}
\setlength{\parindent}{0pt}
\newsavebox{\formula}
\newcommand{\fit}[1]{\par\smallskip\hspace*{1em}\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>0.95\linewidth\resizebox{0.95\linewidth}{!}{\usebox{\formula}}\else\usebox{\formula}\fi\par\smallskip}
\begin{document}
"""


def words(text: str) -> str:
    """Return LaTeX of a sentence that contains mathematics."""
    mathematics = re.compile(rf"[_^](?:\{{[^}}]*\}}|[A-Za-z0-9α-ω]+)|[{''.join(SIGNS)}]")
    return mathematics.sub(lambda found: _set(found[0]), text)


def _set(mathematics: str) -> str:
    """Return LaTeX of a sign or a script; letters of a script stay together."""
    script, inside = (mathematics[0], mathematics[1:].strip("{}")) if mathematics[0] in "_^" else ("", mathematics)
    inside = "".join(f"{SIGNS[each]} " if each in SIGNS else each for each in inside)
    return rf"\ensuremath{{{script}{{{inside}}}}}" if script else rf"\ensuremath{{{inside}}}"


def formula(relation: sp.Basic) -> str:
    """Return LaTeX of a displayed relation, shrunk if it is too long for the line."""
    return rf"\fit{{{latex(relation)}}}"
