"""Passes over the vocabulary.

Arrays of words are stored axis by axis, (k, V), so that words lie side by side. Only the operands of the sparse
products are stored word by word, (V, k + 1). Sums over the vocabulary have a fixed number of parts, so that they do not
depend on the number of threads. Indices of words are unsigned, which avoids numba's test for negative ones.
"""

import numpy as np
from numba import njit, prange

from attn_dynamics.kernels.exponential import exponentials

PARTS = 8
"""Number of parts of a sum over the vocabulary."""
BLOCK = 256
"""Number of words whose values stay in the innermost cache."""
SMALLEST_SQUARE = 1e-276
"""Sum of squares, tiny / ε², below which it loses terms that float64 cannot hold."""
WIDE = 512
"""Number of words in a block of a pass over E (d, V), long enough for the processor's prefetch."""


@njit(cache=True, error_model="numpy")
def _span(index, size, parts):
    """Return the words (first, last) of one part of several."""
    return np.uint64(index * size // parts), np.uint64((index + 1) * size // parts)


@njit(cache=True, error_model="numpy")
def _block(index, size):
    """Return the words (first, last) of a block."""
    return np.uint64(index * BLOCK), np.uint64(min(size, (index + 1) * BLOCK))


@njit(cache=True, error_model="numpy", parallel=True)
def operand(scores, values, spread, out):
    """Fill out (V, k + 1) with [e^(s - shift) ⊙ P | e^(s - shift)] from scores s (V,) and values Pᵀ (k, V).

    The shift is the largest score, because a smaller one would lose tiny slopes over large divisors below 1e-308. If
    scores spread wider than allowed, fill in [P | 1] and return False.
    """
    width, size = values.shape
    low, high = np.inf, -np.inf
    for word in prange(size):
        low = min(low, scores[word])
        high = max(high, scores[word])
    shared = high - low <= spread
    for block in prange((size + BLOCK - 1) // BLOCK):
        start, stop = _block(block, size)
        weights, scratch = np.ones(stop - start), np.empty(stop - start)
        if shared:
            for word in range(weights.size):
                weights[word] = scores[start + word] - high
            exponentials(weights, scratch, scratch.view(np.int64))
        for word in range(weights.size):
            out[start + word, width] = weights[word]
        for column in range(width):
            for word in range(weights.size):
                out[start + word, column] = weights[word] * values[column, start + word]
    return shared


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _dot(left, right):
    """Return Σ left · right, in as many partial sums as the processor takes at a time."""
    total = 0.0
    for place in range(left.size):
        total += left[place] * right[place]
    return total


@njit(cache=True, error_model="numpy", parallel=True)
def gradients(sums, leading, operand, metric, value_gradient, score_gradient, partial):
    """Fill (∂L/∂P)ᵀ (k, V) and ∂L/∂s (V,) from the sums of the backward product and the operand of the forward one.

    Return ‖∂L/∂s‖² and ‖∂L/∂E‖_F² = Σ_w b_wᵀ G b_w, with b_w the columns of (∂L/∂P)ᵀ and G = RᵀR (k, k) if P = E R.
    """
    width, size = value_gradient.shape
    for part in prange(PARTS):
        start, stop = _span(part, size, PARTS)
        for word in range(start, stop):
            weight = operand[word, width]
            # Sentences that the word leads are kept apart, because their A g·(v - P) may be tiny beside A g·P.
            slope = -weight * (sums[word, width] + leading[word, width])
            for column in range(width):
                value_gradient[column, word] = weight * (sums[word, column] + leading[word, column])
                slope += operand[word, column] * sums[word, column]
            score_gradient[word] = slope
        partial[part, 0] = _dot(score_gradient[start:stop], score_gradient[start:stop])
        square = 0.0
        for row in range(width):
            for column in range(row + 1):
                if metric[row, column] != 0.0:
                    share = _dot(value_gradient[row, start:stop], value_gradient[column, start:stop])
                    square += (1 if row == column else 2) * metric[row, column] * share
        partial[part, 1] = square
    # Not by .sum(), which a parallel kernel splits into as many parts as there are threads.
    scores, values = 0.0, 0.0
    for part in range(PARTS):
        scores += partial[part, 0]
        values += partial[part, 1]
    return scores, values


@njit(cache=True, error_model="numpy", parallel=True)
def project(axes, weight, out):
    """Fill Pᵀ = (E W)ᵀ (k, V) from axes Eᵀ (d, V) and weight W (d, k)."""
    size = axes.shape[1]
    for block in prange((size + BLOCK - 1) // BLOCK):
        start, stop = _block(block, size)
        for column in range(weight.shape[1]):
            sums = out[column, start:stop]
            sums[:] = 0.0
            for axis in range(axes.shape[0]):
                factor, row = weight[axis, column], axes[axis, start:stop]
                for word in range(row.size):
                    sums[word] += factor * row[word]


@njit(cache=True, error_model="numpy", parallel=True)
def descend(axes, value_gradient, weight, rate, weight_after, out):
    """Compute E -= rate (∂L/∂P) Wᵀ in place, and Pᵀ = (E W′)ᵀ (k, V) of the new E, in one pass without ∂L/∂E (V, d).

    The arguments are axes Eᵀ (d, V), (∂L/∂P)ᵀ (k, V), W (d, k) before and W′ after the step.
    """
    size, width = axes.shape[1], weight.shape[1]
    for block in prange((size + WIDE - 1) // WIDE):
        start, stop = np.uint64(block * WIDE), np.uint64(min(size, (block + 1) * WIDE))
        out[:, start:stop] = 0.0
        for axis in range(axes.shape[0]):
            row = axes[axis, start:stop]
            for column in range(width):
                factor, slope = rate * weight[axis, column], value_gradient[column, start:stop]
                for word in range(row.size):
                    row[word] -= factor * slope[word]
            for column in range(width):
                factor, sums = weight_after[axis, column], out[column, start:stop]
                for word in range(row.size):
                    sums[word] += factor * row[word]


@njit(cache=True, error_model="numpy", parallel=True)
def subtract(array, rate, step):
    """Compute array -= rate · step, both (k, V), in place."""
    size = array.shape[1]
    for block in prange((size + BLOCK - 1) // BLOCK):
        start, stop = _block(block, size)
        for column in range(array.shape[0]):
            for word in range(start, stop):
                array[column, word] -= rate * step[column, word]


@njit(cache=True, error_model="numpy", parallel=True)
def pull_back(axes, value_gradient, partial, out):
    """Fill ∂L/∂R (d, k) = Eᵀ (∂L/∂P) from axes Eᵀ (d, V) and (∂L/∂P)ᵀ (k, V), with scratch partial (PARTS, d, k)."""
    size = axes.shape[1]
    for part in prange(PARTS):
        first, last = _span(part, size, PARTS)
        partial[part] = 0.0
        for start in range(first, last, np.uint64(BLOCK)):
            stop = min(last, start + np.uint64(BLOCK))
            for axis in range(axes.shape[0]):
                for column in range(value_gradient.shape[0]):
                    partial[part, axis, column] += _dot(axes[axis, start:stop], value_gradient[column, start:stop])
    for axis in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[axis, column] = 0.0
            for part in range(PARTS):
                out[axis, column] += partial[part, axis, column]


@njit(cache=True, error_model="numpy")
def norms(axes, still, columns, out):
    """Set out = ‖ν‖ of the words in columns (words,), from axes Eᵀ (d, V) and the norms still (V,) outside of them."""
    for place in range(columns.size):
        word = columns[place]
        square = still[word] ** 2
        for axis in range(axes.shape[0]):
            square += axes[axis, word] ** 2
        out[place] = np.sqrt(square)
        if square <= SMALLEST_SQUARE:
            out[place] = still[word]
            for axis in range(axes.shape[0]):
                out[place] = np.hypot(out[place], axes[axis, word])
