"""Label noise in mean field: where scores begin and where they end (G6)."""

from collections.abc import Iterator

import sympy as sp

from proofs.mean_field import RHO, S, U, X, c, contrast, equal_norms, k, rates, right, softmax
from proofs.notation import NORM, N, m, n
from proofs.proof import Equal, Moves, Positive, Step, Tends, assumption, factor, proves, sign
from proofs.sen import ATTENTION, curve
from proofs.signs import GAIN, classes
from proofs.sums import Expr, Flow, Term, along, delta, total

ODDS = sp.Symbol("w", positive=True)
"""Odds ε/(1 - ε) of a wrong label."""
NOISE = ODDS / (1 + ODDS)
"""Share ε of a topic word's sentences that have another label."""
MISSING = sp.Symbol("f", positive=True)
"""f = 1 - ε - π, which is positive until the end is reached."""
A = sp.Symbol("a", positive=True)
MARGIN = sp.log((1 - NOISE) * (n - 1) / NOISE)


def flipped(c: Expr) -> Expr:
    """Return the share of labels c among the sentences of a word of class k, every other class alike."""
    return (1 - NOISE) * delta(k, c) + NOISE * (1 - delta(k, c)) / (n - 1)


@proves(
    "G6",
    sign("the parameters climb", sense=-1),
    factor("n - 1 lost from the margin at the end", margin=sp.log((1 - NOISE) / NOISE)),
    assumption("wrong labels drawn from all classes", labels=lambda c: (1 - NOISE) * delta(k, c) + NOISE / n),
    assumption("the keys are fixed", keys=sp.S.Zero),
    assumption("the others' scores do not stay at 0", attention=ATTENTION.subs(m, 2 * m)),
)
def label_noise(
    *,
    labels: Term = flipped,
    margin: Expr = MARGIN,
    attention: Expr = ATTENTION,
    keys: Expr = sp.S.One,
    sense: Expr = sp.S.One,
) -> Iterator[Step]:
    """Attn-FC with a share ε of wrong labels: C1 with 1 - ε for 1, and from zero one end s*(ε) for every frequency.

    The mean slope of a word's sentences is still a multiple of the contrast. Time enters as ρτ alone, so ρ sets the
    pace and not the end. The margin rises until π = 1 - ε, and there B1 leaves one equation in s with one root.
    """
    yield from _rates(labels, sense)
    wrong = 1 - NOISE - right(ATTENTION * X * n / (n - 1))
    flow = rates(ATTENTION, wrong)
    for each, rate in flow.items():
        yield Equal(f"d{each}/dτ over ρ has no ρ", (rate / RHO).diff(RHO), 0, concludes=True)
    at_start = (1 - NOISE - 1 / n) - (n - 1) / n * (1 - NOISE * n / (n - 1))
    yield Equal("at the start 1 - ε - π is (n-1)/n of the purity δ", at_start, 0)
    begun = sp.Symbol("tau", positive=True)
    x = begun * (rates(ATTENTION, wrong)[X]).subs({S: 0, X: 0})
    score = flow[S].subs(S, 0).subs(X, x) / begun
    limit = NORM**2 * U**2 * RHO**2 * (1 - NOISE * n / (n - 1)) ** 2 * (n - 1) / n * m / (1 + m) ** 3
    yield Tends("ds/dτ over τ", score, {begun: sp.S.Zero}, limit, concludes=True)
    yield from _rise(attention, keys)
    yield Equal("π at the end", right(margin), 1 - NOISE, concludes=True)
    yield from _root(attention, margin)


def _rates(labels: Term, sense: Expr) -> Iterator[Step]:
    """Prove the rates of C1 with 1 - ε - π for 1 - π, from the mean slope of the word's sentences."""
    context = lambda c: A * X * contrast(k, c)
    slope = lambda c: -MISSING / N * contrast(k, c)
    mean = (softmax(context)(c) - labels(c)) / N
    missing = 1 - NOISE - right(A * X * n / (n - 1))
    yield Equal("mean ζ", mean, slope(c).subs(MISSING, missing), concludes=True)
    stated = rates(A, MISSING)
    learned = -sense * RHO * N * A * total(lambda e: slope(e) * equal_norms(e, c), n)
    yield Equal("dP/dτ", learned, stated[X] * contrast(k, c), concludes=True)
    pull = -(NORM**2) * RHO * N * A * total(lambda c: slope(c) * (1 - A) * X * contrast(k, c), n)
    yield Equal("ds/dτ", pull, stated[S], concludes=True)


def _rise(attention: Expr, keys: Expr) -> Iterator[Step]:
    """Prove that the margin rises as long as π is below 1 - ε, and that B1 holds."""
    flow: Flow = rates(attention, MISSING)
    flow = {**flow, S: keys * flow[S]}
    law = curve(S) - NORM**2 * n / (2 * (n - 1) * U**2) * X**2
    yield Moves("B1", law, flow, 0, concludes=True)
    pace = along(attention * X * n / (n - 1), flow) / MISSING
    least = RHO * U**2 * n / (n - 1) / (1 + m) ** 2
    above = classes(pace - least).subs(sp.exp(S), 1 + GAIN).subs(X, sp.Symbol("x", nonnegative=True))
    comparison = "the comparison theorem for ordinary differential equations"
    yield Positive("the margin's rate over 1 - ε - π", above, strict=False, by=comparison, concludes=True)


def _root(attention: Expr, margin: Expr) -> Iterator[Step]:
    """Prove the equation of the end, and that it has one root from s = 0 on."""
    square = NORM**2 * n / (2 * (n - 1) * U**2) * (margin * (n - 1) / (n * attention)) ** 2
    unit = sp.Symbol("k", positive=True)
    falls, grows = (1 + m * sp.exp(-S)) ** 2 * unit, S + (sp.exp(S) - 1) / m
    stated = falls.subs(unit, MARGIN**2 * (n - 1) * NORM**2 / (2 * n * U**2))
    yield Equal("‖q‖²‖ν‖²/2 at the end", square, stated, concludes=True)
    yield Equal("s + (e^s - 1)/m is B1 from zero", curve(S) - curve(sp.S.Zero), grows)
    yield Positive("the left side falls", -falls.diff(S), concludes=True)
    yield Positive("the right side grows", grows.diff(S), concludes=True)
    yield Positive("at s = 0 the left side is larger", (falls - grows).subs(S, 0), concludes=True)
    yield Tends("far on the right one is", grows - falls, {S: sp.oo}, sp.oo, concludes=True)
