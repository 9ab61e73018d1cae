"""SEN relation beyond one query and word: last tokens (B6), companions (B7), lengths (B8), trained scales (B9)."""

from collections.abc import Iterator

import sympy as sp

from proofs.notation import D_E, NORM, N, V, m
from proofs.proof import Equal, Moves, Positive, Step, assumption, factor, proves, sign
from proofs.sen import ATTENTION, NU, START, TRAVELLED, S, curve, inward, push
from proofs.sums import Expr, Flow, Term, along, array, delta, index, size, total

b, u, x, j = (index(name) for name in "buxj")
LAST, COMPANIONS, WORDS = size("U"), size("k"), size("p")
"""Numbers of last tokens, of companions, and of topic words with equal scores."""
SCORES = array("s")
"""Scores s_u of the topic word under the query of last token u, or s_j of companion j."""
PUSH = array("h")
"""Push h_ub = Σ_i g_ib of the sentences that end in u; h_b of all sentences of companions."""
SQUARE, OTHERS = array("Q", positive=True), array("m", positive=True)
"""‖q_u‖² and numbers m_u of other words."""


ASKED, REST = array("a"), array("r")
"""Attention of the topic word in a kind of sentences, and what is left of it, 1 - a."""


def pulled(u: Expr) -> Expr:
    """Return Σ_i ∂L/∂s_iu over the sentences that end in u, a_u (1 - a_u) ν·h_u."""
    return ASKED[u] * REST[u] * total(lambda b: NU[b] * PUSH[u, b], D_E)


def orthogonal(x: Expr, u: Expr) -> Expr:
    """Return q_x·q_u of orthogonal queries."""
    return delta(x, u) * SQUARE[u]


@proves(
    "B6",
    sign("the key climbs", key=pulled),
    factor("the score without its factor 1 - a", key=lambda u: -pulled(u) / REST[u]),
    assumption("queries that are not orthogonal", gram=lambda x, u: orthogonal(x, u) + array("o")[x, u]),
    assumption("one norm for all queries", weight=lambda u: 1 / NORM**2),
)
def last_token_asks(
    *,
    gram: Term = orthogonal,
    key: Term = lambda u: -pulled(u),
    weight: Term = lambda u: 1 / SQUARE[u],
) -> Iterator[Step]:
    """With a fixed query q_u for each last token u, orthogonal, Σ_u (s_u + e^{s_u}/m_u)/‖q_u‖² - ‖ν‖²/2 never changes.

    The topic word's key moves by Σ_u q_u times -Σ_i ∂L/∂s_iu. For other queries, with R the inverse of their Gram
    matrix, the same form is Σ_uv f_u R_uv ds_v, f_u = 1 + e^{s_u}/m_u: a total derivative only if R is diagonal.
    """
    share = sp.exp(SCORES[u]) / (sp.exp(SCORES[u]) + OTHERS[u])
    law = SCORES[u] + sp.exp(SCORES[u]) / OTHERS[u]
    yield Equal("d(s_u + e^{s_u}/m_u)/ds_u is 1/(1 - a_u)", law.diff(SCORES[u]), 1 / (1 - share))
    slope = total(lambda b: ASKED[u] * PUSH[u, b] * (NU[b] - (1 - REST[u]) * NU[b]), D_E)
    yield Equal("∂L/∂s where the others do no work", slope, pulled(u))
    score = lambda u: total(lambda x: key(x) * gram(x, u), LAST)
    embedding = lambda b: -total(lambda u: ASKED[u] * PUSH[u, b], LAST)
    grown = total(lambda u: weight(u) / REST[u] * score(u), LAST) - total(lambda b: NU[b] * embedding(b), D_E)
    yield Equal("d/dτ of the sum", grown, 0, by="the chain rule", concludes=True)
    # Two queries that are not orthogonal: the coefficients of ds_v and ds_w.
    v, w = sp.symbols("s_v s_w", real=True)
    f, g = 1 + sp.exp(v) / OTHERS[1], 1 + sp.exp(w) / OTHERS[2]
    inverse = sp.Matrix(2, 2, sp.symbols("R_vv R_vw R_vw R_ww", real=True))
    of_v, of_w = sp.Matrix([[f, g]]) * inverse
    curl = of_v.diff(w) - of_w.diff(v)
    yield Equal("its curl, which is 0 only if R_vw is", curl, inverse[0, 1] * (g - f))


def companion(j: Expr) -> Expr:
    """Return attention a_j of companion j."""
    return sp.exp(SCORES[j]) / (total(lambda x: sp.exp(SCORES[x]), COMPANIONS) + m)


def companion_embedding(j: Expr, b: Expr) -> Expr:
    """Return dν_jb/dτ = -a_j h_b."""
    return -companion(j) * PUSH[b]


PAIR = array("nu")
"""Embeddings ν_jb of companions."""


def companion_context(b: Expr) -> Expr:
    """Return v_b = Σ_j a_j ν_jb, to which the others add nothing that works."""
    return total(lambda j: companion(j) * PAIR[j, b], COMPANIONS)


@proves(
    "B7",
    sign("embeddings climb", embedding=lambda j, b: -companion_embedding(j, b)),
    factor("half the rate of an embedding", embedding=lambda j, b: companion_embedding(j, b) / 2),
    assumption("companions do not see each other", context=lambda b: sp.S.Zero),
    assumption("as many others as there are", count=sp.S.One),
)
def companions(
    *,
    embedding: Term = companion_embedding,
    context: Term = companion_context,
    count: Expr = COMPANIONS,
) -> Iterator[Step]:
    """Companions: (‖q‖²/2) d‖ν_j‖² = ds_j + (e^{s_j}/m) Σ_l ds_l; k of them alike, or a word k times: B1 with m/k."""
    score = lambda j: -(NORM**2) * companion(j) * total(lambda b: PUSH[b] * (PAIR[j, b] - context(b)), D_E)
    grown = NORM**2 * total(lambda b: PAIR[j, b] * embedding(j, b), D_E)
    together = score(j) + sp.exp(SCORES[j]) / m * total(score, COMPANIONS)
    yield Equal("‖q‖² d‖ν_j‖²/2", grown, together, concludes=True)
    work, share = total(lambda b: NU[b] * PUSH[b], D_E), sp.exp(S) / (COMPANIONS * sp.exp(S) + m)
    law = S + sp.exp(S) / (m / count) - NORM**2 / 2 * total(lambda b: NU[b] ** 2, D_E)
    for name, own, all_of_them in (
        ("alike", share, COMPANIONS * share),
        ("k times", COMPANIONS * share, COMPANIONS * share),
    ):
        flow: Flow = {S: -(NORM**2) * own * (1 - all_of_them) * work, NU: lambda b, own=own: -own * PUSH[b]}
        yield Moves(f"d/dτ with m/k, {name}", law, flow, 0, concludes=True)


LOWERED, HELPED = array("w", nonnegative=True), array("y", nonnegative=True)
"""w_i = -a_i ν·g_i and y_i = -a_i μ_i·g_i, μ_i the mean of the others by their weights: what lowers the loss of i."""
WEIGHT = array("M", positive=True)
"""Weights M_i = Σ_u e^{s_u} of the other words of sentence i; their number m_i where their scores are 0."""
LENGTH, BEYOND, GAIN, HELP = (sp.Symbol(name, positive=True) for name in ("m", "e", "w", "y"))


@proves(
    "B8",
    sign("the embedding raises the loss", gain=-GAIN),
    factor("the score without its factor 1 - a", rest=lambda weight: sp.S.One),
    assumption("a sentence shorter than the shortest", longer=LENGTH**2 / (LENGTH + BEYOND)),
    assumption("others that raise the loss", help=-HELP),
)
def unequal_lengths(
    *,
    gain: Expr = GAIN,
    help: Expr = HELP,
    longer: Expr = LENGTH + BEYOND,
    rest: Term = lambda weight: weight / (sp.exp(S) + weight),
) -> Iterator[Step]:
    """If ν·g_i ≤ 0 in each sentence, I(m) = s + e^s/m - ‖q‖²‖ν‖²/2 rises for the least m_i and falls for the largest.

    The m_i may be weights that move, if m bounds them along the run. That I falls for the largest needs no more of the
    other words than μ_i·g_i ≤ 0; that it rises for the least, that they do no work, μ_i·g_i = 0.
    """
    rate, slope = array("dnu"), 1 + sp.exp(S) / LENGTH
    score = NORM**2 * total(lambda i: REST[i] * (LOWERED[i] - HELPED[i]), N)
    law = curve(S).subs(m, LENGTH) - NORM**2 / 2 * total(lambda b: NU[b] ** 2, D_E)
    work = total(lambda b: NU[b] * rate[b], D_E)
    yield Moves("d/dτ I(m)", law, {S: score, NU: lambda b: rate[b]}, slope * score - NORM**2 * work)
    by_sentence = NORM**2 * total(lambda i: slope * REST[i] * (LOWERED[i] - HELPED[i]) - LOWERED[i], N)
    yield Equal(
        "… by sentences, ν·dν/dτ = Σ_i w_i", slope * score - NORM**2 * total(lambda i: LOWERED[i], N), by_sentence
    )
    share = lambda weight, help, sign: sp.factor(sign * (slope * rest(weight) * (gain - help) - gain))
    yield Positive("of a longer sentence, for the least m", share(longer, sp.S.Zero, 1), concludes=True)
    shorter = LENGTH**2 / (LENGTH + BEYOND)
    yield Positive("of a shorter one, for the largest, its sign turned", share(shorter, help, -1), concludes=True)


SCALE, LENGTH_OF, ALONG, SLOPES = (
    sp.Symbol("lambda", positive=True),
    sp.Symbol("b", positive=True),
    array("k"),
    array("p"),
)
"""λ and b of scores s_w = λ b k_w, k_w along the query, and p_w = ∂L/∂s_w: b = ‖q‖ and λ = 1, or b trained, λ = ‖q‖."""


@proves(
    "B9",
    sign("the scale climbs", scale=total(lambda w: SCALE * SLOPES[w] * ALONG[w], V)),
    factor("keys at twice the rate", keys=lambda w: -2 * SCALE * LENGTH_OF * SLOPES[w]),
    assumption("the scale is fixed", scale=sp.S.Zero),
    assumption("keys do not start at 0", start=sp.Symbol("k_0", positive=True)),
    assumption("one topic word for p", words=sp.S.One),
)
def trained_scale(
    *,
    scale: Expr = -total(lambda w: SCALE * SLOPES[w] * ALONG[w], V),
    keys: Term = lambda w: -SCALE * LENGTH_OF * SLOPES[w],
    start: Expr = sp.S.Zero,
    words: Expr = WORDS,
) -> Iterator[Step]:
    """From K = 0 and on any data b² = ½(b₀² + √(b₀⁴ + 4‖s‖²/λ²)) and q keeps its direction, where scores are λ b k_w.

    b is ‖q‖ of a trained query (λ = 1), or a trained inverse temperature (λ = ‖q‖). With p equal words
    ‖ν‖² = 2∫₀^s (1 + e^x/m)/(λ²√(b₀⁴ + 4p x²/λ²)) dx.
    """
    # K = k eᵀ with q = b e: the rates of M1 lie along e.
    unit = array("e")
    along_unit = lambda w, b: -SLOPES[w] * LENGTH_OF * unit[b]
    yield Equal("keys stay along q", -SLOPES[j] * (LENGTH_OF * unit[b]), along_unit(j, b))
    turned = -total(lambda w: SLOPES[w] * (ALONG[w] * unit[b]), V)
    yield Equal("q stays along itself", turned, -total(lambda w: SLOPES[w] * ALONG[w], V) * unit[b])
    square = total(lambda w: ALONG[w] ** 2, V)
    yield Moves("d/dτ (b² - Σ k²)", LENGTH_OF**2 - square, {LENGTH_OF: scale, ALONG: keys}, 0, concludes=True)
    # b² = b₀² + Σ k² from above, if keys start at 0, and ‖s‖² = λ² b² Σ k².
    grown = sp.Symbol("k2", positive=True)
    now = START**2 - start**2 + grown
    yield Equal("(2b² - b₀²)²", (2 * now - START**2) ** 2, START**4 + 4 * now * grown, concludes=True)
    yield Positive("2b² - b₀²", 2 * (START**2 + grown) - START**2)
    # p words of one k, all others at 0, and h = -∂L/∂s of each.
    one, h = sp.Symbol("k", real=True), sp.Symbol("h", real=True)
    flow: Flow = {LENGTH_OF: SCALE * WORDS * h * one, one: SCALE * LENGTH_OF * h}
    both = LENGTH_OF**2 + WORDS * one**2
    yield Moves("ds/dτ of p equal words", SCALE * LENGTH_OF * one, flow, h * SCALE**2 * both)
    speed = lambda score: SCALE**2 * sp.sqrt(START**4 + 4 * words * score**2 / SCALE**2)
    score_square = SCALE**2 * (START**2 + grown) * grown / WORDS
    yield Equal("λ²(b² + p k²)", (SCALE**2 * (START**2 + 2 * grown)) ** 2, speed(sp.sqrt(score_square)) ** 2)
    integral = 2 * sp.Integral((1 + sp.exp(TRAVELLED) / m) / speed(TRAVELLED), (TRAVELLED, 0, S))
    h = -ATTENTION * (1 - ATTENTION) * total(lambda b: NU[b] * push(b), D_E)
    moved = along(total(lambda b: NU[b] ** 2, D_E), {NU: inward})
    yield Equal("d‖ν‖²/dτ", integral.diff(S) * speed(S) * h, moved, concludes=True)
