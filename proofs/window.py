"""Bell over distances, and the training of its width (theory §D): D2 to D6, D8 to D10.

Queries i see L tokens j each, at distances Δ_ij. By the chain rule the loss has the gradient of Σ_i g_i·v_i with every
g_i held fixed. So a token matters only by h_ij = g_i·v_j.
"""

from collections.abc import Iterator

import sympy as sp

from proofs.notation import A, N
from proofs.proof import Equal, Moves, Positive, Step, Tends, assumption, factor, proves, sign
from proofs.sums import Expr, Flow, Term, along, array, index, size, total

i, j, t = index("i"), index("j"), index("t")
L, SEEN = size("L"), size("w")
"""Number of tokens of a window, and its half-width."""
APART, SCORE, WORK = array("Delta"), array("s"), array("h")
"""Δ_ij, scores s_ij, and h_ij = g_i·v_j."""
SIGMA, DELTA, RATE = sp.symbols("sigma delta r", positive=True)
"""Width σ, useful distance δ, and a factor on the rate."""
ROOT = sp.sqrt(2 * sp.pi)
"""√(2π)."""
CHAIN = "the chain rule"


def bell(i: Expr, j: Expr) -> Expr:
    """Return exp(-Δ²/2σ²)."""
    return sp.exp(-(APART[i, j] ** 2) / (2 * SIGMA**2))


def printed(i: Expr, j: Expr) -> Expr:
    """Return the bell with its prefactor."""
    return bell(i, j) / (SIGMA * sp.sqrt(2 * sp.pi))


def share(bell: Term, normalised: Expr) -> Term:
    """Return α_ij of softmax(s + ln U); unnormalised if `normalised` is 0."""
    weight = lambda i, j: sp.exp(SCORE[i, j]) * bell(i, j)
    return lambda i, j: weight(i, j) / total(lambda k: weight(i, k), L) ** normalised


def mean(attention: Term, what: Term) -> Term:
    """Return the mean E_{α_i} of a term."""
    return lambda i: total(lambda j: attention(i, j) * what(i, j), L)


SQUARE: Term = lambda i, j: APART[i, j] ** 2
USEFUL: Term = lambda i, j: WORK[i, j]


def gaussian(power: int) -> Expr:
    """Return ∫ x^power exp(-x²/2σ²) dx."""
    x = sp.Symbol("x", real=True)
    return sp.integrate(x**power * sp.exp(-(x**2) / (2 * SIGMA**2)), (x, -sp.oo, sp.oo))


@proves(
    "D2",
    sign("the bell rises with distance", bell=lambda i, j: 1 / bell(i, j)),
    factor("the exponent without its ½", bell=lambda i, j: bell(i, j) ** 2),
    assumption("σ acts as a variance", bell=lambda i, j: sp.exp(-(APART[i, j] ** 2) / (2 * SIGMA))),
    assumption("attention is not normalised", normalised=sp.S.Zero),
)
def renormalised(*, bell: Term = bell, normalised: Expr = sp.S.One) -> Iterator[Step]:
    """∂L/∂σ = σ⁻³ Σ_i Cov_{α_i}(Δ²_ij, g_i·v_j) under softmax(s + ln U), whatever scores, values and loss."""
    alpha = share(bell, normalised)
    loss = total(lambda i, j: WORK[i, j] * alpha(i, j), N, L)
    product = mean(alpha, lambda i, j: SQUARE(i, j) * WORK[i, j])
    covariance = lambda i: product(i) - mean(alpha, SQUARE)(i) * mean(alpha, USEFUL)(i)
    yield Equal("∂L/∂σ", loss.diff(SIGMA), SIGMA**-3 * total(covariance, N), by=CHAIN, concludes=True)
    # The window widens, -∂L/∂σ > 0, if tokens beyond the attended mean square have the lower g·v.
    centred = mean(alpha, lambda i, j: (SQUARE(i, j) - mean(alpha, SQUARE)(i)) * WORK[i, j])
    yield Equal("the same about the attended mean square", covariance(i), centred(i), concludes=True)


@proves(
    "D3",
    sign("the bell rises with distance", bell=lambda i, j: 1 / bell(i, j)),
    factor("the exponent without its ½", bell=lambda i, j: bell(i, j) ** 2),
    factor("a prefactor 1/σ²", prefactor=1 / (SIGMA**2 * sp.sqrt(2 * sp.pi))),
    assumption("the prefactor has no σ", prefactor=1 / sp.sqrt(2 * sp.pi)),
)
def after_the_softmax(*, bell: Term = bell, prefactor: Expr = 1 / (SIGMA * sp.sqrt(2 * sp.pi))) -> Iterator[Step]:
    """∂L/∂σ = σ⁻³ Σ_ij A_ij b_ij Δ²_ij g_i·v_j for the peak; with the prefactor, less σ⁻¹ Σ_ij A_ij U_ij g_i·v_j.

    A may be any attention without σ. The last term has the sign of the loss on the attention and contains no distance:
    it rewards narrow windows for their height.
    """
    peak = total(lambda i, j: WORK[i, j] * A[i, j] * bell(i, j), N, L)
    widened = lambda height: (
        SIGMA**-3 * total(lambda i, j: A[i, j] * height * BELL(i, j) * SQUARE(i, j) * WORK[i, j], N, L)
    )
    yield Equal("peak: ∂L/∂σ", peak.diff(SIGMA), widened(sp.S.One), by=CHAIN, concludes=True)
    product = total(lambda i, j: WORK[i, j] * A[i, j] * prefactor * bell(i, j), N, L)
    height = 1 / (SIGMA * sp.sqrt(2 * sp.pi))
    narrowed = total(lambda i, j: A[i, j] * printed(i, j) * WORK[i, j], N, L) / SIGMA
    yield Equal("product: ∂L/∂σ", product.diff(SIGMA), widened(height) - narrowed, by=CHAIN, concludes=True)


BELL = bell
"""Bell of the theory, for functions whose argument has the same name."""
SPREAD = SEEN * (SEEN + 1) * (2 * SEEN - 1) * (2 * SEEN + 3) / 45
"""Var(Δ²) of an even window."""


@proves(
    "D4",
    sign("the bell rises with distance", bell=lambda i, j: 1 / bell(i, j)),
    factor("the exponent without its ½", bell=lambda i, j: bell(i, j) ** 2),
    factor("twice the mean square of the bell", width=2 * SIGMA**2),
    factor("the mean of Δ⁴ for the variance of Δ²", spread=SPREAD + (SEEN * (SEEN + 1) / 3) ** 2),
    assumption("attention is not normalised", normalised=sp.S.Zero),
)
def settles(
    *, bell: Term = bell, normalised: Expr = sp.S.One, width: Expr = SIGMA**2, spread: Expr = SPREAD
) -> Iterator[Step]:
    """Under -ln α_t with frozen scores ∂L/∂σ = σ⁻³ (E_α[Δ²] - Δ_t²): σ is drawn to where E_α[Δ²] = δ², and rests there.

    E_α[Δ²] rises with σ, so there is at most one such σ. For a whole bell over even scores E_α[Δ²] = σ², hence
    σ = δ. For one cut at w it stays below w(w + 1)/3. If δ² is above this, σ⁴ grows at the rate 4(δ² - w(w + 1)/3). If
    δ² equals it, σ⁶ grows at the rate 3 Var(Δ²) of an even window.
    """
    alpha = share(bell, normalised)
    square = mean(alpha, SQUARE)
    loss = -sp.log(alpha(i, t))
    yield Equal("∂L/∂σ", loss.diff(SIGMA), SIGMA**-3 * (square(i) - SQUARE(i, t)), concludes=True)
    fourth = mean(alpha, lambda i, j: SQUARE(i, j) ** 2)
    yield Equal("∂E/∂σ, σ⁻³ times a variance", square(i).diff(SIGMA), SIGMA**-3 * (fourth(i) - square(i) ** 2))
    poisson = "Poisson summation"
    yield Equal("E of a whole bell", gaussian(2) / gaussian(0), width, by=poisson)
    pull = SIGMA**-3 * (DELTA**2 - width)
    yield Equal("dσ/dτ at σ = δ", pull.subs(SIGMA, DELTA), 0, concludes=True)
    yield Equal("its slope there", pull.diff(SIGMA).subs(SIGMA, DELTA), -2 / DELTA**2, concludes=True)
    k = sp.Symbol("k", integer=True, positive=True)
    even = sp.Integer(2) * sp.sympify(sp.summation(k**2, (k, 1, SEEN))) / (2 * SEEN + 1)  # pyright: ignore
    yield Equal("E of an even window", even, SEEN * (SEEN + 1) / 3, concludes=True)
    fourths = sp.Integer(2) * sp.sympify(sp.summation(k**4, (k, 1, SEEN))) / (2 * SEEN + 1)  # pyright: ignore
    yield Equal("Var(Δ²) of an even window", fourths - even**2, spread, concludes=True)
    # ∂E/∂σ = σ⁻³ Var(Δ²), from above, with the variance of an even window for σ → ∞.
    below = even - spread / (2 * SIGMA**2)
    yield Equal("E just below it", below.diff(SIGMA), SIGMA**-3 * (fourths - even**2))
    growth = lambda power, square: power * SIGMA ** (power - 1) * SIGMA**-3 * (square - below)
    beyond = growth(4, DELTA**2)
    yield Tends("dσ⁴/dτ", beyond, {SIGMA: sp.oo}, 4 * (DELTA**2 - SEEN * (SEEN + 1) / 3), concludes=True)
    yield Equal("dσ⁶/dτ where δ² is w(w + 1)/3", growth(6, even), 3 * spread, concludes=True)


@proves(
    "D5",
    sign("the bell rises with distance", share=lambda width: sp.exp(DELTA**2 / (2 * width**2)) / (width * ROOT)),
    factor("75 for 73 in the third order", third=sp.Integer(75)),
    factor("the bell without its height", share=lambda width: sp.exp(-(DELTA**2) / (2 * width**2))),
    assumption("a loss that is not bounded", share=lambda width: sp.S.One),
)
def escapes(
    *,
    share: Term = lambda width: sp.exp(-(DELTA**2) / (2 * width**2)) / (width * ROOT),
    third: Expr = sp.Integer(73),
) -> Iterator[Step]:
    """Under -α_δ a start σ₀ ≪ δ stays for √(2π) σ₀⁷ e^{δ²/2σ₀²}/δ⁴ times 1 + 8y + 73y² + O(y³), y = σ₀²/δ².

    By D2 the rate of σ over even scores is α_δ (δ² - σ²)/σ³ with α_δ = e^{-δ²/2σ²}/(σ √(2π)). This needs the bell's sum
    to be its integral, so σ₀ of about 0.7 of a token or more. The time is the integral of the inverse rate.
    """
    u = sp.Symbol("u", positive=True)
    width = DELTA / sp.sqrt(2 * u)
    rate = share(SIGMA) * (DELTA**2 - SIGMA**2) / SIGMA**3
    scale, inner = ROOT * DELTA**3 / (8 * sp.sqrt(2)), sp.exp(u) * u ** sp.Rational(-7, 2) / (1 - 1 / (2 * u))
    pace = (1 / rate).subs(SIGMA, width) * -width.diff(u)
    yield Equal("dτ/du in u = δ²/2σ², from δ²/2σ₀² down", pace, scale * inner)
    time = sp.exp(u) * u ** sp.Rational(-7, 2) * (1 + 4 / u + third / (4 * u**2))
    off = sp.simplify(time.diff(u) / inner) - 1
    yield Tends(
        "(rate of the law over it - 1) u²", off * u**2, {u: sp.oo}, sp.S.Zero, by="L'Hôpital's rule", concludes=True
    )
    law = ROOT * SIGMA**7 / DELTA**4 * sp.exp(DELTA**2 / (2 * SIGMA**2))
    orders = 1 + 8 * SIGMA**2 / DELTA**2 + third * SIGMA**4 / DELTA**4
    yield Equal("the law", scale * time.subs(u, DELTA**2 / (2 * SIGMA**2)), law * orders, concludes=True)


@proves(
    "D6",
    sign("σ falls", rate=-1),
    factor("twice the rate", rate=2),
    assumption("attention is not normalised, as under the peak", square=sp.S.Zero),
    assumption("E_α[Δ²] is not σ²", square=SIGMA),
)
def early_growth(*, rate: Expr = sp.S.One, square: Expr = SIGMA**2) -> Iterator[Step]:
    """Where E_α[Δ²] = σ², far below δ σ⁴ grows like 4δ²τ, the variance's p³ like 3δ²τ/2, and σ² like 2δ²τ under ln σ.

    A factor r on the rate is one on time: in width it is r^{1/4}, under a variance r^{1/6} (r^{1/3} in the parameter
    itself), under ln σ r^{1/2}. Exactly, σ² + δ² ln(δ² - σ²) falls at the rate 2; p²/2 + δ²p + δ⁴ ln(δ² - p) at ½; and
    δ² - σ² decays like e^{-2τ}.
    """
    pull = rate * (DELTA**2 - square) / SIGMA**3
    deviation: Flow = {SIGMA: pull}
    left = DELTA**2 - SIGMA**2
    yield Moves("σ⁴", SIGMA**4, deviation, 4 * left)
    yield Tends("its rate far below δ", along(SIGMA**4, deviation), {SIGMA: sp.S.Zero}, 4 * DELTA**2, concludes=True)
    yield Moves("σ² + δ² ln(δ² - σ²)", SIGMA**2 + DELTA**2 * sp.log(left), deviation, -2, concludes=True)
    # p = σ² moves by (∂σ/∂p)² of σ's own rate, times dp/dσ: dσ/dτ = pull/(2σ)².
    variance, log = {SIGMA: pull / (2 * SIGMA) ** 2}, {SIGMA: pull * SIGMA**2}
    p = SIGMA**2
    yield Tends("rate of p³", along(p**3, variance), {SIGMA: sp.S.Zero}, 3 * DELTA**2 / 2, concludes=True)
    exact = p**2 / 2 + DELTA**2 * p + DELTA**4 * sp.log(left)
    yield Moves("p²/2 + δ²p + δ⁴ ln(δ² - p)", exact, variance, -sp.Rational(1, 2), concludes=True)
    yield Moves("δ² - σ² under ln σ", left, log, -2 * left, concludes=True)
    time = sp.Symbol("tau", positive=True)
    for name, pace, power in (("σ", 4, 4), ("p", sp.Rational(3, 2), 3), ("σ under ln σ", 2, 2)):
        grown = lambda at, pace=pace, power=power: (pace * DELTA**2 * at) ** sp.Rational(1, power)
        faster = sp.powsimp(sp.expand_power_base(grown(RATE * time) / grown(time), force=True))
        yield Equal(f"a factor r: {name}", faster, RATE ** sp.Rational(1, power), concludes=True)


INSIDE, OUTSIDE = array("a", positive=True), array("b", positive=True)
"""Attention within the cut and beyond it."""
LOW, HIGH = array("l", nonnegative=True), array("u", nonnegative=True)
"""M - x_j of a token within and M + x_j of one beyond: x_j is a value along any direction, and |x_j| ≤ M."""
M, BEYOND = sp.Symbol("M", positive=True), size("B")
TAIL = sp.Symbol("t", positive=True)
"""Mass t beyond the cut; 1 - t is the mass within."""


@proves(
    "D8",
    sign("the rest is divided by 1 + t", rest=1 + TAIL),
    factor("once the tail in the place of twice", times=sp.S.One),
    assumption("what is left is not renormalised", rest=sp.S.One),
)
def truncation(*, rest: Expr = 1 - TAIL, times: Expr = sp.Integer(2)) -> Iterator[Step]:
    """Cut and renormalised, a context moves by at most 2 t max‖v_j‖, t the attention beyond the cut.

    Along any direction, from the side where it moves most: 2tM - (v′ - v) is a sum of terms that are not below 0.
    """
    within = lambda j: M - LOW[j]
    beyond = lambda k: HIGH[k] - M
    inner = total(lambda j: INSIDE[j] * LOW[j], L)
    outer = total(lambda k: OUTSIDE[k] * HIGH[k], BEYOND)
    # Σ_in α = 1 - t and Σ_out α = t, pulled out of the constant M.
    kept, lost = (1 - TAIL) * M - inner, outer - TAIL * M
    mass_in, mass_out = total(lambda j: INSIDE[j], L), total(lambda k: OUTSIDE[k], BEYOND)
    yield Equal("Σ of α v within", total(lambda j: INSIDE[j] * within(j), L), M * mass_in - inner)
    yield Equal("Σ of α v beyond", total(lambda k: OUTSIDE[k] * beyond(k), BEYOND), outer - M * mass_out)
    moved = kept / rest - (kept + lost)
    slack = TAIL / (1 - TAIL) * inner + outer
    yield Equal("2tM less the move", times * TAIL * M - moved, slack, concludes=True)
    odds = sp.Symbol("o", positive=True)
    terms = odds * sp.Symbol("I", nonnegative=True) + sp.Symbol("O", nonnegative=True)
    yield Positive("t/(1 - t) I + O of sums I, O ≥ 0", terms, strict=False)


PLACE = array("x")
"""Positions x_j of tokens; AT is that of the query."""
AT = sp.Symbol("x_0", real=True)


@proves(
    "D9",
    sign("the product is taken off", query=-AT / SIGMA**2),
    factor("the square without its ½", key=lambda j: -(PLACE[j] ** 2) / SIGMA**2),
    assumption("the square of the key's place is left out", key=lambda j: sp.S.Zero),
)
def low_rank(*, query: Expr = AT / SIGMA**2, key: Term = lambda j: -(PLACE[j] ** 2) / (2 * SIGMA**2)) -> Iterator[Step]:
    """-(i - j)²/2σ² is a constant of the row, i j/σ² and -j²/2σ²: two further dimensions carry the renormalised bell.

    Softmax does not see the constant, so attention is the same and with it every gradient, that of σ too.
    """
    added = lambda j: query * PLACE[j] + key(j)
    yield Equal("the exponent", -((AT - PLACE[j]) ** 2) / (2 * SIGMA**2), -(AT**2) / (2 * SIGMA**2) + added(j))
    weight = lambda exponent: lambda j: sp.exp(SCORE[i, j] + exponent(j))
    softmax = lambda exponent: weight(exponent)(j) / total(weight(exponent), L)
    bare = lambda j: -((AT - PLACE[j]) ** 2) / (2 * SIGMA**2)
    # Both are multiplied by the constant of the row, which cancels in a quotient.
    row = sp.exp(-(AT**2) / (2 * SIGMA**2))
    lifted = lambda j: row * weight(added)(j)
    yield Equal("each weight", weight(bare)(j), lifted(j), concludes=True)
    yield Equal("attention", lifted(j) / total(lifted, L), softmax(added), concludes=True)


VALUE = array("v")


@proves(
    "D10",
    sign("the bell rises with distance", bell=lambda j: sp.exp(PLACE[j] ** 2 / (2 * SIGMA**2))),
    factor("a prefactor without √(2π)", prefactor=1 / SIGMA),
    assumption("attention is not even", attention=lambda j: A[i, j]),
)
def scale(
    *,
    bell: Term = lambda j: sp.exp(-(PLACE[j] ** 2) / (2 * SIGMA**2)),
    prefactor: Expr = 1 / (SIGMA * sp.sqrt(2 * sp.pi)),
    attention: Term = lambda j: 1 / L,
) -> Iterator[Step]:
    """Under product U is largest at Δ = 0, 1/(σ √(2π)); even attention gives Σ_j U_j/L of the renormalised output.

    L is 2w + 1, and the ratio holds whatever the values. By Poisson summation the sum of U over all integers is that of
    its Fourier transform, 1 + 2 e^{-2π²σ²} + …. Over the window Σ_j U_j is 1 - tail of it.
    """
    x = sp.Symbol("x", real=True)
    high = lambda j: prefactor * bell(j)
    curve = high(j).subs(PLACE[j], x)
    yield Equal("U falls with |Δ|", curve.diff(x), -x / SIGMA**2 * curve)
    yield Equal("U(0)", curve.subs(x, 0), 1 / (SIGMA * sp.sqrt(2 * sp.pi)), concludes=True)
    product = total(lambda j: attention(j) * high(j) * VALUE[j], L)
    renormalised = total(lambda j: high(j) * VALUE[j], L) / total(high, L)
    yield Equal("product over renormalised", product, total(high, L) / L * renormalised, concludes=True)
    frequency, poisson = sp.Symbol("k", integer=True, nonnegative=True), "Poisson summation"
    wave = sp.cos(2 * sp.pi * frequency * x) * sp.exp(-(x**2) / (2 * SIGMA**2))
    transform = prefactor * sp.integrate(wave, (x, -sp.oo, sp.oo))
    stated = sp.exp(-2 * sp.pi**2 * frequency**2 * SIGMA**2)
    yield Equal("Fourier transform of U", transform, stated, by=poisson, concludes=True)


RELAYS = size("E")
"""Number of exempt tokens."""
WORDS = sp.Symbol("k_w", positive=True, integer=True)
"""Number of other words, each as frequent as the others."""
PART = sp.Symbol("u", real=True)
"""Difference u of the scores of the useful token and of the others."""


@proves(
    "D14",
    sign("the scores part the other way", pace=-1 - 1 / WORDS),
    factor("the useful token's score alone is trained", pace=sp.S.One),
    factor("the exponent without its ½", bell=lambda far: sp.exp(-(far**2) / SIGMA**2)),
    assumption("exempt tokens see through the bell", relayed=sp.exp(-(DELTA**2) / (2 * SIGMA**2)) / (SIGMA * ROOT)),
)
def exempt(
    *,
    bell: Term = lambda far: sp.exp(-(far**2) / (2 * SIGMA**2)),
    pace: Expr = 1 + 1 / WORDS,
    relayed: Expr = 1 / L,
) -> Iterator[Step]:
    """Under -α_δ an exempt query finds its token at a time without δ or σ; E exempt tokens relay E/(L (σ √(2π) + E)).

    Scores are even at the start. A query that is not exempt divides its attention by the sum of its bell plus E.
    Without exempt tokens k layers convolve k bells.
    """
    others, alpha = L - 1, sp.exp(PART) / (sp.exp(PART) + L - 1)
    # Under -α the useful score rises by α (1 - α), and that of each of k other words falls by 1/k of it.
    rate, share_of_pace = pace * alpha * (1 - alpha), WORDS / (WORDS + 1)
    time = share_of_pace * (sp.exp(PART) / others + 2 * PART - others * sp.exp(-PART))
    yield Equal("dτ/du", time.diff(PART), 1 / rate, concludes=True)
    half = share_of_pace * (2 * sp.log(others) + others - 1 / others)
    yield Equal(
        "τ from u = 0 to where α = 1/2", time.subs(PART, sp.log(others)) - time.subs(PART, 0), half, concludes=True
    )
    x, far = sp.Symbol("x", real=True), sp.Symbol("y", real=True)
    poisson, mass = "Poisson summation", sp.integrate(bell(x), (x, -sp.oo, sp.oo))
    yield Equal("sum of a bell", mass, SIGMA * ROOT, by=poisson)
    given = 1 / (mass + RELAYS)
    share = total(lambda j: given * relayed, RELAYS)
    yield Equal("share through E exempt tokens", share, RELAYS / (L * (SIGMA * ROOT + RELAYS)), concludes=True)
    spread = lambda k: sp.exp(-(far**2) / (2 * k * SIGMA**2)) / (SIGMA * sp.sqrt(2 * sp.pi * k))
    k = sp.Symbol("k", positive=True, integer=True)
    step = sp.integrate(spread(k).subs(far, far - x) * bell(x) / mass, (x, -sp.oo, sp.oo))
    yield Equal("one layer more", step, spread(k + 1), by=poisson, concludes=True)
    yield Equal("one layer", bell(far) / mass, spread(sp.S.One), concludes=True)
