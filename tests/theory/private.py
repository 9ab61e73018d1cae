"""Tasks in which no two sentences share another word, for which the mean field is exact, and plain descent on them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from attn_dynamics import Corpus, FixedLinear, Parameters, TrainedLinear, loss_and_gradient
from tests.support import Array, attention_of, cross_entropy_of, numbered, own_logits


def private_corpus(topics: Sequence[int], repeats: Sequence[int], others: int) -> Corpus:
    """Topic word t, of class `topics[t]`, in `repeats[t]` sentences, each with other words of its own."""
    words = np.repeat(np.arange(len(topics)), repeats)
    rest = len(topics) + np.arange(len(words) * others).reshape(len(words), others)
    sentences = [[word, *row] for word, row in zip(words.tolist(), rest.tolist(), strict=True)]
    return numbered(sentences, np.take(topics, words).tolist(), rest.max() + 1, max(topics) + 1)


def start(corpus: Corpus, model: str, query: Array, head: Array, scores: Array, embeddings: Array) -> Parameters:
    """Parameters with given s and ν of the topic words, which come first, and zero for all other words."""
    keys, rows = np.zeros((corpus.n_words, query.size)), np.zeros((corpus.n_words, len(head)))
    keys[: len(scores)], rows[: len(scores)] = np.outer(scores, query) / (query @ query), embeddings
    linear = {"attn-fc": FixedLinear, "attn-tc": TrainedLinear}[model]
    return Parameters(query=query, keys=keys, embeddings=rows, head=linear(weight=head))


def descent(corpus: Corpus, parameters: Parameters, rate: float, steps: int, train: Collection[str]) -> Parameters:
    """So many steps of plain gradient descent with the exact gradient."""
    for _ in range(steps):
        _, gradient = loss_and_gradient(corpus, parameters)
        moved = {name: getattr(parameters, name) - rate * getattr(gradient, name) for name in train if name != "head"}
        if "head" in train:
            name = parameters.head.first
            weight = parameters.head.first_layer - rate * gradient.head.first_layer
            moved["head"] = parameters.head.replace(**{name: weight})
        parameters = replace(parameters, **moved)
    return parameters


class Seen(NamedTuple):
    """What a model does with the sentences of each topic word, (words, ...)."""

    score: Array
    embedding: Array
    other_score: Array
    other_embedding: Array
    attention: Array
    loss: Array


def seen(corpus: Corpus, parameters: Parameters, words: int) -> Seen:
    """The same quantities as a trajectory of the theory, from one sentence of each topic word."""
    dense = corpus.counts.toarray()
    rows = [int(np.flatnonzero(dense[:, word])[0]) for word in range(words)]
    others = [int(np.flatnonzero(dense[row])[-1]) for row in rows]
    attention = attention_of(corpus, parameters.scores)
    logits = own_logits(parameters.head, attention @ parameters.embeddings)
    return Seen(
        score=parameters.scores[:words],
        embedding=parameters.embeddings[:words],
        other_score=parameters.scores[others],
        other_embedding=parameters.embeddings[others],
        attention=attention[rows, np.arange(words)],
        loss=np.array([cross_entropy_of(logits[[row]], corpus.labels[[row]]) for row in rows]),
    )
