"""Several widths: heads that part (D11), two widths of one bell (D12), the reach of a width under Adam (D13).

A kernel is e^{-X/(p σ^p)} with X = |Δ|^p, and u = ln σ is trained. Useful tokens have X_δ; ℓ is the logarithm of the
attention on one of them.
"""

from collections.abc import Iterator

import sympy as sp

from proofs.notation import N
from proofs.proof import Equal, Positive, Step, assumption, factor, proves, sign
from proofs.sums import Expr, Term, array, index, size, total

h, i, j = index("h"), index("i"), index("j")
L, HEADS = size("L"), size("H")
"""Number of tokens of a window, and of heads."""
X, USEFUL, APART = array("X"), array("D"), array("c")
"""|Δ_j|^p of the tokens, |δ_i|^p of the useful token of sentence i, and any deviations c_h of heads."""
U, M, EPS = sp.symbols("u m epsilon", real=True)
"""ln σ, the mean of heads less the common width, and half their difference."""
POWER, DELTA, VAR = sp.symbols("p X_delta v", positive=True)
"""Power p of the kernel, X of a useful token, and Var_α(X) of a head."""
FIRST, SECOND = sp.symbols("l_1 l_2", real=True)
"""Derivatives ℓ′ and ℓ″ of a sentence."""
OFF = sp.Symbol("y", real=True)
"""x - 1, x = X_δ/E X_δ."""


def kernel(x: Expr) -> Expr:
    """Return the exponent of the kernel at X."""
    return -x * sp.exp(-POWER * U) / POWER


def moment(power: int) -> Expr:
    """Return the mean of (X/(p σ^p))^k under a whole kernel: in y = X/(p σ^p) it weighs y^{1/p - 1} e^{-y}."""
    y = sp.Symbol("y", positive=True)
    weighed = lambda k: sp.integrate(y ** (k + 1 / POWER - 1) * sp.exp(-y), (y, 0, sp.oo))
    return sp.gammasimp(weighed(power) / weighed(0))


def averaged(expression: Expr) -> Expr:
    """Return the mean over sentences of a polynomial in x - 1, whose mean is 0, at the threshold, where p is CV²."""
    known = {0: sp.S.One, 1: sp.S.Zero, 2: POWER}
    terms = sp.Poly(sp.expand(expression), OFF).terms()
    return sp.Add(*(factor * known.get(k, sp.Symbol(f"mu_{k}")) for (k,), factor in terms))


@proves(
    "D11",
    sign("the kernel rises with distance", exponent=lambda x: -kernel(x)),
    factor("the exponent without its 1/p", exponent=lambda x: POWER * kernel(x)),
    factor("the third moment left in the jump", jump=POWER**3 - sp.Symbol("mu_4") / 3 + sp.Symbol("mu_3")),
    assumption("attention is not normalised", normalised=sp.S.Zero),
    assumption("the mean width moves too", centred=sp.S.Zero),
)
def parting(
    *,
    exponent: Term = kernel,
    normalised: Expr = sp.S.One,
    centred: Expr = sp.S.One,
    jump: Expr = POWER**3 - sp.Symbol("mu_4") / 3,
) -> Iterator[Step]:
    """Heads part from a common width at the rate (Var|δ|^p - Var_α|Δ|^p)/(H σ^{2p}), (CV² - p)/H for a whole kernel.

    At the common width E|δ|^p = E_α|Δ|^p. Over all integers a kernel of p = 1 attends with the variance
    cosh(1/σ)/sinh²(1/σ), so that its threshold is √(1 + 1/E|δ|²). Two heads part continuously if E(x - 1)⁴ > 3p³, else
    by a jump. Of two useful distances some share parts heads exactly if δ₂/δ₁ > (√p + √(p + 1))^{2/p}.
    """
    weight = lambda j: sp.exp(exponent(X[j]))
    mean = lambda what: total(lambda j: weight(j) * what(j), L) / total(weight, L)
    inverse = sp.exp(-POWER * U)
    square, first = mean(lambda j: X[j] ** 2), mean(lambda j: X[j])
    own = exponent(DELTA) - normalised * sp.log(total(weight, L))
    slope = inverse * (DELTA - first)
    yield Equal("∂ℓ/∂u", own.diff(U), slope, concludes=True)
    yield Equal("∂²ℓ/∂u²", own.diff(U, 2), -POWER * slope - inverse**2 * (square - first**2))
    # ∂ ln(Σ_h α_h)/∂u_h of heads at u + s t_h, Σ t_h = 0, to first order in s.
    length = sp.Symbol("s", real=True)
    parted = lambda h: APART[h] - centred * total(lambda k: APART[k], HEADS) / HEADS
    along = lambda h: FIRST * length * parted(h) + SECOND * (length * parted(h)) ** 2 / 2
    pull = sp.exp(along(h)) * (FIRST + SECOND * length * parted(h)) / total(lambda k: sp.exp(along(k)), HEADS)
    rate = pull.diff(length).subs(length, 0)
    yield Equal("rate of a head's deviation", rate, parted(h) * (SECOND + FIRST**2) / HEADS, concludes=True)
    middle = total(lambda i: USEFUL[i], N) / N
    ahead = lambda i: inverse * (USEFUL[i] - middle)
    sentence = total(lambda i: -POWER * ahead(i) - inverse**2 * VAR + ahead(i) ** 2, N) / N
    scatter = total(lambda i: USEFUL[i] ** 2, N) / N - middle**2
    yield Equal("E of ∂²ℓ/∂u² + (∂ℓ/∂u)²", sentence, inverse**2 * (scatter - VAR), concludes=True)
    yield Equal("E_α X/σ^p of a whole kernel", POWER * moment(1), 1, by="the integral for the sum over tokens")
    yield Equal("Var_α X/σ^{2p}", POWER**2 * sp.expand(moment(2) - moment(1) ** 2), POWER, concludes=True)
    yield from _alibi()
    yield from _jump(jump)
    yield from _two_distances()


def _alibi() -> Iterator[Step]:
    q, width = sp.Symbol("q", positive=True), sp.Symbol("sigma", positive=True)
    series = (1 + q) / (1 - q)
    mean = q * series.diff(q) / series
    square = q * (q * series.diff(q)).diff(q) / series
    at = lambda expression: expression.subs(q, sp.exp(-1 / width))
    geometric = "the geometric series, differentiated term by term"
    sinh, cosh = (sp.exp(1 / width) - sp.exp(-1 / width)) / 2, (sp.exp(1 / width) + sp.exp(-1 / width)) / 2
    yield Equal("p = 1: E_α|Δ| over all integers", at(mean), 1 / sinh, by=geometric, concludes=True)
    yield Equal("Var_α|Δ|", at(square - mean**2), cosh / sinh**2, by=geometric, concludes=True)


def _jump(jump: Expr) -> Iterator[Step]:
    """Show the coefficient of ε³ in 2 dε/dτ at the threshold, where m rests: 2 dm/dτ = -p m + (mixing) ε²/2."""
    own = lambda u: -(1 + OFF) * sp.exp(-POWER * u) / POWER - u
    both = sp.log((sp.exp(own(M + EPS)) + sp.exp(own(M - EPS))) / 2)
    start = lambda expression: sp.expand(sp.simplify(expression.subs({EPS: 0, M: 0})))
    linear, mixing = averaged(start(both.diff(EPS, 2))), averaged(start(both.diff(EPS, 2, M)))
    cubic = averaged(start(both.diff(EPS, 4))) / 6
    yield Equal("slope of ε at the threshold", linear, 0)
    yield Equal("slope of m", averaged(start(both.diff(M, 2))), -POWER)
    effective = cubic + mixing**2 / (2 * POWER)
    yield Equal("coefficient of ε³ with m at rest", effective, jump, by="the centre manifold theorem", concludes=True)


def _two_distances() -> Iterator[Step]:
    """Show the least ratio R + 1 of X_δ at which CV² = R² f(1 - f)/(1 + R f)² reaches p for some far share f."""
    share, far = sp.Symbol("f", real=True), sp.Symbol("R", positive=True)
    excess = sp.expand(far**2 * share * (1 - share) - POWER * (1 + far * share) ** 2)
    found = sp.discriminant(excess, share)
    ends = [2 * POWER + root * sp.sqrt(POWER * (POWER + 1)) for root in (2, -2)]
    yield Equal("discriminant in f", found, far**2 * (far - ends[0]) * (far - ends[1]), concludes=True)
    yield Equal("least ratio of X", 1 + ends[0], (sp.sqrt(POWER) + sp.sqrt(POWER + 1)) ** 2, concludes=True)


NEAR, FAR, ODDS = sp.symbols("X_1 R r", positive=True)
"""X of the near token; that of the far one is (1 + R) times it, and r = r₂/r₁."""
PART, AGAINST = sp.symbols("f g", positive=True)
"""Share f of the far token in the sum, and 1/f - 1."""


def of_one_sentence(near: Expr, far: Expr) -> Expr:
    """Return -L of two useful tokens of one sentence, given ln α of each."""
    return sp.log(sp.exp(near) + ODDS * sp.exp(far))


@proves(
    "D12",
    sign("the kernel rises with distance", exponent=lambda x: -kernel(x)),
    factor("the exponent without its 1/p", exponent=lambda x: POWER * kernel(x)),
    factor("the threshold of CV² is 1", threshold=sp.S.One),
    assumption("the tokens stand in different sentences", gain=lambda near, far: (near + ODDS * far) / (1 + ODDS)),
)
def two_widths(*, exponent: Term = kernel, gain: Term = of_one_sentence, threshold: Expr = POWER) -> Iterator[Step]:
    """One kernel on two useful tokens of a sentence has two stable widths exactly if δ₂/δ₁ > (√p + √(p + 1))^{2/p}.

    It is √2 + √3 for the bell, and r₂/r₁ then lies between two ends. Where σ rests, σ^p is the mean of X with the
    shares 1 - f and f; ln(r₂/r₁) is a function of f there, and σ is stable where it rises. It falls where CV² > p.
    """
    far = (1 + FAR) * NEAR
    own = lambda x: exponent(x) - U
    climb = gain(own(NEAR), own(far))
    rest = sp.log((1 + FAR * PART) * NEAR) / POWER
    log_odds = sp.log(PART / (1 - PART)) + FAR / (POWER * (1 + FAR * PART))
    within = lambda expression: sp.simplify(expression.subs(PART, 1 / (1 + AGAINST)))
    at = lambda expression: within(expression.subs(ODDS, sp.exp(log_odds)).subs(U, rest))
    yield Equal("-∂L/∂u where σ^p = X₁ (1 + R f)", at(climb.diff(U)), 0, concludes=True)
    scatter = FAR**2 * PART * (1 - PART) / (1 + FAR * PART) ** 2
    rise = (threshold - scatter) / (POWER * PART * (1 - PART))
    yield Equal("d ln r/df", within(log_odds.diff(PART) - rise), 0, concludes=True)
    yield Equal("slope of -∂L/∂u there", at(climb.diff(U, 2)), within(scatter - threshold), concludes=True)
    yield from _two_distances()
    yield Equal("its root at p = 2", (sp.sqrt(2) + sp.sqrt(3)) ** 2, 5 + 2 * sp.sqrt(6), concludes=True)
    yield from _ends()


def _ends() -> Iterator[Step]:
    """Show the ends of the bell in y = σ²/(δ₂² - δ₁²) = c + f, c = 1/R: roots of 3 y² - (1 + 2c) y + c (1 + c)."""
    c, y = sp.symbols("c y", positive=True)
    flat = (2 * (1 + FAR * PART) ** 2 - FAR**2 * PART * (1 - PART)).subs(PART, y - c).subs(FAR, 1 / c)
    yield Equal("CV² = 2 in y", flat * c**2, 3 * y**2 - (1 + 2 * c) * y + c * (1 + c))
    odds = sp.exp(1 / (2 * y)) / (1 / (y - c) - 1)
    log_odds = sp.log(PART / (1 - PART)) + FAR / (2 * (1 + FAR * PART))
    share = lambda expression: expression.subs(y, c + 1 / (1 + AGAINST))
    stated = share(sp.exp(log_odds).subs(PART, y - c).subs(FAR, 1 / c))
    yield Equal("r in y", sp.simplify(share(odds)), sp.simplify(stated), concludes=True)


B1, ROOT, TIME = sp.symbols("beta_1 b t", positive=True)
"""β₁, √β₂, and t = η k."""
AGE, COUNT = index("k"), size("n")
"""Age of a gradient, or number of steps, and number of gradients so far."""
G, W, RATIO = array("g"), array("w", positive=True), array("r")
"""Sizes of gradients by age, their weights in the mean of squares, and those of the mean relative to these."""
RHO = B1**2 / ROOT**2
"""β₁²/β₂, below 1."""
LARGEST = (1 - B1) / sp.sqrt((1 - ROOT**2) * (1 - RHO))
"""Largest step in units of the learning rate."""


def within_range(expression: Expr) -> Expr:
    """Write β₁ < √β₂ < 1 by positive numbers, √β₂ = 1/(1 + x) and β₁ = √β₂/(1 + y)."""
    x, y = sp.symbols("x y", positive=True)
    return expression.subs(B1, ROOT / (1 + y)).subs(ROOT, 1 / (1 + x))


@proves(
    "D13",
    sign("the worst gradients shrink", worst=lambda k: (ROOT**2 / B1) ** k),
    factor("the bound of Kingma and Ba", largest=(1 - B1) / sp.sqrt(1 - ROOT**2)),
    factor("a variance p₀ √(1 + t/p₀)", grown=sp.sqrt(1 + TIME)),
    assumption("means are not corrected for their start", corrected=sp.S.Zero),
)
def reach(
    *,
    largest: Expr = LARGEST,
    worst: Term = lambda k: (B1 / ROOT**2) ** k,
    corrected: Expr = sp.S.One,
    grown: Expr = sp.sqrt(1 + 2 * TIME),
) -> Iterator[Step]:
    """No step of Adam exceeds η (1 - β₁)/√((1 - β₂)(1 - β₁²/β₂)) where β₁² < β₂, and no smaller bound always holds.

    By Cauchy and Schwarz (Σ β₁^j g_j)² is at most Σ (β₁²/β₂)^j times Σ β₂^j g_j²; both corrections for the start only
    help. Where |g| never grows and β₁ ≤ β₂ no step exceeds η. While all squares are remembered, σ grows like
    (η k)^{3/8}, and a variance is p₀ √(1 + 2 η k/p₀).
    """
    yield from _inequalities()
    yield Equal("β₁^k", (B1 / ROOT) ** AGE * ROOT**AGE, B1**AGE)
    # a = √β₂^k and b = (β₁/√β₂)^k, whose product is β₁^k; the sums of k terms are (1 - b²)/(1 - β₁²/β₂) and so on.
    a, b = (1 / (1 + sp.Symbol(name, positive=True)) for name in "uv")
    starts = ((1 - a**2) / (1 - a * b) ** 2) ** corrected
    step = (1 - B1) ** 2 / ((1 - ROOT**2) * (1 - RHO)) * (1 - b**2) * starts
    slack = largest**2 * ((a - b) / (1 - a * b)) ** 2
    geometric = "the geometric series"
    left = within_range(largest**2 - step)
    yield Equal("the bound's square less that of step k", left, within_range(slack), by=geometric, concludes=True)
    mean = (1 - B1) / (1 - B1 * worst(1))
    square = (1 - ROOT**2) / (1 - ROOT**2 * worst(1) ** 2)
    attained = within_range(mean**2 / square)
    yield Equal("m²/v where gradients grow by β₂/β₁", attained, within_range(largest**2), by=geometric, concludes=True)
    yield from _lag()
    yield from _memory(grown)


def _inequalities() -> Iterator[Step]:
    """Show Lagrange's identity, and Chebyshev's, whose terms are not above 0 if r falls with age where g rises."""
    pairs = lambda term: total(term, COUNT, COUNT) / 2
    one, other = lambda j: RATIO[j], lambda j: G[j]
    every = lambda term: total(term, COUNT)
    left = every(lambda j: one(j) ** 2) * every(lambda j: other(j) ** 2) - every(lambda j: one(j) * other(j)) ** 2
    squares = pairs(lambda j, k: (RATIO[j] * G[k] - RATIO[k] * G[j]) ** 2)
    yield Equal("what Cauchy and Schwarz leave", left, squares)
    mass, mean = every(lambda j: W[j]), every(lambda j: W[j] * G[j])
    weighed = every(lambda j: W[j] * RATIO[j] * G[j]) * mass - every(lambda j: W[j] * RATIO[j]) * mean
    ordered = pairs(lambda j, k: W[j] * W[k] * (RATIO[j] - RATIO[k]) * (G[j] - G[k]))
    yield Equal("what the mean has less than that of the older ones", weighed, ordered, concludes=True)
    variance = every(lambda j: W[j] * G[j] ** 2) * mass - mean**2
    spread = pairs(lambda j, k: W[j] * W[k] * (G[j] - G[k]) ** 2)
    yield Equal("what the square of a mean has less than the mean of squares", variance, spread, concludes=True)


def _lag() -> Iterator[Step]:
    """Show what means lose by age where gradients fall like 1/σ³ and σ moves by η a step, e = η/σ."""
    e, share = sp.symbols("e beta", positive=True)
    lag = lambda beta: (share * (1 / (1 - share)).diff(share) * (1 - share)).subs(share, beta)
    yield Equal("mean age", lag(share), share / (1 - share), by="the geometric series")
    speed = (1 + 3 * e * lag(B1)) / sp.sqrt(1 + 6 * e * lag(ROOT**2))
    lost = -3 * (ROOT**2 / (1 - ROOT**2) - B1 / (1 - B1))
    yield Equal("first order of the speed in η/σ", speed.diff(e).subs(e, 0), lost, concludes=True)


def _memory(grown: Expr) -> Iterator[Step]:
    """Show the growth of p/p₀ in units of p₀: dy/dt = y^-n √(t/S) with dS/dt = y^-2n, n = 2 for a variance, 3 for σ."""
    s = sp.Symbol("s", positive=True)
    squares = sp.integrate(grown.subs(TIME, s) ** -4, (s, 0, TIME))
    yield Equal("(dy/dt)² of a variance", grown.diff(TIME) ** 2, grown**-4 * TIME / squares, concludes=True)
    whole, fall = sp.symbols("S n", positive=True)
    power = 3 / (2 * fall + 2)
    late = (sp.Rational(2, 3) * (fall + 1) / sp.sqrt(whole)) ** (1 / (fall + 1)) * TIME**power
    left = late.diff(TIME) * late**fall / sp.sqrt(TIME / whole)
    yield Equal("dy/dt over y^{-n} √(t/S) with S at rest", sp.powsimp(left, force=True), 1, concludes=True)
    yield Positive(
        "2n times its power exceeds 1 from n = 1 on, so S rests", (2 * fall * power - 1).subs(fall, 1 + whole)
    )
    yield Equal("power of σ", power.subs(fall, 3), sp.Rational(3, 8), concludes=True)
    yield Equal("power of a variance", power.subs(fall, 2), sp.Rational(1, 2), concludes=True)
