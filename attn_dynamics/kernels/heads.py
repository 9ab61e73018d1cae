"""The heads in compiled code, for a block of sentences as columns (theory §1)."""

from typing import Any

from numba import njit

from attn_dynamics.kernels import LEAF, leaf

SUMMING: dict[str, Any] = LEAF | {"fastmath": {"reassoc", "contract"}}
summing = njit(**SUMMING)
"""Compile a function whose sums may be reordered, so that they become vector instructions."""


@summing
def dot(left, right):
    """Return Σ left · right."""
    total = 0.0
    for place in range(left.size):
        total += left[place] * right[place]
    return total


@summing
def four_dots(a, b, c, d, right):
    """Return Σ a · right, Σ b · right, Σ c · right and Σ d · right."""
    p = q = r = s = 0.0
    for place in range(right.size):
        p += a[place] * right[place]
        q += b[place] * right[place]
        r += c[place] * right[place]
        s += d[place] * right[place]
    return p, q, r, s


@summing
def total(row):
    """Return the sum of a row."""
    found = 0.0
    for place in range(row.size):
        found += row[place]
    return found


@leaf
def add_product(factor, matrix, columns, out, start, stop):
    """Compute out (m, B) += factor · matrix (m, k) @ columns (k, B) in the columns from start to stop.

    It takes four rows of `columns` at a time, so that it reads and writes a row of `out` less often. The last row,
    times 0, stands for missing ones.
    """
    last = matrix.shape[1] - 1
    for row in range(matrix.shape[0]):
        target, entries = out[row, start:stop], matrix[row]
        for axis in range(0, last + 1, 4):
            second, third, fourth = min(axis + 1, last), min(axis + 2, last), min(axis + 3, last)
            a, b = columns[axis, start:stop], columns[second, start:stop]
            c, d = columns[third, start:stop], columns[fourth, start:stop]
            p, q = factor * entries[axis], factor * entries[second] if axis + 1 <= last else 0.0
            r = factor * entries[third] if axis + 2 <= last else 0.0
            s = factor * entries[fourth] if axis + 3 <= last else 0.0
            for place in range(target.size):
                target[place] += (p * a[place] + q * b[place]) + (r * c[place] + s * d[place])


@leaf
def multiply(matrix, columns, out, size):
    """Fill out (m, B) = matrix (m, k) @ columns (k, B), with `size` sentences side by side."""
    for row in range(matrix.shape[0]):
        for place in range(size):
            out[row, place] = 0.0
    add_product(1.0, matrix, columns, out, 0, size)


@leaf
def add_outer(left, right, out, start, stop):
    """Add left (m, B) @ rightᵀ (B, k) to out (m, k), over the columns from start to stop."""
    fours = left.shape[0] // 4 * 4
    for row in range(0, fours, 4):
        a, b = left[row, start:stop], left[row + 1, start:stop]
        c, d = left[row + 2, start:stop], left[row + 3, start:stop]
        for column in range(right.shape[0]):
            p, q, r, s = four_dots(a, b, c, d, right[column, start:stop])
            out[row, column] += p
            out[row + 1, column] += q
            out[row + 2, column] += r
            out[row + 3, column] += s
    for row in range(fours, left.shape[0]):
        for column in range(right.shape[0]):
            out[row, column] += dot(left[row, start:stop], right[column, start:stop])


@leaf
def hidden_forward(projected, bias_in, weight_out, bias_out, logits, size):
    """Fill the logits z = U₂ᵀ relu(u + b₁) + b₂ (n, B); u (h, B) becomes the hidden units relu(u + b₁)."""
    for unit in range(projected.shape[0]):
        row, bias = projected[unit, :size], bias_in[0, unit]
        for place in range(row.size):
            row[place] = max(row[place] + bias, 0.0)
    multiply(weight_out.T, projected, logits, size)
    for label in range(logits.shape[0]):
        row, bias = logits[label, :size], bias_out[0, label]
        for place in range(row.size):
            row[place] += bias


@leaf
def hidden_backward(hidden, slopes, weight_out, slopes_in, bias_in_sums, weight_out_sums, bias_out_sums, size):
    """Fill ∂L/∂u (h, B) from the hidden units and ∂L/∂z (n, B); add the gradients of b₁, U₂, b₂ to their sums."""
    multiply(weight_out, slopes, slopes_in, size)
    for unit in range(hidden.shape[0]):
        row, active = slopes_in[unit, :size], hidden[unit]
        for place in range(row.size):
            row[place] = row[place] if active[place] > 0.0 else 0.0
        bias_in_sums[0, unit] += total(row)
    add_outer(hidden, slopes, weight_out_sums, 0, size)
    for label in range(slopes.shape[0]):
        bias_out_sums[0, label] += total(slopes[label, :size])
