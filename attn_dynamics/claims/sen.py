"""The score-embedding-norm relation in training (theory B1 to B5)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims.claim import Measured, claims, control
from attn_dynamics.corpus import Corpus
from attn_dynamics.flow import flow
from attn_dynamics.heads import HEADS
from attn_dynamics.parameters import Parameters
from attn_dynamics.theory.sen import sen_norm

RTOL = 1e-11
"""Of a step of the solver."""
SMOOTH = [model for model, head in HEADS.items() if head.smooth]
"""The models whose flow a solver can follow; of the others, descent with ever smaller steps tells (B3)."""


@claims(
    "B1",
    control("m + 1 other words", relation=lambda s, m, q, s0, norm0: sen_norm(s, m + 1, q, s0, norm0)),
    control("‖q‖² for ‖q‖²/2", relation=lambda s, m, q, s0, norm0: sen_norm(s, m, q / 2**0.5, s0, norm0)),
    control("other words are trained too", hold=False),
    statement=r"s + e^s/m - (s_0 + e^{s_0}/m) = \frac{1}{2}\|q\|^2 (\|\nu\|^2 - \|\nu_0\|^2)",
    source="LMN21",
    assumptions="query fixed; a smooth head; the topic word stands once in each of its sentences, among m words whose "
    "scores and embeddings stay 0",
    quantity="largest relative distance of ‖ν‖ from the relation, over words, times, heads and m",
    tolerance="1000 rtol, rtol = 1e-11 the tolerance of a step of the solver, some hundred steps",
)
def relation_along_flow(*, quick: bool, relation: Callable[..., np.ndarray] = sen_norm, hold: bool = True) -> Measured:
    """Gradient flow from starts that differ from zero, other words held: an infinite dictionary, built by hand."""
    worst = 0.0
    for model in SMOOTH:
        for others in (1, 3) if quick else (1, 2, 3, 7, 20):
            corpus, words, rest = topic_words_among(others, topics=3)
            start = start_of_topic_words(corpus, words, model)
            run = flow(
                corpus, start, time=20.0, follow=words, hold=rest if hold else (), rtol=RTOL, atol=1e-14
            ).trajectory
            score, norm = run.score.values, run.embedding_norm.values
            predicted = relation(score, others, np.linalg.norm(start.query), score[0], norm[0])
            worst = max(worst, float(np.abs(norm / predicted - 1.0).max()))
    return Measured(worst, 1000 * RTOL)


def topic_words_among(others: int, *, topics: int) -> tuple[Corpus, list[str], list[str]]:
    """One sentence a topic: its topic word once, and `others` words, the same in every sentence."""
    words, rest = [f"t{topic}" for topic in range(topics)], [f"w{other}" for other in range(others)]
    return Corpus.from_sentences([[word, *rest] for word in words], range(topics)), words, rest


def start_of_topic_words(corpus: Corpus, words: list[str], model: str, seed: int = 0) -> Parameters:
    """Topic words at random scores and embeddings, all other words at zero."""
    rng, d = np.random.default_rng(seed), 6
    query = rng.standard_normal(d)
    keys, embeddings = np.zeros((2, corpus.n_words, d))
    columns = corpus.columns(words)
    keys[columns] = 0.3 * rng.standard_normal((len(words), d))
    embeddings[columns] = 0.3 * rng.standard_normal((len(words), d))
    return Parameters(
        query=query, keys=keys, embeddings=embeddings, head=HEADS[model].draw(rng, d, corpus.n_classes, 4)
    )
