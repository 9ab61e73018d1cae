"""The two sparse-dense products that one epoch costs, C X forward and Cᵀ Y backward, sentence by sentence (theory §1).

Columns go in fours, which fill a vector register; the rest go singly. Offsets and indices are unsigned, which spares
numba's test for negative ones and a third of the time. Every sum is taken in an order fixed by the pattern alone, so
the results do not depend on the number of threads.
"""

import numpy as np
from numba import njit, prange


@njit(cache=True, error_model="numpy")
def _lead(start, stop, indices, data, operand, column):
    """Find the entry of the largest weight from start to stop; return it, that weight, and the sum of the others.

    An entry weighs data · operand[indices, column].
    """
    lead, largest, others = start, 0.0, 0.0
    for entry in range(start, stop):
        weight = float(data[entry]) * operand[indices[entry], column]
        leads = weight > largest
        others += largest if leads else weight
        lead = entry if leads else lead
        largest = weight if leads else largest
    return lead, largest, others


@njit(cache=True, error_model="numpy")
def _gather(start, stop, lead, indices, data, operand, out, place):
    """out[place] (k,) = Σ data · operand[indices] over the entries from start to stop, the lead left out."""
    # No row is cut out as an array of its own: its reference count would be fought over by the threads.
    width = out.shape[1]
    column = 0
    while column + 4 <= width:
        a = b = c = d = 0.0
        for entry in range(start, stop):
            weight = 0.0 if entry == lead else float(data[entry])
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
        a = 0.0
        for entry in range(start, stop):
            weight = 0.0 if entry == lead else float(data[entry])
            a += weight * operand[indices[entry], np.uint64(column)]
        out[place, column] = a
        column += 1


@njit(cache=True, error_model="numpy", parallel=True)
def attend(offsets, words, data, operand, width, sentences, deviations, normalisers, leads):
    """Fill in the contexts v = Σ c e^s P / D of B sentences, D = Σ c e^s, and how far each is from its leading word.

    `operand` is [e^s ⊙ P | e^s | 0] (V, k + 1 and padding), width k; the pattern C goes by sentences: offsets (B + 1,),
    words and data (nnz,). Contexts go into sentences[:, :k], D into normalisers (B,). The lead l is the entry of the
    largest weight, `leads` (B,), and v - P_l = Σ_{u≠l} c e^{s_u} (P_u - P_l) / D goes into deviations (B, k): where
    one word takes nearly all attention, that difference taken afterwards would be noise.
    """
    for row in prange(normalisers.size):
        start, stop = offsets[row], offsets[row + 1]
        lead, largest, others = _lead(start, stop, words, data, operand, np.uint64(width))
        _gather(start, stop, lead, words, data, operand, sentences, row)
        leads[row] = lead
        normaliser = largest + others
        normalisers[row] = normaliser
        word, count = words[lead], float(data[lead])
        share = others / operand[word, np.uint64(width)]
        for column in range(width):
            leading = operand[word, np.uint64(column)]
            deviations[row, column] = (sentences[row, column] - share * leading) / normaliser
            sentences[row, column] = (sentences[row, column] + count * leading) / normaliser


@njit(cache=True, error_model="numpy")
def _scatter(start, stop, lead, indices, data, operand, place, out):
    """out[indices, :k] += data · operand[place] (k,) over the entries from start to stop, the lead left out."""
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
            weight = 0.0 if entry == lead else float(data[entry])
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
            weight = 0.0 if entry == lead else float(data[entry])
            out[indices[entry], np.uint64(column)] += weight * a
        column += 1


@njit(cache=True, error_model="numpy", parallel=True)
def attend_back(words, data, slopes, normalisers, sentences, deviations, leads, bounds, splits, fresh, sums):
    """Add to the sums of each word what B sentences send back, from slopes g = ∂L/∂v (k, B) and what `attend` left.

    Of sums (V, 2 (k + 1 and padding)) the first half is Σ c [g | g·v] / D over the sentences that the word does not
    lead, the second Σ c [g | g·(v - P_l)] / D over those that it does; fresh sums begin at 0. The contexts v in `sentences`
    are replaced by [g | g·v] / D. Part p owns the words from bounds[p] to bounds[p + 1]; its entries in sentence i
    stand from splits[p, i] to splits[p + 1, i].
    """
    width, columns = slopes.shape[0], sums.shape[1] // 2
    for row in prange(normalisers.size):
        along, aside = 0.0, 0.0
        for column in range(width):
            slope = slopes[column, row] / normalisers[row]
            along += slope * sentences[row, column]
            aside += slope * deviations[row, column]
            sentences[row, column] = slope
        sentences[row, width] = along
        deviations[row, 0] = aside
    for part in prange(bounds.size - 1):
        if fresh:
            sums[bounds[part] : bounds[part + 1]] = 0.0
        for row in range(normalisers.size):
            start, stop, lead = splits[part, row], splits[part + 1, row], leads[row]
            _scatter(start, stop, lead, words, data, sentences, row, sums)
            if start <= lead < stop:
                word, count = words[lead], float(data[lead])
                for column in range(width):
                    sums[word, np.uint64(columns + column)] += count * sentences[row, column]
                sums[word, np.uint64(columns + width)] += count * deviations[row, 0]


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
