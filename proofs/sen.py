"""SEN relation: from the flow (B1), under descent (B3), inverted (B4), with a trained query (B5)."""

from collections.abc import Callable, Iterator

import sympy as sp
from scipy.special import wrightomega

from proofs.notation import D_E, D_K, NORM, G, N, Q, m
from proofs.proof import Agrees, Equal, Moves, Positive, Step, Tends, assumption, factor, proves, sign
from proofs.sums import Expr, Flow, Term, along, array, index, stepped, total

i, b = index("i"), index("b")
S, ETA = sp.Symbol("s", real=True), sp.Symbol("eta", positive=True)
"""Score of the topic word, learning rate."""
NU, OTHERS, HOLDS = array("nu"), array("o"), array("c")
"""ν_b of the topic word, embeddings o_ijb of the others, and c_i, 1 if sentence i contains the topic word."""
ATTENTION = sp.exp(S) / (sp.exp(S) + m)
"""Attention a of the topic word in its sentences."""


def push(b: Expr) -> Expr:
    """Return Σ_i c_i g_ib over the sentences of the topic word."""
    return total(lambda i: HOLDS[i] * G[i, b], N)


def inward(b: Expr) -> Expr:
    """Return dν_b/dτ = -Σ_i A_it g_ib (M1)."""
    return -ATTENTION * push(b)


def curve(score: Expr) -> Expr:
    """Return s + e^s/m, which grows by as much as ‖q‖²‖ν‖²/2."""
    return score + sp.exp(score) / m


@proves(
    "B1",
    sign("the embedding climbs", embedding=lambda b: -inward(b)),
    factor("a factor 2 in the rate of the score", rate=2),
    factor("the attention in front of the embedding's rate is lost", embedding=lambda b: -push(b)),
    assumption("the topic word stands twice in its sentences", occurrences=2),
    assumption("the others' scores do not stay at 0", other_score=sp.Symbol("r", real=True)),
    assumption("the others' embeddings push the score", others_push=sp.Symbol("w", real=True)),
    assumption("the query's norm moves", query=sp.Symbol("p", real=True)),
)
def relation(
    *,
    occurrences: Expr = sp.S.One,
    other_score: Expr = sp.S.Zero,
    others_push: Expr = sp.S.Zero,
    embedding: Term = inward,
    rate: Expr = sp.S.One,
    query: Expr = sp.S.Zero,
) -> Iterator[Step]:
    """s + e^s/m - ‖q‖²‖ν‖²/2 never changes along the flow, whatever the classifier, the loss and the labels.

    The embeddings of the others need not be 0, nor average to 0 in every sentence. The proof only uses that their means
    μ_i do no work, Σ_i c_i g_i·μ_i = 0.
    """
    mass = occurrences * sp.exp(S) + total(lambda j: sp.exp(other_score), m)
    yield Equal("attention of the topic word", occurrences * sp.exp(S) / mass, ATTENTION)
    mean = lambda i, b: total(lambda j: OTHERS[i, j, b], m) / m
    context = lambda i, b: ATTENTION * NU[b] + total(lambda j: OTHERS[i, j, b] / (sp.exp(S) + m), m)
    parted = ATTENTION * NU[b] + (1 - ATTENTION) * mean(i, b)
    yield Equal("context", context(i, b), parted)
    slope = total(lambda i, b: HOLDS[i] * ATTENTION * G[i, b] * (NU[b] - context(i, b)), N, D_E)
    work = total(lambda i, b: HOLDS[i] * G[i, b] * mean(i, b), N, D_E)
    topic_work = total(lambda b: NU[b] * push(b), D_E)
    yield Equal("∂L/∂s", slope, ATTENTION * (1 - ATTENTION) * (topic_work - work))
    score = -(NORM**2) * rate * ATTENTION * (1 - ATTENTION) * (topic_work - others_push)
    yield Equal("1/(1 - a)", 1 / (1 - ATTENTION), 1 + sp.exp(S) / m)
    yield Equal("d(s + e^s/m)/ds", curve(S).diff(S), 1 / (1 - ATTENTION))
    law = curve(S) - NORM**2 / 2 * total(lambda b: NU[b] ** 2, D_E)
    yield Moves("d/dτ", law, {S: score, NU: embedding, NORM: query}, 0, concludes=True)
    norm, start = sp.sqrt(2 * (S + (sp.exp(S) - 1) / m)) / NORM, curve(sp.S.Zero)
    yield Equal("from zero", curve(S) - start, NORM**2 / 2 * norm**2, concludes=True)


@proves(
    "B3",
    sign("the embedding climbs", score=lambda work: -(NORM**2) * (1 - ATTENTION) * work),
    factor("the score without its factor 1 - a", score=lambda work: NORM**2 * work),
    assumption("a score that sees part of the work only", score=lambda work: NORM**2 * (1 - ATTENTION) * work / 2),
)
def under_descent(*, score: Term = lambda work: NORM**2 * (1 - ATTENTION) * work) -> Iterator[Step]:
    """One step of descent leaves the relation by η² times a number, so τ/η steps by O(η) where that number is bounded.

    It is bounded as η → 0 along runs whose score, embedding and gradients are: that is assumed.
    dν/dτ is any direction here (dν_b), and ds/dτ = ‖q‖² (1 - a) ν·dν/dτ as in B1.
    """
    rate = array("dnu")
    work, speed = total(lambda b: NU[b] * rate[b], D_E), total(lambda b: rate[b] ** 2, D_E)
    law = curve(S) - NORM**2 / 2 * total(lambda b: NU[b] ** 2, D_E)
    change = stepped(law, {S: score(work), NU: lambda b: rate[b]}, ETA) - law
    gain = lambda pace: sp.exp(S) / m * (sp.exp(ETA * pace) - 1 - ETA * pace)
    left = lambda pace, square: gain(pace) - ETA**2 * NORM**2 / 2 * square
    yield Equal("change in a step", change, left(score(work), speed))
    pace, square = sp.Symbol("ds", real=True), sp.Symbol("w", positive=True)
    bound = sp.exp(S) / m * pace**2 / 2 - NORM**2 / 2 * square
    yield Tends("change over η²", left(pace, square) / ETA**2, {ETA: sp.S.Zero}, bound, concludes=True)


@proves(
    "B4",
    sign("ω is added", score=lambda c, omega: c + omega),
    factor("m is lost from the argument of ω", shift=sp.S.Zero),
    factor("m is lost from the relation", curve=lambda score: score + sp.exp(score)),
    assumption("the others' scores do not stay at 0", curve=lambda score: score + sp.exp(score) / (2 * m)),
)
def inverse(
    *,
    curve: Callable[[Expr], Expr] = curve,
    shift: Expr = sp.log(m),
    score: Callable[[Expr, Expr], Expr] = lambda c, omega: c - omega,
) -> Iterator[Step]:
    """s + e^s/m = c is solved by s = c - ω(c - ln m) and by nothing else, ω the Wright omega function.

    ω(z) > 0 is defined by ω + ln ω = z, so that c = ω + ln ω + ln m. No other property of ω is used.
    """
    omega, z = sp.Symbol("omega", positive=True), (0.0, -30.0, 3.0, 50.0, 700.0)
    c = omega + sp.log(omega) + shift
    yield Equal("the relation at s", curve(score(c, omega)), c, concludes=True)
    yield Positive("s + e^s/m increases", curve(S).diff(S), concludes=True)
    yield Positive("ω + ln ω increases", (omega + sp.log(omega)).diff(omega))
    yield Tends("from -∞ …", c, {omega: sp.S.Zero}, -sp.oo)
    yield Tends("… to ∞, so that every c has its ω", c, {omega: sp.oo}, sp.oo)
    found = [float(wrightomega(each).real) for each in z]
    sums = tuple(float(sp.N(each + sp.log(each))) for each in found)
    yield Agrees("ω + ln ω of scipy's ω", sums, z, 1e-13, reason="scipy's ω is compiled code, no expression")


KEY, H, TRAVELLED = array("kappa"), sp.Symbol("h", real=True), sp.Symbol("x", real=True)
"""Key of the topic word, h = -∂L/∂s, and the variable of an integral."""
START = sp.Symbol("‖q₀‖", positive=True)
"""Query norm ‖q₀‖ at the start."""


@proves(
    "B5",
    sign("the query climbs", query=lambda b: -H * KEY[b]),
    factor("the query learns at half the rate", query=lambda b: H * KEY[b] / 2),
    assumption("the query is fixed", query=lambda b: sp.S.Zero),
    assumption("the key does not start at 0", start=lambda b: array("k")[b]),
)
def trained_query(*, query: Term = lambda b: H * KEY[b], start: Term = lambda b: sp.S.Zero) -> Iterator[Step]:
    """With the query trained, one topic word and κ₀ = 0, ν₀ = 0: ‖ν‖² = 2∫₀^s (1 + e^x/m)/√(‖q₀‖⁴ + 4x²) dx.

    Only the topic word's key moves, dκ = h q dτ, and the query by it, dq = h κ dτ, with h = -∂L/∂s as in B1.
    """
    flow: Flow = {KEY: lambda b: H * Q[b], Q: query}
    dot = lambda one, other: total(lambda b: one(b) * other(b), D_K)
    q, k = (lambda b: Q[b]), (lambda b: KEY[b])
    difference, area = dot(q, q) - dot(k, k), dot(q, q) * dot(k, k) - dot(q, k) ** 2
    yield Moves("d/dτ (‖q‖² - ‖κ‖²)", difference, flow, 0, concludes=True)
    yield Moves("d/dτ (‖q‖²‖κ‖² - s²)", area, flow, 0)
    yield Equal("‖q‖² - ‖κ‖² at the start", START**2 - dot(start, start), START**2)
    yield Equal("‖q‖²‖κ‖² - s² at the start", START**2 * dot(start, start) - dot(q, start) ** 2, 0)
    yield Moves("ds/dτ", dot(q, k), flow, H * (dot(q, q) + dot(k, k)))
    speed = lambda score: sp.sqrt(START**4 + 4 * score**2)
    square = sp.Symbol("k2", positive=True)
    # ‖q‖² = ‖q₀‖² + ‖κ‖² and s² = ‖q‖²‖κ‖², both from above.
    together = (START**2 + square) + square
    yield Equal("(‖q‖² + ‖κ‖²)²", together**2, speed(sp.sqrt((START**2 + square) * square)) ** 2)
    work = total(lambda b: NU[b] * push(b), D_E)
    grown = along(total(lambda b: NU[b] ** 2, D_E), {NU: inward})
    integral = 2 * sp.Integral((1 + sp.exp(TRAVELLED) / m) / speed(TRAVELLED), (TRAVELLED, 0, S))
    h = -ATTENTION * (1 - ATTENTION) * work
    yield Equal("d‖ν‖²/dτ", integral.diff(S) * speed(S) * h, grown, concludes=True)
    yield Equal("‖ν‖² at s = 0", integral.subs(S, 0).doit(), 0, concludes=True)
