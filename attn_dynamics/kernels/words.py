"""Passes over the vocabulary: the backward product, steps, and the operand of the forward product (theory §1).

Arrays of words are stored axis by axis, (k, V), so that words lie side by side. Only the operands of the sparse
products are stored word by word, (V, k + 1). Each function treats the words from start to stop.
"""

import numpy as np

from attn_dynamics.kernels import kernel, leaf
from attn_dynamics.kernels.elementary import exponential
from attn_dynamics.kernels.heads import add_outer, add_product, dot
from attn_dynamics.kernels.sentences import fill_rows, gather, gather_twelve, gather_two

BLOCK = 256
"""Number of words whose values stay in the innermost cache."""
LONG = 4096
"""Number of words in a block of a pass over E (d, V) if k = 1, long enough for the processor's prefetch."""
ONE = np.uint64(1)
MANTISSA = 2**63 - 1
"""Mask of all bits of an integer except its sign."""
SMALLEST_SQUARE = 1e-276
"""Sum of squares, tiny / ε², below which some of its terms underflow."""


@kernel
def extent(scores):
    """Return the smallest and the largest score; a NaN counts as larger than any number."""
    # Loops over floats are not vectorised, because of NaN. Loops over integers of the same order are.
    bits, keys = scores.view(np.int64), np.array([2**63 - 1, -(2**63)])
    low, high = keys[0], keys[1]
    for word in range(bits.size):
        key = bits[word] ^ ((bits[word] >> 63) & MANTISSA)
        low, high = min(low, key), max(high, key)
    keys[0], keys[1] = low ^ ((low >> 63) & MANTISSA), high ^ ((high >> 63) & MANTISSA)
    found = keys.view(np.float64)
    return found[0], found[1]


@kernel
def fill_operand(start, stop, wide, high, scores, values, operand):
    """Fill the operand [e^(s - high) | e^(s - high) ⊙ P], or [1 | P] if scores are spread wide."""
    weights, ones = np.ones(BLOCK), np.ones(BLOCK)
    for first in range(start, stop, BLOCK):
        last = min(stop, first + BLOCK)
        if not wide:
            for place in range(last - first):
                weights[place] = exponential(scores[first + place] - high)
        fill_rows(ones, weights, values, first, operand[first:last])


@leaf
def attend_back(start, stop, pattern, rows, operand, score_slopes, value_slopes):
    """Fill ∂L/∂s (V,) and (∂L/∂P)ᵀ (k, V) from the rows (N, k + 1 and padding) of g·v/D and g/D."""
    offsets, sentences, counts = pattern.offsets, pattern.rows, pattern.counts
    width = rows.shape[1]
    for word in range(np.uint64(start), np.uint64(stop)):
        first, last, weight = offsets[word], offsets[word + ONE], operand[word, np.uint64(0)]
        if width == 2:
            a, b = gather_two(first, last, sentences, counts, rows, 0)
            score_slopes[word] = operand[word, np.uint64(1)] * b - weight * a
            value_slopes[0, word] = weight * b
        elif width == 4:
            a, b, c, d = gather(first, last, sentences, counts, rows, 0)
            score_slopes[word] = _along(operand, word, 0, 0.0, b, c, d) - weight * a
            _set_four(value_slopes, word, -1, 0.0, weight * b, weight * c, weight * d)
        else:
            places = first, last, sentences, counts, rows, min(8, width - 4)
            a, b, c, d, e, f, g, h, i, j, k, m = gather_twelve(*places)
            slope = _along(operand, word, 0, 0.0, b, c, d) + _along(operand, word, 4, e, f, g, h)
            _set_four(value_slopes, word, -1, 0.0, weight * b, weight * c, weight * d)
            _set_four(value_slopes, word, 3, weight * e, weight * f, weight * g, weight * h)
            if width > 8:
                slope += _along(operand, word, 8, i, j, k, m)
                _set_four(value_slopes, word, 7, weight * i, weight * j, weight * k, weight * m)
            score_slopes[word] = slope - weight * a
    for column in range(12, width, 4):
        for word in range(np.uint64(start), np.uint64(stop)):
            weight = operand[word, np.uint64(0)]
            a, b, c, d = gather(offsets[word], offsets[word + ONE], sentences, counts, rows, column)
            score_slopes[word] += _along(operand, word, column, a, b, c, d)
            _set_four(value_slopes, word, column - 1, weight * a, weight * b, weight * c, weight * d)


@leaf
def _along(operand, word, column, a, b, c, d):
    """Return the product of a row of the operand, in the four columns from `column` on, with (a, b, c, d)."""
    left = operand[word, np.uint64(column)] * a + operand[word, np.uint64(column + 1)] * b
    return left + (operand[word, np.uint64(column + 2)] * c + operand[word, np.uint64(column + 3)] * d)


@leaf
def _set_four(columns, word, row, a, b, c, d):
    """Set four entries of a word, from `row` on, in columns (k, V); entries out of range are padding."""
    for place, number in enumerate((a, b, c, d)):
        if 0 <= row + place < columns.shape[0]:
            columns[np.uint64(row + place), word] = number


@leaf
def attend_back_apart(start, stop, wide, pattern, kept, scores, operand, score_slopes, value_slopes, sums):
    """Fill the gradients, as `attend_back` does, of words that lead a sentence, or of all words if scores spread wide.

    The share of ∂L/∂s of a sentence that word l leads is A g·(v - P_l), from `lead_slopes`. As a difference A g·v -
    A g·P_l it would be noise.
    """
    for first in range(start, stop, BLOCK):
        last = min(stop, first + BLOCK)
        if wide or _any(kept.led[first:last]):
            for word in range(first, last):
                if wide or kept.led[word]:
                    _attend_back_one(word, wide, pattern, kept, scores, operand, score_slopes, value_slopes, sums)


@leaf
def _any(mask):
    """Return whether any entry is true; it reads all of them, in vector instructions."""
    found = False
    for place in range(mask.size):
        found |= mask[place]
    return found


@leaf
def _attend_back_one(word, wide, pattern, kept, scores, operand, score_slopes, value_slopes, sums):
    """Fill the gradients of one word, as `attend_back_apart` does."""
    rows, leads, width = kept.rows, kept.leads, value_slopes.shape[0]
    for column in range(width + 1):
        sums[0, column] = sums[1, column] = 0.0
    for entry in range(pattern.offsets[word], pattern.offsets[word + 1]):
        row, weight, place = pattern.rows[entry], float(pattern.counts[entry]), 0
        if wide:
            weight *= exponential(scores[word] - kept.largest[row])
        if leads[row] == word:
            sums[1, 0] += weight * kept.lead_slopes[row]
            place = 1
        else:
            sums[0, 0] += weight * rows[row, np.uint64(0)]
        for column in range(1, width + 1):
            sums[place, column] += weight * rows[row, np.uint64(column)]
    weight = operand[word, np.uint64(0)]
    slope = -weight * (sums[0, 0] + sums[1, 0])
    for column in range(1, width + 1):
        slope += operand[word, np.uint64(column)] * sums[0, column]
        value_slopes[column - 1, word] = weight * (sums[0, column] + sums[1, column])
    score_slopes[word] = slope


@leaf
def freeze(start, stop, frozen, score_slopes, value_slopes):
    """Set the gradients of frozen words to 0."""
    for word in range(start, stop):
        if frozen[word]:
            score_slopes[word] = 0.0
            for column in range(value_slopes.shape[0]):
                value_slopes[column, word] = 0.0


@leaf
def received(word, wide, pattern, kept, scores, operand):
    """Return the attention Σ_i A_iw that a word receives."""
    found = 0.0
    for entry in range(pattern.offsets[word], pattern.offsets[word + 1]):
        row, weight = pattern.rows[entry], float(pattern.counts[entry])
        if wide:
            weight *= exponential(scores[word] - kept.largest[row])
        found += weight * kept.inverses[row]
    return found * operand[word, np.uint64(0)]


@leaf
def joint_square(start, stop, columns, metric):
    """Return Σ_w b_wᵀ G b_w over columns b_w of (k, V), with the metric G (k, k)."""
    square = 0.0
    for row in range(metric.shape[0]):
        for column in range(row + 1):
            if metric[row, column] != 0.0:
                share = dot(columns[row, start:stop], columns[column, start:stop])
                square += (1 if row == column else 2) * metric[row, column] * share
    return square


@leaf
def pull_back(start, stop, axes, value_slopes, out):
    """Add Eᵀ (∂L/∂P) of these words to out (d, k)."""
    block = LONG if len(value_slopes) == 1 else BLOCK
    for first in range(start, stop, block):
        add_outer(axes, value_slopes, out, first, min(stop, first + block))


@leaf
def clear(start, stop, out):
    """Fill the columns of these words with 0."""
    for column in range(len(out)):
        for word in range(start, stop):
            out[column, word] = 0.0


@leaf
def step_and_project(start, stop, axes, value_slopes, readout_matrix, rate, readout_after, out):
    """Compute E -= rate (∂L/∂P) Rᵀ in place, and add (E R′)ᵀ (k, V) of the new E to out, in one pass without ∂L/∂E.

    The arguments are axes Eᵀ (d, V), (∂L/∂P)ᵀ (k, V), R (d, k) before and R′ after the step; a rate of 0 takes none.
    """
    block = LONG if len(out) == 1 else BLOCK
    for first in range(start, stop, block):
        last = min(stop, first + block)
        for axis in range(0, len(axes), 4):  # four axes stay in the cache between step and projection
            some, before, after = axes[axis : axis + 4], readout_matrix[axis : axis + 4], readout_after[axis : axis + 4]
            if rate == 0.0:
                add_product(1.0, after.T, some, out, first, last)
            elif len(out) == 1 and len(some) == 4:
                slopes, sums = value_slopes[0, first:last], out[0, first:last]
                _step_and_project_four(some, rate, before, after, slopes, sums, first, last)
            elif len(out) == 3 and len(some) == 4:
                _step_and_project_four_by_three(some, rate, before, after, value_slopes, out, first, last)
            else:
                add_product(-rate, before, value_slopes, some, first, last)
                add_product(1.0, after.T, some, out, first, last)


@leaf
def _step_and_project_four(axes, rate, before, after, slopes, sums, start, stop):
    """Step four axes and add their projection on one column to the sums, as `step_and_project` does."""
    a, b, c, d = axes[0, start:stop], axes[1, start:stop], axes[2, start:stop], axes[3, start:stop]
    p, q, r, s = rate * before[0, 0], rate * before[1, 0], rate * before[2, 0], rate * before[3, 0]
    e, f, g, h = after[0, 0], after[1, 0], after[2, 0], after[3, 0]
    for word in range(slopes.size):
        slope = slopes[word]
        t, u, v, w = a[word] - p * slope, b[word] - q * slope, c[word] - r * slope, d[word] - s * slope
        a[word], b[word], c[word], d[word] = t, u, v, w
        sums[word] += (e * t + f * u) + (g * v + h * w)


@leaf
def _step_and_project_four_by_three(axes, rate, before, after, slopes, out, start, stop):
    """Step four axes and add their projection on three columns to `out`, as `step_and_project` does."""
    a, b, c, d = axes[0, start:stop], axes[1, start:stop], axes[2, start:stop], axes[3, start:stop]
    x, y, z = slopes[0, start:stop], slopes[1, start:stop], slopes[2, start:stop]
    u, v, w = out[0, start:stop], out[1, start:stop], out[2, start:stop]
    ax, ay, az = rate * before[0, 0], rate * before[0, 1], rate * before[0, 2]
    bx, by, bz = rate * before[1, 0], rate * before[1, 1], rate * before[1, 2]
    cx, cy, cz = rate * before[2, 0], rate * before[2, 1], rate * before[2, 2]
    dx, dy, dz = rate * before[3, 0], rate * before[3, 1], rate * before[3, 2]
    au, bu, cu, du = after[0, 0], after[1, 0], after[2, 0], after[3, 0]
    av, bv, cv, dv = after[0, 1], after[1, 1], after[2, 1], after[3, 1]
    aw, bw, cw, dw = after[0, 2], after[1, 2], after[2, 2], after[3, 2]
    for word in range(a.size):
        p = a[word] - ((ax * x[word] + ay * y[word]) + az * z[word])
        q = b[word] - ((bx * x[word] + by * y[word]) + bz * z[word])
        r = c[word] - ((cx * x[word] + cy * y[word]) + cz * z[word])
        s = d[word] - ((dx * x[word] + dy * y[word]) + dz * z[word])
        a[word], b[word], c[word], d[word] = p, q, r, s
        u[word] += (au * p + bu * q) + (cu * r + du * s)
        v[word] += (av * p + bv * q) + (cv * r + dv * s)
        w[word] += (aw * p + bw * q) + (cw * r + dw * s)


@leaf
def subtract(start, stop, array, rate, step):
    """Compute array -= rate · step, both (k, V), in place."""
    for row in range(array.shape[0]):
        target, source = array[row, start:stop], step[row, start:stop]
        for place in range(target.size):
            target[place] -= rate * source[place]


@leaf
def norms(axes, still, columns, out):
    """Set out = ‖ν‖ of the words in columns (words,), from axes Eᵀ (d, V) and the norms still (V,) outside of them."""
    for place in range(columns.size):
        word = columns[place]
        square = still[word] ** 2
        for axis in range(axes.shape[0]):
            square += axes[axis, word] ** 2
        out[place] = _norm(square, axes, still, word)


@leaf
def all_norms(axes, still, out):
    """Set out = ‖ν‖ of all words (V,), as `norms` does, reading axes Eᵀ (d, V) in their order."""
    for first in range(0, out.size, BLOCK):
        squares = out[first : first + BLOCK]
        for place in range(squares.size):
            squares[place] = still[first + place] ** 2
        for axis in range(axes.shape[0]):
            row = axes[axis, first : first + BLOCK]
            for place in range(squares.size):
                squares[place] += row[place] ** 2
        for place in range(squares.size):
            squares[place] = _norm(squares[place], axes, still, first + place)


@leaf
def _norm(square, axes, still, word):
    """Return the norm of a word from its square, or without squares if they underflow."""
    if not square <= SMALLEST_SQUARE:
        return np.sqrt(square)
    norm = still[word]
    for axis in range(axes.shape[0]):
        norm = np.hypot(norm, axes[axis, word])
    return norm
