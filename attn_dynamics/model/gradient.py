"""Loss and exact gradient of any head on any corpus (theory §1)."""

import math
from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import instance, renamed
from attn_dynamics.errors import InputError
from attn_dynamics.kernels import epochs
from attn_dynamics.kernels.epochs import Buffers, Kept, Layers, Rates, Sentences, State
from attn_dynamics.kernels.loss import SCRATCH, cross_entropy
from attn_dynamics.model.corpus_arrays import NO_WORDS, SHARED_SPREAD, Data, columns_of
from attn_dynamics.model.heads import Array, Head
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus

STILL = Rates(0.0, 0.0, 0.0)
"""Rates of a step that moves nothing."""
CACHE_LINE = 64
"""Number of bytes that the processor fetches at a time."""


class Fit(NamedTuple):
    """Loss and accuracy of a model on a corpus."""

    loss: float
    """Mean cross-entropy, in nats."""
    accuracy: float
    """Share of sentences whose largest logit is that of their class."""


class Gradient(NamedTuple):
    """Gradient of the mean loss; the part of the embeddings is expanded only when it is requested."""

    scores: Array
    """Gradient ∂L/∂s (V,)."""
    values: Array
    """Gradient (∂L/∂P)ᵀ (k, V) with respect to the attended values P: E R, or E itself."""
    head: dict[str, Array]
    """Gradients of the head's arrays by name: of all that can be trained, perhaps of more."""
    readout_matrix: Array | None
    """Readout matrix R (d, k) if P = E R, so that ∂L/∂E = (∂L/∂P) Rᵀ; None if P = E."""

    @property
    def axes(self) -> Array:
        """Return (∂L/∂E)ᵀ (d, V) = Σ_i A_iw g_i."""
        return self.values if self.readout_matrix is None else self.readout_matrix @ self.values

    @property
    def embeddings(self) -> Array:
        """Return ∂L/∂E (V, d), as a copy."""
        return np.array(self.axes.T, order="C")


class Objective:
    """Mean cross-entropy of one corpus, and its gradient, at a state whose arrays may change between calls.

    The loss depends on a context v through (W H)ᵀ v alone, W (d, r) the first layer and H (r, k) the head's contrasts.
    If k < d the products run on P = E W H (V, k), which is exact because (A E) W H = A (E W H). Otherwise they run
    on E. The next call overwrites the results.

    Args:
        corpus: N sentences over V words.
        scores: scores s (V,).
        axes: transposed embeddings Eᵀ (d, V), contiguous.
        head: head on these axes.
        still: norm (V,) of the part of each embedding outside of the axes; by default 0.
        frozen: columns of the words whose gradient is set to 0.
        others: further corpora, evaluated with every recorded row.
        followed: columns of the words in every recorded row.
        data: arrays of the corpus, the others, the frozen and the followed words, if they exist already.

    Example:
        >>> from attn_dynamics import Corpus, FixedLinear
        >>> corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], labels=[1, 0])
        >>> scores, axes = np.zeros(3), np.zeros((2, 3))
        >>> objective = Objective(corpus, scores, axes, FixedLinear(weight=np.eye(2)))
        >>> axes[:, 0] = [-5, 5]  # "good" speaks for class 1
        >>> fit, gradient = objective.evaluate()
        >>> float(fit.accuracy)
        1.0
    """

    @renamed(held="frozen", judged="others")
    def __init__(
        self,
        corpus: Corpus,
        scores: Array,
        axes: Array,
        head: Head,
        *,
        still: Array | None = None,
        frozen: NDArray[np.int64] = NO_WORDS,
        others: Collection[Corpus] = (),
        followed: NDArray[np.int64] = NO_WORDS,
        data: Data | None = None,
    ) -> None:
        d, k = head.readout_matrix.shape
        self._narrows = k < d
        self._head = head
        self._data = Data.of(corpus, others, frozen, followed) if data is None else data
        self._alone = self._data.alone()
        still = np.zeros(scores.size) if still is None else still
        contrasts = np.ascontiguousarray(head.contrasts)
        self._state, self._layers = State(scores, axes, still, contrasts), _layers(head)
        self._kept = _kept_rows(corpus.n_sentences, corpus.n_words, min(d, k))
        self._spare = _kept_rows(self.parts * epochs.BLOCK, 0, min(d, k))
        self._buffers = self._make_buffers(corpus, min(d, k))
        self._slopes, self._partial = Layers(*map(np.zeros_like, self._layers)), self._make_partial()
        self._head_slopes = {
            name: slopes.reshape(getattr(head, name).shape)
            for name, slopes in zip(head.compiled, self._slopes, strict=False)
        }

    @property
    def parts(self) -> int:
        """Return the number of parts that threads may share."""
        return self._data.parts

    def evaluate(self, rows: NDArray[np.int64] | None = None) -> tuple[Fit, Gradient]:
        """Return loss and accuracy at the present state, and the gradient.

        Args:
            rows: indices of the sentences of a mini-batch; None means all sentences.
        """
        row = np.empty(2 + epochs.SIGNALS)
        self._record(row, self._alone if rows is None else self._alone.batch(rows))
        return Fit(row[0], row[1]), self.gradient()

    def record(self, row: Array) -> bool:
        """Evaluate the present state and fill a row of the record; `gradient` then returns the gradient there.

        Returns:
            Whether loss, signals and scores are finite.
        """
        return self._record(row, self._data)

    def gradient(self) -> Gradient:
        """Return the gradient at the state that was evaluated last."""
        buffers = self._buffers
        readout_matrix = buffers.readout if self._narrows else None
        return Gradient(buffers.score_slopes[0], buffers.value_slopes, self._head_slopes, readout_matrix)

    def descend(self, rows: Array, rates: Rates, *, threads: bool = False) -> int:
        """Take as many steps of descent as there are rows, from the state that was evaluated last; record each state.

        Returns:
            The number of rows before the first whose loss, signals or scores are not finite.
        """
        return self._run(rows, rates, self._data, moves=True, threads=threads)

    def _record(self, row: Array, data: Data) -> bool:
        if not self._head.compiled:
            return self._record_by_head(row, data)
        return self._run(row[None], STILL, data, moves=False) == 1

    def _run(self, rows: Array, rates: Rates, data: Data, *, moves: bool, threads: bool = False) -> int:
        loop = epochs.epochs_on_threads if threads else epochs.epochs
        corpora = data.followed, data.sentences, data.words, data.others
        model = self._state, self._layers, self._kept, self._spare, self._buffers, self._slopes, self._partial
        # Gradients of frozen words enter that of the head, but not steps.
        by_axes = moves and not threads and self._narrows and rates.head > 0.0 and not data.words.frozen.size
        return loop(rows, moves, by_axes, SHARED_SPREAD, rates, *corpora, *model)

    def received(self) -> Array:
        """Return Σ_i A_iw (V,): the attention that each word receives at the state that was evaluated last."""
        return epochs.received(SHARED_SPREAD, self._data.words, self._state, self._kept, self._buffers)

    def _record_by_head(self, row: Array, data: Data) -> bool:
        """Evaluate a head that the compiled loop does not know, by its `forward` and `backward`."""
        state, kept, buffers = self._state, self._kept, self._buffers
        wide, score_sum = epochs.begin(SHARED_SPREAD, state, self._layers, kept, buffers)
        self._head_slopes = {self._head.first: self._slopes.first} if self._narrows else {}
        fits = [
            self._through_head(wide, sentences, start, stop, training=sentences is data.sentences)
            for sentences in (data.sentences, data.others)
            for start, stop in pairwise(sentences.bounds.tolist())
        ]
        row[: 2 * len(fits)] = np.ravel(fits)
        model = state, kept, buffers, self._slopes, self._partial
        return epochs.finish(row, data.followed, wide, score_sum, data.words, *model)

    def _through_head(self, wide: bool, sentences: Sentences, start: int, stop: int, *, training: bool) -> Fit:
        """Return loss and accuracy on some sentences; in training, also prepare the backward pass."""
        head, operand, width = self._head, self._buffers.operand, self._buffers.metric.shape[0]
        entry, loss, correct = head.contrasts if self._narrows else head.first_layer.T, 0.0, 0
        kept, slopes = self._kept if training else self._spare, self._head_slopes
        sums, deviations = self._buffers.rows[0]
        for begin in range(start, stop, epochs.BLOCK):
            end, place = min(stop, begin + epochs.BLOCK), begin if training else 0
            contexts, losses = np.empty((width, end - begin)), np.empty(end - begin)
            scores, where = self._state.scores, (kept, place, contexts)
            epochs.contexts_of(begin, end, wide, sentences, scores, operand, sums, deviations, *where)
            logits, remembered = head.forward(entry @ contexts)
            logits = np.array(logits, order="C")
            correct += cross_entropy(logits, sentences.labels[begin:end], stop - start, losses)
            loss += float(np.add.reduce(losses))
            if not training:
                continue
            inward, gradients = head.backward(remembered, logits)
            if head.first in head.trained and not self._narrows:
                gradients = gradients | {head.first: contexts @ inward.T}
            for name, gradient in gradients.items():
                slopes[name] = slopes[name] + gradient if name in slopes else gradient
            outward = np.array(entry.T @ inward, order="C")
            epochs.keep_slopes(outward, contexts, deviations, kept, begin, end - begin, losses)
        return Fit(loss / (stop - start), correct / (stop - start))

    def _make_buffers(self, corpus: Corpus, width: int) -> Buffers:
        head, parts, contrasts = self._head, self.parts, self._state.contrasts
        (d, k), size, reads = head.readout_matrix.shape, corpus.n_words, contrasts.shape[0]
        rows, block = max(width, reads, head.n_classes, SCRATCH + 1), epochs.BLOCK
        return Buffers(
            operand=_cache_lines(size, columns_of(width)),
            values=_cache_lines(width, size if self._narrows else 0),
            readout=np.array(head.readout_matrix, order="C") if self._narrows else np.empty((0, 0)),
            score_slopes=_cache_lines(1, size),
            value_slopes=_cache_lines(width, size),
            entry=contrasts.copy() if self._narrows else np.empty(head.first_layer.T.shape),
            metric=np.eye(width),
            after=np.empty((d, k) if self._narrows else (0, 0)),
            pulled=np.zeros((parts, d, k) if self._narrows else (parts, 0, 0)),
            sums=np.zeros((parts, 4)),
            rows=_cache_lines(parts, 2, block, columns_of(width)),
            columns=_cache_lines(parts, epochs.COLUMNS, rows, block),
        )

    def _make_partial(self) -> Layers:
        """Return zeros for the head's gradients by part, none for a first layer whose gradient Eᵀ (∂L/∂P) gives."""
        head, layers = self._head, self._layers
        summed = bool(head.compiled) and head.first in head.trained and not self._narrows
        shapes = [layers.first.shape if summed else (0, 0), *(array.shape for array in layers[1:])]
        return Layers(*(np.zeros((self.parts, *shape)) for shape in shapes))


def _layers(head: Head) -> Layers:
    """Return the arrays of a head in the form of the compiled loops, with empty arrays for layers that it lacks."""
    arrays = [getattr(head, name) for name in head.compiled or (head.first,)]
    missing = [np.empty((0, 0))] * (len(Layers._fields) - len(arrays))
    return Layers(*(array.reshape(-1, array.shape[-1]) for array in arrays), *missing)


def _cache_lines(*shape: int) -> Array:
    """Return zeros aligned with the cache, so that no row of four numbers lies across two of its lines."""
    room = np.zeros(math.prod(shape) + CACHE_LINE // 8)
    begin = -room.ctypes.data % CACHE_LINE // 8
    return room[begin : begin + math.prod(shape)].reshape(shape)


def aligned(array: Array) -> Array:
    """Return a copy whose first number begins a line of the cache."""
    copy = _cache_lines(*array.shape)
    copy[...] = array
    return copy


def _kept_rows(sentences: int, n_words: int, width: int) -> Kept:
    rows, leads = _cache_lines(sentences, columns_of(width)), np.empty(sentences, np.uint32)
    inverses, largest, slopes = (np.zeros(sentences) for _ in range(3))
    return Kept(rows, inverses, largest, leads, slopes, np.zeros(n_words, np.bool_))


def loss_and_gradient(corpus: Corpus, parameters: Parameters) -> tuple[float, Parameters]:
    """Return the mean cross-entropy and its exact gradient in every parameter, in float64 (theory §1).

    `reference_loss_and_gradient` in `model/readable_gradient.py` is the same computation in ten lines of numpy.

    Args:
        corpus: N sentences over V words.
        parameters: query (d_k,), keys (V, d_k), embeddings (V, d), head.

    Returns:
        The loss in nats, and the gradient in the shape of `parameters`: zero for arrays that cannot be trained.

    Raises:
        InputError: `parameters` are for another vocabulary or number of classes.

    Example:
        >>> import math
        >>> from attn_dynamics import Corpus, draw
        >>> corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], labels=[1, 0])
        >>> start = draw("mean-field", "attn-fc", n_words=3, n_classes=2, embedding_dim=2, rng=np.random.default_rng(0))
        >>> loss, gradient = loss_and_gradient(corpus, start)
        >>> math.isclose(loss, math.log(2)), gradient.embeddings.shape
        (True, (3, 2))
    """
    check_fit(corpus, parameters)
    head, axes = parameters.head, np.ascontiguousarray(parameters.embeddings.T)
    fit, gradient = Objective(corpus, parameters.scores, axes, head).evaluate()
    zeros = {name: np.zeros_like(array) for name, array in head.arrays().items()}
    trained = {name: gradient.head[name] for name in head.trained}
    return fit.loss, Parameters(
        query=parameters.keys.T @ gradient.scores,
        keys=np.outer(gradient.scores, parameters.query),
        embeddings=gradient.embeddings,
        head=head.replace(**zeros | trained),
    )


def check_fit(corpus: Corpus, parameters: Parameters) -> None:
    """Check that parameters fit a corpus.

    Raises:
        InputError: an argument is of another type, or has other words or classes.
    """
    instance("corpus", corpus, Corpus, fix="Corpus.from_sentences makes one.")
    instance("parameters", parameters, Parameters, fix="draw(…) makes them.")
    sizes = (corpus.n_words, corpus.n_classes), (parameters.keys.shape[0], parameters.head.n_classes)
    for name, wanted, given in zip(("words", "classes"), *sizes, strict=True):
        if wanted != given:
            fix = "Draw the parameters with the corpus's n_words and n_classes."
            raise InputError("parameters", expected=f"{wanted} {name}, as the corpus has", given=given, fix=fix)
