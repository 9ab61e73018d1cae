"""The score–embedding-norm relation under weight decay, momentum and mini-batches (theory G1 to G3)."""

from collections.abc import Iterator

import sympy as sp

from proofs.attention import attention, contexts, score_gradient
from proofs.conservation import context, embedding_flow, linear_back, linear_flow
from proofs.notation import D_E, D_K, NORM, A, E, G, K, N, Q, U, V, m, n, s
from proofs.proof import Equal, Moves, Step, Tends, assumption, factor, proves, sign
from proofs.sen import ATTENTION, ETA, NU, S, curve, push
from proofs.sums import Expr, Flow, Term, along, array, index, size, stepped, total

w, a, b = (index(name) for name in "wab")
OF_KEYS, OF_EMBEDDINGS, DECAY = sp.symbols("lambda_kappa lambda_nu lambda", positive=True)
"""Weight decay λ_κ of the keys, λ_ν of the embeddings, and λ of all."""
SQUARE = total(lambda b: NU[b] ** 2, D_E)
"""‖ν‖² of the topic word."""
LAW = curve(S) - NORM**2 / 2 * SQUARE
"""I = s + e^s/m - ‖q‖²‖ν‖²/2, which the relation keeps (B1)."""


@proves(
    "G1",
    sign("decay makes embeddings grow", embedding=-1),
    factor("keys decay at twice their rate", key=2),
    factor("m + 1 other words in the attention", others=m + 1),
    assumption("keys do not decay", key=0),
)
def weight_decay(*, key: Expr = sp.S.One, embedding: Expr = sp.S.One, others: Expr = m) -> Iterator[Step]:
    """With decay dI/dτ = λ_ν ‖q‖²‖ν‖² - λ_κ s (1 + e^s/m) whatever the classifier, the loss and the labels.

    So every stationary point lies on λ_ν ‖q‖²‖ν‖² = λ_κ s (1 + e^s/m); on any text it has, for every word,
    λ_κ s_w/‖q‖² = λ_ν ‖ν_w‖² + Σ_i A_iw g_i·v_i. With one λ for all, W = I - 1/m forgets its start at the rate 2λ,
    and what A1 and A3 keep falls like e^{-λτ} and e^{-2λτ}. The givens are factors on the decay that each part has.
    """
    yield from _relation_under_decay(key, embedding, others)
    yield from _any_text(key, embedding)
    yield from _balance_under_decay(key, embedding)


def _relation_under_decay(key: Expr, embedding: Expr, others: Expr) -> Iterator[Step]:
    """Prove the rate of I for a topic word, and what it says for equal decay."""
    attended = sp.exp(S) / (sp.exp(S) + others)
    work = total(lambda b: NU[b] * push(b), D_E)

    def flow(of_keys: Expr, of_embeddings: Expr) -> Flow:
        score = -(NORM**2) * attended * (1 - attended) * work - key * of_keys * S
        return {S: score, NU: lambda b: -attended * push(b) - embedding * of_embeddings * NU[b]}

    shrinking: Flow = {K: lambda w, b: -key * OF_KEYS * K[w, b]}
    score = total(lambda b: K[w, b] * Q[b], D_K)
    yield Moves("a score under decay alone", score, shrinking, -OF_KEYS * score)
    rate = OF_EMBEDDINGS * NORM**2 * SQUARE - OF_KEYS * S * (1 + sp.exp(S) / m)
    yield Moves("dI/dτ", LAW, flow(OF_KEYS, OF_EMBEDDINGS), rate, concludes=True)
    left = LAW - 1 / m
    source = S + (2 * (sp.exp(S) - 1) - S * sp.exp(S)) / m
    yield Moves("d/dτ (I - 1/m)", left, flow(DECAY, DECAY), -2 * DECAY * left + DECAY * source, concludes=True)
    gap = 2 * (S + (sp.exp(S) - 1) / m) - S * (1 + sp.exp(S) / m)
    yield Equal("B1 less the stationary curve", m * gap, (m * S - 2) - sp.exp(S) * (S - 2), concludes=True)


def _any_text(key: Expr, embedding: Expr) -> Iterator[Step]:
    """Prove the relation of a stationary point on any text, and its error where the gradient is not quite 0."""
    back = lambda i, b: G[i, b]
    slope = total(lambda i, b: A[i, w] * G[i, b] * (E[w, b] - context(i, b)), N, D_E)
    of_score = slope + key * OF_KEYS * s[w] / NORM**2
    of_embedding = lambda b: -embedding_flow(back)(w, b) + embedding * OF_EMBEDDINGS * E[w, b]
    beside = total(lambda i, b: A[i, w] * G[i, b] * context(i, b), N, D_E)
    own = OF_EMBEDDINGS * total(lambda b: E[w, b] ** 2, D_E)
    residual = of_score - total(lambda b: E[w, b] * of_embedding(b), D_E)
    yield Equal("λ_κ s/‖q‖² less the rest", OF_KEYS * s[w] / NORM**2 - own - beside, residual, concludes=True)


def _balance_under_decay(key: Expr, embedding: Expr) -> Iterator[Step]:
    """Prove how fast what A1 and A3 keep decays."""
    gradient = score_gradient(attention, contexts(attention))
    keys = total(lambda w: K[w, b], V)
    flow: Flow = {K: lambda w, b: -gradient(w) * Q[b] - key * OF_KEYS * K[w, b]}
    yield Moves("d/dτ Σ κ", keys, flow, -OF_KEYS * keys, concludes=True)
    balance = total(lambda w: E[w, a] * E[w, b], V) - total(lambda c: U[a, c] * U[b, c], n)
    flow = {
        E: lambda w, b: embedding_flow(linear_back)(w, b) - embedding * DECAY * E[w, b],
        U: lambda b, c: linear_flow(b, c) - DECAY * U[b, c],
    }
    yield Moves("d/dτ (EᵀE - U Uᵀ)", balance, flow, -2 * DECAY * balance, concludes=True)


# --- momentum

BETA = sp.Symbol("beta", positive=True)
"""Share β of the last step's buffer that is kept."""
COUNT = size("k")
"""Number k of steps taken."""
LAG = ETA * BETA / (1 - BETA) ** 2
"""Time by which the heavy ball lags that starts from rest."""
F, TURN, THIRD = sp.symbols("f ff T", real=True)
"""Velocity f, its rate f′f along the flow, and the third derivative of the path."""
DIRECTION, BEND = array("r"), array("k")
"""dν/dτ and d²ν/dτ² of the topic word along the flow, any vectors."""


@proves(
    "G2",
    sign("the drift has the other sign", drift=-(1 + BETA) / (1 - BETA) ** 2),
    factor("the drift of the time alone", drift=1 / (1 - BETA) ** 2),
    factor("a buffer that keeps all of the last step", kept=sp.S.One),
    assumption("a score that does not follow the embedding", score=lambda work: NORM**2 * work),
    assumption("a start that moves as fast as the path", lag=sp.S.Zero),
)
def momentum(
    *,
    drift: Expr = (1 + BETA) / (1 - BETA) ** 2,
    kept: Expr = BETA,
    lag: Expr = LAG,
    score: Term = lambda work: NORM**2 * (1 - ATTENTION) * work,
) -> Iterator[Step]:
    """From rest momentum follows dθ/dτ = f - (η/2) (1 + β)/(1 - β)² f'f up to O(η²), behind by the time ηβ/(1 - β)².

    The time is τ = k η/(1 - β); Nesterov's variant lags by ηβ²/(1 - β)². The lag is a shift along f, where I rests. So
    I drifts by (1 + β)/(1 - β)² times what it does under descent, β = 0; for Nesterov's variant by
    (1 - β + 2β²)/(1 - β)². That the steps follow a modified flow is taken from backward error analysis.
    """
    path = "the steps follow a smooth path, up to a lag of the start and what they forget like β^k"
    ahead, behind = _places(drift)
    heavy = ahead - kept * behind - ETA * F
    yield Tends("θ' - θ - β (θ - θ') - η f, over η²", heavy / ETA**2, {ETA: sp.S.Zero}, 0, by=path, concludes=True)
    ahead, behind = _places((1 - BETA + 2 * BETA**2) / (1 - BETA) ** 2)
    # f at the last step, from that at this one: along the path f changes by f'f, times the step's time.
    looking = ahead - kept * behind - ETA * (F + kept * ETA / (1 - BETA) * TURN)
    yield Tends("the same for Nesterov's variant", looking / ETA**2, {ETA: sp.S.Zero}, 0, by=path, concludes=True)
    yield from _from_rest("the heavy ball", kept, lag, ETA * F)
    yield from _from_rest("Nesterov's variant", kept, kept * lag, ETA * (1 + BETA) * F)
    yield Equal("descent, β = 0", ((1 + BETA) / (1 - BETA) ** 2).subs(BETA, 0), 1)
    yield from _drift_of_relation(score)


def _places(drift: Expr) -> tuple[Expr, Expr]:
    """Return θ_{k+1} - θ_k and θ_k - θ_{k-1} on a path with dθ/dτ = f - (η/2) drift f'f, a step of time η/(1 - β)."""
    step, first = ETA / (1 - BETA), F - ETA / 2 * drift * TURN
    ahead = step * first + step**2 / 2 * TURN + step**3 / 6 * THIRD
    return ahead, step * first - step**2 / 2 * TURN + step**3 / 6 * THIRD


def _from_rest(name: str, kept: Expr, lag: Expr, first: Expr) -> Iterator[Step]:
    """Prove the time by which the steps lag under a velocity f that stays as it is, the first order in the step."""
    place = lambda k: (k * ETA / (1 - BETA) - lag * (1 - BETA**k)) * F
    yield Equal(f"{name}: the first step from rest", place(sp.S.One), first, concludes=True)
    ahead, behind = place(COUNT + 1) - place(COUNT), place(COUNT) - place(COUNT - 1)
    yield Equal(f"{name}: every further step", ahead - kept * behind, ETA * F, concludes=True)


def _drift_of_relation(score: Term) -> Iterator[Step]:
    """Prove what a correction -c f′f of the velocity makes of I, for any direction and bend of the embedding's path."""
    pace = score(total(lambda b: NU[b] * DIRECTION[b], D_E))
    flow: Flow = {S: pace, NU: lambda b: DIRECTION[b], DIRECTION: lambda b: BEND[b]}
    yield Moves("dI/dτ along f", LAW, flow, 0)
    c = sp.Symbol("c", positive=True)
    corrected: Flow = {S: pace - c * along(pace, flow), NU: lambda b: DIRECTION[b] - c * BEND[b]}
    speed = total(lambda b: DIRECTION[b] ** 2, D_E)
    yield Moves(
        "dI/dτ along f - c f'f", LAW, corrected, c * (sp.exp(S) / m * pace**2 - NORM**2 * speed), concludes=True
    )


# --- mini-batches

SIZE, HOLDERS = sp.Symbol("B", positive=True), sp.Symbol("M", positive=True)
"""Number B of sentences in a batch, and M = ρN that hold the topic word."""
IN_BATCH = array("chi")
"""Weight of each sentence in a batch: 1/B in it, else 0; here any numbers."""
PAIR = SIZE * (SIZE - 1) / (N * (N - 1))
"""Chance that a batch drawn without replacement has two given sentences."""


@proves(
    "G3",
    sign("scores fall as embeddings grow", score=lambda work: -(1 - ATTENTION) * work),
    factor("the score without its factor 1 - a", score=lambda work: work),
    assumption("noise on the embedding alone", noise=lambda b: array("z")[b]),
    assumption("sentences drawn with replacement", pair=SIZE**2 / N**2),
)
def mini_batches(
    *,
    score: Term = lambda work: (1 - ATTENTION) * work,
    noise: Term = lambda b: sp.S.Zero,
    pair: Expr = PAIR,
) -> Iterator[Step]:
    """I changes by (e^s/m)(e^{Δs} - 1 - Δs) - ‖q‖²‖Δν‖²/2 in a step on any batch: exactly, second order in the step.

    A batch only chooses sentences, and the sum of their g stands in Δν and in Δs alike. A word that stands in a share
    ρ of N sentences, all of which pull it alike, meets hypergeometric numbers of them in batches of B: the means of
    Δs² and ‖Δν‖² are those on all sentences times 1 + (1 - ρ)(N - B)/(ρ B (N - 1)).
    """
    from_batch = lambda b: -ETA * ATTENTION * total(lambda i: IN_BATCH[i] * G[i, b], N)
    slope = total(lambda i, b: IN_BATCH[i] * ATTENTION * (1 - ATTENTION) * G[i, b] * NU[b], N, D_E)
    moved = lambda b: from_batch(b) + noise(b)
    follows = NORM**2 * score(total(lambda b: NU[b] * moved(b), D_E))
    yield Equal("Δs on a batch", -ETA * NORM**2 * slope, follows)
    step = array("dnu")
    pace = NORM**2 * score(total(lambda b: NU[b] * step[b], D_E))
    speed = total(lambda b: step[b] ** 2, D_E)
    change = stepped(LAW, {S: pace, NU: lambda b: step[b]}, sp.S.One) - LAW
    left = lambda pace, speed: sp.exp(S) / m * (sp.exp(pace) - 1 - pace) - NORM**2 / 2 * speed
    yield Equal("change of I in a step", change, left(pace, speed), concludes=True)
    ds, square = sp.Symbol("ds", real=True), sp.Symbol("w", positive=True)
    second = sp.exp(S) / m * ds**2 / 2 - NORM**2 / 2 * square
    scaled = left(ETA * ds, ETA**2 * square) / ETA**2
    yield Tends("the change over η²", scaled, {ETA: sp.S.Zero}, second, concludes=True)
    chance = SIZE / N
    mean, mean_square = HOLDERS * chance, HOLDERS * chance + HOLDERS * (HOLDERS - 1) * pair
    rho = HOLDERS / N
    more = 1 + (1 - rho) * (N - SIZE) / (rho * SIZE * (N - 1))
    linear = "the mean of a sum is the sum of the means"
    yield Equal("mean square over squared mean", mean_square / mean**2, more, by=linear, concludes=True)
