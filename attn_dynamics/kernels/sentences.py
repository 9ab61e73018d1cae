"""The two sparse-dense products of one epoch, C X forward and Cᵀ Y backward, sentence by sentence (theory §1).

Columns are processed in fours, which fill a vector register, and the rest singly. Offsets and indices are unsigned,
which avoids numba's test for negative ones and a third of the time. The pattern alone fixes the order of every sum, so
the results do not depend on the number of threads.
"""

import numpy as np
from numba import njit, prange

NO_LEAD = 2**32 - 1
"""Leading entry of a sentence that no word leads."""
LEADING = 15 / 16
"""Share of attention above which a word leads its sentence; up to it round-off grows 16-fold at most."""


@njit(cache=True, error_model="numpy")
def _total(start, stop, indices, data, operand, last, column):
    """Return Σ w, Σ w² and the gathered column, w = data · operand[indices, last] of the entries from start to stop."""
    total = squares = gathered = 0.0
    for entry in range(start, stop):
        count, row = float(data[entry]), indices[entry]
        weight = count * operand[row, last]
        total += weight
        squares += weight * weight
        gathered += count * operand[row, column]
    return total, squares, gathered


@njit(cache=True, error_model="numpy")
def _lead(start, stop, indices, data, operand, column):
    """Return the entry of the largest weight from start to stop, that weight, and the sum of the others."""
    lead, largest, others = start, 0.0, 0.0
    for entry in range(start, stop):
        weight = float(data[entry]) * operand[indices[entry], column]
        if weight > largest:
            lead, largest, weight = entry, weight, largest
        others += weight
    return lead, largest, others


@njit(cache=True, error_model="numpy")
def _gather(start, stop, indices, data, operand, width, out, place):
    """Compute out[place] (k,) += Σ data · operand[indices] over the entries from start to stop."""
    # No row becomes a separate array, because threads would contend for its reference count.
    column = 0
    while column + 4 <= width:
        a, b, c, d = out[place, column], out[place, column + 1], out[place, column + 2], out[place, column + 3]
        for entry in range(start, stop):
            weight = float(data[entry])
            row = indices[entry]
            a += weight * operand[row, np.uint64(column)]
            b += weight * operand[row, np.uint64(column + 1)]
            c += weight * operand[row, np.uint64(column + 2)]
            d += weight * operand[row, np.uint64(column + 3)]
        out[place, column] = a
        out[place, column + 1] = b
        out[place, column + 2] = c
        out[place, column + 3] = d
        column += 4
    while column < width:
        a = out[place, column]
        for entry in range(start, stop):
            a += float(data[entry]) * operand[indices[entry], np.uint64(column)]
        out[place, column] = a
        column += 1


@njit(cache=True, error_model="numpy", parallel=True)
def attend(offsets, words, data, operand, width, sentences, deviations, normalisers, leads):
    """Fill sentences[:, :k] with contexts v = Σ c e^s P / D, and normalisers (N,) with the divisors D = Σ c e^s.

    `operand` is [e^s ⊙ P | e^s | 0] (V, k + 1 and padding), width is k, and the pattern C goes by sentences: offsets
    (N + 1,), words and data (nnz,). If a word l takes nearly all attention, leads (N,) gets its entry, and deviations
    (N, k) gets v - P_l = Σ_{u≠l} c e^{s_u} (P_u - P_l) / D. Computed afterwards, this difference would be noise.
    """
    # Two or three columns are gathered as four, because four fill a vector; those beyond the k-th are not used. A
    # single one is gathered beside the weights.
    gathered, last = width + (4 - width % 4 if width % 4 >= 2 else 0), np.uint64(width)
    single = gathered - gathered % 4
    for row in prange(normalisers.size):
        start, stop = offsets[row], offsets[row + 1]
        total, squares, beside = _total(start, stop, words, data, operand, last, np.uint64(min(single, width)))
        leads[row] = NO_LEAD
        for column in range(gathered):
            sentences[row, column] = 0.0
        if squares <= LEADING * LEADING * total * total:
            _gather(start, stop, words, data, operand, single, sentences, row)
            sentences[row, min(single, width)] = beside
            for column in range(width):
                sentences[row, column] /= total
        else:
            lead, largest, others = _lead(start, stop, words, data, operand, last)
            _gather(start, lead, words, data, operand, gathered, sentences, row)
            _gather(lead + 1, stop, words, data, operand, gathered, sentences, row)
            word, count, total = words[lead], float(data[lead]), largest + others
            leads[row], share = lead, others / operand[word, last]
            for column in range(width):
                own = operand[word, np.uint64(column)]
                deviations[row, column] = (sentences[row, column] - share * own) / total
                sentences[row, column] = (sentences[row, column] + count * own) / total
        normalisers[row] = total


@njit(cache=True, error_model="numpy")
def _scatter(start, stop, indices, data, operand, place, out):
    """Compute out[indices] (k,) += data · operand[place] over the entries from start to stop."""
    width = operand.shape[1]
    column = 0
    while column + 4 <= width:
        a, b, c, d = (
            operand[place, column],
            operand[place, column + 1],
            operand[place, column + 2],
            operand[place, column + 3],
        )
        for entry in range(start, stop):
            weight = float(data[entry])
            row = indices[entry]
            # Four loads before four stores, because only then is each group one vector operation.
            p = out[row, np.uint64(column)] + weight * a
            q = out[row, np.uint64(column + 1)] + weight * b
            r = out[row, np.uint64(column + 2)] + weight * c
            s = out[row, np.uint64(column + 3)] + weight * d
            out[row, np.uint64(column)] = p
            out[row, np.uint64(column + 1)] = q
            out[row, np.uint64(column + 2)] = r
            out[row, np.uint64(column + 3)] = s
        column += 4
    while column < width:
        a = operand[place, column]
        for entry in range(start, stop):
            out[indices[entry], np.uint64(column)] += float(data[entry]) * a
        column += 1


@njit(cache=True, error_model="numpy", parallel=True)
def attend_back(words, data, slopes, normalisers, sentences, deviations, leads, bounds, splits, first, sums, leading):
    """Add the sentences' contributions to the sums of each word, from slopes g = ∂L/∂v (k, N) and results of `attend`.

    sums (V, k + 1) += Cᵀ [g | g·v]/D over the entries that lead no sentence, leading (V, k + 1) += Cᵀ [g | g·(v - P)]/D
    over those that lead one. Sums start at 0 if `first`, the first sentence of the block, is 0. The contexts v in
    `sentences` are replaced by [g | g·v]/D.

    Part p owns the words from bounds[p] to bounds[p + 1]; its entries in sentence i of the block are those from
    splits[p, first + i] to splits[p + 1, first + i].
    """
    width = slopes.shape[0]
    for row in prange(normalisers.size):
        along = 0.0
        for column in range(width):
            slope = slopes[column, row] / normalisers[row]
            along += slope * sentences[row, column]
            sentences[row, column] = slope
        sentences[row, width] = along
    for part in prange(bounds.size - 1):
        if first == 0:
            sums[bounds[part] : bounds[part + 1]] = 0.0
            leading[bounds[part] : bounds[part + 1]] = 0.0
        for row in range(normalisers.size):
            place, lead = np.uint64(first + row), leads[row]
            start, stop = splits[part, place], splits[part + 1, place]
            if start <= lead < stop:
                word, count = words[lead], float(data[lead])
                for column in range(width):
                    share = count * sentences[row, column]
                    leading[word, np.uint64(column)] += share
                    leading[word, np.uint64(width)] += share * deviations[row, column]
                _scatter(start, lead, words, data, sentences, row, sums)
                _scatter(lead + 1, stop, words, data, sentences, row, sums)
            else:
                _scatter(start, stop, words, data, sentences, row, sums)


def split_words(counts, parts):
    """Cut the vocabulary into parts of about equal entries: return bounds (parts + 1,) and splits (parts + 1, N).

    Indices of the pattern must be sorted. The sum of each word keeps the order of the sentences, so the parts do not
    change a bit of it.
    """
    filled = np.cumsum(np.bincount(counts.indices, minlength=counts.shape[1]))
    inner = np.searchsorted(filled, np.arange(1, parts) * counts.nnz // parts)
    bounds = np.concatenate([[0], inner, [counts.shape[1]]])
    splits = np.empty((parts + 1, counts.shape[0]), np.uint32)
    splits[0], splits[parts] = counts.indptr[:-1], counts.indptr[1:]
    for part in range(1, parts):
        below = np.concatenate([[0], np.cumsum(counts.indices < bounds[part], dtype=np.int32)])
        splits[part] = counts.indptr[:-1] + below[counts.indptr[1:]] - below[counts.indptr[:-1]]
    return bounds, splits


@njit(cache=True, error_model="numpy", nogil=True)
def relative_weights_of(start, stop, words, counts, scores, out):
    """Fill out with c e^(s - the largest s) for one sentence, its entries from start to stop of all (nnz,)."""
    largest = -np.inf
    for entry in range(start, stop):
        largest = max(largest, scores[words[entry]])
    for entry in range(start, stop):
        out[entry] = float(counts[entry]) * np.exp(scores[words[entry]] - largest)


@njit(cache=True, error_model="numpy", parallel=True)
def relative_weights(offsets, words, counts, scores, out):
    """Fill out with c e^(s - the largest s) for all sentences: nothing overflows, and no sentence sums to 0."""
    for row in prange(offsets.size - 1):
        relative_weights_of(offsets[row], offsets[row + 1], words, counts, scores, out)


@njit(cache=True, error_model="numpy")
def mean_attention(bounds, entries, rows, data, columns, weights, normalisers, out):
    """Fill out (words,) with the mean of A over the sentences that hold each word of columns (words,).

    The entries of word j are entries[bounds[j]:bounds[j + 1]]; the same range of rows holds their sentences.
    """
    for word in range(out.size):
        total = 0.0
        for place in range(bounds[word], bounds[word + 1]):
            total += float(data[entries[place]]) / normalisers[rows[place]]
        out[word] = total * weights[columns[word]] / (bounds[word + 1] - bounds[word])


@njit(cache=True, error_model="numpy")
def received(offsets, words, data, normalisers, out):
    """Set out (V,) = Σ_i c_iw / D_i over all sentences."""
    out[:] = 0.0
    for row in range(normalisers.size):
        for entry in range(offsets[row], offsets[row + 1]):
            out[words[entry]] += float(data[entry]) / normalisers[row]
