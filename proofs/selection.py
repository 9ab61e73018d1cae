"""Selection by keys alone: how fast attention nears a topic word whose embedding is held (F2)."""

from collections.abc import Iterator

import sympy as sp

from proofs.asymptotics import HOPITAL, LIMITS
from proofs.mean_field import RHO, A, S, k, right, softmax
from proofs.notation import NORM, N, m, n
from proofs.proof import Equal, Positive, Step, Tends, assumption, factor, proves, sign
from proofs.sen import ATTENTION
from proofs.signs import GAIN, MEAN_VALUE, classes
from proofs.sums import Expr, Term, along, delta, total

V, GAP = sp.symbols("v h", positive=True)
"""Margin v of a sentence that attends to its topic word alone, and the gap h = 1 - a."""
SURE = sp.exp(V) / (n - 1 + sp.exp(V))
"""Probability p of the right class in the end."""
RATE = NORM**2 * RHO * V * (1 - SURE)
DRIFT = V * SURE - 2
SECOND = 3 - 2 * V * SURE + V**2 * SURE / 2
"""Coefficient g of h² in c dτ/dR."""


def held(attention: Expr) -> Term:
    """Return the logits of a sentence of class k whose topic word's embedding is held."""
    return lambda c: attention * V * delta(k, c)


@proves(
    "F2",
    sign("the keys climb", sense=-1),
    factor("the query's norm for its square", sense=1 / NORM),
    factor("b without its -2", drift=V * SURE),
    assumption("the others' scores do not stay at 0", attention=ATTENTION.subs(m, 2 * m)),
    assumption("the classifier does not saturate: its slope stays at 1 - π of even classes", slope=1 - 1 / n),
)
def rate_of_selection(
    *,
    attention: Expr = ATTENTION,
    slope: Expr = 1 - right(A * V),
    drift: Expr = DRIFT,
    sense: Expr = sp.S.One,
) -> Iterator[Step]:
    """With keys alone trained, 1/(1 - a) = cτ + b ln τ + O(1): τ(1 - a) → (n-1+e^v)/((n-1)‖q‖²ρv), whatever m is.

    R = 1/(1 - a) is a clock: dR/dτ is a function of R alone that tends to c. For n = 2 the limit is (1 + e^v)/(‖q‖²ρv).
    """
    logits = held(A)
    yield Equal("1 - π", 1 - softmax(logits)(k), 1 - right(A * V), concludes=True)
    zeta = lambda c: (softmax(logits)(c) - delta(k, c)) / N
    context = lambda c: (1 - A) * V * delta(k, c)
    pull = -(NORM**2) * RHO * N * A * total(lambda c: zeta(c) * context(c), n)
    yield Equal("ds/dτ", pull, NORM**2 * RHO * A * (1 - A) * (1 - right(A * V)) * V, concludes=True)
    score = sense * NORM**2 * RHO * A * (1 - A) * slope * V
    pace = along(1 / (1 - attention), {S: score.subs(A, attention)})
    stated = RATE * A**2 * (n - 1 + sp.exp(V)) / (n - 1 + sp.exp(A * V))
    yield Equal("dR/dτ", pace, stated.subs(A, ATTENTION), concludes=True)
    yield from _limits(stated.subs(A, 1 - GAP), drift)


def _limits(pace: Expr, drift: Expr) -> Iterator[Step]:
    """Prove the limit of R/τ, the coefficient of the logarithm, and that a constant follows."""
    slowest = RATE / (1 + m) ** 2
    bounded = RATE * A**2 - slowest
    above = lambda each: classes(each).subs(A, (1 + GAIN) / (1 + GAIN + m))
    yield Positive("dR/dτ ≥ c a² ≥ c/(1 + m)², so R grows without end", above(bounded), strict=False, by=MEAN_VALUE)
    yield Tends("dR/dτ", pace, {GAP: sp.S.Zero}, RATE, concludes=True)
    ratio = sp.Symbol("R'", positive=True)
    limit = (n - 1 + sp.exp(V)) / ((n - 1) * NORM**2 * RHO * V)
    yield Tends("τ (1 - a)", 1 / ratio, {ratio: RATE}, limit, by=HOPITAL, concludes=True)
    # d(R - cτ)/d ln τ = τ (dR/dτ - c), and τ/R → 1/c.
    beyond = (pace / RATE - 1) / GAP
    yield Tends("(dR/dτ/c - 1) R", beyond, {GAP: sp.S.Zero}, drift)
    yield Tends(
        "(R - cτ)/ln τ", RATE * beyond / ratio, {GAP: sp.S.Zero, ratio: RATE}, DRIFT, by=HOPITAL, concludes=True
    )
    rest = (RATE / pace - 1 + drift * GAP) / GAP**2
    yield Tends(
        "∫ (c dτ/dR - 1 + b/R) dR converges, so R - cτ - b ln R tends to a constant",
        rest,
        {GAP: sp.S.Zero},
        SECOND,
        by=LIMITS,
        concludes=True,
    )
    yield _what_three_terms_leave()


def _what_three_terms_leave() -> Step:
    """Prove that R = cτ + b ln(cτ) + k + (b (b ln(cτ) + k) + g)/(cτ) solves cτ = R - b ln R - k - g/R up to o(1/τ).

    At a fixed number ln(cτ), which stands in each order by a power alone, so that cτ beats it.
    """
    clock, (log, b, constant, g) = sp.Symbol("1/T", positive=True), sp.symbols("ln(T) b k g", real=True)
    three = b * log + constant
    ratio = 1 + clock * three + clock**2 * (b * three + g)
    left = (ratio - 1) / clock - b * (log + sp.log(ratio)) - constant - g * clock / ratio
    return Tends("R - b ln R - k - g/R - cτ, times cτ", left / clock, {clock: sp.S.Zero}, 0, by=LIMITS, concludes=True)
