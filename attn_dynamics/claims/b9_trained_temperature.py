"""Trained query on any data, trained temperature, and their SEN relations, from K = 0 (theory B9)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.drawn import corpora, start
from attn_dynamics.claims._support.ends import AWAY, flowed
from attn_dynamics.claims._support.plain_flow import Arrays, plain_flow
from attn_dynamics.claims._support.sen import (
    ALONG_FLOW,
    ATOL,
    FLOW_TIME,
    FLOW_TOLERANCE,
    OF_FLOW,
    SMOOTH,
    start_of_topic_words,
)
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.model.gradient import loss_and_gradient
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_temperature import sen_norm_trained_temperature
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query, trained_query_norm
from attn_dynamics.training.flow import flow

WORDS = 3
"""Number p of topic words, which train alike."""
TEMPERATURE = 0.8
"""Inverse temperature b₀ at the start."""


def among(others: int) -> tuple[Corpus, list[str], list[str]]:
    """Build one sentence of class 0 for each topic word; return corpus, topic words, and words that all share."""
    words, rest = [f"t{topic}" for topic in range(WORDS)], [f"w{other}" for other in range(others)]
    return Corpus.from_sentences([[word, *rest] for word in words], [0] * WORDS, n_classes=2), words, rest


def begin_from_zero(corpus: Corpus, words: Sequence[str], model: str) -> Parameters:
    """Draw a query and a head; keys and embeddings start at 0."""
    return start_of_topic_words(corpus, [*words], model, seed=1, key=0.0, embedding=0.0)


@cache
def equal_words(model: str, others: int) -> tuple[Array, Array, float]:
    """Return scores and norms (times, words) of the topic words along flow with a trained query, and ‖q₀‖."""
    corpus, words, rest = among(others)
    start = begin_from_zero(corpus, words, model)
    run = flow(
        corpus, start, train=TRAINABLE, time=FLOW_TIME, follow=words, frozen_words=rest, rtol=RTOL, atol=ATOL
    ).trajectory.isel(time=slice(1, None))
    return run.score.values, run.embedding_norm.values, float(np.linalg.norm(start.query))


@cache
def cooled(model: str, others: int) -> tuple[Array, Array, Array, float]:
    """Return b, scores and norms along flow with a trained inverse temperature b, and ‖q‖; other words stay at 0."""
    corpus, words, _ = among(others)
    start, columns = begin_from_zero(corpus, words, model), corpus.columns(words)
    own = np.isin(np.arange(corpus.n_words), columns)[:, None]

    def gradient(arrays: Arrays) -> Arrays:
        b, head = arrays["temperature"][0], start.head.replace(**{name: arrays[name] for name in start.head.arrays()})
        scaled = Parameters(query=b * start.query, keys=arrays["keys"], embeddings=arrays["embeddings"], head=head)
        slopes = loss_and_gradient(corpus, scaled)[1]
        return {
            "temperature": np.array([slopes.query @ start.query]),
            "keys": own * slopes.keys,
            "embeddings": own * slopes.embeddings,
        } | slopes.head.arrays()

    begin = {"temperature": np.array([TEMPERATURE]), "keys": start.keys, "embeddings": start.embeddings}
    run = plain_flow(gradient, begin | start.head.arrays(), np.linspace(0.0, FLOW_TIME, 21))
    b, keys, embeddings = (run[name][1:] for name in begin)
    norms = np.linalg.norm(embeddings[:, columns], axis=-1)
    return b, b * (keys[:, columns] @ start.query), norms, float(np.linalg.norm(start.query))


@claims(
    "B9",
    control("the query stays as long as it was", length=lambda scores, start: start),
    control("‖s‖² for 4‖s‖²", length=lambda scores, start: trained_query_norm(0.5 * scores, start)),
    control("keys do not start at 0", key=0.5),
    control("one word for p", words=1.0),
    control("the curve of a fixed query", norm=lambda s, m, q, words: sen_norm(s, m, q)),
    control(
        "the temperature is fixed",
        temperature_norm=lambda s, m, q, b, words: sen_norm(s, m, b * q),
    ),
    name="trained temperature",
    foundations=("B5",),
    statement=r"2\|q\|^2 = \|q_0\|^2 + \sqrt{\|q_0\|^4 + 4\|s\|^2}, \ "
    r"\|\nu\|^2 = 2 \int_0^s \frac{1 + e^x/m}{\sqrt{\|q_0\|^4 + 4 p x^2}} \, dx, \ "
    r"\|\nu\|^2 = 2 \int_0^s \frac{1 + e^x/m}{\|q\|^2 \sqrt{b_0^4 + 4 p x^2/\|q\|^2}} \, dx",
    assumptions="K = 0 at the start. First law: any data; under flow, Attn-TL starts from |b₁| ≥ 8. Both integrals: p "
    "topic words that train alike from embedding 0, among m frozen words, under a smooth head. Last integral: the "
    "query is fixed, and the inverse temperature b of s = b K q is trained",
    quantity="largest relative distances. Any data: of ‖q‖ from the first law, and of q from its direction at the "
    "start. Norm: of ‖ν‖ from the first integral, with a trained query. Norm by temperature: of ‖ν‖ from the last "
    "integral. Temperature: of b from the first law",
    tolerance=f"norms: {FLOW_TOLERANCE}. Any data: once, and temperature: three times the solver's tolerance per step, "
    "chosen after the observation. These solve a quadratic law, which each step keeps better than its parts",
    observed=True,
)
def trained_scales(
    *,
    quick: bool,
    length: Callable[..., Array] = trained_query_norm,
    norm: Callable[..., Array] = sen_norm_trained_query,
    temperature_norm: Callable[..., Array] = sen_norm_trained_temperature,
    words: float = WORDS,
    key: float = 0.0,
) -> Measured:
    """Measure gradient flow on any data, and of topic words that train alike."""
    any_data = [off_any_data(corpus, model, key, length) for corpus, model in product(corpora(quick=quick), HEADS)]
    query, temperature, scale = [], [], []
    for model, others in product(SMOOTH, (1, 3) if quick else (1, 2, 3, 7, 20)):
        score, norms, q = equal_words(model, others)
        query.append(norms / norm(score, others, q, words) - 1.0)
        b, score, norms, q = cooled(model, others)
        temperature.append(norms / temperature_norm(score, others, q, TEMPERATURE, words) - 1.0)
        scale.append(b[:, 0] / length(np.linalg.norm(score, axis=-1) / q, TEMPERATURE) - 1.0)
    return together(
        any_data=Measured(largest(any_data), RTOL, within=OF_FLOW),
        norm=Measured(_farthest(query), ALONG_FLOW, within=OF_FLOW),
        norm_by_temperature=Measured(_farthest(temperature), ALONG_FLOW, within=OF_FLOW),
        temperature=Measured(_farthest(scale), 3 * RTOL, within=OF_FLOW),
    )


def off_any_data(corpus: Corpus, model: str, key: float, length: Callable[..., Array]) -> float:
    """Return the larger relative distance at the end of a flow: of ‖q‖ from its law, or of q from its direction."""
    drawn = start(corpus, model, bias=AWAY)
    begin = replace(drawn, keys=key * drawn.keys)
    end = flowed(corpus, begin, FLOW_TIME / 2, TRAINABLE)
    first, last = (float(np.linalg.norm(each.query)) for each in (begin, end))
    turned = np.linalg.norm(end.query / last - begin.query / first)
    return largest(abs(last / float(length(np.linalg.norm(end.scores), first)) - 1.0), float(turned))


def _farthest(offs: Sequence[Array]) -> float:
    return largest(float(np.abs(off).max()) for off in offs)
