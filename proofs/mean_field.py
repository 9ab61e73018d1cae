"""Mean field: with symmetric topics the whole trajectory closes in a few numbers (C1, C9, C10; theory §4)."""

from collections.abc import Iterator

import sympy as sp

from proofs.notation import NORM, N, m, n
from proofs.proof import Equal, Moves, Step, Tends, assumption, factor, proves, sign
from proofs.sums import Expr, Flow, Term, array, delta, index, size, total

k, c, e = index("k"), index("c"), index("e")
"""Class of the topic word, and two more classes."""
i, b = index("i"), index("b")
"""Indices of a sentence and of an embedding dimension."""
S, X, S_W, X_W = sp.symbols("s x s_w x_w", real=True)
"""Score of the topic word and its logit x, and those of another word of its sentences."""
RHO, U = sp.symbols("rho u", positive=True)
"""Share of the sentences that contain the topic word, and norm of a column of the head."""
PI = sp.Symbol("pi", positive=True)
"""Probability π of the right class."""
A = sp.Symbol("a", positive=True)
A_W = (1 - A) / m
"""Attention of the topic word and of each of the m others."""


def rates(a: Expr = A, wrong: Expr = 1 - PI, x_w: Expr = sp.S.Zero) -> Flow:
    """Return ds/dτ and dx/dτ of C1, or of C9 with x_w, if the wrong classes have probability 1 - π."""
    return {
        S: NORM**2 * RHO * a * (1 - a) * wrong * (X - x_w) * n / (n - 1),
        X: RHO * a * U**2 * wrong,
    }


def contrast(k: Expr, c: Expr) -> Expr:
    """Return 1 at class k and -1/(n - 1) elsewhere."""
    return (n * delta(k, c) - 1) / (n - 1)


def softmax(logit: Term) -> Term:
    """Return π_c of logits z_c."""
    return lambda c: 1 / total(lambda e: sp.exp(logit(e) - logit(c)), n)


def right(margin: Expr) -> Expr:
    """Return π if the right class leads every other by the margin."""
    return 1 / (1 + (n - 1) * sp.exp(-margin))


def slope(c: Expr) -> Expr:
    """Return ζ_c = ∂L/∂z_c of one sentence of class k, (π_c - δ_kc)/N with equal π_c for all wrong classes."""
    return -(1 - PI) / N * contrast(k, c)


def equal_norms(e: Expr, c: Expr) -> Expr:
    """Return UᵀU = u², for orthogonal head columns of equal length."""
    return U**2 * delta(e, c)


def _attention(other_score: Term, one: Expr = S_W) -> Iterator[Step]:
    """Prove the attention of the topic word and of another word, if all others of a sentence have one score."""
    mass = sp.exp(S) + total(lambda j: sp.exp(other_score(j)), m)
    attention = sp.exp(S) / (sp.exp(S) + m * sp.exp(one))
    yield Equal("a", sp.exp(S) / mass, attention)
    yield Equal("a_w", sp.exp(other_score(index("j"))) / mass, A_W.subs(A, attention))


def _probabilities(logit: Term, margin: Expr) -> Iterator[Step]:
    """Prove π and ζ of a sentence of class k."""
    yield Equal("π", softmax(logit)(k), right(margin), concludes=True)
    yield Equal("ζ", (softmax(logit)(c) - delta(k, c)) / N, slope(c).subs(PI, right(margin)))


def _linear_head(kept: Expr, x_w: Expr, gram: Term, sense: Expr) -> Iterator[Step]:
    """Prove that logits that are multiples of the contrast stay so; by law A6 their rates are those of P = E U."""
    stated = rates(x_w=kept)
    topic, word = (lambda c: X * contrast(k, c)), (lambda c: x_w * contrast(k, c))
    context = lambda c: A * topic(c) + m * A_W * word(c)
    yield from _probabilities(context, (A * X + m * A_W * kept) * n / (n - 1))
    rate = lambda share: -sense * share * total(lambda e: slope(e) * gram(e, c), n)
    yield Equal("dP_t/dτ", rate(RHO * N * A), stated[X] * contrast(k, c), concludes=True)
    yield Equal("dP_w/dτ", rate(A_W), U**2 * A_W * (1 - PI) / N * contrast(k, c), concludes=kept != 0)
    pull = lambda share, own: -(NORM**2) * share * total(lambda c: slope(c) * (own(c) - context(c)), n)
    yield Equal("ds/dτ", pull(RHO * N * A, topic), stated[S], concludes=True)
    # A1: the m neighbours in each of its ρN sentences lose what the topic word gains.
    lost = -stated[S] / (RHO * N * m)
    yield Equal("ds_w/dτ", pull(A_W, word), lost, concludes=kept != 0)
    # From a zero start ν lies in the span of U (A6), so ν = U P/u².
    square = total(lambda c, e: topic(c) * gram(c, e) * topic(e), n, n) / U**4
    yield Equal("‖ν‖²", square, X**2 * n / ((n - 1) * U**2), concludes=True)


UNEQUAL = lambda e, c: array("w", positive=True)[c] ** 2 * delta(e, c)


@proves(
    "C1",
    sign("the parameters climb", sense=-1),
    factor("columns of the head half as long", gram=lambda e, c: equal_norms(e, c) / 4),
    assumption("columns of the head of unequal norm", gram=UNEQUAL),
    assumption("the others' scores do not stay at 0", other_score=lambda j: S_W),
    assumption("the others learn", x_w=X_W),
    assumption("topics are not equally frequent", share=lambda k: array("f", positive=True)[k]),
    assumption("a large dictionary, but 800 sentences", sentences=sp.Integer(800)),
)
def attn_fc(
    *,
    gram: Term = equal_norms,
    other_score: Term = lambda j: sp.S.Zero,
    x_w: Expr = sp.S.Zero,
    share: Term = lambda k: 1 / n,
    sentences: Expr = sp.oo,
    sense: Expr = sp.S.One,
) -> Iterator[Step]:
    """Attn-FC in mean field: Uᵀν_t = x · contrast stays so, and x, s obey two equations.

    The others are held at 0, or N → ∞ in a dictionary that is larger still. In the limit, what one sentence teaches its
    own words falls like 1/N beside what the topic word learns. So does the score that a word loses. A large dictionary
    alone keeps both, which is C9. If sentences of all topics share a word, their pushes on it cancel.
    """
    yield from _attention(other_score, sp.S.Zero)
    yield from _linear_head(sp.S.Zero, x_w, gram, sense)
    yield Equal("push on a word of all topics", total(lambda k: share(k) * contrast(k, c), n), 0)
    own, topic = U**2 * A_W * (1 - PI) / N, rates()[X]
    yield Tends("dx_w/dτ over dx/dτ", own / topic, {N: sentences}, sp.S.Zero, concludes=True)
    yield Tends("ds_w/dτ over -ds/dτ", 1 / (RHO * N * m), {N: sentences}, sp.S.Zero, concludes=True)


@proves(
    "C9",
    sign("the parameters climb", sense=-1),
    factor("columns of the head half as long", gram=lambda e, c: equal_norms(e, c) / 4),
    factor("the private part is lost from the logits", x_w=sp.S.Zero),
    assumption("columns of the head of unequal norm", gram=UNEQUAL),
    assumption("the others' scores differ", other_score=lambda j: array("r")[j]),
)
def memorisation(
    *,
    gram: Term = equal_norms,
    other_score: Term = lambda j: S_W,
    x_w: Expr = X_W,
    sense: Expr = sp.S.One,
) -> Iterator[Step]:
    """Attn-FC with memorisation: every other word stands in one sentence and learns its class, x_w, and s_w falls.

    The topic word and the others of its sentences are the same in all of them, so s, s_w, x and x_w close. C1 is
    x_w = s_w = 0.
    """
    yield from _attention(other_score)
    yield from _linear_head(X_W, x_w, gram, sense)


XI, XI_W, U0 = *sp.symbols("xi xi_w", real=True), sp.Symbol("u_0", positive=True)
"""Lengths of embeddings in Attn-TC, and of the columns of U₀."""
TP = size("tp")
"""Number of topic words of a topic."""


def centred(k: Expr, c: Expr) -> Expr:
    """Return e_k - 1/n in the orthonormal basis Û = U₀/u₀, which law A6 permits."""
    return delta(k, c) - 1 / n


DIMENSIONS = size("d")
EMBEDDING, OTHER, WEIGHT, ERROR = array("nu"), array("o"), array("W"), array("delta")
"""ν_b of a topic word, ν_wb of the others of its sentences, U_bc, and δ_c = [c = k] - π_c."""
TOPICS, CONTEXT, ERRORS, SHARE = size("T"), array("v"), array("Delta"), array("r", positive=True)
"""Number of topic words, their contexts v_tb, their δ_tc, and their shares ρ_t of the sentences."""


def _in_vectors(other: Term, sense: Expr) -> Iterator[Step]:
    """Prove that the rates close in ν, ν_w, s, s_w and U, because all sentences of a topic word share v and δ.

    Nothing is assumed about U, the start, or the frequencies of the topics.
    """
    embedding = lambda b: EMBEDDING[b]
    context = lambda b: A * embedding(b) + m * A_W * other(b)
    # M2 and M4: ζ = -δ/N in each sentence, and g = Uζ.
    back = lambda b: -total(lambda c: WEIGHT[b, c] * ERROR[c], n) / N
    pulled = total(lambda c: WEIGHT[b, c] * ERROR[c], n)
    yield Equal("dν/dτ", -sense * RHO * N * A * back(b), RHO * A * pulled, concludes=True)
    yield Equal("dν_w/dτ", -sense * A_W * back(b), (1 - A) / (m * N) * pulled, concludes=True)
    score = lambda share, own: -(NORM**2) * share * total(lambda b: back(b) * (own(b) - context(b)), DIMENSIONS)
    apart = total(lambda b, c: (EMBEDDING[b] - OTHER[b]) * WEIGHT[b, c] * ERROR[c], DIMENSIONS, n)
    stated = NORM**2 * RHO * A * (1 - A) * apart
    yield Equal("ds/dτ in vectors", score(RHO * N * A, embedding), stated, concludes=True)
    yield Equal("ds_w/dτ in vectors", score(A_W, other), -stated / (RHO * N * m), concludes=True)
    slopes = lambda t: SHARE[t] * N * CONTEXT[t, b] * -ERRORS[t, c] / N
    head = total(lambda t: SHARE[t] * CONTEXT[t, b] * ERRORS[t, c], TOPICS)
    yield Equal("dU/dτ in vectors", -sense * total(slopes, TOPICS), head, concludes=True)


@proves(
    "C10",
    sign("the head climbs", head=-1),
    sign("all parameters climb", sense=-1),
    factor("a factor 2 in the rate of the head", head=2),
    factor("one topic word instead of all in the law of u", counted=1),
    assumption("sentences without topic word", frequency=sp.Symbol("f", positive=True)),
    assumption("the embeddings do not start at 0", offset=lambda c: array("o")[c]),
    assumption("the others of a sentence differ from those of another", other=lambda b: array("w")[i, b]),
    case="vectors with s_w, and scalars for equal ρ with s_w held at 0",
)
def attn_tc(
    *,
    offset: Term = lambda c: sp.S.Zero,
    frequency: Expr = 1 / (n * TP),
    counted: Expr = TP,
    head: Expr = sp.S.One,
    other: Term = lambda b: OTHER[b],
    sense: Expr = sp.S.One,
) -> Iterator[Step]:
    """Attn-TC in mean field closes in the vectors ν, ν_w, U; for equal ρ ν_t = ξ Û(e_k - 1/n) stays so, with ξ, ξ_w, s.

    The vectors close from any start under any linear head. Scalars suffice from an orthogonal U₀ and E(0) = 0, with tp
    topic words of equal frequency for each topic and one in each sentence. Then the centred part of U scales by u/u₀.
    The part of U that all columns share stays constant, and nothing depends on it.
    """
    yield from _in_vectors(other, sense)
    load = A * XI + m * A_W * XI_W
    topic, context = (lambda c: XI * centred(k, c) + offset(c)), (lambda c: load * centred(k, c))
    weight = lambda e, c: U * centred(e, c) + U0 / n
    logit = lambda c: total(lambda e: weight(e, c) * (load * centred(k, e) + A * offset(e)), n)
    yield from _probabilities(logit, U * load)
    back = lambda e: total(lambda c: weight(e, c) * slope(c), n)
    gain = U * (1 - PI) * n / (n - 1)
    rate = lambda share: -share * back(c)
    yield Equal("dξ/dτ", rate(RHO * N * A), RHO * A * gain * centred(k, c), concludes=True)
    yield Equal("dξ_w/dτ", rate(A_W), A_W / N * gain * centred(k, c), concludes=True)
    pull = -(NORM**2) * RHO * N * A * total(lambda e: back(e) * (topic(e) - context(e) - A * offset(e)), n)
    yield Equal("ds/dτ", pull, NORM**2 * RHO * A * (1 - A) * (1 - PI) * U * (XI - XI_W), concludes=True)
    # All topics k, each with tp ρN sentences.
    seen = lambda k: TP * RHO * N * (load * centred(k, e) + A * offset(e))
    learned = -head * total(lambda k: seen(k) * -(1 - PI) / N * contrast(k, c), n)
    speed = TP * RHO * (1 - PI) * load * n / (n - 1)
    yield Equal("dU/dτ", learned, speed * centred(e, c), concludes=True)
    law = U**2 - counted * XI**2 - N / n * m * XI_W**2
    flow = {U: speed, XI: RHO * A * gain, XI_W: A_W / N * gain}
    closed: Flow = {each: rate.subs(RHO, frequency) for each, rate in flow.items()}
    yield Moves("u² - tp ξ² - (N/n) m ξ_w²", law, closed, sp.S.Zero, concludes=True)
    yield Equal("with u held it is C9", U * XI * centred(k, c), (U * XI * (n - 1) / n) * contrast(k, c))
    yield Equal("‖ν‖²", total(lambda c: topic(c) ** 2, n), XI**2 * (n - 1) / n, concludes=True)
