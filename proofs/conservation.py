"""Exact laws A1 to A7 for any data and any initial values (theory §2)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import sympy as sp

from proofs.attention import attention, contexts, score_gradient, weight
from proofs.heads import ACTIVE, B1, B2, U1, U2, one_hot, softmax
from proofs.notation import D_E, D_K, SLOPE, A, E, H, K, N, P, Q, U, V, n
from proofs.proof import Equal, Moves, Step, assumption, factor, proves, sign
from proofs.sums import Expr, Flow, Term, array, delta, index, stepped, total

i, w, a, b, c, h = (index(name) for name in "iwabch")
ETA = sp.Symbol("eta", positive=True)
"""Learning rate."""


@proves(
    "A1",
    sign("the context is added instead of taken off", context=lambda i, b: -contexts(attention)(i, b)),
    factor("the context at half its weight", context=lambda i, b: contexts(attention)(i, b) / 2),
    assumption("attention is not normalised", attention=weight, context=contexts(weight)),
)
def centre_of_keys(*, attention: Term = attention, context: Term = contexts(attention)) -> Iterator[Step]:
    """Σ_w ∂L/∂s_w = 0, hence Σ_w κ_w never moves: neither along the flow nor in any step of descent.

    The query may be trained or not: a step takes it as it is at that moment.
    """
    keys, gradient = total(lambda w: K[w, b], V), score_gradient(attention, context)
    flow: Flow = {K: lambda w, b: -gradient(w) * Q[b]}
    yield Equal("Σ ∂L/∂s", total(gradient, V), 0, concludes=True)
    yield Moves("d/dτ Σ κ", keys, flow, 0, concludes=True)
    yield Equal("Σ κ after a step of descent", stepped(keys, flow, ETA), keys, concludes=True)


# --- balance between neighbouring layers


class Law(NamedTuple):
    """Quantity that a flow conserves, and that descent changes by η² in a step, hence by O(η) over a time."""

    name: str
    kept: Expr
    drift: Expr
    """Change in a step, divided by η²."""


def _balanced(flow: Flow, *laws: Law) -> Iterator[Step]:
    for law in laws:
        yield Moves(f"d/dτ ({law.name})", law.kept, flow, 0, concludes=True)
    for law in laws:
        change = stepped(law.kept, flow, ETA) - law.kept
        yield Equal(f"change of {law.name} in a step of descent", change, ETA**2 * law.drift)


KEY_FLOW, QUERY_FLOW = lambda w, b: -P[w] * Q[b], lambda b: -total(lambda w: P[w] * K[w, b], V)


@proves(
    "A2",
    sign("the keys climb", keys=lambda w, b: -KEY_FLOW(w, b)),
    factor("the query learns at twice the rate", query=lambda b: 2 * QUERY_FLOW(b)),
    assumption("the query is fixed", query=lambda b: sp.S.Zero),
)
def query_and_keys(*, query: Term = QUERY_FLOW, keys: Term = KEY_FLOW) -> Iterator[Step]:
    """q qᵀ - KᵀK is constant along the flow when both are trained, and descent changes it by η² in a step."""
    law = Q[a] * Q[b] - total(lambda w: K[w, a] * K[w, b], V)
    drift = query(a) * query(b) - total(lambda w: keys(w, a) * keys(w, b), V)
    yield from _balanced({Q: query, K: keys}, Law("q qᵀ - KᵀK", law, drift))


def embedding_flow(back: Term) -> Term:
    """Return dν_wb/dτ = -Σ_i A_iw g_ib."""
    return lambda w, b: -total(lambda i: A[i, w] * back(i, b), N)


def context(i: Expr, b: Expr) -> Expr:
    """Return v_ib = Σ_w A_iw ν_wb for any attention."""
    return total(lambda w: A[i, w] * E[w, b], V)


def linear_back(i: Expr, b: Expr) -> Expr:
    """Return g_ib = Σ_c U_bc ζ_ic, which a linear head sends back (M4)."""
    return total(lambda c: U[b, c] * SLOPE[i, c], n)


def linear_flow(b: Expr, c: Expr) -> Expr:
    """Return dU_bc/dτ = -Σ_i v_ib ζ_ic (M4)."""
    return -total(lambda i: context(i, b) * SLOPE[i, c], N)


@proves(
    "A3",
    sign("the head climbs", head=lambda b, c: -linear_flow(b, c)),
    factor("embeddings at twice the rate", embeddings=lambda w, b: 2 * embedding_flow(linear_back)(w, b)),
    assumption("the head is fixed", head=lambda b, c: sp.S.Zero),
)
def embeddings_and_head(*, embeddings: Term = embedding_flow(linear_back), head: Term = linear_flow) -> Iterator[Step]:
    """Attn-TC: EᵀE - U Uᵀ is constant along the flow, and descent changes it by η² in a step."""
    law = total(lambda w: E[w, a] * E[w, b], V) - total(lambda c: U[a, c] * U[b, c], n)
    drift = total(lambda w: embeddings(w, a) * embeddings(w, b), V) - total(lambda c: head(a, c) * head(b, c), n)
    yield from _balanced({E: embeddings, U: head}, Law("EᵀE - U Uᵀ", law, drift))


def reached(i: Expr, h: Expr) -> Expr:
    """Return ∂L/∂(Σ_b U₁_bh v_ib + b₁_h) = σ_ih Σ_c U₂_hc ζ_ic (M5)."""
    return ACTIVE[i, h] * total(lambda c: U2[h, c] * SLOPE[i, c], n)


def before(i: Expr, h: Expr) -> Expr:
    """Return Σ_b U₁_bh v_ib + b₁_h."""
    return total(lambda b: U1[b, h] * context(i, b), D_E) + B1[h]


@proves(
    "A4",
    sign("the second layer climbs", second=lambda i, h: -ACTIVE[i, h] * before(i, h)),
    factor("the second layer learns at twice the rate", second=lambda i, h: 2 * ACTIVE[i, h] * before(i, h)),
    assumption("units that are not homogeneous", second=lambda i, h: ACTIVE[i, h] * (before(i, h) + 1)),
    assumption("the bias of the first layer is fixed", bias=lambda h: sp.S.Zero),
)
def layers(
    *,
    second: Term = lambda i, h: ACTIVE[i, h] * before(i, h),
    bias: Term = lambda h: -total(lambda i: reached(i, h), N),
) -> Iterator[Step]:
    """Attn-TL: EᵀE - U₁U₁ᵀ is constant along the flow, and so is ‖U₁[:,h]‖² + b₁[h]² - ‖U₂[h,:]‖² for every unit h.

    The derivative of relu is the one almost everywhere (M5). The second law is Euler's x relu'(x) = relu(x), summed.
    """
    back = lambda i, b: total(lambda h: U1[b, h] * reached(i, h), H)
    flow: Flow = {
        E: embedding_flow(back),
        U1: lambda b, h: -total(lambda i: context(i, b) * reached(i, h), N),
        B1: bias,
        U2: lambda h, c: -total(lambda i: second(i, h) * SLOPE[i, c], N),
    }
    columns = total(lambda w: E[w, a] * E[w, b], V) - total(lambda h: U1[a, h] * U1[b, h], H)
    drift = total(lambda w: flow[E](w, a) * flow[E](w, b), V) - total(lambda h: flow[U1](a, h) * flow[U1](b, h), H)
    first = Law("EᵀE - U₁U₁ᵀ", columns, drift)
    unit = total(lambda b: U1[b, h] ** 2, D_E) + B1[h] ** 2 - total(lambda c: U2[h, c] ** 2, n)
    drift = total(lambda b: flow[U1](b, h) ** 2, D_E) + flow[B1](h) ** 2 - total(lambda c: flow[U2](h, c) ** 2, n)
    yield from _balanced(flow, first, Law("‖U₁[:,h]‖² + b₁[h]² - ‖U₂[h,:]‖²", unit, drift))


# --- sums over classes

READ = array("x")
"""x_ih that the last layer reads: contexts, or hidden units."""


def cross_entropy_slope(i: Expr, c: Expr) -> Expr:
    """Return ζ_ic = (π_ic - y_ic)/N (M2)."""
    return (softmax(i, c) - one_hot(i, c)) / N


def bias_flow(slope: Term) -> Term:
    """Return db_c/dτ = -Σ_i ζ_ic."""
    return lambda c: -total(lambda i: slope(i, c), N)


@proves(
    "A7",
    sign("labels are pushed away", slope=lambda i, c: softmax(i, c) + one_hot(i, c)),
    factor("the right class counts twice", slope=lambda i, c: softmax(i, c) - 2 * one_hot(i, c)),
    assumption("a loss that sees more than contrasts of logits", slope=lambda i, c: array("z")[i, c] - one_hot(i, c)),
    assumption("one class alone has a bias", bias=lambda c: delta(c, 1) * bias_flow(cross_entropy_slope)(c)),
)
def sum_over_classes(
    *, slope: Term = cross_entropy_slope, bias: Term = bias_flow(cross_entropy_slope)
) -> Iterator[Step]:
    """Σ_c U_c of a trained last layer and Σ_c b_c of its bias never move: neither along the flow nor in any step.

    The layer is U of Attn-TC, or U₂ and b₂ of Attn-TL: what it reads does not matter, nor whether the rest is trained.
    """
    flow: Flow = {U: lambda h, c: -total(lambda i: READ[i, h] * slope(i, c), N), B2: bias}
    yield Equal("slopes sum to zero", total(lambda c: slope(i, c), n), 0)
    for name, kept in (("Σ_c U", total(lambda c: U[h, c], n)), ("Σ_c b", total(lambda c: B2[c], n))):
        yield Moves(f"d/dτ {name}", kept, flow, 0, concludes=True)
        yield Equal(f"{name} after a step of descent", stepped(kept, flow, ETA), kept, concludes=True)


# --- no loss of capacity, and closed dynamics

OTHER = array("r")
"""Another query q'_b."""
SQUARE = total(lambda b: OTHER[b] ** 2, D_K)


@proves(
    "A5",
    sign("the new keys point away from the new query", scale=-1 / SQUARE),
    factor("divided by the norm instead of its square", scale=1 / sp.sqrt(SQUARE)),
    assumption("a new query that may be 0, its square kept off 0", scale=1 / (SQUARE + ETA)),
)
def any_query_will_do(*, scale: Expr = 1 / SQUARE) -> Iterator[Step]:
    """For q' ≠ 0 and any K there is K' = K q q'ᵀ/‖q'‖² with K'q' = K q: fixing the query costs no capacity."""
    score = lambda w: total(lambda a: K[w, a] * Q[a], D_K)
    keys = lambda w, b: score(w) * OTHER[b] * scale
    yield Equal("K'q'", total(lambda b: keys(w, b) * OTHER[b], D_K), score(w), concludes=True)


GRAM = lambda e, c: total(lambda b: U[b, e] * U[b, c], D_E)
"""Gram matrix UᵀU."""
B, R, OFF = array("B"), array("R"), array("o")
"""B and R of E = B U₀ᵀ and U = U₀ R, and the part of E off span U."""


@proves(
    "A6",
    sign("embeddings climb", embeddings=lambda w, b: -embedding_flow(linear_back)(w, b)),
    factor("a factor 2 in the rate of the embeddings", embeddings=lambda w, b: 2 * embedding_flow(linear_back)(w, b)),
    assumption("a head that sends back more than its columns span", embeddings=lambda w, b: -OFF[b]),
    assumption("a direction that is not orthogonal to U", across=lambda c: OFF[c]),
    assumption("a start off the span of U₀", start=lambda w, b: OFF[b]),
)
def closed_in_classes(
    *,
    embeddings: Term = embedding_flow(linear_back),
    across: Term = lambda c: sp.S.Zero,
    start: Term = lambda w, b: sp.S.Zero,
) -> Iterator[Step]:
    """With a linear head the dynamics close in n dimensions, whatever d; from E(0) = 0, in h with a hidden layer.

    Attn-FC: P = E U obeys dP/dτ = -Aᵀ ζ UᵀU, scores see P alone, and what of E is orthogonal to the columns of U never
    moves. Attn-TC from E(0) = 0: E = B U₀ᵀ and U = U₀ R stay so, with dB/dτ = -Aᵀ ζ Rᵀ and dR/dτ = -BᵀAᵀ ζ. Attn-TL
    from E(0) = 0 likewise: E = B U₁₀ᵀ and U₁ = U₁₀ R, in h dimensions, for the slopes of hidden units stand where ζ
    does. The rates are linear in what moves, so a step of descent keeps all this as the flow does.
    """
    projected = lambda w, c: total(lambda b: E[w, b] * U[b, c], D_E)
    rate = -total(lambda i, e: A[i, w] * SLOPE[i, e] * GRAM(e, c), N, n)
    yield Moves("dP/dτ", projected(w, c), {E: embeddings}, rate, concludes=True)
    seen = lambda w, c: projected(w, c) - total(lambda u: A[i, u] * projected(u, c), V)
    pull = total(lambda b: linear_back(i, b) * (E[w, b] - context(i, b)), D_E)
    yield Equal("g·(ν - v) by P", pull, total(lambda c: SLOPE[i, c] * seen(w, c), n), concludes=True)
    moved = lambda across: -total(lambda i, c: A[i, w] * SLOPE[i, c] * across(c), N, n)
    rate = total(lambda b: embeddings(w, b) * OTHER[b], D_E)
    yield Equal("rate of E in a direction", rate, moved(lambda c: total(lambda b: U[b, c] * OTHER[b], D_E)))
    yield Equal("rate in one that is orthogonal to U", moved(across), 0, concludes=True)
    yield from _trained_first_layer("U", U, lambda i, c: SLOPE[i, c], n, start)
    yield from _trained_first_layer("U₁", U1, reached, H, start)


def _trained_first_layer(name: str, layer: Any, slope: Term, columns: Expr, start: Term) -> Iterator[Step]:
    """Prove the rates of E = B L₀ᵀ and L = L₀ R for a trained first layer L with these slopes ∂L/∂(v·L)."""
    embedding = lambda w, b: start(w, b) + total(lambda c: B[w, c] * layer[b, c], columns)
    moved = lambda b, c: total(lambda e: layer[b, e] * R[e, c], columns)
    slope_of_b = lambda w, c: -total(lambda i, e: A[i, w] * slope(i, e) * R[c, e], N, columns)
    slope_of_r = lambda e, c: -total(lambda i, w: A[i, w] * B[w, e] * slope(i, c), N, V)
    rate = -total(lambda i, c: A[i, w] * slope(i, c) * moved(b, c), N, columns)
    expected = total(lambda c: slope_of_b(w, c) * layer[b, c], columns)
    yield Equal(f"dE/dτ = dB/dτ {name}₀ᵀ", rate, expected, concludes=True)
    rate = -total(lambda i, w: A[i, w] * embedding(w, b) * slope(i, c), N, V)
    expected = total(lambda e: layer[b, e] * slope_of_r(e, c), columns)
    yield Equal(f"d{name}/dτ = {name}₀ dR/dτ", rate, expected, concludes=True)
