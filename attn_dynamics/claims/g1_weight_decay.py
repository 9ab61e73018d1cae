"""Weight decay: the curve on which training comes to rest, instead of the SEN relation (theory G1)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.drawn import corpora, start, treebank_in_words, treebanks
from attn_dynamics.claims._support.sen import SMOOTH, start_of_topic_words
from attn_dynamics.claims._support.stationary import stationary
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.gradient import loss_and_gradient
from attn_dynamics.model.heads import HEADS, Array, FixedLinear
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.invariants import invariants
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_optimisers import decay_norm
from attn_dynamics.training.descent import descend

DECAYS = ((0.02, 0.02), (0.01, 0.03), (0.03, 0.01))
"""Weight decays λ_κ of keys and λ_ν of embeddings."""
RATE = 0.5
"""Learning rate of the descent that comes to rest."""
LEADERS = 200
"""Number of words of largest score for which the relation on text is measured."""
TEXT_DECAYS = (1e-3, 3e-4)
"""Weight decays on SST-2."""
STATIONARY = 1e-4
"""Largest distance from the relation on text, relative to s, at which a point counts as stationary."""
SQUARES = ("query_keys", "embeddings_head", "hidden_units")
"""Conserved quantities that are quadratic in the parameters; the others are linear."""
Curve = Callable[[Array, float, float, float], Array]
"""Function that returns ‖ν‖ at rest from s, m, ‖q‖ and λ_κ/λ_ν, as `decay_norm` does."""


@claims(
    "G1",
    control("SEN for the stationary curve", curve=lambda s, m, q, ratio: sen_norm(s, m, q)),
    control("m + 1 other words", curve=lambda s, m, q, ratio: decay_norm(s, m + 1, q, ratio)),
    control("İ = 0, as without decay", rate=lambda s, norm, m, q, of_keys, of_embeddings: 0.0 * s),
    control("the words beside are left out", beside=0.0),
    control("the solver stops early", most=10),
    control("conserved quantities do not decay", forgets=0.0),
    control("squares decay as fast as sums", forgets=1.0),
    name="SEN, weight decay",
    foundations=("A1", "A4", "A6", "A7", "B1"),
    statement=r"\dot{I} = \lambda_\nu \|q\|^2 \|\nu\|^2 - \lambda_\kappa s (1 + e^s/m), \quad "
    r"\lambda_\kappa s_w / \|q\|^2 = \lambda_\nu \|\nu_w\|^2 + \sum_i A_{iw} g_i \cdot v_i",
    assumptions="the query is fixed. Rate, at rest: as B1, under any head; 15 % of labels are random. Text: any text "
    "and head, at a stationary point. Balances: one λ for all parts, under which what A1 to A4 and A7 conserve decays "
    "at the rates λ and 2λ",
    quantity="rate: distance of İ from the statement at random states, relative to its terms. At rest: relative "
    "distance of ‖ν‖ from the curve İ = 0 where descent came to rest, as a share of its bound. Text: distance of s_w "
    "from the second relation for the words of largest score, as a share of its bound. Balances: distance of the decay "
    "rates from λ and 2λ",
    tolerance="rate: 8 ε, balances: ε, with ε = 2⁻⁵². At rest: ε/(ηλ), because each step rounds by ε, and later steps "
    "forget this at the rate ηλ. Text: twice what the gradient left there allows, |∂L/∂s| + ‖ν‖‖∂L/∂ν‖ over λ, but at "
    "most 1e-4 of s, so that a point which is not stationary fails",
)
def relation_under_decay(
    *,
    quick: bool,
    curve: Curve = decay_norm,
    rate: Callable[..., Array] = lambda s, norm, m, q, of_keys, of_embeddings: (
        of_embeddings * np.square(q * norm) - of_keys * s * (1.0 + np.exp(s) / m)
    ),
    beside: float = 1.0,
    most: int = 2000,
    forgets: float = 2.0,
) -> Measured:
    """Measure rates at random states, descents that come to rest, and stationary points on text."""
    others, decays = ((3,), DECAYS[1:]) if quick else ((1, 3, 7), DECAYS)
    cases, states = (list(product(models, others, decays)) for models in (SMOOTH, HEADS))
    text = [_off_on_text(*each, beside, most) for each in _texts(quick=quick)]
    seen = "; ".join(
        f"{off:.1e} of s on {data}, {model}, λ = {decay:g}"
        for (data, model, decay), (_, off) in zip(_texts(quick=quick), text, strict=True)
    )
    return together(
        f"{seen}; {treebank_in_words(quick=quick, measured=f'{LEADERS} words of SST-2')}",
        rate=Measured(largest(_rate_off(*state, rate) for state in states), 8 * EPS, within=SCATTER),
        at_rest=Measured(largest(_share_at_rest(*case, curve) for case in cases), 1.0, within=SCATTER),
        text=Measured(largest(share for share, _ in text), 1.0),
        balances=Measured(largest(_balance_off(model, forgets) for model in HEADS), EPS, within=SCATTER),
    )


# --- the topic word


@cache
def labelled_at_random(others: int, topics: int = 3, repeats: int = 20) -> tuple[Corpus, list[str], list[str]]:
    """Build `repeats` sentences for each topic word among words that all share; 15 % have random labels."""
    words, rest = [f"t{topic}" for topic in range(topics)], [f"w{other}" for other in range(others)]
    labels, rng = np.repeat(np.arange(topics), repeats), np.random.default_rng(0)
    noisy = rng.random(labels.size) < 0.15
    flipped = np.where(noisy, rng.integers(topics, size=labels.size), labels)
    sentences = [[words[topic], *rest] for topic in labels]
    return Corpus.from_sentences(sentences, flipped, n_classes=topics), words, rest


def _rate_off(model: str, others: int, decay: tuple[float, float], rate: Callable[..., Array]) -> float:
    """Return the distance of dI/dτ from the theory at a random state, relative to its terms."""
    corpus, words, _ = labelled_at_random(others)
    state = start_of_topic_words(corpus, words, model, key=1.0, embedding=1.0)
    columns, (of_keys, of_embeddings) = corpus.columns(words), decay
    _, slope = loss_and_gradient(corpus, state)
    square, s, nu = float(state.query @ state.query), state.scores[columns], state.embeddings[columns]
    paces = -(slope.keys[columns] @ state.query), -of_keys * s
    pushes = -(nu * slope.embeddings[columns]).sum(axis=1), -of_embeddings * np.square(nu).sum(axis=1)
    terms = [*((1.0 + np.exp(s) / others) * pace for pace in paces), *(-square * push for push in pushes)]
    expected = rate(s, np.linalg.norm(nu, axis=1), others, square**0.5, of_keys, of_embeddings)
    return float((np.abs(sum(terms) - expected) / np.sum(np.abs(terms), axis=0)).max())


class AtRest(NamedTuple):
    """Topic words where descent with decay came to rest."""

    score: Array
    norm: Array
    query_norm: float


@cache
def at_rest(model: str, others: int, decay: tuple[float, float]) -> AtRest:
    """Run descent with decay until its start is forgotten to round-off."""
    corpus, words, rest = labelled_at_random(others)
    begin = start_of_topic_words(corpus, words, model)
    of_keys, of_embeddings = decay
    parts = {"keys": of_keys, "embeddings": of_embeddings, "head": of_embeddings}
    train = TRAINABLE[1:] if begin.head.trained else TRAINABLE[1:3]
    epochs = round(60.0 / (RATE * min(decay)))
    run = descend(
        corpus,
        begin,
        learning_rate=RATE,
        epochs=epochs,
        train=train,
        decay={part: parts[part] for part in train},
        follow=words,
        frozen_words=rest,
    ).trajectory
    return AtRest(run.score.values[-1], run.embedding_norm.values[-1], float(np.linalg.norm(begin.query)))


def _share_at_rest(model: str, others: int, decay: tuple[float, float], curve: Curve) -> float:
    """Return the largest relative distance of ‖ν‖ from the curve, as a share of ε/(ηλ)."""
    rest = at_rest(model, others, decay)
    off = rest.norm / curve(rest.score, others, rest.query_norm, decay[0] / decay[1]) - 1.0
    return float(np.abs(off).max()) / (EPS / (RATE * min(decay)))


# --- any text


def _texts(*, quick: bool) -> Iterator[tuple[str, str, float]]:
    """Yield the data's name, the model's name, and λ."""
    yield from (("ragged sentences", model, 0.01) for model in SMOOTH)
    yield from ((name, "attn-fc", decay) for name in treebanks(quick=quick) for decay in TEXT_DECAYS)


@cache
def at_stationary_point(data: str, model: str, decay: float, most: int = 2000) -> tuple[Corpus, Parameters]:
    """Return a text and a stationary point on it.

    On SST-2 the model has the one dimension that can move (A6); ‖q‖ and the head's contrast have the size of LMN21's
    start at d = 200.
    """
    if data in (treebank := treebanks(quick=False)):
        corpus = treebank[data]
        begin = Parameters(
            query=np.array([4.0]),
            keys=np.zeros((corpus.n_words, 1)),
            embeddings=1e-3 * np.random.default_rng(0).standard_normal((corpus.n_words, 1)),
            head=FixedLinear(weight=np.array([[10.0, -10.0]])),
        )
        return corpus, stationary(corpus, begin, decay, most=most)
    corpus = corpora(quick=True)[0]
    drawn = start(corpus, model)
    train = TRAINABLE[1:] if drawn.head.trained else TRAINABLE[1:3]
    return corpus, stationary(corpus, replace(drawn, keys=np.zeros_like(drawn.keys)), decay, train, most=most)


def _off_on_text(data: str, model: str, decay: float, beside: float, most: int) -> tuple[float, float]:
    """Return the largest distance of s_w from the relation, as a share of its bound and relative to s_w."""
    corpus, point = at_stationary_point(data, model, decay, most)
    _, slope = loss_and_gradient(corpus, point)
    s, square = point.scores, float(point.query @ point.query)
    leaders = np.argsort(-s, kind="stable")[: min(LEADERS, corpus.n_words // 4)]
    norm = np.linalg.norm(point.embeddings, axis=1)
    of_keys, of_embeddings = slope.keys + decay * point.keys, slope.embeddings + decay * point.embeddings
    left = np.abs(of_keys @ point.query) / square + norm * np.linalg.norm(of_embeddings, axis=1)
    predicted = square * (norm**2 + beside * work_of_contexts(corpus, point) / decay)
    off = np.abs(s - predicted)[leaders]
    allowed = np.minimum(2.0 * square * left[leaders] / decay, STATIONARY * s[leaders])
    return float((off / allowed).max()), float((off / s[leaders]).max())


def work_of_contexts(corpus: Corpus, point: Parameters) -> Array:
    """Return Σ_i A_iw g_i·v_i of every word (V,), computed without the compiled gradient."""
    counts = corpus.counts
    data = counts.data * np.exp(point.scores[counts.indices])
    weights = csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
    attention = weights.multiply(1.0 / weights.sum(axis=1)[:, None]).tocsr()
    contexts = attention @ point.embeddings
    logits, kept = point.head.forward(point.head.first_layer.T @ contexts.T)
    odds = np.exp(logits - logits.max(axis=0))
    slopes = (odds / odds.sum(axis=0) - np.eye(corpus.n_classes)[corpus.labels].T) / corpus.n_sentences
    back = point.head.first_layer @ point.head.backward(kept, slopes)[0]
    return attention.T @ (back.T * contexts).sum(axis=1)


# --- quantities that are conserved without decay


def _balance_off(model: str, forgets: float, decay: float = 0.3) -> float:
    """Return the distance of decay rates from λ and 2λ, relative to their terms.

    The rates are those of the quantities which A1 to A4 and A7 conserve without decay. These are linear or quadratic,
    so the central difference along the velocity is exact.
    """
    corpus = corpora(quick=True)[0]
    state = start(corpus, model)
    _, slope = loss_and_gradient(corpus, state)
    ahead, here, behind = (invariants(_moved(state, slope, decay, length), TRAINABLE) for length in (1.0, 0.0, -1.0))
    size = sum(float(np.square(array).sum()) for array in (state.query, state.keys, state.embeddings))
    offs = []
    for name, kept in here.items():
        power = forgets if name in SQUARES else 1.0
        pace = 0.5 * (ahead[name] - behind[name])
        offs.append(float(np.abs(pace + power * decay * kept).max()) / size)
    return largest(offs)


def _moved(state: Parameters, slope: Parameters, decay: float, length: float) -> Parameters:
    """Return the state after a step along the velocity with decay."""
    arrays = {
        name: getattr(state, name) - length * (getattr(slope, name) + decay * getattr(state, name))
        for name in TRAINABLE[:3]
    }
    slopes = slope.head.arrays()
    head = {name: array - length * (slopes[name] + decay * array) for name, array in state.head.arrays().items()}
    return replace(state, **arrays, head=state.head.replace(**head) if state.head.trained else state.head)
