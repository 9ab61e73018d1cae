"""SEN relation with a trained query (theory B5)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.claims._support.sen import (
    ALONG_FLOW,
    ATOL,
    FLOW_TIME,
    FLOW_TOLERANCE,
    OF_FLOW,
    SMOOTH,
    start_of_topic_words,
    topic_words_among,
)
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query
from attn_dynamics.training.flow import flow


@claims(
    "B5",
    control("the curve of a fixed query", relation=sen_norm),
    control("m + 1 other words", relation=lambda s, m, q: sen_norm_trained_query(s, m + 1, q)),
    control("the key does not start at 0", key=0.3),
    name="SEN, query trained",
    foundations=("B1",),
    statement=r"\|q\|^2 - \|\kappa\|^2 = \|q_0\|^2, \ "
    r"\|\nu\|^2 = 2 \int_0^s \frac{1 + e^x/m}{\sqrt{\|q_0\|^4 + 4 x^2}} \, dx",
    assumptions="the query is trained, under a smooth head. One topic word stands once in its sentence, with κ₀ = 0 "
    "and ν₀ = 0. Its m other words are frozen at key 0 and embedding 0, so their scores stay 0 for any query. The law "
    "is then exact",
    quantity="conserved: largest relative distance of the final ‖q‖² - ‖κ‖² from ‖q₀‖². Norm: largest relative "
    "distance of ‖ν‖ from the integral along flow",
    tolerance=f"conserved: 1e-11, the solver's tolerance per step. Norm: {FLOW_TOLERANCE}",
)
def trained_query_along_flow(
    *, quick: bool, relation: Callable[..., Array] = sen_norm_trained_query, key: float = 0.0
) -> Measured:
    """Measure gradient flow with query, key, embedding and head trained."""
    laws, distances = [], []
    for model in SMOOTH:
        for others in (1, 3) if quick else (1, 2, 3, 7, 20):
            corpus, words, rest = topic_words_among(others, topics=1)
            start = start_of_topic_words(corpus, words, model, seed=1, key=key, embedding=0.0)
            train = ("query", "keys", "embeddings", "head")
            run = flow(
                corpus, start, train=train, time=FLOW_TIME, follow=words, frozen_words=rest, rtol=RTOL, atol=ATOL
            )
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
