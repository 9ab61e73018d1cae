"""SEN relation in training with the other words held, as in an infinite dictionary (theory B1, B3 to B5)."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import lambertw, wrightomega

from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen import sen_norm, sen_score
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query
from attn_dynamics.training.descent import descend
from attn_dynamics.training.flow import flow

RTOL, ATOL = 1e-11, 1e-14
"""Relative and absolute tolerance of a step of the solver."""
ALONG_FLOW = 30 * RTOL
"""Largest distance of a flow from a law that it keeps."""
OF_FLOW = 30.0
"""Largest ratio of `ALONG_FLOW` to its value."""
FLOW_TOLERANCE = "30 rtol, rtol = 1e-11 the tolerance of a step of the solver, whose errors over some hundred add up"
TIME = 20.0
SMOOTH = [model for model, head in HEADS.items() if head.smooth]
"""Models whose flow a solver can follow; the others are measured by descent with ever smaller steps (B3)."""


class Followed(NamedTuple):
    """Course of topic words along a run."""

    others: int
    """m, number of other words."""
    query_norm: float
    """Query norm ‖q‖."""
    score: Array
    """Scores (times, words)."""
    norm: Array
    """Embedding norms ‖ν‖ (times, words)."""


Relation = Callable[..., Array]
"""Function that returns ‖ν‖ from s, m, ‖q‖, s₀ and ‖ν₀‖, as `sen_norm` does."""


def among_one_more(s: Array, m: float, q: float, s0: Array, norm0: Array) -> Array:
    """Return the relation for m + 1 other words."""
    return sen_norm(s, m + 1, q, s0, norm0)


def without_its_half(s: Array, m: float, q: float, s0: Array, norm0: Array) -> Array:
    """Return the relation with ‖q‖² instead of ‖q‖²/2."""
    return sen_norm(s, m, q * 2**0.5, s0, norm0)


def by_omega_alone(norm: Array, m: float, q: float, s0: Array | float = 0.0, norm0: Array | float = 0.0) -> Array:
    """Return the inverse exactly as stated."""
    c = s0 + np.exp(s0) / m + 0.5 * q**2 * (norm**2 - norm0**2)
    return c - wrightomega(c - np.log(m)).real


def by_lambert(norm: Array, m: float, q: float, s0: Array | float = 0.0, norm0: Array | float = 0.0) -> Array:
    """Return the inverse by Lambert's W, which ω avoids."""
    c = s0 + np.exp(s0) / m + 0.5 * q**2 * (norm**2 - norm0**2)
    with np.errstate(over="ignore", invalid="ignore"):
        return c - lambertw(np.exp(c) / m).real


@claims(
    "B1",
    control("m + 1 other words", relation=among_one_more),
    control("‖q‖² for ‖q‖²/2", relation=without_its_half),
    control("other words are trained too", hold=False),
    statement=r"s + e^s/m - (s_0 + e^{s_0}/m) = \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2)",
    source="LMN21",
    assumptions="query fixed; a smooth head; the topic word stands once in each of its sentences, among m words whose "
    "scores and embeddings stay 0",
    quantity="largest relative distance of ‖ν‖ from the relation, over words, times, heads and m",
    tolerance=FLOW_TOLERANCE,
)
def relation_along_flow(*, quick: bool, relation: Relation = sen_norm, hold: bool = True) -> Measured:
    """Measure gradient flow from starts that differ from zero."""
    runs = [along_flow(model, m, hold=hold) for model in SMOOTH for m in ((1, 3) if quick else (1, 2, 3, 7, 20))]
    return Measured(largest(_distance(run, relation) for run in runs), ALONG_FLOW, within=OF_FLOW)


@claims(
    "B3",
    control("m + 1 other words", relation=among_one_more),
    control("‖q‖² for ‖q‖²/2", relation=without_its_half),
    control("other words are trained too", hold=False),
    statement=r"\frac{\|\nu(\tau)\|}{\|\nu\|_{\mathrm{SEN}}(s(\tau))} - 1 = O(\eta)",
    assumptions="as B1, for every head, under gradient descent at learning rate η up to the same time τ, along runs "
    "whose scores, embeddings and gradients stay bounded as η → 0",
    quantity="largest distance from 1 of the order in η of the distance of ‖ν‖ from the relation",
    tolerance="0.03: the order is a slope of logarithms; the next order bends it by some tenths of the largest η, 0.1",
)
def order_of_descent(*, quick: bool, relation: Relation = sen_norm, hold: bool = True) -> Measured:
    """Measure the order of descent's own error: the flow itself keeps the relation."""
    rates, orders = [0.1 / 2**halvings for halvings in range(3 if quick else 6)], {}
    for model in HEADS:
        distances = [_distance(_descended(model, rate, hold), relation) for rate in rates]
        orders[model] = power_law(rates, distances).exponent
    detail = ", ".join(f"{model} {order:.3f}" for model, order in orders.items())
    return Measured(largest(abs(order - 1.0) for order in orders.values()), 0.03, f"orders: {detail}", within=20.0)


@claims(
    "B4",
    control("m + 1 other words", inverse=lambda norm, m, *rest: sen_score(norm, m + 1, *rest)),
    control("m is lost", inverse=lambda norm, m, *rest: sen_score(norm, 1.0, *rest)),
    control("Lambert's W of e^c/m, which overflows, for ω", inverse=by_lambert),
    control("c - ω alone, which cancels near the start", inverse=by_omega_alone),
    statement=r"s = c - \omega(c - \ln m), \ c = s_0 + e^{s_0}/m + \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2)",
    assumptions="as B1",
    quantity="largest ratio of an error to its tolerance: of s from 1e-20 to 25, there and back; of ‖ν‖ from 1e-12 to "
    "1e6; of s along flow",
    tolerance="relative 4 ε, and 4 ε (1 + |s|) for ‖ν‖, which goes with e^{s/2}; 30 rtol (1 + |s|) along flow",
)
def closed_inverse(*, quick: bool, inverse: Relation = sen_score) -> Measured:
    """Measure a grid of s, ‖ν‖, m and ‖q‖, and flow from starts that differ from zero."""
    eps, points = 4 * np.finfo(float).eps, 50 if quick else 1000
    m, q = np.array([1.0, 3.0, 20.0, 1e3, 1e5])[:, None, None], np.array([0.3, 1.0, 3.0])[:, None]
    score, norm = np.geomspace(1e-20, 25.0, points), np.geomspace(1e-12, 1e6, points)
    found = inverse(norm, m, q)
    there_and_back = np.abs(inverse(sen_norm(score, m, q), m, q) - score) / score
    norms = np.abs(sen_norm(found, m, q) / norm - 1.0) / (1.0 + np.abs(found))
    flowed = [
        np.abs(inverse(norm, m, q, score[0], norm[0]) - score) / (1.0 + np.abs(score))
        for m, q, score, norm in (along_flow(model, m) for model in SMOOTH for m in (1, 3))
    ]
    return together(
        there_and_back=Measured(float(there_and_back.max()), eps, within=SCATTER),
        norms=Measured(float(norms.max()), eps, within=SCATTER),
        flow=Measured(float(np.max(flowed)), ALONG_FLOW, within=OF_FLOW),
    )


@claims(
    "B5",
    control("the curve of a fixed query", relation=sen_norm),
    control("m + 1 other words", relation=lambda s, m, q: sen_norm_trained_query(s, m + 1, q)),
    control("the key does not start at 0", key=0.3),
    statement=r"\|q\|^2 - \|\kappa\|^2 = \|q_0\|^2, \ "
    r"\|\nu\|^2 = 2 \int_0^s \frac{1 + e^x/m}{\sqrt{\|q_0\|^4 + 4 x^2}} \, dx",
    assumptions="query trained; a smooth head; one topic word, once in its sentence, κ₀ = 0 and ν₀ = 0; its m other "
    "words are held at key 0 and embedding 0, so whatever the query does their scores stay 0: exact, no limit is taken",
    quantity="largest relative distance of ‖q‖² - ‖κ‖² (at the end) and of ‖ν‖ from what they should be, in shares of "
    "its bound",
    tolerance=f"{FLOW_TOLERANCE}; rtol for ‖q‖² - ‖κ‖²",
)
def trained_query_along_flow(
    *, quick: bool, relation: Callable[..., Array] = sen_norm_trained_query, key: float = 0.0
) -> Measured:
    """Measure gradient flow of query, key, embedding and head."""
    laws, distances = [], []
    for model in SMOOTH:
        for others in (1, 3) if quick else (1, 2, 3, 7, 20):
            corpus, words, rest = topic_words_among(others, topics=1)
            start = start_of_topic_words(corpus, words, model, seed=1, key=key, embedding=0.0)
            train = ("query", "keys", "embeddings", "head")
            run = flow(corpus, start, train=train, time=TIME, follow=words, hold=rest, rtol=RTOL, atol=ATOL)
            assert run.parameters is not None
            square = start.query @ start.query
            law = run.parameters.query @ run.parameters.query - np.square(run.parameters.keys).sum()
            after = run.trajectory.isel(time=slice(1, None))
            predicted = relation(after.score.values, others, square**0.5)
            laws.append(law / square - 1.0)
            distances += (after.embedding_norm.values / predicted - 1.0).ravel().tolist()
    return together(
        conserved=Measured(float(np.abs(laws).max()), RTOL, within=SCATTER),
        norm=Measured(float(np.abs(distances).max()), ALONG_FLOW, within=OF_FLOW),
    )


@cache
def along_flow(model: str, others: int, *, hold: bool = True) -> Followed:
    """Follow three topic words along flow, with the other words held or not."""
    corpus, words, rest = topic_words_among(others, topics=3)
    start = start_of_topic_words(corpus, words, model)
    held = rest if hold else ()
    run = flow(corpus, start, time=TIME, follow=words, hold=held, rtol=RTOL, atol=ATOL).trajectory
    return Followed(others, float(np.linalg.norm(start.query)), run.score.values, run.embedding_norm.values)


def _distance(run: Followed, relation: Relation) -> float:
    distances = run.norm / relation(run.score, run.others, run.query_norm, run.score[0], run.norm[0]) - 1.0
    return float(np.abs(distances).max())


@cache
def _descended(model: str, rate: float, hold: bool) -> Followed:
    """Follow the same three words under descent, at the start and at the end."""
    corpus, words, rest = topic_words_among(3, topics=3)
    start = start_of_topic_words(corpus, words, model)
    held, epochs = rest if hold else (), round(TIME / rate)
    run = descend(corpus, start, learning_rate=rate, epochs=epochs, follow=words, hold=held).trajectory
    ends = run.isel(epoch=[0, -1])
    return Followed(3, float(np.linalg.norm(start.query)), ends.score.values, ends.embedding_norm.values)


def topic_words_among(others: int, *, topics: int) -> tuple[Corpus, list[str], list[str]]:
    """Build one sentence per topic: its topic word once, and `others` words that all sentences share."""
    words, rest = [f"t{topic}" for topic in range(topics)], [f"w{other}" for other in range(others)]
    sentences = [[word, *rest] for word in words]
    return Corpus.from_sentences(sentences, range(topics), n_classes=max(topics, 2)), words, rest


def start_of_topic_words(
    corpus: Corpus, words: list[str], model: str, seed: int = 0, *, key: float = 0.3, embedding: float = 0.3
) -> Parameters:
    """Draw keys and embeddings of topic words with these standard deviations; all other words start at zero."""
    rng, d = np.random.default_rng(seed), 6
    query = rng.standard_normal(d)
    keys, embeddings = np.zeros((2, corpus.n_words, d))
    columns = corpus.columns(words)
    keys[columns] = key * rng.standard_normal((len(words), d))
    embeddings[columns] = embedding * rng.standard_normal((len(words), d))
    return Parameters(
        query=query, keys=keys, embeddings=embeddings, head=HEADS[model].draw(rng, d, corpus.n_classes, 4)
    )
