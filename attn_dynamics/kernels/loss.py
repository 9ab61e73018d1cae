"""Softmax cross-entropy and its gradient in one pass."""

import numpy as np
from numba import njit, prange


@njit(cache=True, error_model="numpy", parallel=True)
def cross_entropy(logits, labels, losses):
    """(mean loss, correct sentences); logits (N, n) become ∂L/∂logits in place, losses (N,) is scratch."""
    rows, classes = logits.shape
    correct = 0
    for row in prange(rows):
        best = 0
        for column in range(1, classes):
            if logits[row, column] > logits[row, best]:
                best = column
        largest, target = logits[row, best], logits[row, labels[row]]
        total = 0.0
        for column in range(classes):
            logits[row, column] = np.exp(logits[row, column] - largest)
            total += logits[row, column]
        losses[row] = np.log(total) + largest - target
        correct += best == labels[row]
        for column in range(classes):
            logits[row, column] /= total * rows
        logits[row, labels[row]] -= 1.0 / rows
    return losses.sum() / rows, correct
