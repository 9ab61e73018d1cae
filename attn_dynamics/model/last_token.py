"""A model in which each word has its own query, and the last token of a sentence chooses it (theory B6).

In self-attention that is read at the last token, word u has the query q_u. A sentence that ends in u gives word w the
score κ_w·q_u. The model of theory §1 is the case of one query for all words. A score belongs to a word in a sentence,
so attention is a full matrix here, as in `readable_gradient`.
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
    """Parameters of a model with one query a word, or their gradient."""

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
    """Return the mean cross-entropy and its exact gradient in every parameter.

    As in `readable_gradient`, digits are lost if attention or the loss is saturated, and the loss is infinite from
    margins of some 750 nats on.

    Args:
        corpus: N sentences over V words, whose counts include the last tokens.
        last: column (N,) of the last token of each sentence.
        parameters: queries, keys, embeddings and head.

    Returns:
        The loss in nats, and the gradient in the shape of `parameters`: zero for arrays that cannot be trained.

    Raises:
        InputError: a column is not that of a word of its sentence.
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
    """Return the columns (N,) after a check that each is that of a word of its sentence.

    Raises:
        InputError: a column is that of another word, or there is not one for each sentence.
    """
    columns, sentences = integers("last", last), np.arange(corpus.n_sentences)
    in_range = columns.shape == sentences.shape and ((columns >= 0) & (columns < corpus.n_words)).all()
    if not in_range or not corpus.counts[sentences, columns].all():
        fix = "Count the columns of the corpus from 0."
        raise InputError("last", expected="the column of a word of each sentence", given=shown(last), fix=fix)
    return columns
