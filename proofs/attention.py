"""Attention block: its exact gradient for any head and any data (theory §1)."""

from collections.abc import Iterator

import sympy as sp

from proofs.notation import D_E, D_K, C, E, G, K, N, P, Q, V, s
from proofs.proof import Equal, Step, assumption, factor, proves, sign
from proofs.sums import Expr, Term, delta, index, total

i, w, x, b = index("i"), index("w"), index("x"), index("b")


def weight(i: Expr, w: Expr) -> Expr:
    """Return C_iw e^{s_w}."""
    return C[i, w] * sp.exp(s[w])


def normalised(weight: Term) -> Term:
    """Return A_iw, the weights of a sentence divided by their sum."""
    return lambda i, w: weight(i, w) / total(lambda u: weight(i, u), V)


attention = normalised(weight)
"""A_iw = C_iw e^{s_w} / Σ_u C_iu e^{s_u}."""


def contexts(attention: Term) -> Term:
    """Return v_ib = Σ_w A_iw ν_wb."""
    return lambda i, b: total(lambda w: attention(i, w) * E[w, b], V)


def score_gradient(attention: Term, context: Term) -> Term:
    """Return ∂L/∂s_w = Σ_i A_iw g_i·(ν_w - v_i)."""
    return lambda w: total(lambda i, b: attention(i, w) * G[i, b] * (E[w, b] - context(i, b)), N, D_E)


@proves(
    "M1",
    sign("scores enter with the other sign", attention=normalised(lambda i, w: C[i, w] * sp.exp(-s[w]))),
    factor("counts left out of the numerator", attention=lambda i, w: attention(i, w) / C[i, w]),
    assumption("attention is not normalised", attention=weight),
    assumption("the score is no inner product", score=lambda w: total(lambda b: K[w, b] ** 2 * Q[b], D_K)),
    name="gradient of attention",
)
def block(
    *,
    attention: Term = attention,
    score: Term = lambda w: total(lambda b: K[w, b] * Q[b], D_K),
) -> Iterator[Step]:
    """Exact gradient of the attention block, and its two sparse products.

    The loss may be any differentiable function of the contexts: by the chain rule it has the gradient of Σ_i g_i·v_i
    with every g_i held fixed.
    """
    chain = "the chain rule"
    context = contexts(attention)
    loss = total(lambda i, b: G[i, b] * context(i, b), N, D_E)
    yield Equal("attention sums to one", total(lambda w: attention(i, w), V), 1)
    yield Equal("∂A/∂s", attention(i, w).diff(s[x]), attention(i, w) * (delta(w, x) - attention(i, x)))
    yield Equal("∂L/∂ν", loss.diff(E[w, b]), total(lambda i: attention(i, w) * G[i, b], N), by=chain, concludes=True)
    yield Equal("∂L/∂s", loss.diff(s[w]), score_gradient(attention, context)(w), by=chain, concludes=True)
    scored = total(lambda w: P[w] * score(w), V)
    yield Equal("∂L/∂κ", scored.diff(K[w, b]), P[w] * Q[b], by=chain, concludes=True)
    yield Equal("∂L/∂q", scored.diff(Q[b]), total(lambda w: P[w] * K[w, b], V), by=chain, concludes=True)
    # Scores belong to words, so one product with Cᵀ D⁻¹ carries both gradients.
    mass = lambda i: total(lambda u: weight(i, u), V)
    pulled = lambda b: total(lambda i: C[i, w] * G[i, b] / mass(i), N)
    along_context = total(lambda i, b: C[i, w] * G[i, b] * context(i, b) / mass(i), N, D_E)
    yield Equal("∂L/∂ν from Cᵀ D⁻¹ g", sp.exp(s[w]) * pulled(b), loss.diff(E[w, b]))
    products = sp.exp(s[w]) * (total(lambda b: E[w, b] * pulled(b), D_E) - along_context)
    yield Equal("∂L/∂s from Cᵀ D⁻¹ [g, g·v]", products, loss.diff(s[w]))
