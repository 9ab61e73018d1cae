"""Results from signs: trained keys never hurt (C5), and a misaligned start first lowers a score (C6)."""

from collections.abc import Iterator

import sympy as sp

from proofs.attention import attention, contexts, score_gradient
from proofs.mean_field import RHO, S, U, X, rates, right
from proofs.notation import D_K, NORM, K, Q, m, n
from proofs.proof import Equal, Moves, Positive, Step, assumption, factor, proves, sign
from proofs.sen import ATTENTION, curve
from proofs.sums import Expr, Flow, Term, along, index, size, total

WRONG = sp.Symbol("f", positive=True)
"""f = 1 - π > 0."""
MEAN_VALUE = "the mean value theorem"
GAIN = sp.Symbol("p", nonnegative=True)
"""e^s - 1 for s ≥ 0."""
FIXED = 1 / (1 + m)
"""Attention a if the keys stay at zero."""


def classes(expression: Expr) -> Expr:
    """Rewrite an expression so that sympy can use n ≥ 2."""
    return expression.subs(n, 1 + size("k"))


@proves(
    "C5",
    sign("the keys climb", score=-1),
    factor("the embedding's rate loses its attention", embedding=1 / ATTENTION),
    assumption("the score does not start at 0", grown=GAIN - sp.Rational(99, 100)),
    assumption("the embedding does not start at 0", x=sp.Symbol("x", negative=True)),
)
def keys_help(
    *,
    x: sp.Symbol = sp.Symbol("x", nonnegative=True),
    grown: Expr = GAIN,
    score: Expr = sp.S.One,
    embedding: Expr = sp.S.One,
) -> Iterator[Step]:
    """In mean field from zero, s and ‖ν‖ grow together and the loss is at every time at most that with keys fixed.

    The loss is a falling function of the margin b = a x. So b must stay at least the margin b₀ of the run with keys
    fixed. Both start at 0, db/dτ ≥ F(b) = ρ u² f(b)/(1 + m)² and db₀/dτ = F(b₀), with F Lipschitz.
    """
    trained, fixed = rates(ATTENTION, WRONG), rates(FIXED, WRONG)
    flow: Flow = {S: score * trained[S], X: embedding * trained[X]}
    above = lambda expression: classes(expression).subs(sp.exp(S), 1 + grown).subs(X, x)
    yield Positive("ds/dτ", above(flow[S]), strict=False, concludes=True)
    yield Positive("dx/dτ", above(flow[X]), concludes=True)
    yield Moves("db₀/dτ", FIXED * X, {X: embedding * fixed[X]}, RHO * (FIXED * U) ** 2 * WRONG)
    margin = along(ATTENTION * X, flow)
    comparison = "the comparison theorem for ordinary differential equations"
    lead = above(margin - RHO * (FIXED * U) ** 2 * WRONG)
    yield Positive("db/dτ - F(b)", lead, strict=False, by=comparison, concludes=True)
    b, p = sp.Symbol("b", real=True), sp.Symbol("pi", positive=True)
    chance = right(b * n / (n - 1))
    yield Equal("df/db", (1 - chance).diff(b), -(chance * (1 - chance)) * n / (n - 1))
    yield Positive("F is Lipschitz: |df/db| ≤ n/(4(n - 1))", classes((1 - 4 * p * (1 - p)) * n / (n - 1)), strict=False)
    yield Positive("-dL/db", classes(sp.log(chance).diff(b)), concludes=True)


t, b = index("t"), index("b")
SLOPES = score_gradient(attention, contexts(attention))
"""Score gradient ∂L/∂s."""


@proves(
    "C6",
    sign("the keys climb", keys=lambda w, b: SLOPES(w) * Q[b]),
    factor("a factor 2 in the keys' rate", keys=lambda w, b: -2 * SLOPES(w) * Q[b]),
    assumption("the query is trained", query=lambda b: -K[t, b]),
    assumption("the start is aligned", behind=sp.Symbol("x", negative=True)),
)
def misaligned_start(
    *,
    keys: Term = lambda w, b: -SLOPES(w) * Q[b],
    query: Term = lambda b: sp.S.Zero,
    behind: sp.Symbol = sp.Symbol("x", positive=True),
) -> Iterator[Step]:
    """Any score falls exactly while M = Σ_i A_it g_i·(ν_t - v_i) > 0; in mean field from x < 0 it recovers all it lost.

    In mean field the embedding lies along the contrast of its topic, and M > 0 exactly while x < 0. Meanwhile a is at
    least 1/(1 + m e^{-s_min}), with s_min by B1 at ν = 0, and 1 - π ≥ 1 - 1/n. So x grows at least at a constant rate
    and passes 0 in finite time, of the order m e^{-s_min}; by B1 the score is back at its start when ‖ν‖ is.
    """
    score, square = total(lambda b: K[t, b] * Q[b], D_K), total(lambda b: Q[b] ** 2, D_K)
    yield Moves("ds/dτ = -‖q‖² M", score, {K: keys, Q: query}, -square * SLOPES(t), concludes=True)
    flow, grown = rates(ATTENTION, WRONG), sp.Symbol("g", positive=True)
    within = lambda expression, x: classes(expression).subs(sp.exp(S), grown).subs(X, x)
    yield Positive("-ds/dτ where x < 0", within(-flow[S], -behind), concludes=True)
    yield Positive("dx/dτ", within(flow[X], -behind))
    # For x < 0, e^{-a x n/(n-1)} = 1 + p is above 1.
    chance = right(-sp.log(1 + GAIN))
    yield Positive("1 - π ≥ 1 - 1/n where x ≤ 0", classes((1 - chance) - (1 - 1 / n)), strict=False, by=MEAN_VALUE)
    law = curve(S) - NORM**2 * n / (2 * (n - 1) * U**2) * X**2
    yield Moves("B1 in mean field", law, flow, 0, concludes=True)
    yield Positive("s + e^s/m increases, so B1 bounds s below", curve(S).diff(S))
    yield Positive("ds/dτ where x > 0", within(flow[S], behind), concludes=True)
    yield Equal("x² at -x₀ is x₀²", law.subs(X, -behind), law.subs(X, behind))
