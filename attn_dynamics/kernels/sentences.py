"""The two sparse-dense products that one epoch costs, C X forward and Cᵀ Y backward, sentence by sentence (theory §1).

Columns go in fours, which fill a vector register; the rest go singly. Offsets and indices are unsigned, which spares
numba's test for negative ones and a third of the time. Every sum is taken in an order fixed by the pattern alone, so the
results do not depend on the number of threads.
"""

import numpy as np
from numba import njit, prange


@njit(cache=True, error_model="numpy")
def _gather(start, stop, indices, data, operand, out, place):
    """out[place] (k,) = Σ data · operand[indices] over the entries from start to stop."""
    # No row is cut out as an array of its own: its reference count would be fought over by the threads.
    width = out.shape[1]
    column = 0
    while column + 4 <= width:
        a = b = c = d = 0.0
        for entry in range(start, stop):
            weight = float(data[entry])
            row = indices[entry]
            a += weight * operand[row, np.uint64(column)]
            b += weight * operand[row, np.uint64(column + 1)]
            c += weight * operand[row, np.uint64(column + 2)]
            d += weight * operand[row, np.uint64(column + 3)]
        out[place, column], out[place, column + 1], out[place, column + 2], out[place, column + 3] = a, b, c, d
        column += 4
    while column < width:
        a = 0.0
        for entry in range(start, stop):
            a += float(data[entry]) * operand[indices[entry], np.uint64(column)]
        out[place, column] = a
        column += 1


@njit(cache=True, error_model="numpy", parallel=True)
def attend(offsets, words, data, operand, sentences, normalisers):
    """Contexts v = Σ c e^s P / D into sentences[:, :k], their divisors D = Σ c e^s into normalisers (N,).

    `operand` is [e^s ⊙ P | e^s] (V, k + 1); the pattern C goes by sentences: offsets (N + 1,), words and data (nnz,).
    """
    width = operand.shape[1] - 1
    for row in prange(normalisers.size):
        _gather(offsets[row], offsets[row + 1], words, data, operand, sentences, row)
        normalisers[row] = sentences[row, width]
        for column in range(width):
            sentences[row, column] /= normalisers[row]


@njit(cache=True, error_model="numpy")
def _scatter(start, stop, indices, data, operand, place, out, part):
    """out[part, indices] (k,) += data · operand[place] over the entries from start to stop."""
    width = operand.shape[1]
    column = 0
    while column + 4 <= width:
        a, b, c, d = operand[place, column], operand[place, column + 1], operand[place, column + 2], operand[place, column + 3]
        for entry in range(start, stop):
            weight = float(data[entry])
            row = indices[entry]
            # Four loads before four stores: only then are they one vector each.
            p = out[part, row, np.uint64(column)] + weight * a
            q = out[part, row, np.uint64(column + 1)] + weight * b
            r = out[part, row, np.uint64(column + 2)] + weight * c
            s = out[part, row, np.uint64(column + 3)] + weight * d
            out[part, row, np.uint64(column)] = p
            out[part, row, np.uint64(column + 1)] = q
            out[part, row, np.uint64(column + 2)] = r
            out[part, row, np.uint64(column + 3)] = s
        column += 4
    while column < width:
        a = operand[place, column]
        for entry in range(start, stop):
            out[part, indices[entry], np.uint64(column)] += float(data[entry]) * a
        column += 1


@njit(cache=True, error_model="numpy", parallel=True)
def attend_back(offsets, words, data, slopes, normalisers, sentences, bounds, partial):
    """Cᵀ [g | g·v]/D, each part of the sentences into its own partial (parts, V, k + 1).

    Takes slopes g = ∂L/∂v (N, k) and what `attend` used and left; replaces the contexts v in `sentences` by [g | g·v]/D.
    """
    width = slopes.shape[1]
    for part in prange(partial.shape[0]):
        partial[part] = 0.0
        for row in range(bounds[part], bounds[part + 1]):
            along = 0.0
            for column in range(width):
                slope = slopes[row, column] / normalisers[row]
                along += slope * sentences[row, column]
                sentences[row, column] = slope
            sentences[row, width] = along
            _scatter(offsets[row], offsets[row + 1], words, data, sentences, row, partial, part)


def parts(offsets, n_words):
    """Bounds (parts + 1,) that split the sentences into parts of about equal entries.

    Their number is a power of two that depends on the pattern alone, never on the machine, and keeps the sum over parts no
    dearer than the product itself.
    """
    entries = int(offsets[-1])
    number = min(1 << max(entries // n_words, 1).bit_length() - 1, 16)
    shares = np.arange(1, number) * entries // number
    return np.concatenate([[0], np.searchsorted(offsets, shares), [offsets.size - 1]])


@njit(cache=True, error_model="numpy", parallel=True)
def relative_weights(offsets, words, counts, scores, out):
    """c e^(s - the largest s of the sentence) for every entry (nnz,): nothing overflows, and no sentence sums to 0."""
    for row in prange(offsets.size - 1):
        largest = -np.inf
        for entry in range(offsets[row], offsets[row + 1]):
            largest = max(largest, scores[words[entry]])
        for entry in range(offsets[row], offsets[row + 1]):
            out[entry] = float(counts[entry]) * np.exp(scores[words[entry]] - largest)


@njit(cache=True, error_model="numpy")
def mean_attention(bounds, entries, rows, data, weights, normalisers, out):
    """Mean of A over the sentences that hold each of a few words, whose entries stand at entries[bounds[j]:bounds[j + 1]]."""
    for word in range(out.size):
        total = 0.0
        for place in range(bounds[word], bounds[word + 1]):
            total += float(data[entries[place]]) / normalisers[rows[place]]
        out[word] = total * weights[word] / (bounds[word + 1] - bounds[word])
