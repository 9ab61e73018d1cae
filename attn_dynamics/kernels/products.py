"""The two sparse-dense products that one epoch costs, C X and Cᵀ Y, on plain arrays (theory §1).

Columns go in fours, which fill a vector register; the rest go singly. Offsets and indices are unsigned, which spares
numba's test for negative ones and a third of the time. Each sum is taken in an order fixed by its arguments alone, so the
results do not depend on the number of threads.
"""

import numpy as np
from numba import njit, prange

PARALLEL_FROM = 1 << 16
"""Entries of a pattern from which a second thread saves more than it costs."""


@njit(cache=True, error_model="numpy")
def _gather_row(start, stop, indices, data, operand, out, row):
    width = operand.shape[1]
    column = 0
    while column + 4 <= width:
        a = b = c = d = 0.0
        for entry in range(start, stop):
            weight = float(data[entry])
            source = indices[entry]
            a += weight * operand[source, np.uint64(column)]
            b += weight * operand[source, np.uint64(column + 1)]
            c += weight * operand[source, np.uint64(column + 2)]
            d += weight * operand[source, np.uint64(column + 3)]
        out[row, column] = a
        out[row, column + 1] = b
        out[row, column + 2] = c
        out[row, column + 3] = d
        column += 4
    while column < width:
        a = 0.0
        for entry in range(start, stop):
            a += float(data[entry]) * operand[indices[entry], np.uint64(column)]
        out[row, column] = a
        column += 1


@njit(cache=True, error_model="numpy")
def _scatter_row(start, stop, indices, data, operand, row, out):
    width = operand.shape[1]
    column = 0
    while column + 4 <= width:
        a = operand[row, column]
        b = operand[row, column + 1]
        c = operand[row, column + 2]
        d = operand[row, column + 3]
        for entry in range(start, stop):
            weight = float(data[entry])
            target = indices[entry]
            # Four loads before four stores: only then are they one vector each.
            p = out[target, np.uint64(column)] + weight * a
            q = out[target, np.uint64(column + 1)] + weight * b
            r = out[target, np.uint64(column + 2)] + weight * c
            s = out[target, np.uint64(column + 3)] + weight * d
            out[target, np.uint64(column)] = p
            out[target, np.uint64(column + 1)] = q
            out[target, np.uint64(column + 2)] = r
            out[target, np.uint64(column + 3)] = s
        column += 4
    while column < width:
        a = operand[row, column]
        for entry in range(start, stop):
            out[indices[entry], np.uint64(column)] += float(data[entry]) * a
        column += 1


@njit(cache=True, error_model="numpy")
def _gather(offsets, indices, data, operand, out):
    for row in range(out.shape[0]):
        _gather_row(offsets[row], offsets[row + 1], indices, data, operand, out, row)


@njit(cache=True, error_model="numpy", parallel=True)
def _gather_parallel(offsets, indices, data, operand, out):
    for row in prange(out.shape[0]):
        _gather_row(offsets[row], offsets[row + 1], indices, data, operand, out, row)


@njit(cache=True, error_model="numpy")
def _scatter(offsets, indices, data, operand, out):
    out[:] = 0.0
    for row in range(operand.shape[0]):
        _scatter_row(offsets[row], offsets[row + 1], indices, data, operand, row, out)


@njit(cache=True, error_model="numpy", parallel=True)
def _scatter_parallel(offsets, indices, data, operand, bounds, partial, out):
    for part in prange(partial.shape[0]):
        partial[part] = 0.0
        for row in range(bounds[part], bounds[part + 1]):
            _scatter_row(offsets[row], offsets[row + 1], indices, data, operand, row, partial[part])
    for target in prange(out.shape[0]):
        for column in range(out.shape[1]):
            total = 0.0
            for part in range(partial.shape[0]):
                total += partial[part, target, column]
            out[target, column] = total


def gather(offsets, indices, data, operand, out):
    """out = C X: (N, k) from operand X (V, k); C in CSR form with unsigned offsets (N + 1,) and indices (nnz,)."""
    kernel = _gather_parallel if indices.size >= PARALLEL_FROM else _gather
    kernel(offsets, indices, data, operand, out)


def scatter(offsets, indices, data, operand, bounds, partial, out):
    """out = Cᵀ Y: (V, k) from operand Y (N, k), summed in parts of rows, each into its own partial (parts, V, k).

    `bounds` and `partial` come from `scatter_parts`.
    """
    if partial.shape[0] > 1:
        _scatter_parallel(offsets, indices, data, operand, bounds, partial, out)
    else:
        _scatter(offsets, indices, data, operand, out)


def scatter_parts(offsets, n_columns, width):
    """Split rows into parts of about equal entries: (bounds (parts + 1,), partial (parts, V, k)).

    The number of parts depends on the pattern alone, never on the machine, and keeps the sum over parts cheap beside the
    product itself.
    """
    entries = int(offsets[-1])
    parts = min(max(entries // (4 * n_columns), 1), 16) if entries >= PARALLEL_FROM else 1
    shares = np.arange(1, parts) * entries // parts
    bounds = np.concatenate([[0], np.searchsorted(offsets, shares), [offsets.size - 1]])
    return bounds, np.empty((parts, n_columns if parts > 1 else 0, width))
