"""Classifiers: gradient of the cross-entropy, and what each head sends back and learns (theory §1)."""

from collections.abc import Iterator

import sympy as sp

from proofs.notation import D_E, SLOPE, H, N, U, n, v
from proofs.proof import Equal, Step, assumption, factor, proves, sign
from proofs.sums import Expr, Term, array, delta, index, total

i, b, c, h = index("i"), index("b"), index("c"), index("h")
Z, LABEL = array("z"), array("y", integer=True)
"""Logits z_ic and classes y_i."""
U1, B1, U2, B2 = array("U1"), array("b1"), array("U2"), array("b2")
"""Weights and biases of the two layers."""
ACTIVE = array("sigma")
"""σ_ih, 1 if hidden unit h is active in sentence i, else 0."""

CHAIN = "the chain rule"


def softmax(i: Expr, c: Expr) -> Expr:
    """Return π_ic = e^{z_ic} / Σ_e e^{z_ie}."""
    return sp.exp(Z[i, c]) / total(lambda e: sp.exp(Z[i, e]), n)


def one_hot(i: Expr, c: Expr) -> Expr:
    """Return 1 at the class of a sentence, else 0."""
    return delta(c, LABEL[i])


def linear(i: Expr, c: Expr) -> Expr:
    """Return z_ic = Σ_b U_bc v_ib."""
    return total(lambda b: U[b, c] * v[i, b], D_E)


def hidden(i: Expr, h: Expr) -> Expr:
    """Return Σ_b U₁_bh v_ib + b₁_h, before relu."""
    return total(lambda b: U1[b, h] * v[i, b], D_E) + B1[h]


def relu(i: Expr, h: Expr) -> Expr:
    """Return σ_ih times the input of relu."""
    return ACTIVE[i, h] * hidden(i, h)


@proves(
    "M2",
    sign("the likelihood is made small", sense=1),
    factor("a sum over the sentences instead of the mean", share=1),
    assumption("targets do not sum to one", target=lambda i, c: array("t")[i, c]),
    name="gradient of the loss",
)
def cross_entropy(*, target: Term = one_hot, share: Expr = 1 / N, sense: Expr = sp.Integer(-1)) -> Iterator[Step]:
    """Mean cross-entropy has ∂L/∂z = (π - y)/N."""
    loss = sense * share * total(lambda i, c: target(i, c) * sp.log(softmax(i, c)), N, n)
    yield Equal("targets sum to one", total(lambda c: target(i, c), n), 1)
    yield Equal("∂L/∂z", loss.diff(Z[i, c]), (softmax(i, c) - target(i, c)) / N, concludes=True)
    yield Equal("slopes sum to zero", total(lambda c: loss.diff(Z[i, c]), n), 0)


def _linearised(logit: Term) -> Expr:
    """Return Σ_ic ζ_ic z_ic, which has the loss's gradient by the chain rule if ζ = ∂L/∂z is held fixed."""
    return total(lambda i, c: SLOPE[i, c] * logit(i, c), N, n)


@proves(
    "M3",
    sign("the head reads -v", logit=lambda i, c: -linear(i, c)),
    factor("a factor 2 in the logits", logit=lambda i, c: 2 * linear(i, c)),
    assumption("the head is not linear", logit=lambda i, c: linear(i, c) ** 2),
    name="gradient of Attn-FC",
)
def fixed_linear(*, logit: Term = linear) -> Iterator[Step]:
    """Attn-FC sends back g_i = U ζ_i, where ζ = ∂L/∂z."""
    back = total(lambda c: U[b, c] * SLOPE[i, c], n)
    yield Equal("g", _linearised(logit).diff(v[i, b]), back, by=CHAIN, concludes=True)


@proves(
    "M4",
    sign("the head reads -v", logit=lambda i, c: -linear(i, c)),
    factor("a factor 2 in the logits", logit=lambda i, c: 2 * linear(i, c)),
    assumption("the head is not linear", logit=lambda i, c: linear(i, c) ** 2),
    name="gradient of Attn-TC",
)
def trained_linear(*, logit: Term = linear) -> Iterator[Step]:
    """Attn-TC sends back g_i = U ζ_i and learns by ∂L/∂U = vᵀ ζ, where ζ = ∂L/∂z."""
    loss = _linearised(logit)
    back = total(lambda c: U[b, c] * SLOPE[i, c], n)
    yield Equal("g", loss.diff(v[i, b]), back, by=CHAIN, concludes=True)
    learned = total(lambda i: v[i, b] * SLOPE[i, c], N)
    yield Equal("∂L/∂U", loss.diff(U[b, c]), learned, by=CHAIN, concludes=True)


@proves(
    "M5",
    sign("relu of what is below zero", activation=lambda x: sp.Max(0, -x)),
    factor("a factor 2 in what a unit passes on", unit=lambda i, h: 2 * relu(i, h)),
    assumption("units that are not piecewise linear", unit=lambda i, h: relu(i, h) ** 2),
    name="gradient of Attn-TL",
)
def two_layer(*, unit: Term = relu, activation: Term = lambda x: sp.Max(0, x)) -> Iterator[Step]:
    """Attn-TL learns by these gradients, where ζ = ∂L/∂z and ξ_ih = σ_ih Σ_c U₂_hc ζ_ic is what reaches unit h.

    relu has no derivative at 0. Elsewhere it is σ x with slope σ, where the indicator σ of x > 0 is locally constant.
    The gradient is the one almost everywhere, as in the code (slope 0 at 0).
    """
    x, above, below = sp.Symbol("x", real=True), sp.Symbol("x", positive=True), sp.Symbol("x", negative=True)
    for point, active in ((above, 1), (below, 0)):
        yield Equal(f"relu where σ = {active}", activation(point), active * point)
        yield Equal(f"its slope where σ = {active}", activation(x).diff(x).subs(x, point), active)
    loss = _linearised(lambda i, c: total(lambda h: U2[h, c] * unit(i, h), H) + B2[c])
    reached = lambda i, h: ACTIVE[i, h] * total(lambda c: U2[h, c] * SLOPE[i, c], n)
    for name, entry, gradient in (
        ("g", v[i, b], total(lambda h: U1[b, h] * reached(i, h), H)),
        ("∂L/∂U₁", U1[b, h], total(lambda i: v[i, b] * reached(i, h), N)),
        ("∂L/∂b₁", B1[h], total(lambda i: reached(i, h), N)),
        ("∂L/∂U₂", U2[h, c], total(lambda i: relu(i, h) * SLOPE[i, c], N)),
        ("∂L/∂b₂", B2[c], total(lambda i: SLOPE[i, c], N)),
    ):
        yield Equal(name, loss.diff(entry), gradient, by=CHAIN, concludes=True)
