"""Softmax cross-entropy and its gradient in one pass.

If the label leads, the loss and the label's slope are tiny beside 1. Both are computed from the sum of the other
classes alone, so that their relative error is small at any margin. 1 - p would be 0 beyond 37 nats.
"""

import numpy as np
from numba import njit, prange

from attn_dynamics.kernels.exponential import exponentials

BLOCK = 256
"""Number of sentences whose logits stay in the innermost cache."""


@njit(cache=True, error_model="numpy", nogil=True)
def softmax(logits, labels, start, stop, total_sentences, losses, excess, scratch):
    """Return the number of correct sentences from start to stop; fill `excess` (B,), and the losses (B,) without a log.

    With `excess` x = Σ_l e^(z_l - max z) - 1, a loss is the entry of `losses` plus ln(1 + x). Logits (n, N) become the
    gradient of the mean over all sentences; scratch has size (B,).
    """
    correct = 0
    # Rows of a contiguous array, because rows of a slice would be read one by one.
    largest, best = logits[0, start:stop].copy(), np.zeros(stop - start, np.int64)
    for label in range(1, logits.shape[0]):
        row = logits[label, start:stop]
        for place in range(row.size):
            best[place] = label if row[place] > largest[place] else best[place]
            largest[place] = max(row[place], largest[place])
    for place in range(stop - start):
        correct += best[place] == labels[start + place]
        losses[place] = largest[place] - logits[labels[start + place], start + place]
    for label in range(logits.shape[0]):
        row = logits[label, start:stop]
        for place in range(row.size):
            row[place] -= largest[place]
        exponentials(row, scratch, scratch.view(np.int64))
    own = largest
    for place in range(stop - start):
        own[place] = logits[labels[start + place], start + place]
        logits[labels[start + place], start + place] = 0.0
    others = excess
    others[:] = 0.0
    for label in range(logits.shape[0]):
        row = logits[label, start:stop]
        for place in range(row.size):
            others[place] += row[place]
    for place in range(stop - start):
        scratch[place] = 1.0 / ((others[place] + own[place]) * total_sentences)
    for label in range(logits.shape[0]):
        row = logits[label, start:stop]
        for place in range(row.size):
            row[place] *= scratch[place]
    for place in range(stop - start):
        logits[labels[start + place], start + place] = -others[place] * scratch[place]
        # Either own is 1, or others is at least 1, so that no digits are lost.
        excess[place] = others[place] + (own[place] - 1.0)
    return correct


@njit(cache=True, error_model="numpy", parallel=True)
def cross_entropy(logits, labels, total_sentences, losses):
    """Return the number of correct sentences; fill the losses (N,); logits (n, N) become the gradient of the mean."""
    size = labels.size
    correct = 0
    for block in prange((size + BLOCK - 1) // BLOCK):
        start, stop = block * BLOCK, min(size, (block + 1) * BLOCK)
        excess, scratch = np.empty(stop - start), np.empty(stop - start)
        correct += softmax(logits, labels, start, stop, total_sentences, losses[start:stop], excess, scratch)
        for place in range(stop - start):
            losses[start + place] += np.log1p(excess[place])
    return correct
