"""SEN relation in self-attention read at the last token, whose word gives the query (theory B6)."""

from collections.abc import Callable
from functools import cache

import numpy as np

from attn_dynamics.claims._support.plain_flow import Arrays, plain_flow
from attn_dynamics.claims._support.sen import ALONG_FLOW, FLOW_TIME, FLOW_TOLERANCE, OF_FLOW
from attn_dynamics.claims._support.tanh_head import TanhHead
from attn_dynamics.claims.claim import Measured, claims, control, largest
from attn_dynamics.model.heads import Array, FixedLinear, Head, TrainedLinear
from attn_dynamics.model.last_token import LastToken, last_token_loss_and_gradient
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_last_token import sen_norm_last_token

OTHERS = (2, 3, 7)
"""Number m_u of other words in a sentence that ends in u, for each last token u. Three sentences end in the first, two
in the second, and one in the third."""
HEADS: dict[str, type[Head]] = {"linear": FixedLinear, "trained": TrainedLinear, "tanh": TanhHead}
"""Heads by name."""
D = 6
"""Dimension of queries, keys and embeddings."""
Draw = Callable[[np.random.Generator], Array]
"""Function that draws the queries (last tokens, D)."""


def orthogonal(rng: np.random.Generator) -> Array:
    """Draw orthogonal queries of unequal norms."""
    return np.linalg.qr(rng.standard_normal((D, len(OTHERS))))[0].T * np.array([[0.7], [1.0], [1.4]])


def oblique(rng: np.random.Generator) -> Array:
    """Draw queries that are not orthogonal."""
    return rng.standard_normal((len(OTHERS), D))


@cache
def asked(head: str, queries: Draw, seed: int = 0) -> tuple[Array, Array, Array]:
    """Follow the topic word of a task whose sentences end in one of three tokens.

    The topic word is column 0. All other words, the last tokens among them, stay at key 0 and embedding 0.

    Returns:
        Scores s_u (times, last tokens), embedding norms (times,), and query norms (last tokens,).
    """
    rng, n_words = np.random.default_rng(seed), 1 + max(OTHERS)
    ends = np.array([0, 0, 0, 1, 1, 2])
    sentences = [[0, *(1 + (end + np.arange(OTHERS[end])) % max(OTHERS)).tolist()] for end in ends]
    corpus = Corpus.from_sentences(sentences, [0, 0, 1, 0, 1, 0], vocabulary=range(n_words), n_classes=2)
    last = 1 + ends
    all_queries = np.zeros((n_words, D))
    all_queries[1 : 1 + len(OTHERS)] = queries(rng)
    model = HEADS[head].draw(rng, D, 2, 4)
    own = np.arange(n_words)[:, None] == 0
    start = {name: own * 0.5 * rng.standard_normal((n_words, D)) for name in ("keys", "embeddings")}

    def gradient(arrays: Arrays) -> Arrays:
        layers = model.replace(**{name: arrays[name] for name in model.arrays()})
        state = LastToken(all_queries, arrays["keys"], arrays["embeddings"], layers)
        slopes = last_token_loss_and_gradient(corpus, last, state)[1]
        return {"keys": own * slopes.keys, "embeddings": own * slopes.embeddings} | slopes.head.arrays()

    run = plain_flow(gradient, start | model.arrays(), np.linspace(0.0, FLOW_TIME, 21))
    asking = all_queries[1 : 1 + len(OTHERS)]
    scores = run["keys"][:, 0] @ asking.T
    return scores, np.linalg.norm(run["embeddings"][:, 0], axis=-1), np.linalg.norm(asking, axis=-1)


def of_one_query(scores: Array, others: Array, query_norms: Array, start_scores: Array, start_norm: float) -> Array:
    """Return the SEN relation (B1) for the first last token, as if every sentence ended in it."""
    return sen_norm(scores[:, 0], others[0], query_norms[0], start_scores[0], start_norm)


@claims(
    "B6",
    control("queries that are not orthogonal", queries=oblique),
    control("one query alone", relation=of_one_query),
    control("m + 1 other words", relation=lambda s, m, *rest: sen_norm_last_token(s, m + 1, *rest)),
    control("one norm for all queries", relation=lambda s, m, q, *rest: sen_norm_last_token(s, m, q.mean(), *rest)),
    name="SEN, last token asks",
    foundations=("B1",),
    statement=r"\sum_u \frac{s_u + e^{s_u}/m_u}{\|q_u\|^2} - \frac{1}{2} \|\nu\|^2 = \mathrm{const}",
    assumptions="each last token u has its own fixed query, orthogonal to the others. The topic word stands once in "
    "each of its sentences; if the sentence ends in u, m_u other words stand beside it. Keys and embeddings of the "
    "other words stay 0. The head is smooth, the labels are any",
    quantity="largest relative distance of ‖ν‖ from the relation, over times and heads: linear and fixed, linear and "
    "trained, and tanh",
    tolerance=FLOW_TOLERANCE,
)
def last_token_asks(
    *, quick: bool, relation: Callable[..., Array] = sen_norm_last_token, queries: Draw = orthogonal
) -> Measured:
    """Measure gradient flow of keys, embeddings and head, from a topic word other than zero."""
    distances = []
    for head in HEADS:
        for seed in range(3 if quick else 10):
            scores, norms, lengths = asked(head, queries, seed)
            predicted = relation(scores, np.array(OTHERS), lengths, scores[0], norms[0])
            distances.append(np.abs(norms / predicted - 1.0).max())
    return Measured(largest(distances), ALONG_FLOW, within=OF_FLOW)
