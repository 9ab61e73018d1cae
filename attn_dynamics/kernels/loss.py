"""Softmax cross-entropy and its gradient in one pass.

If the label leads, the loss and the label's slope are tiny beside 1. Both are computed from the sum of the other
classes alone, so that their relative error is small at any margin. 1 - p would be 0 beyond 37 nats.
"""

import numpy as np

from attn_dynamics.kernels import kernel
from attn_dynamics.kernels.exponential import exponentials

BLOCK = 256
"""Number of sentences whose logits stay in the innermost cache."""


@kernel
def softmax(logits, labels, start, size, total_sentences, losses, excess, scratch):
    """Return the number of correct sentences of a block; fill `excess` (B,), and the losses (B,) without a log.

    With `excess` x = Σ_l e^(z_l - max z) - 1, a loss is the entry of `losses` plus ln(1 + x). The first `size` columns
    of the logits (n, B) become the gradient of the mean over all sentences; their labels begin at `start`.
    """
    correct = 0
    largest, best = logits[0, :size].copy(), np.zeros(size, np.int64)
    for label in range(1, logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            best[place] = label if row[place] > largest[place] else best[place]
            largest[place] = max(row[place], largest[place])
    for place in range(size):
        correct += best[place] == labels[start + place]
        losses[place] = largest[place] - logits[labels[start + place], place]
    for label in range(logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            row[place] -= largest[place]
        exponentials(row, scratch, scratch.view(np.int64))
    own = largest
    for place in range(size):
        own[place] = logits[labels[start + place], place]
        logits[labels[start + place], place] = 0.0
    others = excess[:size]
    others[:] = 0.0
    for label in range(logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            others[place] += row[place]
    for place in range(size):
        scratch[place] = 1.0 / ((others[place] + own[place]) * total_sentences)
    for label in range(logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            row[place] *= scratch[place]
    for place in range(size):
        logits[labels[start + place], place] = -others[place] * scratch[place]
        # Either own is 1, or others is at least 1, so that no digits are lost.
        excess[place] = others[place] + (own[place] - 1.0)
    return correct


@kernel
def cross_entropy(logits, labels, total_sentences, losses):
    """Return the number of correct sentences; fill the losses (N,); logits (n, N) become the gradient of the mean."""
    correct, excess, scratch = 0, np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, labels.size, BLOCK):
        size = min(labels.size - start, BLOCK)
        some = logits[:, start : start + size].copy()
        correct += softmax(some, labels, start, size, total_sentences, losses[start : start + size], excess, scratch)
        for label in range(logits.shape[0]):
            for place in range(size):
                logits[label, start + place] = some[label, place]
        for place in range(size):
            losses[start + place] += np.log1p(excess[place])
    return correct
