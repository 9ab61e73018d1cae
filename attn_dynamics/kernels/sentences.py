"""The two sparse-dense products that one epoch costs, C X forward and Cᵀ Y backward, sentence by sentence (theory §1).

Columns go in fours, which fill a vector register; the rest go singly. Offsets and indices are unsigned, which spares
numba's test for negative ones and a third of the time. Every sum is taken in an order fixed by the pattern alone, so
the results do not depend on the number of threads.
"""

import numpy as np
from numba import njit, prange

NO_LEAD = 2**32 - 1
"""What stands for the leading entry of a sentence that none leads."""
LEADING = 15 / 16
"""Share of the attention beyond which a word leads its sentence: with less, round-off grows 16-fold at most."""


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
    """Find the entry of the largest weight from start to stop; return it, that weight, and the sum of the others."""
    lead, largest, others = start, 0.0, 0.0
    for entry in range(start, stop):
        weight = float(data[entry]) * operand[indices[entry], column]
        if weight > largest:
            lead, largest, weight = entry, weight, largest
        others += weight
    return lead, largest, others


@njit(cache=True, error_model="numpy")
def _gather(start, stop, indices, data, operand, width, out, place):
    """out[place] (k,) += Σ data · operand[indices] over the entries from start to stop."""
    # No row is cut out as an array of its own: its reference count would be fought over by the threads.
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
    """Contexts v = Σ c e^s P / D into sentences[:, :k], their divisors D = Σ c e^s into normalisers (N,).

    `operand` is [e^s ⊙ P | e^s | 0] (V, k + 1 and padding), width k; the pattern C goes by sentences: offsets (N + 1,),
    words and data (nnz,). Where a word l takes nearly all attention, its entry goes into leads (N,), and
    v - P_l = Σ_{u≠l} c e^{s_u} (P_u - P_l) / D goes into deviations (N, k). Taken afterwards, the difference is noise.
    """
    # Two or three columns are gathered as four, for they fill a vector; what comes beyond the k-th is not used. A
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
    """out[indices] (k,) += data · operand[place] over the entries from start to stop."""
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
            # Four loads before four stores: only then are they one vector each.
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
    """Add to the sums of each word what the sentences send back, from slopes g = ∂L/∂v (k, N) and what `attend` left.

    sums (V, k + 1) += Cᵀ [g | g·v]/D over the entries that lead no sentence, leading (V, k + 1) += Cᵀ [g | g·(v - P)]/D
    over those that lead one; sums begin at 0 where `first`, the place of the block, is 0. The contexts v
    in `sentences` are replaced by [g | g·v]/D.

    Part p owns the words from bounds[p] to bounds[p + 1]; its entries in sentence i of the block stand from
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
    """Cut the vocabulary into parts of about equal entries: bounds (parts + 1,) and splits (parts + 1, N).

    Indices of the pattern are sorted. The sum of each word stays in the order of the sentences, so the parts change no
    bit of it.
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
    """c e^(s - the largest s) for the entries of one sentence, from start to stop of those of all (nnz,)."""
    largest = -np.inf
    for entry in range(start, stop):
        largest = max(largest, scores[words[entry]])
    for entry in range(start, stop):
        out[entry] = float(counts[entry]) * np.exp(scores[words[entry]] - largest)


@njit(cache=True, error_model="numpy", parallel=True)
def relative_weights(offsets, words, counts, scores, out):
    """The same for all sentences: nothing overflows, and no sentence sums to 0."""
    for row in prange(offsets.size - 1):
        relative_weights_of(offsets[row], offsets[row + 1], words, counts, scores, out)


@njit(cache=True, error_model="numpy")
def mean_attention(bounds, entries, rows, data, columns, weights, normalisers, out):
    """Mean of A (words,) over the sentences that hold each of a few words, columns (words,) of the pattern.

    The entries of word j stand at entries[bounds[j]:bounds[j + 1]], in the sentences rows of the same places.
    """
    for word in range(out.size):
        total = 0.0
        for place in range(bounds[word], bounds[word + 1]):
            total += float(data[entries[place]]) / normalisers[rows[place]]
        out[word] = total * weights[columns[word]] / (bounds[word + 1] - bounds[word])


@njit(cache=True, error_model="numpy")
def received(offsets, words, data, normalisers, out):
    """out (V,) = Σ_i c_iw / D_i over all sentences."""
    out[:] = 0.0
    for row in range(normalisers.size):
        for entry in range(offsets[row], offsets[row + 1]):
            out[words[entry]] += float(data[entry]) / normalisers[row]
