"""Early growth of scores on any text, from embeddings of 0 (theory E1)."""

from collections.abc import Callable, Iterator
from functools import partial

import sympy as sp

from proofs.attention import attention, contexts, score_gradient
from proofs.heads import Z, softmax
from proofs.notation import D_E, D_K, SLOPE, A, E, G, K, N, Q, V, n, s
from proofs.proof import Equal, Moves, Step, assumption, factor, proves, sign
from proofs.sums import Expr, Flow, Term, along, array, index, total

i, w, u, b, c = (index(name) for name in "iwubc")
G_RATE, G_NEXT, OFF = array("h"), array("k"), array("o")
"""Rate of g_ib, the rate of that rate, and embeddings that are not 0."""
A_RATE, A_NEXT = array("a"), array("e")
"""dA/dτ and its rate."""
Z_RATE = array("x")
"""dz/dτ."""
SQUARE = total(lambda b: Q[b] ** 2, D_K)
"""‖q‖²."""
TAYLOR = "Taylor's theorem"


def pull(attention: Term, back: Term) -> Term:
    """Return b_wb = -Σ_i A_iw g_ib, the rate of an embedding."""
    return lambda w, b: -total(lambda i: attention(i, w) * back(i, b), N)


def context_of(attention: Term, embedding: Term) -> Term:
    """Return Σ_w A_iw times an embedding."""
    return lambda i, b: total(lambda w: attention(i, w) * embedding(w, b), V)


def entry(base: Expr) -> Term:
    """Return the entries of an array as a function of indices."""
    return lambda *places: base[places]


def at(expression: Expr, base: Expr, value: Term) -> Expr:
    """Replace the entries of an array by other values."""
    return expression.replace(
        lambda each: isinstance(each, sp.Indexed) and each.base == base, lambda each: value(*each.indices)
    )


def without(expression: Expr, base: Expr) -> Expr:
    """Set an array to 0."""
    return at(expression, base, lambda *places: sp.S.Zero)


@proves(
    "E1",
    sign("embeddings climb", embeddings=lambda w, b: total(lambda i: A[i, w] * G[i, b], N)),
    sign("keys climb", keys=sp.Integer(1)),
    factor("scores move by half of ‖q‖²", keys=-sp.Rational(1, 2)),
    factor("embeddings at twice the rate", embeddings=lambda w, b: -2 * total(lambda i: A[i, w] * G[i, b], N)),
    assumption("E does not start at 0", start=lambda w, b: OFF[w, b]),
)
def early_scores(
    *,
    embeddings: Term = pull(entry(A), entry(G)),
    keys: Expr = sp.Integer(-1),
    start: Term = lambda w, b: sp.S.Zero,
) -> Iterator[Step]:
    """From E = 0, s_w(τ) - s_w(0) = (‖q‖²/2)(‖b_w‖² + Σ_i A_iw g_i·c_i) τ² + (‖q‖²/6)(3 b_w·b_tw + …) τ³ + O(τ⁴).

    Here b_w = -Σ_i A_iw g_i and c_i = Σ_w A_iw b_w at the start; b_t and c_t are the same from the rate g_t. The dots …
    are Σ_i A_iw (g_i·c_ti + 2 g_ti·c_i). Text, labels and scores at the start are arbitrary, and so is a head whose g_i
    have two derivatives. For a linear head g_i = U ζ_i with dζ_ic/dτ = (dz_ic/dτ - mean over classes)/(n N), because
    dU/dτ = 0.
    """
    begun = partial(at, base=E, value=start)
    # A may be any array whose own rate is 0 at the start; the last steps show this for attention.
    flow: Flow = {
        A: lambda i, w: A_RATE[i, w],
        A_RATE: lambda i, w: A_NEXT[i, w],
        E: embeddings,
        G: lambda i, b: G_RATE[i, b],
        G_RATE: lambda i, b: G_NEXT[i, b],
    }
    resting = lambda expression: begun(without(expression, A_RATE))
    seen = context_of(entry(A), entry(E))
    pushed = total(lambda i, b: A[i, w] * G[i, b] * (E[w, b] - seen(i, b)), N, D_E)
    first, rate = keys * SQUARE * pushed, resting(along(E[w, b], flow))
    pulls, pulls_rate = (pull(entry(A), entry(back)) for back in (G, G_RATE))
    c, c_rate = context_of(entry(A), pulls), context_of(entry(A), pulls_rate)
    yield Equal("dν/dτ at the start", rate, pulls(w, b))
    yield Equal("d²ν/dτ² at the start", resting(along(along(E[w, b], flow), flow)), pulls_rate(w, b))
    yield Equal("ds/dτ at the start", resting(first), 0, concludes=True)
    leading = total(lambda b: pulls(w, b) ** 2, D_E) + total(lambda i, b: A[i, w] * G[i, b] * c(i, b), N, D_E)
    second = along(first, flow)
    yield Equal("s/τ², half of d²s/dτ²", resting(second) / 2, SQUARE / 2 * leading, by=TAYLOR, concludes=True)
    mixed = lambda i, b: G[i, b] * c_rate(i, b) + 2 * G_RATE[i, b] * c(i, b)
    following = 3 * total(lambda b: pulls(w, b) * pulls_rate(w, b), D_E)
    following += total(lambda i, b: A[i, w] * mixed(i, b), N, D_E)
    third = resting(along(second, flow)) / 6
    yield Equal("its O(τ), a sixth of d³s/dτ³", third, SQUARE / 6 * following, by=TAYLOR, concludes=True)
    yield from _attention_rests(keys, begun)
    yield from _linear_head(begun)


def _attention_rests(keys: Expr, begun: Callable[[Expr], Expr]) -> Iterator[Step]:
    """Prove that at E = 0 scores rest, and so does the attention they make."""
    slopes = score_gradient(attention, contexts(attention))
    moved: Flow = {K: lambda w, b: keys * slopes(w) * Q[b]}
    score = total(lambda b: K[w, b] * Q[b], D_K)
    yield Moves("ds/dτ", score, moved, keys * SQUARE * slopes(w))
    yield Equal("dA/dτ at the start", begun(along(attention(i, w), {s: lambda w: keys * SQUARE * slopes(w)})), 0)


def _linear_head(begun: Callable[[Expr], Expr]) -> Iterator[Step]:
    """Prove the parts of g_t under cross-entropy, at logits that are 0 because E is."""
    rate = along(softmax(i, c), {Z: lambda i, c: Z_RATE[i, c]})
    mean = total(lambda e: Z_RATE[i, e], n) / n
    yield Equal("N dζ/dτ at equal logits", without(rate, Z), (Z_RATE[i, c] - mean) / n)
    learned = total(lambda i: context_of(entry(A), entry(E))(i, b) * SLOPE[i, c], N)
    yield Equal("dU/dτ at the start", begun(-learned), 0)
