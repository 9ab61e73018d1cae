"""Softmax cross-entropy and its gradient in one pass.

If the label leads, the loss and the label's slope are tiny beside 1. Both are computed from the sum of the other
classes alone, so that their relative error is small at any margin. 1 - p would be 0 beyond 37 nats.
"""

import numpy as np

from attn_dynamics.kernels import kernel, leaf
from attn_dynamics.kernels.elementary import exponential, log1p

BLOCK = 256
"""Number of sentences whose logits stay in the innermost cache."""
SCRATCH = 4
"""Number of scratch values that `softmax` needs for each sentence."""


@leaf
def softmax(logits, labels, start, size, total_sentences, losses, scratch):
    """Return the number of correct sentences of a block; fill their losses (B,), with `scratch` (SCRATCH, B).

    The first `size` columns of the logits (n, B) become the gradient of the mean over all sentences; their labels
    begin at `start`.
    """
    largest, best, own, others = scratch[0, :size], scratch[1, :size], scratch[2, :size], scratch[3, :size]
    labels, losses = labels[start : start + size], losses[:size]
    for place in range(size):
        largest[place], best[place], others[place] = logits[0, place], 0.0, 0.0
    for label in range(1, logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            best[place] = float(label) if row[place] > largest[place] else best[place]
            largest[place] = max(row[place], largest[place])
    correct = 0
    for place in range(size):
        correct += best[place] == labels[place]
        losses[place] = largest[place] - logits[labels[place], place]
    for label in range(logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            row[place] = exponential(row[place] - largest[place])
    for place in range(size):
        own[place] = logits[labels[place], place]
        logits[labels[place], place] = 0.0
    for label in range(logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            others[place] += row[place]
    factors = largest
    for place in range(size):
        factors[place] = 1.0 / ((others[place] + own[place]) * total_sentences)
        # Either own is 1, or others is at least 1, so that no digits are lost.
        own[place] = others[place] + (own[place] - 1.0)
    for place in range(size):
        losses[place] += log1p(own[place])
    for label in range(logits.shape[0]):
        row = logits[label, :size]
        for place in range(size):
            row[place] *= factors[place]
    for place in range(size):
        logits[labels[place], place] = -others[place] * factors[place]
    return correct


@kernel
def cross_entropy(logits, labels, total_sentences, losses):
    """Return the number of correct sentences; fill the losses (N,); logits (n, N) become the gradient of the mean."""
    correct, scratch = 0, np.empty((SCRATCH, BLOCK))
    for start in range(0, labels.size, BLOCK):
        size = min(labels.size - start, BLOCK)
        some = logits[:, start : start + size].copy()
        correct += softmax(some, labels, start, size, total_sentences, losses[start : start + size], scratch)
        for label in range(logits.shape[0]):
            for place in range(size):
                logits[label, start + place] = some[label, place]
    return correct
