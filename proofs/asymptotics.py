"""The long run: limits of C3, C4, C8 and C11 with their next orders (theory §4).

r = (n - 1) e^{-Y} are the odds against the right class, Y = a x n/(n - 1) the margin and L = ln(1 + r) the loss.
R = 1/r is the clock: dR/dτ tends to a constant, so R/τ does too. By B1 all but τ is a function of s, and s → ∞.
"""

from collections.abc import Iterator

import sympy as sp

from proofs.mean_field import RHO, S, U, X, rates
from proofs.notation import NORM, m, n
from proofs.proof import Equal, Moves, Positive, Step, Tends, assumption, factor, proves, sign
from proofs.sen import ATTENTION, curve
from proofs.signs import FIXED, GAIN, MEAN_VALUE
from proofs.sums import Expr, Flow, Term, along, size

ODDS, Y, TIME = sp.Symbol("r", positive=True), sp.Symbol("Y", positive=True), sp.Symbol("tau", positive=True)
RIGHT, WRONG = 1 / (1 + ODDS), ODDS / (1 + ODDS)
"""Probabilities π and 1 - π."""
LIMIT = RHO * U**2 * n / (n - 1)
"""Limit of dR/dτ for a → 1."""
HOPITAL, LIMITS = "L'Hôpital's rule", "the algebra of limits"

WIDTH = sp.Symbol("k", positive=True)
"""Unit k = 2nu²/((n - 1)‖q‖²), in which B1 measures ξ = x n/(n - 1)."""
SQUARE = WIDTH * (S + (sp.exp(S) - 1) / m)
"""ξ² by B1 from zero."""
CONSTANT = -5 - 2 / m
"""Constant part of ψ = 2 ln(mY²/k) - 5 - 2/m."""
UNITS = {WIDTH: 2 * n * U**2 / ((n - 1) * NORM**2)}
GREATER = sp.Symbol("s", nonnegative=True)


def margin(a: Expr) -> Expr:
    """Return Y = a x n/(n - 1)."""
    return a * X * n / (n - 1)


def clock(margin: Expr, flow: Flow) -> Expr:
    """Return dR/dτ of R = e^Y/(n - 1), written with r."""
    return along(margin, flow) / ODDS


def speed(a: Expr, square: Expr) -> Expr:
    """Return F(s): dR/dτ over π and its limit."""
    return a**2 * (1 + 2 * (1 - a) ** 2 * square / WIDTH)


def from_zero(expression: Expr) -> Expr:
    """Rewrite an expression in symbols whose assumptions state s ≥ 0, Y ≥ 0 and n ≥ 2."""
    odds = size("k") / (1 + sp.Symbol("y", nonnegative=True))
    return expression.subs(sp.exp(S), 1 + GAIN).subs(S, GREATER).subs(ODDS, odds).subs(n, 1 + size("k"))


def _forever(pace: Expr, least: Expr) -> Iterator[Step]:
    """Prove that R grows forever, at least at a constant rate: r → 0 and Y → ∞ as τ → ∞."""
    yield Positive("π ≥ 1/n", from_zero(RIGHT - 1 / n), strict=False)
    yield Positive("what dR/dτ depends on is bounded below", from_zero(pace - least), strict=False, by=MEAN_VALUE)
    yield Tends("π", RIGHT, {ODDS: sp.S.Zero}, sp.S.One)


def _loss(rate: Expr, stated: Expr) -> Iterator[Step]:
    """Derive L τ = (L/r) / (R/τ) from dR/dτ → rate."""
    ratio = sp.Symbol("R'", positive=True)
    yield Tends("L/r", sp.log(1 + ODDS) / ODDS, {ODDS: sp.S.Zero}, sp.S.One)
    yield Tends(
        "L τ", sp.log(1 + ODDS) / ODDS / ratio, {ODDS: sp.S.Zero, ratio: rate}, stated, by=HOPITAL, concludes=True
    )


def _run(a: Expr, square: Expr) -> Expr:
    """Return Y as a function of s."""
    return a * sp.sqrt(square)


@proves(
    "C3",
    sign("the keys climb", score=-1),
    factor("the embedding's rate loses its attention", embedding=1 / ATTENTION),
    factor("a factor 2 in the unit of B1", square=2 * SQUARE),
    assumption("the embeddings are fixed", embedding=sp.S.Zero),
    factor("-4 for -5 in the next order", constant=-4 - 2 / m),
    factor("3/Y for 4/Y in the order after", following=3),
    assumption("the others' scores do not stay at 0", attention=sp.exp(S) / (sp.exp(S) + m * sp.exp(S / 2))),
    case="D = 0",
)
def loss(
    *,
    attention: Expr = ATTENTION,
    square: Expr = SQUARE,
    score: Expr = sp.S.One,
    embedding: Expr = sp.S.One,
    constant: Expr = CONSTANT,
    following: Expr = sp.Integer(4),
) -> Iterator[Step]:
    """L τ → (n - 1)/(ρu²n), and (n - 1)/(ρu²n L τ) - 1 is (ψ + 4(ψ - 1)/ℓ + o(1/ℓ)) k²/ℓ⁴, ψ = 2 ln(m ℓ²/k) - 5 - 2/m.

    Here ℓ = ln(ρu²nτ) and k = 2nu²/((n - 1)‖q‖²). That Y ~ ℓ is C4, which takes from here only that R/τ has a limit.
    """
    trained = rates(attention, WRONG)
    flow: Flow = {S: score * trained[S], X: embedding * trained[X]}
    length = (n - 1) / n * sp.sqrt(square)
    norm = (length**2 * n / ((n - 1) * U**2)).subs(UNITS)
    yield Equal("ξ² by B1", curve(S) - curve(sp.S.Zero), NORM**2 / 2 * norm)
    pace = clock(margin(attention), flow).subs(X, length).subs(UNITS)
    yield Equal("dR/dτ", pace, (LIMIT * RIGHT * speed(attention, square)).subs(UNITS))
    yield from _forever(speed(attention, square), FIXED**2)
    yield Positive("Y ≤ ξ, so ξ and with it s → ∞", from_zero(1 - attention))
    yield Tends("dR/dτ over π and its limit", speed(attention, square), {S: sp.oo}, sp.S.One)
    yield from _loss(LIMIT, (n - 1) / (RHO * U**2 * n))
    yield from _next_loss(attention, square, constant, following)


def _next_loss(attention: Expr, square: Expr, constant: Expr, following: Expr) -> Iterator[Step]:
    """Show that H, where R/τ over its limit is 1 + H, is (ψ + 4(ψ - 1)/Y + o(1/Y)) k²/Y⁴.

    τH has the derivative F π - 1, and F - 1 is (ψ + o(1/Y)) k²/Y⁴. So has the stated H up to o(1/Y) k²/Y⁴, because
    τ dY/dτ → 1. By L'Hôpital's rule the two H differ by o(1/Y) k²/Y⁴.
    """
    run, wrong = _run(attention, square), (n - 1) * sp.exp(-Y)
    psi = lambda y: 2 * sp.log(m * y**2 / WIDTH) + constant
    excess = (speed(attention, square) - 1) * run**4 / WIDTH**2
    away = 2 * S - 2 * sp.log(m * run**2 / WIDTH)
    yield Tends("s - ln(mY²/k), times Y", away * run, {S: sp.oo}, sp.S.Zero)
    yield Tends("(F - 1) Y⁴/k² - ψ", excess - 2 * S + away - constant, {S: sp.oo}, sp.S.Zero, concludes=True)
    yield Tends("τ k²/Y⁴, of the order of e^Y/Y⁴", sp.exp(Y) / Y**4, {Y: sp.oo}, sp.oo)
    for what in ("(1 - π)", "(r/L - 1)"):
        small = WRONG.subs(ODDS, wrong) if what == "(1 - π)" else wrong / sp.log(1 + wrong) - 1
        yield Tends(f"{what} Y⁶", small * Y**6, {Y: sp.oo}, sp.S.Zero)
    # τ dY/dτ = (τ/R) dR/dτ is 1 up to the order of ψ/Y⁴.
    first = lambda y: psi(y) / y**4
    moved = first(Y).diff(Y) * Y**4
    yield Tends("d/dY (ψ/Y⁴), times Y⁴", moved, {Y: sp.oo}, sp.S.Zero, by=HOPITAL)
    second = first(Y) + following * (psi(Y) - 1) / Y**5
    left = psi(Y) - (second + second.diff(Y)) * Y**4
    yield Tends("(ψ - (H + dH/dY) Y⁴/k²) Y", left * Y, {Y: sp.oo}, sp.S.Zero, by=HOPITAL, concludes=True)
    whole = (excess - 2 * S + away - constant) * run
    yield Tends("((F - 1) Y⁴/k² - ψ) Y", whole, {S: sp.oo}, sp.S.Zero, concludes=True)


@proves(
    "C4",
    sign("the score enters attention with the other sign", attention=ATTENTION.subs(S, -S)),
    factor("a factor 2 in B1", square=SQUARE / 2),
    factor("e^s in B1 without its 1/m", square=WIDTH * (S + sp.exp(S) - 1)),
    assumption("the others' scores do not stay at 0", attention=ATTENTION.subs(m, 2 * m)),
    case="s₀ = r₀ = 0",
)
def lengths(*, attention: Expr = ATTENTION, square: Expr = SQUARE) -> Iterator[Step]:
    """x = (n-1)/n ℓ + o(1) with ℓ = ln(ρu²nτ), s ~ 2 ln ln τ, and 1/(1 - a) = ℓ²/k + 3 + 1/m - ln(m ℓ²/k) + o(1).

    Hence 1 - a ~ k/ℓ², k = 2nu²/((n - 1)‖q‖²), and to the next order (1 - a) ℓ² = k + (k²/ℓ²)(ln(m ℓ²/k) - 3 - 1/m).
    """
    run = _run(attention, square)
    yield Equal(
        "Y - ℓ = ln(R/τ) - ln(its limit) → 0 by C3", sp.log((n - 1) * LIMIT * TIME), sp.log(RHO * U**2 * n * TIME)
    )
    yield Tends("ξ - Y", (1 - attention) * sp.sqrt(square), {S: sp.oo}, sp.S.Zero, concludes=True)
    yield Tends("(1 - a) Y²", (1 - attention) * run**2, {S: sp.oo}, WIDTH, concludes=True)
    yield Tends("s/(2 ln Y)", S / (2 * sp.log(run)), {S: sp.oo}, sp.S.One, concludes=True)
    yield Equal("1/(1 - a) exactly", 1 / (1 - attention), square / WIDTH + 1 + 1 / m - S)
    ahead = lambda y: y**2 / WIDTH + 3 + 1 / m - sp.log(m * y**2 / WIDTH)
    yield Tends("1/(1 - a) to the next order", 1 / (1 - attention) - ahead(run), {S: sp.oo}, sp.S.Zero, concludes=True)
    # Y - ℓ = ln(1 + h …) with h of C3, so Y² - ℓ² → 0 and ℓ may replace Y.
    slow = WIDTH**2 * (2 * S + CONSTANT) / run**4
    yield Tends("Y (Y - ℓ)", run * slow, {S: sp.oo}, sp.S.Zero, by=LIMITS)
    constant = 1 / ahead(Y) * Y**2
    yield Tends(
        "(1 - a) ℓ² - k",
        (constant - WIDTH) * Y**2 / (WIDTH**2 * (sp.log(m * Y**2 / WIDTH) - 3 - 1 / m)),
        {Y: sp.oo},
        sp.S.One,
        concludes=True,
    )


@proves(
    "C8",
    sign("the embeddings climb", embedding=-1),
    factor("one attention instead of its square", embedding=1 / FIXED),
    assumption("the keys do not stay at zero", attention=sp.Symbol("a", positive=True)),
    case="D = 0, N = ∞",
)
def worth(*, attention: Expr = FIXED, embedding: Expr = sp.S.One) -> Iterator[Step]:
    """With keys fixed at zero L τ → (1 + m)²(n - 1)/(ρu²n): training them is worth a factor (1 + m)² of time."""
    pace = clock(margin(attention), {X: embedding * rates(attention, WRONG)[X]})
    yield Equal("dR/dτ", pace, LIMIT * FIXED**2 * RIGHT)
    yield from _forever(pace / LIMIT * n, FIXED**2)
    stated = (1 + m) ** 2 * (n - 1) / (RHO * U**2 * n)
    yield from _loss(LIMIT * FIXED**2, stated)
    yield Equal("over that of C3", stated * LIMIT, (1 + m) ** 2, concludes=True)


D = sp.Symbol("D", integer=True, nonnegative=True)
"""Number of trained layers of the head."""
XI, LAYER, LAYER0, KAPPA = sp.symbols("xi w w_0 kappa", positive=True)
"""‖ν‖ up to a constant, the norm of a layer and its start, and the constant κ in its law of balance."""
POWER = 2 * D / (1 + D)
"""Power of Y that dR/dτ grows like."""


def homogeneous(xi: Expr, layer: Expr) -> Expr:
    """Return the margin over a: ξ times D layers of equal norm."""
    return xi * layer**D


@proves(
    "C11",
    sign("the layers climb", learns=-1),
    factor("layers at twice the rate", learns=2),
    factor("e^s lost from B1", square=WIDTH * S),
    assumption("the layers are fixed", learns=sp.S.Zero),
    assumption("a head that is not homogeneous", logit=lambda xi, layer: xi * (1 + layer**D)),
)
def capacity(*, logit: Term = homogeneous, learns: Expr = sp.S.One, square: Expr = SQUARE) -> Iterator[Step]:
    """Over a head of D trained homogeneous layers ‖ν‖ grows like (ln τ)^{1/(1+D)}, and s ~ 2/(1+D) ln ln τ.

    The layers are aligned and start balanced: the margin is a ξ w^D, and along the flow each norm keeps w² - κ ξ² = w₀²
    (A3, A4, C10). D = 0 is Attn-FC, 1 Attn-TC, 2 Attn-TL; ‖ν‖² = ξ² (n - 1)/n as in C10.
    """
    # -∂L/∂Y = ρ (1 - π); ν has the metric (n - 1)/n along ξ, a layer has (n - 1)/n/κ.
    pull = RHO * WRONG * ATTENTION * n / (n - 1)
    flow: Flow = {
        S: NORM**2 * RHO * WRONG * ATTENTION * (1 - ATTENTION) * logit(XI, LAYER),
        XI: pull * logit(XI, LAYER).diff(XI),
        LAYER: learns * KAPPA * pull * logit(XI, LAYER).diff(LAYER) / D,
    }
    yield Moves("B1", curve(S) - NORM**2 / 2 * XI**2 * (n - 1) / n, flow, 0)
    yield Moves("balance", LAYER**2 - KAPPA * XI**2, flow, 0, concludes=True)
    share, work = KAPPA * XI**2 / LAYER**2, NORM**2 * XI**2 * (n - 1) / n
    bracket = 1 + D * share + (1 - ATTENTION) ** 2 * work
    pace = LIMIT / U**2 * RIGHT * ATTENTION**2 * LAYER ** (2 * D) * bracket
    yield Equal("dR/dτ", clock(ATTENTION * logit(XI, LAYER), flow), pace)
    yield from _forever(ATTENTION, FIXED)
    yield Positive("and so is the bracket, with w ≥ w₀", from_zero(bracket - 1), strict=False)
    balanced = sp.sqrt(LAYER0**2 + KAPPA * XI**2)
    yield Tends("w/ξ", balanced / XI, {XI: sp.oo}, sp.sqrt(KAPPA))
    yield Tends("(1 - a)² ‖q‖²‖ν‖²", (1 - ATTENTION) ** 2 * 2 * square / WIDTH, {S: sp.oo}, sp.S.Zero)
    yield from _powers(square)


def _powers(square: Expr) -> Iterator[Step]:
    """Derive ln τ from dR/dτ, which is Y^α times a factor that tends to a constant."""
    a, g, c = sp.symbols("a g c", positive=True)
    margin, pace = a * homogeneous(XI, XI * g), (XI * g) ** (2 * D)
    yield Equal("w^{2D}/Y^α has no ξ", sp.log(pace / margin**POWER), sp.log(g ** (POWER) / a**POWER))
    ahead = sp.exp(Y) / (n - 1) / Y**POWER
    yield Equal("d/dτ (R/Y^α)", ahead.diff(Y) * ODDS, (1 - POWER / Y) * ODDS * ahead)
    yield Tends("over dR/dτ Y^{-α}", 1 - POWER / Y, {Y: sp.oo}, sp.S.One)
    yield Tends("ln(R/Y^α)/ln τ", sp.log(c * TIME) / sp.log(TIME), {TIME: sp.oo}, sp.S.One, by=HOPITAL)
    yield Tends("ln(R/Y^α)/Y, so that Y/ln τ → 1", sp.expand_log(sp.log(ahead)) / Y, {Y: sp.oo}, sp.S.One)
    length = sp.log(XI) / sp.log(homogeneous(XI, c * XI))
    yield Tends("ln ξ/ln Y", sp.expand_log(length), {XI: sp.oo}, 1 / (1 + D), concludes=True)
    yield Tends("s/ln ξ²", S / sp.log(square), {S: sp.oo}, sp.S.One)
    growth = S / sp.log(square) * 2 * sp.expand_log(length)
    ends = {S: sp.oo, XI: sp.oo}
    yield Tends("s/ln ln τ = (s/ln ξ²) 2 (ln ξ/ln Y)", growth, ends, 2 / (1 + D), by=LIMITS, concludes=True)
