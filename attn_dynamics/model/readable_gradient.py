"""The exact gradient in ten lines of numpy: the computation of the compiled loops, with every matrix written down."""

import numpy as np

from attn_dynamics.model.heads import Array, Head
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus


def reference_loss_and_gradient(corpus: Corpus, parameters: Parameters) -> tuple[float, Parameters]:
    """Return the mean cross-entropy and its gradient in every parameter, written to be read beside theory §1.

    `loss_and_gradient` gives the same numbers without a matrix of sentences × words. It stays exact if attention or the
    loss is saturated. This function then subtracts nearly equal numbers and loses digits.

    Args:
        corpus: N sentences over V words.
        parameters: query (d_k,), keys (V, d_k), embeddings (V, d), head.

    Returns:
        The loss in nats, and the gradient in the shape of `parameters`: zero for arrays that cannot be trained.
    """
    loss, slopes, embeddings, head = gradient_from_scores(
        corpus, parameters.scores, parameters.embeddings, parameters.head
    )
    by_score: Array = slopes.sum(axis=0)  # a word has the same score in every sentence
    return loss, Parameters(
        query=parameters.keys.T @ by_score,
        keys=np.outer(by_score, parameters.query),
        embeddings=embeddings,
        head=head,
    )


def gradient_from_scores(
    corpus: Corpus, scores: Array, embeddings: Array, head: Head
) -> tuple[float, Array, Array, Head]:
    """Return the mean cross-entropy in nats, and its gradients in scores (N, V), embeddings (V, d) and head.

    Args:
        corpus: N sentences over V words.
        scores: scores (V,), or (N, V) if they differ between sentences.
        embeddings: embeddings E (V, d).
        head: classifier; the gradient is zero for its arrays that cannot be trained.
    """
    sentences, counts = np.arange(corpus.n_sentences), corpus.counts.toarray()
    scores = np.where(counts > 0, scores, -np.inf)
    weights = counts * np.exp(scores - scores.max(axis=1, keepdims=True))
    attention = weights / weights.sum(axis=1, keepdims=True)  # A (N, V)
    contexts = attention @ embeddings  # v (N, d)
    logits, kept = head.forward(head.first_layer.T @ contexts.T)  # z (n, N)
    logits = logits - logits.max(axis=0)
    slopes = np.exp(logits) / np.exp(logits).sum(axis=0)  # probabilities (n, N)
    loss = -np.log(slopes[corpus.labels, sentences]).mean()
    slopes[corpus.labels, sentences] -= 1.0  # ∂L/∂z times N
    slopes_in, head_gradient = head.backward(kept, slopes / corpus.n_sentences)
    sent_back = (head.first_layer @ slopes_in).T  # g = ∂L/∂v (N, d)
    by_score: Array = attention * (sent_back @ embeddings.T - (sent_back * contexts).sum(axis=1)[:, None])
    head_gradient[head.first] = contexts.T @ slopes_in.T
    trained = {name: head_gradient.get(name, 0.0) if name in head.trained else 0.0 for name in head.arrays()}
    whole = head.replace(**{name: trained[name] + np.zeros_like(array) for name, array in head.arrays().items()})
    return float(loss), by_score, attention.T @ sent_back, whole
