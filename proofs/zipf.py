"""Scaling of the loss with Zipf's frequencies (C12): a sum over words as an integral, two terms, what keys are worth.

A word of rank w has the frequency ρ = Z w^{-α}, α > 1, and the loss ℓ(ρ τ), ℓ = ln(1 + 1/R). R is the clock of C3:
R/t → 1/c and dR/dt → 1/c, c = (n - 1)/(u²n). With F = t ℓ(t) the sum is L = Σ_w f(w), f(w) = F(Z τ w^{-α})/τ.
"""

from collections.abc import Iterator

import sympy as sp

from proofs.asymptotics import HOPITAL, LIMITS, ODDS, SQUARE, TIME, speed
from proofs.mean_field import A_W, RHO, A, S, U, X, rates
from proofs.notation import N, m
from proofs.proof import Equal, Moves, Positive, Step, Tends, assumption, factor, proves, sign
from proofs.sen import ATTENTION
from proofs.signs import FIXED, WRONG
from proofs.sums import Expr, Flow, Term

ABOVE = sp.Symbol("beta", positive=True)
ALPHA = 1 + ABOVE
"""Exponent α > 1 of the frequencies."""
Z, RANK, T = sp.symbols("Z w t", positive=True)
"""Scale of the frequencies, rank of a word, and its own time t = ρ τ."""
LOSS, C = sp.symbols("ell c", positive=True)
"""ℓ at a time t, and the limit c of F = t ℓ."""
CLOCK, PACE, BEND, SHARE = sp.symbols("R g b k", positive=True)
"""R, dR/dt, t d²R/dt², and t/R."""
GAINED, RATE = sp.symbols("F F_1", real=True)
"""F, and dF/d ln t."""
MACLAURIN = "the Euler–Maclaurin formula, whose rest is at most ⅛ ∫|f''| dw"
DOMINATED = "the theorem of dominated convergence"


def zipf(rank: Expr) -> Expr:
    """Return ρ_w = Z w^{-α}."""
    return Z * rank ** (-ALPHA)


def own_words(wrong: Expr) -> Expr:
    """Return the rate of another word's logit where sentences memorise (C9); it does not go with ρ."""
    return U**2 * A_W * wrong / N


@proves(
    "C12",
    sign("the frequencies grow with the rank", frequency=lambda rank: Z * rank**ALPHA),
    factor("the end terms count whole", ends=sp.S.One),
    factor("the pace of a word goes with ρ²", pace=lambda rate: RHO * rate),
    factor("one attention instead of its square in the clock", clock=FIXED),
    assumption("sentences memorise", pace=lambda rate: rate + own_words(WRONG)),
    assumption("the most frequent word is never learned", limit=C + 1),
    assumption("attention does not approach 1", late=ATTENTION / 2),
)
def zipf_law(
    *,
    frequency: Term = zipf,
    pace: Term = lambda rate: rate,
    ends: Expr = sp.Rational(1, 2),
    limit: Expr = C,
    clock: Expr = FIXED**2,
    late: Expr = ATTENTION,
) -> Iterator[Step]:
    """For V → ∞ L = A τ^{-(1-1/α)} - c/(2τ) + o(1/τ), A = (Z^{1/α}/α) ∫ t^{-1/α} ℓ(t) dt over all t, c = (n - 1)/(u²n).

    With keys fixed at zero A is (1 + m)^{2(1-1/α)} times what it is for an attention of 1 from the start.
    """
    for what, variable in (("ds/dτ", S), ("dx/dτ", X)):
        rate = pace(rates(A, WRONG)[variable])
        yield Equal(f"{what} goes with ρ, so all is a function of t = ρ τ", rate / RHO, rate.subs(RHO, 1))
    yield from _integral(frequency)
    yield from _two_terms(ends, limit)
    yield from _rest(late)
    yield from _keys_fixed(clock)


def _integral(frequency: Term) -> Iterator[Step]:
    """Turn ∫ f dw over ranks from 1 to ∞ into one over t from Z τ down to 0, which converges."""
    rank = (Z * TIME / T) ** (1 / ALPHA)
    yield Equal("t of the rank w(t)", frequency(rank) * TIME, T)
    yield Equal("t of the first rank", frequency(sp.S.One) * TIME, Z * TIME)
    stated = Z ** (1 / ALPHA) / ALPHA * TIME ** (-(1 - 1 / ALPHA)) * T ** (-1 / ALPHA) * LOSS
    yield Equal("f dw", -frequency(rank) * LOSS * rank.diff(T), stated, concludes=True)
    yield Positive("1 - 1/α, so the integral converges at 0, where ℓ → ln n", sp.factor(1 - 1 / ALPHA))
    yield Positive("1/α, so it converges at ∞, where t ℓ → c", 1 / ALPHA)


def _two_terms(ends: Expr, limit: Expr) -> Iterator[Step]:
    """Take from A what lies beyond Z τ, c/τ, and add half of the first word's loss, c/(2τ)."""
    power = T ** (-1 / ALPHA)
    quotient = power * LOSS / -(ALPHA * power).diff(T)
    yield Equal("the rest of the integral over α t^{-1/α}, by their derivatives", quotient, T * LOSS, by=HOPITAL)
    rest = Z ** (1 / ALPHA) / ALPHA * TIME ** (-(1 - 1 / ALPHA)) * C * ALPHA * (Z * TIME) ** (-1 / ALPHA)
    yield Equal("so what A has beyond Z τ, times τ", rest * TIME, C)
    both = ends * GAINED - GAINED
    yield Tends("τ (L - A τ^{-(1-1/α)})", both, {GAINED: limit}, -C / 2, by=LIMITS, concludes=True)


def _rest(late: Expr) -> Iterator[Step]:
    """Show that what the Euler–Maclaurin formula leaves is o(1/τ).

    τ |f''| is at most α/w² |F₁ + α F₂|, F₁ = dF/d ln t and F₂ = d²F/d(ln t)². Both are continuous and tend to 0 as
    t → 0 and as t → ∞, so they are bounded. At each rank t → ∞ as τ → ∞.
    """
    second = sp.Symbol("F_2", real=True)
    flow: Flow = {RANK: sp.S.One, GAINED: -ALPHA / RANK * RATE, RATE: -ALPHA / RANK * second}
    yield Moves("τ df/dw", GAINED, flow, -ALPHA / RANK * RATE)
    yield Moves("τ d²f/dw²", -ALPHA / RANK * RATE, flow, ALPHA / RANK**2 * (RATE + ALPHA * second), by=MACLAURIN)
    yield from _log_slopes()
    # t ds/dt = (t/R)(R (1 - π)) ‖q‖² a (1 - a) x n/(n - 1): all but (1 - a) x has a limit.
    yield Tends("(1 - a) ξ, and so t ds/dt", (1 - late) * sp.sqrt(SQUARE), {S: sp.oo}, sp.S.Zero)
    moved = SHARE * PACE / ODDS / (1 + 1 / ODDS) ** 2
    yield Tends("t dπ/dt", moved, {ODDS: sp.S.Zero, PACE: 1 / C, SHARE: C}, sp.S.Zero, by=LIMITS)
    bent = speed(late, SQUARE).diff(S)
    yield Tends("dF/ds of C3's pace, and so t d²R/dt²", bent, {S: sp.oo}, sp.S.Zero, by=DOMINATED)


def _log_slopes() -> Iterator[Step]:
    """Derive F₁ and F₂ along ln t from the clock, and their limits."""
    flow: Flow = {T: T, CLOCK: T * PACE, PACE: BEND}
    gained = T * sp.log(1 + 1 / CLOCK)
    first = gained - T**2 * PACE / (CLOCK * (CLOCK + 1))
    twice = T**3 * PACE**2 * (2 * CLOCK + 1) / (CLOCK * (CLOCK + 1)) ** 2
    second = gained - (3 * T**2 * PACE + T**2 * BEND) / (CLOCK * (CLOCK + 1)) + twice
    yield Moves("F₁", gained, flow, first)
    yield Moves("F₂", first, flow, second)
    for name, slope in (("F", gained), ("F₁", first), ("F₂", second)):
        at = slope.subs(T, SHARE * CLOCK).subs(CLOCK, 1 / ODDS)
        ends = {ODDS: sp.S.Zero, BEND: sp.S.Zero, PACE: 1 / C, SHARE: C}
        yield Tends(f"{name} as t → ∞", at, ends, C if name == "F" else sp.S.Zero, by=LIMITS, concludes=name != "F")
        yield Tends(f"{name} as t → 0", slope, {T: sp.S.Zero}, sp.S.Zero)


def _keys_fixed(clock: Expr) -> Iterator[Step]:
    """Slow the clock by a², where attention stays at a: ℓ(t) is then the curve for a = 1 at a² t."""
    pull = rates(FIXED, WRONG)[X]
    yield Equal("d(a x)/dτ at a = 1/(1 + m)", FIXED * pull, clock * rates(sp.S.One, WRONG)[X])
    slower = sp.expand_power_base((T / clock) ** (-1 / ALPHA)) / clock
    ratio = sp.powsimp(slower * T ** (1 / ALPHA))
    yield Equal("t^{-1/α} dt in the slower time, over itself", ratio, (1 + m) ** (2 * (1 - 1 / ALPHA)), concludes=True)
