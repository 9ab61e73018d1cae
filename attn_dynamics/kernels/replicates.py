"""The sparse products and the loss of R replicates at once: a sentence's words are looked up once for all.

Replicates are processed in blocks of eight, `LANES`, so that an entry loads whole vectors. A word's scores lie side by
side, (V, R), and so do its values, (V, k, R). Operands of the products are (blocks, V, k + 1, LANES), with the weights
last; those of sentences are (N, k + 1, LANES). Threads take different replicates, so a kernel here runs in one thread
and releases the others.
"""

import numpy as np
from numba import njit

from attn_dynamics.kernels.exponential import exponentials
from attn_dynamics.kernels.loss import BLOCK, softmax
from attn_dynamics.kernels.sentences import LEADING, relative_weights_of

LANES = 8
"""Number of replicates in a block: two vectors, so that neither waits for the other."""
WORDS = 64
"""Number of words whose weights are computed at a time."""
SENTENCES = 64
"""Number of sentences whose rows are filled replicate by replicate, so that they stay in the innermost cache."""
NO_WORD = -1
"""Leading word of a sentence that no word leads."""
TOTALS = 16
"""Number of softmax denominators, each from 1 to n, that are multiplied before one common logarithm."""


def blocks_of(replicates: int) -> int:
    """Return the number of blocks for so many replicates."""
    return -(-replicates // LANES)


@njit(cache=True, error_model="numpy", nogil=True)
def extent(scores, low, high):
    """Fill low and high (R,) with the least and largest score of every replicate, from scores (V, R)."""
    for replicate in range(scores.shape[1]):
        low[replicate] = high[replicate] = scores[0, replicate]
    for word in range(scores.shape[0]):
        for replicate in range(scores.shape[1]):
            score = scores[np.uint64(word), np.uint64(replicate)]
            # NaN fails both comparisons and is ignored; infinity is not.
            low[replicate] = score if score < low[replicate] else low[replicate]
            high[replicate] = score if score > high[replicate] else high[replicate]


@njit(cache=True, error_model="numpy", nogil=True)
def operand(scores, shift, values, out):
    """Fill out with [e^(s - shift) ⊙ P | e^(s - shift)] of s (V, R), shift (R,), P (V, k, R); keep unused lanes."""
    for first in range(0, shift.size, LANES):
        lanes = min(LANES, shift.size - first)
        if lanes == LANES:  # a constant for the compiler, which then makes vectors of lanes
            _weigh(scores, shift, values, first, LANES, out[first // LANES])
        else:
            _weigh(scores, shift, values, first, lanes, out[first // LANES])


@njit(cache=True, error_model="numpy", nogil=True)
def _weigh(scores, shift, values, first, lanes, out):
    """Fill the operand of one block of replicates."""
    size, width = values.shape[:2]
    weights, scratch = np.zeros(WORDS * LANES), np.empty(WORDS * LANES)
    first = np.uint64(first)
    for start in range(0, size, WORDS):
        words = min(WORDS, size - start)
        for place in range(words):
            word, begin = np.uint64(start + place), np.uint64(place * LANES)
            for lane in range(lanes):
                replicate = first + np.uint64(lane)
                weights[begin + np.uint64(lane)] = scores[word, replicate] - shift[replicate]
        exponentials(weights, scratch, scratch.view(np.int64))
        for place in range(words):
            word, begin = np.uint64(start + place), np.uint64(place * LANES)
            for lane in range(lanes):
                out[word, np.uint64(width), np.uint64(lane)] = weights[begin + np.uint64(lane)]
            for column in range(width):
                for lane in range(lanes):
                    value = values[word, np.uint64(column), first + np.uint64(lane)]
                    out[word, np.uint64(column), np.uint64(lane)] = weights[begin + np.uint64(lane)] * value


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract"})
def _gather(start, stop, places, data, rows, column, out):
    """Set out[column] (LANES,) = Σ data · rows[places, column] over the entries from start to stop."""
    a = b = c = d = e = f = g = h = 0.0
    column = np.uint64(column)
    for entry in range(start, stop):
        weight, place = float(data[entry]), places[entry]
        a += weight * rows[place, column, np.uint64(0)]
        b += weight * rows[place, column, np.uint64(1)]
        c += weight * rows[place, column, np.uint64(2)]
        d += weight * rows[place, column, np.uint64(3)]
        e += weight * rows[place, column, np.uint64(4)]
        f += weight * rows[place, column, np.uint64(5)]
        g += weight * rows[place, column, np.uint64(6)]
        h += weight * rows[place, column, np.uint64(7)]
    row = out[column]
    row[0], row[1], row[2], row[3] = a, b, c, d
    row[4], row[5], row[6], row[7] = e, f, g, h


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract"})
def _gather_two(start, stop, places, data, rows, column, out):
    """Apply `_gather` to this column and the next, reading entries once for both."""
    a = b = c = d = e = f = g = h = 0.0
    i = j = k = l = m = n = o = p = 0.0  # noqa: E741
    column, beside = np.uint64(column), np.uint64(column + 1)
    for entry in range(start, stop):
        weight, place = float(data[entry]), places[entry]
        a += weight * rows[place, column, np.uint64(0)]
        b += weight * rows[place, column, np.uint64(1)]
        c += weight * rows[place, column, np.uint64(2)]
        d += weight * rows[place, column, np.uint64(3)]
        e += weight * rows[place, column, np.uint64(4)]
        f += weight * rows[place, column, np.uint64(5)]
        g += weight * rows[place, column, np.uint64(6)]
        h += weight * rows[place, column, np.uint64(7)]
        i += weight * rows[place, beside, np.uint64(0)]
        j += weight * rows[place, beside, np.uint64(1)]
        k += weight * rows[place, beside, np.uint64(2)]
        l += weight * rows[place, beside, np.uint64(3)]  # noqa: E741
        m += weight * rows[place, beside, np.uint64(4)]
        n += weight * rows[place, beside, np.uint64(5)]
        o += weight * rows[place, beside, np.uint64(6)]
        p += weight * rows[place, beside, np.uint64(7)]
    row, following = out[column], out[beside]
    row[0], row[1], row[2], row[3] = a, b, c, d
    row[4], row[5], row[6], row[7] = e, f, g, h
    following[0], following[1], following[2], following[3] = i, j, k, l
    following[4], following[5], following[6], following[7] = m, n, o, p


@njit(cache=True, error_model="numpy", nogil=True)
def _gather_all(start, stop, places, data, rows, out):
    """Set out (k + 1, LANES) = Σ data · rows[places] over the entries from start to stop."""
    columns = out.shape[0]
    for column in range(0, columns - 1, 2):
        _gather_two(start, stop, places, data, rows, column, out)
    if columns % 2:
        _gather(start, stop, places, data, rows, columns - 1, out)


@njit(cache=True, error_model="numpy", nogil=True)
def _gather_squares(start, stop, places, data, rows, column, out):
    """Set out (LANES,) = Σ (data · rows[places, column])² over the entries from start to stop."""
    out[:] = 0.0
    for entry in range(start, stop):
        weight, place = float(data[entry]), places[entry]
        for lane in range(LANES):
            share = weight * rows[place, np.uint64(column), np.uint64(lane)]
            out[lane] += share * share


@njit(cache=True, error_model="numpy", nogil=True)
def _leave_out_lead(start, stop, places, data, rows, lane, row, deviation):
    """Take one replicate's leading word out of its sentence's sums row (k + 1, LANES) and add it again.

    Fill deviation (k,) with Σ_{u≠l} c e^{s_u} (P_u - P_l) for the leading word l; return l.
    """
    width, lane = row.shape[0] - 1, np.uint64(lane)
    lead, largest, others = start, 0.0, 0.0
    for entry in range(start, stop):
        weight = float(data[entry]) * rows[places[entry], np.uint64(width), lane]
        if weight > largest:
            lead, largest, weight = entry, weight, largest
        others += weight
    word, count = places[lead], float(data[lead])
    row[width, lane] = largest + others
    for column in range(width):
        total = 0.0
        for entry in range(start, stop):
            if entry != lead:
                total += float(data[entry]) * rows[places[entry], np.uint64(column), lane]
        own = rows[word, np.uint64(column), lane]
        deviation[column] = total - others * (own / rows[word, np.uint64(width), lane])
        row[column, lane] = total + count * own
    return word


@njit(cache=True, error_model="numpy", nogil=True)
def attend(offsets, words, data, operand, contexts, inverses, deviations, leads):
    """Fill v = Σ c e^s P / D (R, k, N) and 1/D (R, N), D = Σ c e^s, from an operand; the pattern is by sentences.

    If a word l takes nearly all attention, leads (R, N) gets l and deviations (R, k, N) gets v - P_l.
    """
    replicates, width, size = contexts.shape
    row, squares, deviation = np.empty((width + 1, LANES)), np.empty(LANES), np.empty(width)
    for first in range(0, replicates, LANES):
        rows, lanes = operand[first // LANES], min(LANES, replicates - first)
        for sentence in range(size):
            start, stop = offsets[sentence], offsets[sentence + 1]
            _gather_all(start, stop, words, data, rows, row)
            _gather_squares(start, stop, words, data, rows, width, squares)
            for lane in range(lanes):
                lead = NO_WORD
                if squares[lane] > LEADING * LEADING * row[width, lane] * row[width, lane]:
                    lead = np.int64(_leave_out_lead(start, stop, words, data, rows, lane, row, deviation))
                leads[first + lane, sentence] = lead
                inverse = 1.0 / row[width, lane]
                inverses[first + lane, sentence] = inverse
                for column in range(width):
                    contexts[first + lane, column, sentence] = row[column, lane] * inverse
                if lead != NO_WORD:
                    for column in range(width):
                        deviations[first + lane, column, sentence] = deviation[column] * inverse


@njit(cache=True, error_model="numpy", nogil=True)
def attend_back(
    offsets,
    sentences,
    data,
    slopes,
    contexts,
    inverses,
    deviations,
    leads,
    operand,
    rows,
    value_gradient,
    score_gradient,
):
    """Fill ∂L/∂P (V, k, R) and ∂L/∂s (V, R) from slopes g = ∂L/∂v (R, k, N) and results of `attend`; pattern by words.

    With S = Cᵀ [g/D | g·v/D] they are e^s S_k and Σ_k e^s P_k S_k - e^s S_last. The sentences that a word leads
    contribute -e^s g·(v - P)/D to its score. rows (N, k + 3, LANES) is scratch.
    """
    replicates, led = slopes.shape[0], np.zeros(LANES, np.bool_)
    for first in range(0, replicates, LANES):
        lanes, own = min(LANES, replicates - first), operand[first // LANES]
        _slopes_by_sentences(slopes, contexts, inverses, deviations, leads, first, lanes, rows, led)
        if lanes == LANES:
            _pull(offsets, sentences, data, rows, own, first, LANES, led, value_gradient, score_gradient)
        else:
            _pull(offsets, sentences, data, rows, own, first, lanes, led, value_gradient, score_gradient)


@njit(cache=True, error_model="numpy", nogil=True)
def _slopes_by_sentences(slopes, contexts, inverses, deviations, leads, first, lanes, rows, led):
    """Set rows (N, k + 3, LANES) = [g/D | g·v/D | g·(v - P_lead)/D | lead] of a block, and led (LANES,): any lead?"""
    width, size = slopes.shape[1:]
    led[:] = False
    for start in range(0, size, SENTENCES):
        stop = min(size, start + SENTENCES)
        for lane in range(lanes):
            replicate = first + lane
            for sentence in range(start, stop):
                rows[sentence, width, lane] = 0.0
                rows[sentence, width + 1, lane] = 0.0
                rows[sentence, width + 2, lane] = leads[replicate, sentence]
                led[lane] |= leads[replicate, sentence] != NO_WORD
            for column in range(width):
                for sentence in range(start, stop):
                    slope = slopes[replicate, column, sentence] * inverses[replicate, sentence]
                    rows[sentence, column, lane] = slope
                    rows[sentence, width, lane] += slope * contexts[replicate, column, sentence]
                    rows[sentence, width + 1, lane] += slope * deviations[replicate, column, sentence]


@njit(cache=True, error_model="numpy", nogil=True)
def _pull_slopes(start, stop, places, data, rows, own, word, out):
    """Set out (LANES,) to the slopes of a word's scores, sentence by sentence; own (k + 1, LANES) is its operand."""
    width = own.shape[0] - 1
    out[:] = 0.0
    for entry in range(start, stop):
        weight, place = float(data[entry]), places[entry]
        for lane in range(LANES):
            if rows[place, width + 2, lane] == word:
                out[lane] -= weight * own[width, lane] * rows[place, width + 1, lane]
            else:
                slope = -own[width, lane] * rows[place, width, lane]
                for column in range(width):
                    slope += own[column, lane] * rows[place, column, lane]
                out[lane] += weight * slope


@njit(cache=True, error_model="numpy", nogil=True)
def _pull(offsets, sentences, data, rows, operand, first, lanes, led, value_gradient, score_gradient):
    """Fill the gradients of a block of replicates, word by word."""
    width = value_gradient.shape[1]
    sums, slopes, first, any_led = np.empty((width + 1, LANES)), np.empty(LANES), np.uint64(first), led.any()
    for index in range(offsets.size - 1):
        word, start, stop = np.uint64(index), offsets[index], offsets[index + 1]
        _gather_all(start, stop, sentences, data, rows, sums)
        if any_led:
            _pull_slopes(start, stop, sentences, data, rows, operand[word], index, slopes)
        for lane in range(lanes):
            # The formula of a replicate's slopes must not depend on the other replicates of its block.
            slope = slopes[lane]
            if not led[lane]:
                slope = -operand[word, np.uint64(width), lane] * sums[width, lane]
                for column in range(width):
                    slope += operand[word, np.uint64(column), lane] * sums[column, lane]
            score_gradient[word, first + np.uint64(lane)] = slope
        for column in range(width):
            for lane in range(lanes):
                share = operand[word, np.uint64(width), lane] * sums[column, lane]
                value_gradient[word, np.uint64(column), first + np.uint64(lane)] = share


@njit(cache=True, error_model="numpy", nogil=True)
def subtract(array, rate, step):
    """Compute array -= rate · step in place, both (rows, R), rate (R,)."""
    for place in range(array.shape[0]):
        for replicate in range(rate.size):
            array[place, replicate] -= rate[replicate] * step[place, replicate]


@njit(cache=True, error_model="numpy", nogil=True)
def squares(array, out):
    """Set out (R,) = Σ array² over the rows of array (rows, R)."""
    out[:] = 0.0
    for place in range(array.shape[0]):
        for replicate in range(out.size):
            out[replicate] += array[place, replicate] * array[place, replicate]


@njit(cache=True, error_model="numpy", nogil=True)
def relative_weights(offsets, words, counts, scores, out):
    """Fill the relative weights as `sentences.relative_weights` does, for one replicate in one thread."""
    for row in range(offsets.size - 1):
        relative_weights_of(offsets[row], offsets[row + 1], words, counts, scores, out)


@njit(cache=True, error_model="numpy", nogil=True)
def cross_entropy(logits, labels, losses, correct):
    """Fill mean loss and number of correct sentences (R,); logits (R, n, N) become the gradient of the mean."""
    size = labels.size
    beyond, excess, scratch = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for replicate in range(logits.shape[0]):
        rows, loss, hits = logits[replicate], 0.0, 0
        for start in range(0, size, BLOCK):
            m = min(BLOCK, size - start)
            hits += softmax(rows, labels, start, start + m, size, beyond[:m], excess[:m], scratch[:m])
            for first in range(0, m, TOTALS):
                # Π (1 + x) - 1 as a sum of positive terms, so that a tiny x is not lost beside 1.
                product = 0.0
                for place in range(first, min(m, first + TOTALS)):
                    product += excess[place] * (1.0 + product)
                    loss += beyond[place]
                loss += np.log1p(product)
        losses[replicate], correct[replicate] = loss / size, hits
