"""No law beside A1 to A3, A6 and A7 holds for all data under a linear head, and what Attn-TL keeps in a region (A8)."""

from collections.abc import Iterator

import sympy as sp

from proofs.conservation import before, context
from proofs.heads import ACTIVE, B1, U1, U2
from proofs.notation import D_E, D_K, SLOPE, E, K, N, Q, U, V, n
from proofs.proof import Equal, Moves, Step, assumption, factor, proves, sign
from proofs.sums import Expr, Flow, Term, along, array, delta, index, total

w, x, y, b, c, h, e = (index(name) for name in "wxybche")
ONE, OTHER, TEST = array("zeta"), array("xi"), array("f")
"""Slopes ζ_c and ξ_c, which sum to 0 over classes, and any numbers f_x of words."""
LEFT, RIGHT = array("l"), array("r")
"""Numbers of words that sum to 0."""
SHARE = sp.Symbol("alpha", positive=True)
"""Attention of the first word of a sentence of two."""
WITT = "Witt's theorem"


def bracket(one: Flow, other: Flow, part: Expr) -> Expr:
    """Return an entry of the Lie bracket of two flows, Y'X - X'Y."""
    return along(other[part.base](*part.indices), one) - along(one[part.base](*part.indices), other)


@proves(
    "A8",
    sign("the head climbs", head=lambda w, b: -E[w, b]),
    factor("embeddings at twice the rate", embedding=lambda b, c: 2 * U[b, c]),
    assumption("attention does not sum to one", second=1 - SHARE / 2),
    sign("the second layer climbs", layer=lambda i, h: -before(i, h)),
    assumption("units that are active in different sentences", active=lambda i, h: ACTIVE[i, h]),
    case="linear heads, d ≤ V + n - 1 and d_k ≤ V, and the laws of Attn-TL within a region",
)
def no_further_law(
    *,
    embedding: Term = lambda b, c: U[b, c],
    head: Term = lambda w, b: E[w, b],
    second: Expr = 1 - SHARE,
    active: Term = lambda i, h: array("sigma")[i],
    layer: Term = before,
) -> Iterator[Step]:
    """Under a linear head data sets move a generic state in every direction that A1, A2, A3 or A6, and A7 allow.

    A law of all data is constant along the gradients of all of them, and so along their brackets and their multiples by
    functions. A sentence of one word moves E and U alone. A sentence of two, less its words by their attention, moves
    keys and query alone, along a difference of words. The brackets of both are the rotations that leave J = diag(1, -1)
    between words and classes, and between query and words: with EᵀE - U Uᵀ and q qᵀ - KᵀK as Gram matrices, their
    orbits are all states of the same laws. In Attn-TL two units of one pattern keep a product; A4 is the case e = h.
    """
    word = lambda word, slopes: {
        E: lambda x, b: delta(x, word) * total(lambda c: embedding(b, c) * slopes[c], n),
        U: lambda b, c: head(word, b) * slopes[c],
    }
    one, other = word(w, ONE), word(y, OTHER)
    product = total(lambda c: ONE[c] * OTHER[c], n)
    turned = product * (delta(x, y) * E[w, b] - delta(x, w) * E[y, b])
    yield Equal("two words: E turns in their plane", bracket(one, other, E[x, b]), turned, concludes=True)
    classes = delta(w, y) * total(lambda e: U[b, e] * (ONE[e] * OTHER[c] - OTHER[e] * ONE[c]), n)
    yield Equal("one word: U turns in the plane of ζ and ξ", bracket(one, other, U[b, c]), classes, concludes=True)
    # A sentence of the words w and y; f tests what the scores of all words gain.
    pair = lambda x: delta(x, w) * SHARE + delta(x, y) * second
    mean = lambda b: total(lambda x: pair(x) * E[x, b], V)
    inward = lambda b: total(lambda c: U[b, c] * ONE[c], n)
    gained = total(lambda x, b: TEST[x] * pair(x) * inward(b) * (E[x, b] - mean(b)), V, D_E)
    apart = total(lambda b: inward(b) * (E[w, b] - E[y, b]), D_E)
    difference = SHARE * (1 - SHARE) * apart * (TEST[w] - TEST[y])
    yield Equal("a sentence of two: scores move against each other", gained, difference, concludes=True)
    left = lambda b, c: mean(b) * ONE[c] - SHARE * E[w, b] * ONE[c] - (1 - SHARE) * E[y, b] * ONE[c]
    yield Equal("… and U as its words do, by their attention", left(b, c), 0)
    keys = lambda weights: {
        K: lambda x, b: weights[x] * Q[b],
        Q: lambda b: total(lambda x: weights[x] * K[x, b], V),
    }
    pulled = lambda weights: total(lambda y: weights[y] * K[y, b], V)
    turned = RIGHT[x] * pulled(LEFT) - LEFT[x] * pulled(RIGHT)
    yield Equal("keys turn", bracket(keys(LEFT), keys(RIGHT), K[x, b]), turned, concludes=True)
    # With the fields themselves these are all rotations of r axes: V words and n - 1 contrasts of classes, or V - 1
    # contrasts of words and the query. An orbit has their dimension, less that of those that leave d vectors.
    rotations = lambda r: r * (r - 1) / 2
    for name, one, other, d, parameters in (
        ("E and U", V, n - 1, D_E, (V + n) * D_E - D_E - D_E * (D_E + 1) / 2),
        ("q and K", V - 1, sp.S.One, D_K, (V + 1) * D_K - D_K - D_K * (D_K + 1) / 2),
    ):
        r = one + other
        yield Equal(f"{name}: all rotations", rotations(one) + rotations(other) + one * other, rotations(r))
        orbit = rotations(r) - rotations(r - d)
        yield Equal(f"{name}: dimension of an orbit", orbit, parameters, by=WITT, concludes=True)
    yield from _twin_units(active, layer)


def _twin_units(active: Term, layer: Term) -> Iterator[Step]:
    """Prove that units h, e active in the same sentences keep U₁[:,h]·U₁[:,e] + b₁[h] b₁[e] - U₂[h,:]·U₂[e,:]."""
    reached = lambda i, h: active(i, h) * total(lambda c: U2[h, c] * SLOPE[i, c], n)
    flow: Flow = {
        U1: lambda b, h: -total(lambda i: context(i, b) * reached(i, h), N),
        B1: lambda h: -total(lambda i: reached(i, h), N),
        U2: lambda h, c: -total(lambda i: active(i, h) * layer(i, h) * SLOPE[i, c], N),
    }
    first = total(lambda b: U1[b, h] * U1[b, e], D_E) + B1[h] * B1[e]
    yield Moves("d/dτ of twin units", first - total(lambda c: U2[h, c] * U2[e, c], n), flow, 0, concludes=True)
