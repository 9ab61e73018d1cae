"""The forward product, from words to sentences: normaliser D, context v = A P and leading word of one sentence.

The operand (V, k + 1 and padding) holds [e^s | e^s ⊙ P]: the weight of a word first, then its weighted values. A row
has 2, 4, 8, 12, … numbers (`columns_of` in model/corpus_arrays.py), and these loops know no other widths. Columns
are processed in fours, which fill a vector register. Offsets and indices are unsigned, which avoids numba's test for
negative ones and a third of the time. The pattern alone fixes the order of every sum (theory §1).
"""

import numpy as np

from attn_dynamics.kernels import leaf
from attn_dynamics.kernels.elementary import exponential

NO_LEAD = 2**32 - 1
"""Leading word of a sentence that no word leads."""
LEADING = 15 / 16
"""Share of attention above which a word leads its sentence; up to it round-off grows 16-fold at most."""


@leaf
def gather(start, stop, indices, data, source, column):
    """Return four columns, from `column` on, of Σ data · source[indices] over the entries from start to stop."""
    a = b = c = d = 0.0
    for entry in range(start, stop):
        weight, row = float(data[entry]), indices[entry]
        a += weight * source[row, np.uint64(column)]
        b += weight * source[row, np.uint64(column + 1)]
        c += weight * source[row, np.uint64(column + 2)]
        d += weight * source[row, np.uint64(column + 3)]
    return a, b, c, d


@leaf
def gather_twelve(start, stop, indices, data, source, column):
    """Return the first eight columns and four more, from `column` on, of Σ data · source[indices], as `gather` does."""
    a = b = c = d = e = f = g = h = i = j = k = m = 0.0
    for entry in range(start, stop):
        weight, row = float(data[entry]), indices[entry]
        a += weight * source[row, np.uint64(0)]
        b += weight * source[row, np.uint64(1)]
        c += weight * source[row, np.uint64(2)]
        d += weight * source[row, np.uint64(3)]
        e += weight * source[row, np.uint64(4)]
        f += weight * source[row, np.uint64(5)]
        g += weight * source[row, np.uint64(6)]
        h += weight * source[row, np.uint64(7)]
        i += weight * source[row, np.uint64(column)]
        j += weight * source[row, np.uint64(column + 1)]
        k += weight * source[row, np.uint64(column + 2)]
        m += weight * source[row, np.uint64(column + 3)]
    return a, b, c, d, e, f, g, h, i, j, k, m


@leaf
def gather_two(start, stop, indices, data, source, column):
    """Return two columns, from `column` on, of Σ data · source[indices] over the entries from start to stop."""
    a = b = 0.0
    for entry in range(start, stop):
        weight, row = float(data[entry]), indices[entry]
        a += weight * source[row, np.uint64(column)]
        b += weight * source[row, np.uint64(column + 1)]
    return a, b


@leaf
def fill_rows(first, factors, columns, start, rows):
    """Fill rows (B, k + 1 and padding) with factors · [first | columns | 0], of the columns (k, ·) from start on.

    Four numbers of a row are written at a time; the last column, times 0, stands for missing ones.
    """
    last, size, stop = columns.shape[0] - 1, np.uint64(len(rows)), start + len(rows)
    if last == 0:
        only = columns[0, start:stop]
        for place in range(size):
            rows[place, 0], rows[place, 1] = factors[place] * first[place], factors[place] * only[place]
        return
    for column in range(0, rows.shape[1], 4):
        a = columns[column - 1, start:stop] if column > 0 else first
        b, p = columns[min(column, last), start:stop], 1.0 if column <= last else 0.0
        c, q = columns[min(column + 1, last), start:stop], 1.0 if column + 1 <= last else 0.0
        d, r = columns[min(column + 2, last), start:stop], 1.0 if column + 2 <= last else 0.0
        for place in range(size):
            factor = factors[place]
            rows[place, np.uint64(column)] = factor * a[place]
            rows[place, np.uint64(column + 1)] = factor * p * b[place]
            rows[place, np.uint64(column + 2)] = factor * q * c[place]
            rows[place, np.uint64(column + 3)] = factor * r * d[place]


@leaf
def attend(start, stop, offsets, words, data, operand, sums):
    """Fill sums (B, k + 1) with the normaliser D = Σ c e^s and Σ c e^s P of each sentence from start to stop."""
    width = sums.shape[1]
    for sentence in range(start, stop):
        first, last, row = offsets[sentence], offsets[sentence + 1], sums[sentence - start]
        done = 0
        if width >= 8:
            done = 12
            some = gather_twelve(first, last, words, data, operand, min(8, width - 4))
            _set_four(row, 0, some[:4])
            _set_four(row, 4, some[4:8])
            _set_four(row, min(8, width - 4), some[8:])
        for column in range(done, width - 3, 4):
            _set_four(row, column, gather(first, last, words, data, operand, column))
        if width == 2:
            row[0], row[1] = gather_two(first, last, words, data, operand, 0)


@leaf
def _set_four(row, column, numbers):
    """Set four numbers of a row, from `column` on."""
    row[column], row[column + 1], row[column + 2], row[column + 3] = numbers


@leaf
def find_lead(first, last, words, data, operand, sums, deviations, row):
    """Return the leading word of a sentence, or NO_LEAD; if there is one, set its sums anew, and its deviations.

    Deviations (k + 1,) get v - P_l = Σ_{u≠l} c e^{s_u} (P_u - P_l) / D, from the second place on. Computed from v,
    this difference would be noise.
    """
    largest = 0.0
    for entry in range(first, last):
        largest = max(largest, float(data[entry]) * operand[words[entry], np.uint64(0)])
    if largest <= LEADING * sums[row, 0]:
        return np.uint32(NO_LEAD)
    lead, others = first, 0.0
    for entry in range(first, last):
        weight = float(data[entry]) * operand[words[entry], np.uint64(0)]
        if weight == largest:
            lead = entry
        else:
            others += weight
    width, word, count, total = sums.shape[1], words[lead], float(data[lead]), largest + others
    for column in range(0, width, 2):
        left = gather_two(first, lead, words, data, operand, column)
        right = gather_two(lead + 1, last, words, data, operand, column)
        sums[row, column], sums[row, column + 1] = left[0] + right[0], left[1] + right[1]
    share = others / operand[word, np.uint64(0)]
    for column in range(1, width):
        own = operand[word, np.uint64(column)]
        deviations[row, column] = (sums[row, column] - share * own) / total
        sums[row, column] += count * own
    sums[row, 0] = total
    return word


@leaf
def relative_weights(start, stop, words, counts, scores, out):
    """Fill out (nnz,) with c e^(s - the largest s) for the entries from start to stop; return the largest s."""
    largest = -np.inf
    for entry in range(start, stop):
        largest = max(largest, scores[words[entry]])
    for entry in range(start, stop):
        out[entry] = float(counts[entry]) * exponential(scores[words[entry]] - largest)
    return largest
