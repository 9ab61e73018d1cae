"""Epochs of gradient descent in one compiled loop: evaluate, record, step, with the query fixed (theory §1).

Sums over sentences and over words have a fixed number of parts, which threads share, so that results do not depend on
the number of threads.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from attn_dynamics.kernels import OPTIONS, kernel, leaf, rounding, words
from attn_dynamics.kernels.heads import (
    add_outer,
    dot,
    hidden_backward,
    hidden_forward,
    multiply,
    total,
)
from attn_dynamics.kernels.loss import SCRATCH, softmax
from attn_dynamics.kernels.sentences import NO_LEAD, attend, fill_rows, find_lead, relative_weights

Array = NDArray[np.float64]
PARTS = 8
"""Largest number of parts of a sum over sentences or words; small corpora have one."""
BLOCK = 128
"""Number of sentences whose contexts and logits stay in the innermost cache."""
COLUMNS = 6
"""Number of matrices of scratch that a block of sentences needs."""
SIGNALS = 4
"""Number of signals in a recorded row, between the fits and the followed words."""


class Sentences(NamedTuple):
    """Corpora sentence by sentence, one after the other."""

    offsets: NDArray[np.uint32]
    """Bounds (N + 1,) of the entries of each sentence."""
    words: NDArray[np.uint32]
    """Word (nnz,) of each entry."""
    counts: NDArray[np.int32]
    """Count (nnz,) of each entry."""
    labels: NDArray[np.int64]
    """Class (N,) of each sentence."""
    bounds: NDArray[np.int64]
    """Bounds (corpora + 1,) of the sentences of each corpus."""
    limits: Array
    """Normaliser (N,) of each sentence, in units of the largest e^s, above which no word leads it."""


class Words(NamedTuple):
    """The training corpus word by word."""

    offsets: NDArray[np.uint32]
    """Bounds (V + 1,) of the entries of each word."""
    rows: NDArray[np.uint32]
    """Sentence (nnz,) of each entry."""
    counts: NDArray[np.int32]
    """Count (nnz,) of each entry."""
    parts: NDArray[np.int64]
    """Bounds (PARTS + 1,) of parts of the vocabulary with about as much work each."""
    frozen: NDArray[np.bool_]
    """Mask (V,) of words that keep their initial values; of size 0 if there are none."""


class Layers(NamedTuple):
    """The arrays of a head, their gradients, or sums of these by part (PARTS, …); a linear head has the first alone.

    Biases are matrices of one row, so that one compiled loop serves all.
    """

    first: Array
    """First layer W (d, r)."""
    bias_in: Array
    """First bias (1, h)."""
    weight_out: Array
    """Second weight (h, n)."""
    bias_out: Array
    """Second bias (1, n)."""


class State(NamedTuple):
    """Scores and embeddings, which may move while the query is fixed, and arrays that do not move."""

    scores: Array
    """Scores (V,)."""
    axes: Array
    """Transposed embeddings, or their coordinates (d, V)."""
    still: Array
    """Norm (V,) of the part of each embedding outside of these coordinates."""
    contrasts: Array
    """Contrasts H (r, k) of the head."""


class Kept(NamedTuple):
    """Results of the forward pass over the training sentences that the backward pass needs."""

    rows: Array
    """Rows (N, k + 1 and padding) of g·v/D and g/D, with g = ∂L/∂v."""
    inverses: Array
    """Inverses 1/D (N,) of the normalisers."""
    largest: Array
    """Largest score (N,) of each sentence if scores are spread wide."""
    leads: NDArray[np.uint32]
    """Leading word (N,) of each sentence, or NO_LEAD."""
    lead_slopes: Array
    """Slope g·(v - P_l)/D (N,) of the leading word."""
    led: NDArray[np.bool_]
    """Mask (V,) of words that lead a sentence."""


class Buffers(NamedTuple):
    """Results and scratch of an evaluation; the products run on P = E R if R narrows, and on P = E otherwise."""

    operand: Array
    """Operand (V, k + 1 and padding)."""
    values: Array
    """Attended values Pᵀ (k, V) if R narrows; otherwise of size 0."""
    readout: Array
    """Readout matrix R = W H (d, k) if it narrows; otherwise of size 0."""
    score_slopes: Array
    """Gradient ∂L/∂s (1, V)."""
    value_slopes: Array
    """Gradient (∂L/∂P)ᵀ (k, V)."""
    entry: Array
    """Matrix (r, k) from attended values to u = Wᵀ v: the contrasts if R narrows, otherwise Wᵀ."""
    metric: Array
    """Metric RᵀR (k, k) if R narrows, otherwise the identity: ‖∂L/∂E‖_F² = Σ_w b_wᵀ G b_w, b_w of (∂L/∂P)ᵀ."""
    after: Array
    """Readout matrix after a step, while that before it is still needed."""
    pulled: Array
    """Sums by part (PARTS, d, k) of ∂L/∂R = Eᵀ (∂L/∂P) if R narrows."""
    sums: Array
    """Sums by part (PARTS, 4): losses, correct sentences, squares of ∂L/∂s and of ∂L/∂E."""
    rows: Array
    """Sums and deviations (PARTS, 2, BLOCK, k + 1 and padding) of a block of sentences."""
    columns: Array
    """Scratch (PARTS, COLUMNS, ·, BLOCK): contexts, logits and so on of a block of sentences."""


class Rates(NamedTuple):
    """Factor on each gradient in a step; a part of rate 0 stays as it is."""

    scores: float
    embeddings: float
    head: float


@leaf
def contexts_of(start, stop, wide, sentences, scores, operand, sums, deviations, kept, place, contexts):
    """Compute contexts (k, B) and deviations (B, k + 1) of the sentences from start to stop.

    From `place` on, keep 1/D, largest scores and leading words of the sentences; sums (B, k + 1) is scratch.
    """
    size, offsets, words_of, counts = stop - start, sentences.offsets, sentences.words, sentences.counts
    inverses, leads, limits = kept.inverses[place:], kept.leads[place:], sentences.limits[start:stop]
    if wide:
        _attend_wide(start, stop, sentences, scores, operand, sums, deviations, kept.largest[place:], leads)
    else:
        attend(start, stop, offsets, words_of, counts, operand, sums)
        for row in range(size):
            leads[row] = NO_LEAD
            if sums[row, 0] <= limits[row]:
                first, last = offsets[start + row], offsets[start + row + 1]
                leads[row] = find_lead(first, last, words_of, counts, operand, sums, deviations, row)
    for row in range(np.uint64(size)):
        inverses[row] = 1.0 / sums[row, 0]
    for column in range(contexts.shape[0]):
        target = contexts[column]
        for row in range(np.uint64(size)):
            target[row] = sums[row, np.uint64(column + 1)] * inverses[row]


@kernel
def _attend_wide(start, stop, sentences, scores, operand, sums, deviations, largest, leads):
    """Fill the sums of sentences whose scores are spread wide, each with a shift of its own, and largest scores."""
    base, end = np.int64(sentences.offsets[start]), np.int64(sentences.offsets[stop])
    own_words, own_counts = sentences.words[base:end], sentences.counts[base:end]
    weights, own_offsets = np.empty(own_words.size), np.empty(stop - start + 1, np.uint32)
    for row in range(own_offsets.size):
        own_offsets[row] = sentences.offsets[start + row] - sentences.offsets[start]
    for row in range(stop - start):
        largest[row] = relative_weights(own_offsets[row], own_offsets[row + 1], own_words, own_counts, scores, weights)
    attend(0, stop - start, own_offsets, own_words, weights, operand, sums)
    for row in range(stop - start):
        first, last = own_offsets[row], own_offsets[row + 1]
        leads[row] = find_lead(first, last, own_words, weights, operand, sums, deviations, row)


@rounding
def keep_slopes(slopes, contexts, deviations, kept, place, size, along):
    """Keep the slopes g = ∂L/∂v (k, B) of the sentences from `place` on for the backward pass; `along` is scratch."""
    width, inverses, rows = contexts.shape[0], kept.inverses[place : place + size], kept.rows[place : place + size]
    for row in range(size):
        along[row] = 0.0
    for column in range(width):
        for row in range(size):
            along[row] += slopes[column, row] * contexts[column, row]
    fill_rows(along[:size], inverses, slopes, 0, rows)
    for row in range(size):
        lead = kept.leads[place + row]
        if lead != NO_LEAD:
            slope = 0.0
            for column in range(1, width + 1):
                slope += rows[row, column] * deviations[row, column]
            kept.lead_slopes[place + row] = slope
            kept.led[lead] = True


@leaf
def _pass(start, stop, corpus_size, wide, sentences, scores, head, kept, buffers, partial, part):
    """Return the sum of losses and the number of correct among the sentences from start to stop of a corpus.

    In training, where `kept.led` has entries, keep what the backward pass needs, and add the gradients of the head to
    a part of their sums.
    """
    entry, room = buffers.entry, buffers.columns[part]
    reads, width = entry.shape
    hidden, training = head.bias_in.size > 0, kept.led.size > 0
    sums, deviations = buffers.rows[part, 0], buffers.rows[part, 1]
    contexts, outward, projected, units = room[0, :width], room[1, :width], room[2, :reads], room[3, :reads]
    logits = room[4, : head.bias_out.shape[1]] if hidden else projected
    scratch, losses = room[5, :SCRATCH], room[5, SCRATCH]
    loss, correct = 0.0, 0
    for begin in range(start, stop, BLOCK):
        end = min(stop, begin + BLOCK)
        size, place = end - begin, begin if training else part * BLOCK
        contexts_of(begin, end, wide, sentences, scores, buffers.operand, sums, deviations, kept, place, contexts)
        multiply(entry, contexts, projected, size)
        if hidden:
            hidden_forward(projected, head.bias_in, head.weight_out, head.bias_out, logits, size)
        correct += softmax(logits, sentences.labels, begin, size, corpus_size, losses, scratch)
        loss += total(losses[:size])
        if training:
            slopes = logits
            if hidden:
                more = partial.bias_in[part], partial.weight_out[part], partial.bias_out[part]
                hidden_backward(projected, logits, head.weight_out, units, more[0], more[1], more[2], size)
                slopes = units
            if partial.first.size > 0:
                add_outer(contexts, slopes, partial.first[part], 0, size)
            multiply(entry.T, slopes, outward, size)
            keep_slopes(outward, contexts, deviations, kept, begin, size, losses)
    return loss, correct


@leaf
def _forward(part, wide, sentences, state, head, kept, buffers, partial):
    """Compute the losses of one part of the training sentences, and keep results for the backward pass."""
    size, parts = sentences.labels.size, len(buffers.sums)
    clear(partial.bias_in[part])
    clear(partial.weight_out[part])
    clear(partial.bias_out[part])
    if partial.first.size > 0:
        clear(partial.first[part])
    start, stop = part * size // parts, (part + 1) * size // parts
    buffers.sums[part, 0], buffers.sums[part, 1] = _pass(
        start, stop, size, wide, sentences, state.scores, head, kept, buffers, partial, part
    )


@leaf
def _evaluate(part, wide, sentences, state, head, kept, buffers, partial, fits):
    """Fill fits (parts, corpora, 2) with losses and correct sentences of one part of each other corpus."""
    parts = len(buffers.sums)
    for corpus in range(sentences.bounds.size - 1):
        before, size = sentences.bounds[corpus], sentences.bounds[corpus + 1] - sentences.bounds[corpus]
        start, stop = before + part * size // parts, before + (part + 1) * size // parts
        fits[part, corpus, 0], fits[part, corpus, 1] = _pass(
            start, stop, size, wide, sentences, state.scores, head, kept, buffers, partial, part
        )


@kernel
def _backward(part, wide, by_word, state, kept, buffers, pulls):
    """Compute the gradients of scores and values, and their squares, in one part of the vocabulary.

    Compute Eᵀ (∂L/∂P) too if `pulls`.
    """
    start, stop = by_word.parts[part], by_word.parts[part + 1]
    score_slopes, value_slopes, operand = buffers.score_slopes[0], buffers.value_slopes, buffers.operand
    sums = np.empty((2, kept.rows.shape[1]))
    if not wide:
        words.attend_back(start, stop, by_word, kept.rows, operand, score_slopes, value_slopes)
    words.attend_back_apart(start, stop, wide, by_word, kept, state.scores, operand, score_slopes, value_slopes, sums)
    if pulls and buffers.readout.size > 0:
        clear(buffers.pulled[part])
        words.pull_back(start, stop, state.axes, value_slopes, buffers.pulled[part])
    if by_word.frozen.size > 0:
        words.freeze(start, stop, by_word.frozen, score_slopes, value_slopes)
    buffers.sums[part, 2] = dot(score_slopes[start:stop], score_slopes[start:stop])
    buffers.sums[part, 3] = words.joint_square(start, stop, value_slopes, buffers.metric)


@leaf
def clear(array):
    """Fill a matrix with 0."""
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            array[row, column] = 0.0


@leaf
def add(array, factor, step):
    """Compute array += factor · step in place, both matrices."""
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            array[row, column] += factor * step[row, column]


@kernel
def _set_readout(state, head, buffers):
    """Set the readout matrix after a step, its metric, and the matrix from attended values to u."""
    first, after, entry, metric = head.first, buffers.after, buffers.entry, buffers.metric
    if after.size == 0:
        for row in range(entry.shape[0]):
            for column in range(entry.shape[1]):
                entry[row, column] = first[column, row]
        return
    multiply(first, state.contrasts, after, after.shape[1])
    _set_metric(after, metric)


@kernel
def _set_metric(after, metric):
    """Set the metric RᵀR."""
    clear(metric)
    for axis in range(after.shape[0]):
        for row in range(metric.shape[0]):
            for column in range(metric.shape[0]):
                metric[row, column] += after[axis, row] * after[axis, column]


@kernel
def step(start, stop, state, buffers, rate):
    """Step the embeddings of some words, unless the rate is 0, and set their attended values P."""
    if buffers.after.size > 0:
        words.clear(start, stop, buffers.values)
        words.step_and_project(
            start, stop, state.axes, buffers.value_slopes, buffers.readout, rate, buffers.after, buffers.values
        )
    elif rate != 0.0:
        words.subtract(start, stop, state.axes, rate, buffers.value_slopes)


@kernel
def step_by_axes(by_word, state, head, buffers, slopes, rates):
    """Step the first layer and all embeddings, and set readout matrix, metric and attended values, to the same bits.

    Each row of W has a gradient of its own, from one axis of E. So four axes are read for it, and stepped while they
    are in the cache: E, which may be larger than the cache, is read from memory once.
    """
    words.clear(0, state.scores.size, buffers.values)
    for axis in range(0, len(state.axes), 4):
        axes, first, after = state.axes[axis : axis + 4], head.first[axis : axis + 4], buffers.after[axis : axis + 4]
        gradient, before = slopes.first[axis : axis + 4], buffers.readout[axis : axis + 4]
        clear(gradient)
        for part in range(len(buffers.sums)):
            pulled, start, stop = buffers.pulled[part, axis : axis + 4], by_word.parts[part], by_word.parts[part + 1]
            clear(pulled)
            words.pull_back(start, stop, axes, buffers.value_slopes, pulled)
            _add_pulled(gradient, pulled, state.contrasts)
        add(first, -rates.head, gradient)
        multiply(first, state.contrasts, after, after.shape[1])
        words.step_and_project(
            0, state.scores.size, axes, buffers.value_slopes, before, rates.embeddings, after, buffers.values
        )
    _set_metric(buffers.after, buffers.metric)


@kernel
def fill_operand(start, stop, wide, high, state, buffers):
    """Fill the rows of some words in the operand of the forward product."""
    values = buffers.values if buffers.after.size > 0 else state.axes
    words.fill_operand(start, stop, wide, high, state.scores, values, buffers.operand)


@kernel
def _reduce(state, buffers, slopes, partial):
    """Add up the gradients of the head over all parts."""
    first = slopes.first
    clear(first)
    clear(slopes.bias_in)
    clear(slopes.weight_out)
    clear(slopes.bias_out)
    for part in range(len(buffers.sums)):
        add(slopes.bias_in, 1.0, partial.bias_in[part])
        add(slopes.weight_out, 1.0, partial.weight_out[part])
        add(slopes.bias_out, 1.0, partial.bias_out[part])
        if partial.first.size > 0:
            add(first, 1.0, partial.first[part])
        if buffers.after.size > 0:
            _add_pulled(first, buffers.pulled[part], state.contrasts)


@kernel
def _add_pulled(slopes, pulled, contrasts):
    """Add ∂L/∂W = (Eᵀ ∂L/∂P) Hᵀ to the slopes of W, so that no context in d dimensions is formed."""
    for axis in range(slopes.shape[0]):
        for row in range(slopes.shape[1]):
            for column in range(pulled.shape[1]):
                slopes[axis, row] += pulled[axis, column] * contrasts[row, column]


@kernel
def _largest(array):
    found = 0.0
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            found = max(found, abs(array[row, column]))
    return found


@kernel
def _root(square, columns, readout):
    """Return ‖R B‖_F of columns B and readout R, or ‖B‖_F if R is empty, from its square unless that underflows."""
    if not square <= words.SMALLEST_SQUARE:
        return np.sqrt(square)
    largest, factor, width = _largest(columns), _largest(readout) if readout.size > 0 else 1.0, columns.shape[0]
    if largest == 0.0 or factor == 0.0:
        return 0.0
    shares, metric = np.empty(columns.shape), np.zeros((width, width))
    for row in range(width):
        metric[row, row] = 1.0
        for column in range(columns.shape[1]):
            shares[row, column] = columns[row, column] / largest
    if readout.size > 0:
        clear(metric)
        for axis in range(readout.shape[0]):
            for row in range(width):
                for column in range(width):
                    metric[row, column] += (readout[axis, row] / factor) * (readout[axis, column] / factor)
    return largest * factor * np.sqrt(max(words.joint_square(0, columns.shape[1], shares, metric), 0.0))


@kernel
def _record(row, followed, wide, by_word, state, kept, buffers, score_sum):
    """Fill a row of the record after the fits, with four signals and four quantities of each followed word.

    Return whether loss, signals and scores are finite.
    """
    size = followed.size
    place, slopes = row.size - SIGNALS - 4 * size, np.empty((1, size))
    squares = np.zeros(2)
    for part in range(len(buffers.sums)):
        squares[0] += buffers.sums[part, 2]
        squares[1] += buffers.sums[part, 3]
    for index in range(size):
        slopes[0, index] = buffers.score_slopes[0, followed[index]]
    none = np.empty((0, 0))
    row[place] = _root(squares[0], buffers.score_slopes, none)
    row[place + 1] = _root(dot(slopes[0], slopes[0]), slopes, none) if size > 0 else 0.0
    row[place + 2] = _root(squares[1], buffers.value_slopes, buffers.after)
    row[place + 3] = score_sum
    finite = np.isfinite(row[0] + row[place] + row[place + 2] + score_sum)
    place += SIGNALS
    words.norms(state.axes, state.still, followed, row[place + size : place + 2 * size])
    for index in range(size):
        word = followed[index]
        row[place + index] = state.scores[word]
        attention = words.received(word, wide, by_word, kept, state.scores, buffers.operand)
        row[place + 2 * size + index] = attention / (by_word.offsets[word + 1] - by_word.offsets[word])
        row[place + 3 * size + index] = slopes[0, index]
    return finite


@kernel
def _record_fits(row, sentences, others, buffers, by_part):
    """Fill the first values of a row: loss and accuracy on the training corpus and on each other corpus."""
    for index in range(2 + 2 * by_part.shape[1]):
        row[index] = 0.0
    for part in range(len(buffers.sums)):
        for index in range(2):
            row[index] += buffers.sums[part, index] / sentences.labels.size
            for corpus in range(by_part.shape[1]):
                size = others.bounds[corpus + 1] - others.bounds[corpus]
                row[2 + 2 * corpus + index] += by_part[part, corpus, index] / size


def _epochs(
    rows,
    moves,
    by_axes,
    spread,
    rates,
    followed,
    sentences,
    by_word,
    others,
    state,
    head,
    kept,
    spare,
    buffers,
    slopes,
    partial,
):
    """Evaluate and record as many epochs as there are rows, with a step between them; return the number of finite rows.

    If `moves`, the first row also follows a step, along the gradient in the buffers. If `by_axes`, each step computes
    the gradient of the first layer itself, with results that are equal to the bit. Scores that spread beyond `spread`
    have one shift a sentence. Otherwise all sentences share the largest score as their shift. Under a smaller one tiny
    slopes over large divisors would fall below 1e-308. `spare` is as `kept`, for a block of other corpora a part.
    """
    n_words, parts = state.scores.size, len(buffers.sums)
    by_part = np.empty((parts, others.bounds.size - 1, 2))
    for epoch in range(len(rows)):
        if moves:
            for word in range(n_words):
                state.scores[word] -= rates.scores * buffers.score_slopes[0, word]
            if rates.head != 0.0:
                if not by_axes:
                    add(head.first, -rates.head, slopes.first)
                add(head.bias_in, -rates.head, slopes.bias_in)
                add(head.weight_out, -rates.head, slopes.weight_out)
                add(head.bias_out, -rates.head, slopes.bias_out)
        if moves and by_axes:
            step_by_axes(by_word, state, head, buffers, slopes, rates)
        else:
            _set_readout(state, head, buffers)
        low, high = words.extent(state.scores)
        score_sum, wide = total(state.scores), not high - low <= spread
        for part in prange(parts):
            start, stop = part * n_words // parts, (part + 1) * n_words // parts
            if not (moves and by_axes):
                step(start, stop, state, buffers, rates.embeddings if moves else 0.0)
            fill_operand(start, stop, wide, high, state, buffers)
        if buffers.readout.size > 0:
            clear(buffers.readout)
            add(buffers.readout, 1.0, buffers.after)
        kept.led[:] = False
        for part in prange(parts):
            _forward(part, wide, sentences, state, head, kept, buffers, partial)
            _evaluate(part, wide, others, state, head, spare, buffers, partial, by_part)
        for part in prange(parts):
            _backward(part, wide, by_word, state, kept, buffers, not by_axes or epoch == len(rows) - 1)
        _reduce(state, buffers, slopes, partial)
        row, moves = rows[epoch], True
        _record_fits(row, sentences, others, buffers, by_part)
        if not _record(row, followed, wide, by_word, state, kept, buffers, score_sum):
            return epoch
    return len(rows)


@kernel
def begin(spread, state, head, kept, buffers):
    """Prepare a forward pass whose head is not compiled; return whether scores are spread wide, and their sum."""
    _set_readout(state, head, buffers)
    low, high = words.extent(state.scores)
    wide = not high - low <= spread
    step(0, state.scores.size, state, buffers, 0.0)
    fill_operand(0, state.scores.size, wide, high, state, buffers)
    kept.led[:] = False
    return wide, total(state.scores)


@kernel
def finish(row, followed, wide, score_sum, by_word, state, kept, buffers, slopes, partial):
    """Compute the gradients by words after the forward pass, and fill a row of the record as `_record` does."""
    for part in range(len(buffers.sums)):
        _backward(part, wide, by_word, state, kept, buffers, True)
    if buffers.readout.size > 0:
        clear(buffers.readout)
        add(buffers.readout, 1.0, buffers.after)
    _reduce(state, buffers, slopes, partial)
    return _record(row, followed, wide, by_word, state, kept, buffers, score_sum)


@kernel
def received(spread, by_word, state, kept, buffers):
    """Return Σ_i A_iw (V,): the attention that each word receives at the state that was evaluated last."""
    low, high = words.extent(state.scores)
    out = np.empty(state.scores.size)
    for word in range(out.size):
        out[word] = words.received(word, not high - low <= spread, by_word, kept, state.scores, buffers.operand)
    return out


def _compiled(name: str, *, parallel: bool) -> Callable[..., Any]:
    # Numba caches compiled code by the name of a function, so that the two functions need different names.
    function = FunctionType(_epochs.__code__, _epochs.__globals__, name)
    function.__qualname__, function.__doc__ = name, _epochs.__doc__
    return njit(**OPTIONS, parallel=parallel)(function)


epochs = _compiled("epochs", parallel=False)
epochs_on_threads = _compiled("epochs_on_threads", parallel=True)
