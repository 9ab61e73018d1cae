"""A sibling of the model in which the last token of a sentence asks, by a query of its own (theory B6).

In self-attention read at its last token, word u of the vocabulary has a query q_u, and a sentence that ends in u gives
word w the score κ_w·q_u. The model of theory §1 is the case of one query for all. Scores then belong to words in
sentences, so attention is a full matrix here, as in `readable_gradient`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import integers, shown
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array, Head
from attn_dynamics.model.readable_gradient import gradient_from_scores
from attn_dynamics.tasks.corpus import Corpus


class LastToken(NamedTuple):
    """Parameters of the model, or their gradient."""

    queries: Array
    """Queries (V, d_k), row q_u for sentences that end in word u."""
    keys: Array
    """Keys K (V, d_k)."""
    embeddings: Array
    """Embeddings E (V, d)."""
    head: Head
    """Classifier with first layer (d, r)."""


def last_token_loss_and_gradient(
    corpus: Corpus, last: NDArray[np.int64], parameters: LastToken
) -> tuple[float, LastToken]:
    """Return the mean cross-entropy and its exact gradient by every parameter.

    As in `readable_gradient`, nearly equal numbers are subtracted where attention or the loss is saturated, and the
    loss is infinite from margins of some 750 on.

    Args:
        corpus: N sentences over V words, the last token of each among them.
        last: column of the last token of each sentence (N,).
        parameters: queries, keys, embeddings and head.

    Returns:
        The loss in nats, and the gradient in the shape of `parameters`, zero where nothing can be trained.

    Raises:
        InputError: a column is not one of its sentence.
    """
    last = _of_sentences(corpus, last)
    asked = parameters.queries[last]
    loss, by_score, embeddings, head = gradient_from_scores(
        corpus, asked @ parameters.keys.T, parameters.embeddings, parameters.head
    )
    queries = np.zeros_like(parameters.queries)
    np.add.at(queries, last, by_score @ parameters.keys)
    return loss, LastToken(queries, by_score.T @ asked, embeddings, head)


def _of_sentences(corpus: Corpus, last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return columns of which each stands in its sentence.

    Raises:
        InputError: one does not, or there is not one a sentence.
    """
    columns, counts = integers("last", last), corpus.counts.toarray()
    held = columns.shape == (len(counts),) and ((columns >= 0) & (columns < counts.shape[1])).all()
    if not held or not counts[np.arange(len(counts)), columns].all():
        expected = "the column of a word of each sentence"
        raise InputError("last", expected=expected, given=shown(last), fix="Count the columns of the corpus from 0.")
    return columns
