"""A small start under weight decay: which modes grow, and how long they take (C13)."""

from collections.abc import Iterator

import sympy as sp

from proofs.mean_field import RHO, A, S, softmax
from proofs.mean_field import k as topic
from proofs.notation import D_E, E, N, U, V, m, n
from proofs.proof import Equal, Moves, Step, Tends, assumption, factor, proves, sign
from proofs.sen import ATTENTION
from proofs.sums import Expr, Flow, Term, array, delta, index, total

b, c, w, i = index("b"), index("c"), index("w"), index("i")
SHARE, LABEL = array("A"), array("Y")
"""Attention A_iw where all keys are 0, and Y_ic, 1 if sentence i has class c."""
SIZE, SIGMA, DECAY, TIME = sp.symbols("epsilon sigma lambda tau", positive=True)
"""Size of embeddings and head, a singular value of M, weight decay, and time."""
WORDS, CLASSES = array("x"), array("y")
"""Singular vectors of M over words and over classes."""


def pull(w: Expr, c: Expr) -> Expr:
    """Return M_wc = (1/N) Σ_i A_iw (Y_ic - 1/n)."""
    return total(lambda i: SHARE[i, w] * (LABEL[i, c] - 1 / n), N) / N


def linear(expression: Expr) -> Expr:
    """Return the part of a rate that is linear in the size of embeddings and head."""
    return expression.diff(SIZE).subs(SIZE, 0)


@proves(
    "C13",
    sign("the parameters climb", sense=-1),
    factor("decay counts twice", decay=2 * DECAY),
    assumption("the head is fixed", head=sp.S.Zero),
    assumption("the head has biases", bias=lambda c: array("beta")[c]),
    assumption("a topic word that stands in sentences of every class alike", own=lambda c: 1 / n),
)
def threshold(
    *,
    bias: Term = lambda c: sp.S.Zero,
    own: Term = lambda c: delta(topic, c),
    head: Expr = sp.S.One,
    decay: Expr = DECAY,
    sense: Expr = sp.S.One,
) -> Iterator[Step]:
    """Attn-TC near zero, on any text: each singular pair of M has a mode that grows at σ - λ, and scores stand still.

    Hence zero is unstable exactly if the largest σ exceeds λ, and a mode of size ε is of order 1 after ln(1/ε)/(σ - λ).
    """
    yield from _linearised(bias, sense)
    flow: Flow = {
        E: lambda w, b: total(lambda c: pull(w, c) * U[b, c], n) - decay * E[w, b],
        U: lambda b, c: head * total(lambda w: pull(w, c) * E[w, b], V) - decay * U[b, c],
    }
    # M y - σ x and Mᵀ x - σ y, which are 0 of a singular pair.
    on_words = lambda w: total(lambda c: pull(w, c) * CLASSES[c], n) - SIGMA * WORDS[w]
    on_classes = lambda c: total(lambda w: pull(w, c) * WORDS[w], V) - SIGMA * CLASSES[c]
    nothing = total(lambda w: on_words(w) * E[w, b], V), total(lambda c: on_classes(c) * U[b, c], n)
    for name, side, rate in (("", 1, SIGMA - DECAY), ("opposite ", -1, -SIGMA - DECAY)):
        mode = total(lambda w: WORDS[w] * E[w, b], V) + side * total(lambda c: CLASSES[c] * U[b, c], n)
        left = side * nothing[0] + nothing[1]
        yield Moves(f"the {name}mode of a singular pair", mode, flow, rate * mode + left, concludes=True)
    yield from _escape()
    attention, mean = ATTENTION.subs(S, 0), RHO * N * A * (own(c) - 1 / n) / N
    stated = RHO / (1 + m) * (delta(topic, c) - 1 / n)
    yield Equal("M of a topic word", mean.subs(A, attention), stated, concludes=True)


def _linearised(bias: Term, sense: Expr) -> Iterator[Step]:
    """Prove the rates to first order in ε, with embeddings ε E, a head ε U and keys 0."""
    logit = lambda i, c: SIZE**2 * total(lambda w, b: SHARE[i, w] * E[w, b] * U[b, c], V, D_E) + bias(c)
    zeta = lambda i, c: (softmax(lambda e: logit(i, e))(c) - LABEL[i, c]) / N
    back = lambda i, b: SIZE * total(lambda c: U[b, c] * zeta(i, c), n)
    embedding = -sense * total(lambda i: SHARE[i, w] * back(i, b), N)
    context = lambda i, b: SIZE * total(lambda w: SHARE[i, w] * E[w, b], V)
    weight = -sense * total(lambda i: context(i, b) * zeta(i, c), N)
    score = total(lambda i, b: SHARE[i, w] * back(i, b) * (SIZE * E[w, b] - context(i, b)), N, D_E)
    yield Equal("dE/dτ", linear(embedding), total(lambda c: pull(w, c) * U[b, c], n), concludes=True)
    yield Equal("dU/dτ", linear(weight), total(lambda w: pull(w, c) * E[w, b], V), concludes=True)
    yield Equal("∂L/∂s", linear(score), 0, concludes=True)


def _escape() -> Iterator[Step]:
    """Prove which modes grow, and when one is of order 1."""
    apart, lyapunov = sp.Symbol("g", positive=True), "Lyapunov's indirect method"
    grown = SIZE * sp.exp((SIGMA - DECAY) * TIME)
    above, below = grown.subs(SIGMA, DECAY + apart), grown.subs(DECAY, SIGMA + apart)
    yield Tends("a mode with σ > λ", above, {TIME: sp.oo}, sp.oo, by=lyapunov, concludes=True)
    yield Tends("a mode with σ < λ", below, {TIME: sp.oo}, sp.S.Zero, by=lyapunov, concludes=True)
    escape = sp.log(1 / SIZE) / (SIGMA - DECAY)
    yield Equal("its size at the escape", grown.subs(TIME, escape), 1, concludes=True)
