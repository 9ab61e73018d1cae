"""Softmax cross-entropy and its gradient in one pass."""

import numpy as np
from numba import njit, prange

from attn_dynamics.kernels.exponential import exponentials

BLOCK = 256
"""Sentences whose logits stay in the cache nearest to the processor."""


@njit(cache=True, error_model="numpy", nogil=True)
def softmax(logits, labels, start, stop, total_sentences, losses, total, inverse):
    """Correct sentences from start to stop; fills in total (B,), D = Σ_l e^(z_l - max z), and losses (B,) but for ln D.

    Logits (n, N) become the gradient of the mean over all sentences; inverse (B,) is scratch.
    """
    correct = 0
    # Rows are cut from an array known to be contiguous: those of a slice would be gone through one by one.
    largest, best = logits[0, start:stop].copy(), np.zeros(stop - start, np.int64)
    for label in range(1, logits.shape[0]):
        row = logits[label, start:stop]
        for place in range(row.size):
            best[place] = label if row[place] > largest[place] else best[place]
            largest[place] = max(row[place], largest[place])
    for place in range(stop - start):
        correct += best[place] == labels[start + place]
        losses[place] = largest[place] - logits[labels[start + place], start + place]
    total[:] = 0.0
    for label in range(logits.shape[0]):
        row = logits[label, start:stop]
        row -= largest
        exponentials(row, inverse, inverse.view(np.int64))
        total += row
    for place in range(stop - start):
        inverse[place] = 1.0 / (total[place] * total_sentences)
    for label in range(logits.shape[0]):
        row = logits[label, start:stop]
        row *= inverse
    for place in range(start, stop):
        logits[labels[place], place] -= 1.0 / total_sentences
    return correct


@njit(cache=True, error_model="numpy", parallel=True)
def cross_entropy(logits, labels, total_sentences, losses):
    """Correct sentences; fills in losses (N,), logits (n, N) become the gradient of the mean over all sentences."""
    size = labels.size
    correct = 0
    for block in prange((size + BLOCK - 1) // BLOCK):
        start, stop = block * BLOCK, min(size, (block + 1) * BLOCK)
        total, inverse = np.empty(stop - start), np.empty(stop - start)
        correct += softmax(logits, labels, start, stop, total_sentences, losses[start:stop], total, inverse)
        for place in range(stop - start):
            losses[start + place] += np.log(total[place])
    return correct
