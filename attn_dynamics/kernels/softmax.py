"""What surrounds the two products: weights of words and sentences, and the loss, one pass each on plain arrays."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def word_operand(scores, shift, values, out):
    """out = [e^(s - shift) ⊙ P | e^(s - shift)]: (V, k + 1) from scores (V,) and values P (V, k)."""
    width = values.shape[1]
    for word in range(scores.size):
        weight = np.exp(scores[word] - shift)
        for column in range(width):
            out[word, column] = weight * values[word, column]
        out[word, width] = weight


@njit(cache=True, error_model="numpy")
def sentence_softmax(offsets, indices, counts, scores, out):
    """Attention A, entry by entry (nnz,): the largest score of each sentence is taken off before the exponential."""
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        largest = -np.inf
        for entry in range(start, stop):
            largest = max(largest, scores[indices[entry]])
        total = 0.0
        for entry in range(start, stop):
            out[entry] = float(counts[entry]) * np.exp(scores[indices[entry]] - largest)
            total += out[entry]
        for entry in range(start, stop):
            out[entry] /= total


@njit(cache=True, error_model="numpy")
def normalise(sums, normalisers):
    """Turn sums [Σ c e^s P | Σ c e^s] (N, k + 1) into contexts in place, keeping the last column in normalisers (N,)."""
    width = sums.shape[1] - 1
    for row in range(sums.shape[0]):
        normalisers[row] = sums[row, width]
        for column in range(width):
            sums[row, column] /= normalisers[row]


@njit(cache=True, error_model="numpy")
def sentence_operand(slopes, normalisers, contexts):
    """Turn contexts (N, k + 1) into [g | g·v] / D in place, from slopes g (N, k) and normalisers D (N,)."""
    width = slopes.shape[1]
    for row in range(slopes.shape[0]):
        along = 0.0
        for column in range(width):
            slope = slopes[row, column] / normalisers[row]
            along += slope * contexts[row, column]
            contexts[row, column] = slope
        contexts[row, width] = along


@njit(cache=True, error_model="numpy")
def word_gradients(sums, operand, values, value_gradient, score_gradient):
    """Split e^s ⊙ sums, sums = Cᵀ[g | g·v]/D (V, k + 1), into ∂L/∂P (V, k) and ∂L/∂s (V,)."""
    width = values.shape[1]
    for word in range(sums.shape[0]):
        weight = operand[word, width]
        slope = -weight * sums[word, width]
        for column in range(width):
            value_gradient[word, column] = weight * sums[word, column]
            slope += value_gradient[word, column] * values[word, column]
        score_gradient[word] = slope


@njit(cache=True, error_model="numpy")
def mean_attention(bounds, entries, rows, data, weights, normalisers, out):
    """Mean of A over the sentences that hold each followed word; its entries stand at entries[bounds[j]:bounds[j + 1]]."""
    for word in range(out.size):
        total = 0.0
        for place in range(bounds[word], bounds[word + 1]):
            total += float(data[entries[place]]) / normalisers[rows[place]]
        out[word] = total * weights[word] / (bounds[word + 1] - bounds[word])


@njit(cache=True, error_model="numpy")
def cross_entropy(logits, labels):
    """(mean loss, correct sentences); logits (N, n) become ∂L/∂logits in place."""
    rows, classes = logits.shape
    loss, correct = 0.0, 0
    for row in range(rows):
        best = 0
        for column in range(1, classes):
            if logits[row, column] > logits[row, best]:
                best = column
        largest, target = logits[row, best], logits[row, labels[row]]
        total = 0.0
        for column in range(classes):
            logits[row, column] = np.exp(logits[row, column] - largest)
            total += logits[row, column]
        loss += np.log(total) + largest - target
        correct += best == labels[row]
        for column in range(classes):
            logits[row, column] /= total * rows
        logits[row, labels[row]] -= 1.0 / rows
    return loss / rows, correct
