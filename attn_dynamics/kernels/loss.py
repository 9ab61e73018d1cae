"""Softmax cross-entropy and its gradient in one pass."""

import numpy as np
from numba import njit, prange

from attn_dynamics.kernels.exponential import exponentials

BLOCK = 256
"""Sentences whose logits stay in the cache nearest to the processor."""


@njit(cache=True, error_model="numpy", parallel=True)
def cross_entropy(logits, labels, total_sentences, losses):
    """Correct sentences; fills in losses (N,), logits (n, N) become the gradient of the mean over all sentences."""
    classes, size = logits.shape
    correct = 0
    for block in prange((size + BLOCK - 1) // BLOCK):
        start, stop = block * BLOCK, min(size, (block + 1) * BLOCK)
        largest, best = logits[0, start:stop].copy(), np.zeros(stop - start, np.int64)
        for label in range(1, classes):
            row = logits[label, start:stop]
            for place in range(row.size):
                best[place] = label if row[place] > largest[place] else best[place]
                largest[place] = max(row[place], largest[place])
        for place in range(stop - start):
            correct += best[place] == labels[start + place]
            losses[start + place] = largest[place] - logits[labels[start + place], start + place]
        total, scratch = np.zeros(stop - start), np.empty(stop - start)
        for label in range(classes):
            row = logits[label, start:stop]
            row -= largest
            exponentials(row, scratch, scratch.view(np.int64))
            total += row
        for place in range(stop - start):
            losses[start + place] += np.log(total[place])
            total[place] = 1.0 / (total[place] * total_sentences)
        for label in range(classes):
            row = logits[label, start:stop]
            row *= total
        for place in range(start, stop):
            logits[labels[place], place] -= 1.0 / total_sentences
    return correct
