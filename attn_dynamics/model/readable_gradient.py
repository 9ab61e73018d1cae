"""The exact gradient in ten lines of numpy: what the compiled loops compute, with every matrix written down."""

import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus


def reference_loss_and_gradient(corpus: Corpus, parameters: Parameters) -> tuple[float, Parameters]:
    """Compute the mean cross-entropy and its gradient by every parameter, written to be read beside theory §1.

    `loss_and_gradient` gives the same numbers without a matrix of sentences × words, and stays exact where attention
    or the loss is saturated; this one subtracts nearly equal numbers there.

    Args:
        corpus: N sentences over V words.
        parameters: query (d_k,), keys (V, d_k), embeddings (V, d), head.

    Returns:
        The loss in nats, and the gradient in the shape of `parameters`, zero where nothing can be trained.
    """
    embeddings, head, sentences = parameters.embeddings, parameters.head, np.arange(corpus.n_sentences)
    counts = corpus.counts.toarray()
    scores = np.where(counts > 0, parameters.scores, -np.inf)
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
    by_score: Array = (attention * (sent_back @ embeddings.T - (sent_back * contexts).sum(axis=1)[:, None])).sum(axis=0)
    head_gradient[head.first] = contexts.T @ slopes_in.T
    trained = {name: head_gradient.get(name, 0.0) if name in head.trained else 0.0 for name in head.arrays()}
    return float(loss), Parameters(
        query=parameters.keys.T @ by_score,
        keys=np.outer(by_score, parameters.query),
        embeddings=attention.T @ sent_back,
        head=head.replace(**{name: trained[name] + np.zeros_like(array) for name, array in head.arrays().items()}),
    )
