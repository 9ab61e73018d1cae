"""Sign descent and Adam on two classes, from zero and under a fixed linear head (theory G4, G5)."""

from collections.abc import Callable, Iterator

import sympy as sp

from proofs.notation import D_E, D_K, V, m
from proofs.proof import Equal, Positive, Step, Tends, assumption, factor, proves, sign
from proofs.sen import ETA
from proofs.sums import Expr, Term, array, index, size, total

w, b = index("w"), index("b")
OF_CONTRAST, OF_QUERY = array("D", positive=True), array("q", positive=True)
"""Sizes |D_b| of the difference of the head's columns and |q_b| of the query; none of their entries is 0."""
SIDE, TURN = array("t", integer=True, positive=True), array("o", integer=True, positive=True)
"""Integers whose parity is the sign of D_b and of q_b."""
PULL, WORK = sp.symbols("c p", positive=True)
"""The gradient of an embedding is -c D_b, that of a key -p q_b; for a word of one class c > 0."""
COUNT = size("k")
"""Number k of steps taken."""
LAG, WEIGHT = array("l", nonnegative=True), array("e", positive=True)
"""1 less an entry of a word's embedding in shares of k η sgn(D_b), at least 0; and the weights e^s of a sentence."""


def side(b: Expr) -> Expr:
    """Return sgn(D_b)."""
    return (-1) ** SIDE[b]


def turn(b: Expr) -> Expr:
    """Return sgn(q_b)."""
    return (-1) ** TURN[b]


def contrast(b: Expr) -> Expr:
    """Return D_b."""
    return OF_CONTRAST[b] * side(b)


def query(b: Expr) -> Expr:
    """Return q_b."""
    return OF_QUERY[b] * turn(b)


CONTRAST_LENGTH, QUERY_LENGTH = total(lambda b: OF_CONTRAST[b], D_E), total(lambda b: OF_QUERY[b], D_K)
"""‖D‖₁ and ‖q‖₁."""


def signum(number: Expr) -> Expr:
    """Return the sign of a number that is not 0."""
    return number / sp.sqrt(number**2)


@proves(
    "G4",
    sign("a word beside it has come farther", lag=lambda w, b: -LAG[w, b]),
    factor("‖q‖₂ for ‖q‖₁", length=sp.sqrt(total(lambda b: OF_QUERY[b] ** 2, D_K))),
    assumption("the key moves from the first step on", waits=0),
    assumption("a third class pulls along another vector", gradient=lambda b: -PULL * OF_CONTRAST[b] * turn(b)),
)
def sign_descent(
    *,
    gradient: Term = lambda b: -PULL * contrast(b),
    lag: Term = lambda w, b: LAG[w, b],
    waits: Expr = sp.S.One,
    length: Expr = QUERY_LENGTH,
) -> Iterator[Step]:
    """Two classes, Attn-FC from zero: a word of one class has s = (‖q‖₁/√d)(‖ν‖ - η√d) after every step.

    Its sentences all pull along D, so each step moves every entry of ν by η the same way, and no word goes farther.
    So D·(ν - v_i) ≥ 0, above 0 from when on a word beside it lags, and the key then moves by η sgn(q_b) in each step.
    One that the first step moves the other way lags from then on: the key rests in the first step alone.
    By induction over the steps.
    """
    place = lambda b: COUNT * ETA * side(b)
    yield Equal("the next embedding", place(b) - ETA * signum(gradient(b)), (COUNT + 1) * ETA * side(b))
    beside = lambda w, b: place(b) * (1 - lag(w, b))
    attention = lambda w: WEIGHT[w] / total(lambda u: WEIGHT[u], V)
    ahead = total(lambda w, b: attention(w) * contrast(b) * (place(b) - beside(w, b)), V, D_E)
    lead = total(lambda w, b: attention(w) * OF_CONTRAST[b] * COUNT * ETA * lag(w, b), V, D_E)
    yield Equal("D·(ν - v)", ahead, lead)
    yield Positive("D·(ν - v) of one word and entry", attention(w) * OF_CONTRAST[b] * lag(w, b), strict=False)
    yield Equal("D·(ν - v) before the first step", ahead.subs(COUNT, 0), 0)
    key = lambda b: (COUNT - waits) * ETA * turn(b)
    following = key(b) - ETA * signum(-WORK * query(b))
    yield Equal("the next key", following, (COUNT + 1 - waits) * ETA * turn(b))
    norm = COUNT * ETA * sp.sqrt(D_E)
    yield Equal("‖ν‖²", total(lambda b: place(b) ** 2, D_E), norm**2)
    line = length / sp.sqrt(D_E) * (norm - ETA * sp.sqrt(D_E))
    yield Equal("s", total(lambda b: key(b) * query(b), D_K), line, concludes=True)


FIRST, SECOND = sp.symbols("beta_1 beta_2", positive=True)
"""Shares of the mean of gradients and of the mean of squares that Adam keeps."""
MEAN, MEAN_SQUARE = sp.Symbol("mu", real=True), sp.Symbol("v", positive=True)
"""Bias-corrected means of c and of c² over the steps so far."""
NOW, X, Y = sp.symbols("c_k x y", real=True)
"""c at this step; ν_b = x sgn(D_b) and κ_b = y sgn(q_b)."""
AGE, LEAD, CONTRAST = sp.symbols("j sigma L", positive=True)
"""Number j of steps before this one, y/η after them, and ‖D‖₁; ‖q‖₁ is `WORK` where a limit takes one symbol."""
STEPS = array("r")
"""m̂/√v̂ of the key at each step."""


@proves(
    "G5",
    sign("the key moves away from the query", key=lambda b: -Y * turn(b)),
    factor("divided by the mean of squares instead of its root", divisor=lambda square: square),
    assumption("ε above 0", divisor=lambda square: sp.sqrt(square) + ETA),
    assumption("decay in the gradient", gradient=lambda c, b: c * contrast(b) + X * side(b)),
    assumption("an embedding that stays where the first step puts it", place=ETA),
)
def adam(
    *,
    gradient: Callable[[Expr, Expr], Expr] = lambda c, b: c * contrast(b),
    divisor: Callable[[Expr], Expr] = sp.sqrt,
    key: Term = lambda b: Y * turn(b),
    place: Expr = AGE * ETA,
) -> Iterator[Step]:
    """Two classes, Attn-FC from zero, ε = 0: under Adam ν_w = x_w sgn(D) and κ_w = y_w sgn(q), two numbers a word.

    Their steps are Adam's on the histories of c_w and p_w, the gradients in units of -D and -q, and scores and logits
    see ‖q‖₁ y and ‖D‖₁ x: those of a layer with d = d_k = 1, the contrast ‖D‖₁ and the query ‖q‖₁. So it is under sign
    descent, β₁ = β₂ = 0. By induction over the steps. For η → 0 the key's gradients of a topic word are as 0, 1, …,
    k - 1, in a unit that does not matter, and s/‖ν‖ is ‖q‖₁/√d times the mean of m̂/√v̂.
    """
    mean = FIRST * MEAN * contrast(b) + (1 - FIRST) * gradient(NOW, b)
    square = SECOND * MEAN_SQUARE * contrast(b) ** 2 + (1 - SECOND) * gradient(NOW, b) ** 2
    yield Equal("mean of an entry", mean, contrast(b) * (FIRST * MEAN + (1 - FIRST) * NOW))
    mean_of_squares = SECOND * MEAN_SQUARE + (1 - SECOND) * NOW**2
    yield Equal("mean square of an entry", square, contrast(b) ** 2 * mean_of_squares)
    step = lambda scale: scale * MEAN / divisor(scale**2 * MEAN_SQUARE)
    yield Equal("step of an entry", step(contrast(b)), side(b) * MEAN / sp.sqrt(MEAN_SQUARE), concludes=True)
    scale = sp.Symbol("r", positive=True)
    yield Equal("step of gradients in another unit", step(scale), MEAN / sp.sqrt(MEAN_SQUARE))
    embedding = lambda b: X * side(b)
    yield Equal("D·ν", total(lambda b: contrast(b) * embedding(b), D_E), CONTRAST_LENGTH * X, concludes=True)
    yield Equal("s", total(lambda b: key(b) * query(b), D_K), QUERY_LENGTH * Y, concludes=True)
    yield Equal("‖ν‖²", total(lambda b: embedding(b) ** 2, D_E), D_E * X**2, concludes=True)
    yield from _slope(divisor, place)


def _slope(divisor: Callable[[Expr], Expr], x: Expr) -> Iterator[Step]:
    """Prove s/‖ν‖ of a topic word after k steps for η → 0: where x = jη, the key's gradient goes with j."""
    yield Equal("step of a gradient that stays", PULL / divisor(PULL**2), 1)
    start = {ETA: sp.S.Zero}
    score = sp.exp(WORK * LEAD * ETA)
    attention = score / (score + m)
    slope = PULL * attention / (1 + sp.exp(attention * CONTRAST * x))
    yield Tends("gradient of the embedding", slope, start, PULL / (2 * (1 + m)))
    early = PULL * CONTRAST * m / (2 * (1 + m) ** 2) * AGE
    yield Tends(
        "gradient of the key over η", slope * (1 - attention) * CONTRAST * x / ETA, start, early, concludes=True
    )
    along_key, norm = ETA * total(lambda k: STEPS[k], COUNT), sp.sqrt(D_E) * COUNT * ETA
    mean = total(lambda k: STEPS[k], COUNT) / COUNT
    yield Equal("s/‖ν‖", QUERY_LENGTH * along_key / norm, QUERY_LENGTH / sp.sqrt(D_E) * mean, concludes=True)
