"""The sparse products and the loss of R replicates at once: a sentence's words are looked up once for all.

Replicates lie side by side: of a word its R scores, (V, R), and values, (V, k, R), of an operand the columns
[P₁ of every replicate | … | P_k | weight of every replicate | 0], padded to whole eights. Threads take different
replicates, so a kernel here runs in one and lets the others go on.
"""

import numpy as np
from numba import njit

from attn_dynamics.kernels.exponential import exponentials
from attn_dynamics.kernels.loss import BLOCK, softmax
from attn_dynamics.kernels.sentences import relative_weights_of

EIGHT = 8
"""Columns to a pass over the words of a sentence: two vectors of sums, so that neither waits for the other."""
NUMBERS = 512
"""Scores whose exponentials are taken at a time."""
TOTALS = 16
"""Softmax denominators, each from 1 to n, that are multiplied before one logarithm is taken of them all."""


def columns_of(replicates: int, width: int) -> int:
    """Columns of an operand of so many replicates and values."""
    return -(-replicates * (width + 1) // EIGHT) * EIGHT


@njit(cache=True, error_model="numpy", nogil=True)
def extent(scores, low, high):
    """Least and largest score (R,) of every replicate from scores (V, R)."""
    low[:], high[:] = np.inf, -np.inf
    for word in range(scores.shape[0]):
        for replicate in range(scores.shape[1]):
            low[replicate] = min(low[replicate], scores[word, replicate])
            high[replicate] = max(high[replicate], scores[word, replicate])


@njit(cache=True, error_model="numpy", nogil=True)
def operand(scores, shift, values, out):
    """Fill out (V, columns) with [e^(s - shift) ⊙ P | e^(s - shift)] from s (V, R), shift (R,), P (V, k, R)."""
    size, width, replicates = values.shape
    step = max(1, NUMBERS // replicates)
    weights, scratch = np.empty(step * replicates), np.empty(step * replicates)
    for start in range(0, size, step):
        words = min(step, size - start)
        for place in range(words):
            for replicate in range(replicates):
                weights[place * replicates + replicate] = scores[start + place, replicate] - shift[replicate]
        exponentials(weights, scratch, scratch.view(np.int64))
        for place in range(words):
            word, first = np.uint64(start + place), np.uint64(place * replicates)
            for replicate in range(replicates):
                weight = weights[first + np.uint64(replicate)]
                out[word, np.uint64(width * replicates + replicate)] = weight
                for column in range(width):
                    value = values[word, np.uint64(column), np.uint64(replicate)]
                    out[word, np.uint64(column * replicates + replicate)] = weight * value


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract"})
def _gather(start, stop, words, data, operand, column, out):
    """Eight of out = Σ data · operand[words] over the entries from start to stop."""
    a = b = c = d = e = f = g = h = 0.0
    for entry in range(start, stop):
        weight, word = float(data[entry]), words[entry]
        a += weight * operand[word, np.uint64(column)]
        b += weight * operand[word, np.uint64(column + 1)]
        c += weight * operand[word, np.uint64(column + 2)]
        d += weight * operand[word, np.uint64(column + 3)]
        e += weight * operand[word, np.uint64(column + 4)]
        f += weight * operand[word, np.uint64(column + 5)]
        g += weight * operand[word, np.uint64(column + 6)]
        h += weight * operand[word, np.uint64(column + 7)]
    out[column], out[column + 1], out[column + 2], out[column + 3] = a, b, c, d
    out[column + 4], out[column + 5], out[column + 6], out[column + 7] = e, f, g, h


@njit(cache=True, error_model="numpy", nogil=True)
def attend(offsets, words, data, operand, contexts, inverses):
    """Contexts v = Σ c e^s P / D (R, k, N) and 1/D (R, N), D = Σ c e^s, from an operand (V, columns)."""
    replicates, width, size = contexts.shape
    row = np.empty(operand.shape[1])
    for sentence in range(size):
        for column in range(0, row.size, EIGHT):
            _gather(offsets[sentence], offsets[sentence + 1], words, data, operand, column, row)
        for replicate in range(replicates):
            inverse = 1.0 / row[width * replicates + replicate]
            inverses[replicate, sentence] = inverse
            for column in range(width):
                contexts[replicate, column, sentence] = row[column * replicates + replicate] * inverse


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract"})
def _scatter(start, stop, words, data, row, column, out):
    """Eight of out[words] += data · row over the entries from start to stop."""
    a, b, c, d = row[column], row[column + 1], row[column + 2], row[column + 3]
    e, f, g, h = row[column + 4], row[column + 5], row[column + 6], row[column + 7]
    for entry in range(start, stop):
        weight, word = float(data[entry]), words[entry]
        # All loads before all stores: only then are they vectors.
        p = out[word, np.uint64(column)] + weight * a
        q = out[word, np.uint64(column + 1)] + weight * b
        r = out[word, np.uint64(column + 2)] + weight * c
        s = out[word, np.uint64(column + 3)] + weight * d
        t = out[word, np.uint64(column + 4)] + weight * e
        u = out[word, np.uint64(column + 5)] + weight * f
        v = out[word, np.uint64(column + 6)] + weight * g
        w = out[word, np.uint64(column + 7)] + weight * h
        out[word, np.uint64(column)] = p
        out[word, np.uint64(column + 1)] = q
        out[word, np.uint64(column + 2)] = r
        out[word, np.uint64(column + 3)] = s
        out[word, np.uint64(column + 4)] = t
        out[word, np.uint64(column + 5)] = u
        out[word, np.uint64(column + 6)] = v
        out[word, np.uint64(column + 7)] = w


@njit(cache=True, error_model="numpy", nogil=True)
def attend_back(offsets, words, data, slopes, contexts, inverses, sums):
    """sums (V, columns) = Cᵀ [g/D | g·v/D] from slopes g = ∂L/∂v (R, k, N) and what `attend` gave."""
    replicates, width, size = contexts.shape
    row = np.zeros(sums.shape[1])
    sums[:] = 0.0
    for sentence in range(size):
        for replicate in range(replicates):
            along = 0.0
            for column in range(width):
                slope = slopes[replicate, column, sentence] * inverses[replicate, sentence]
                along += slope * contexts[replicate, column, sentence]
                row[column * replicates + replicate] = slope
            row[width * replicates + replicate] = along
        for column in range(0, row.size, EIGHT):
            _scatter(offsets[sentence], offsets[sentence + 1], words, data, row, column, sums)


@njit(cache=True, error_model="numpy", nogil=True)
def gradients(sums, operand, value_gradient, score_gradient):
    """∂L/∂P (V, k, R) and ∂L/∂s (V, R) from the sums of the backward product and the operand of the forward one."""
    size, width, replicates = value_gradient.shape
    for word in range(size):
        for replicate in range(replicates):
            last = np.uint64(width * replicates + replicate)
            weight = operand[word, last]
            slope = -weight * sums[word, last]
            for column in range(width):
                place = np.uint64(column * replicates + replicate)
                value_gradient[word, np.uint64(column), np.uint64(replicate)] = weight * sums[word, place]
                slope += operand[word, place] * sums[word, place]
            score_gradient[word, np.uint64(replicate)] = slope


@njit(cache=True, error_model="numpy", nogil=True)
def relative_weights(offsets, words, counts, scores, out):
    """As that of `sentences`, of one replicate and in one thread."""
    for row in range(offsets.size - 1):
        relative_weights_of(offsets[row], offsets[row + 1], words, counts, scores, out)


@njit(cache=True, error_model="numpy", nogil=True)
def cross_entropy(logits, labels, losses, correct):
    """Mean loss and correct sentences (R,); logits (R, n, N) become the gradient of the mean."""
    size = labels.size
    beyond, total, inverse = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for replicate in range(logits.shape[0]):
        rows, loss, hits = logits[replicate], 0.0, 0
        for start in range(0, size, BLOCK):
            m = min(BLOCK, size - start)
            hits += softmax(rows, labels, start, start + m, size, beyond[:m], total[:m], inverse[:m])
            for first in range(0, m, TOTALS):
                product = 1.0
                for place in range(first, min(m, first + TOTALS)):
                    product *= total[place]
                    loss += beyond[place]
                loss += np.log(product)
        losses[replicate], correct[replicate] = loss / size, hits
