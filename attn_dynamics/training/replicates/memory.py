"""The memory that single runs and replicates need, and the error if there is less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.model.corpus_arrays import columns_of
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.memory import available_memory, in_words
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.dynamics import SOME_WORDS, Coordinates
from attn_dynamics.training.recording import ROOM, Layout
from attn_dynamics.training.replicates.recording import bytes_of_snapshots, bytes_of_trajectory, bytes_recorded
from attn_dynamics.training.replicates.threads import Threads
from attn_dynamics.training.rules import first_buffers
from attn_dynamics.training.settings import Training

if TYPE_CHECKING:
    from attn_dynamics.training.replicates.tensors import Torch

FLOAT = np.float64().itemsize
INDEX = 16
"""Bytes of an entry of the pattern on a device: both directions, each an index and a count."""
BY_WORD = 8
"""Bytes of an entry of the pattern by words. By sentences, the compiled loops read the arrays of the corpus itself."""
OF_BATCH = 40
"""Bytes of an entry of a mini-batch of the compiled loops, while it is taken from the corpus."""
WORDS_AT_ONCE = 1 << 14
"""Number of words whose embeddings plain descent steps at once on a device, so that increments fit into memory."""
OF_A_STEP = 3
"""Arrays that a rule's step on a device needs beside each moving array and its buffers: its slope, two on the way."""


class MemoryNeed(NamedTuple):
    """Bytes needed of one memory at the peak of a run."""

    fixed: int
    """Bytes that do not depend on R."""
    each: int
    """Bytes per replicate, its start included."""
    start: int
    """Bytes of its start within `each`, allocated before the run."""
    running: int = 0
    """Bytes beside `each` of a replicate that is computed, if not all are computed at once."""
    at_once: int = 0
    """Largest number of replicates that need their `running` bytes at once."""

    def of(self, replicates: int) -> int:
        """Return the bytes for this number of replicates."""
        return self.fixed + self.each * replicates + self.running * min(replicates, self.at_once)

    def replicates_in(self, room: int) -> int:
        """Return how many replicates fit into this many bytes."""
        few = (room - self.fixed) // (self.each + self.running)
        many = (room - self.fixed - self.running * self.at_once) // self.each
        return max(0, min(few, self.at_once), many)


def bytes_needed(
    engine: Torch | Threads,
    corpora: Sequence[Corpus],
    start: Parameters,
    layout: Layout,
    training: Training,
    *,
    saved: bool = True,
) -> list[MemoryNeed]:
    """Return the bytes that a run needs of the engine's memory, and of the host's if that is separate.

    The host holds the start of a replicate, as given and in coordinates, its record, and at the end its trajectory and
    parameters. While a trajectory is made, the host also holds the snapshots of one more replicate.

    On threads, only the replicates that run hold coordinates and a record. A checkpoint keeps the state and the record
    of every replicate, of those that ended too.
    """
    on_threads = isinstance(engine, Threads)
    place, keys, embeddings = Coordinates(start, training, from_zero=on_threads), start.keys, start.embeddings
    given = sum(array.nbytes for array in (start.query, keys, embeddings, *start.head.arrays().values()))
    on_host = given + bytes_of_trajectory(layout, training.epochs) + keys.nbytes + embeddings.nbytes
    if on_threads:
        running, kept = _on_threads(corpora[0], place, layout, training)
        pattern = sum(BY_WORD * corpus.counts.nnz + FLOAT * corpus.n_sentences for corpus in corpora)
        return [MemoryNeed(pattern, on_host + kept * saved, given, running, engine.at_once)]
    snapshots = bytes_of_snapshots(layout, training.epochs)
    pattern, each, copies = _on_device(engine.itemsize, corpora, place, training)
    on_host += FLOAT * (_still(place) + math.prod(place.axes_shape)) + bytes_recorded(layout, training.epochs)
    on_host += copies if saved or training.patience else 0
    if engine.on_host:
        return [MemoryNeed(pattern + snapshots, each + on_host, given)]
    return [MemoryNeed(pattern, each, 0), MemoryNeed(snapshots, on_host, given)]


def _on_threads(corpus: Corpus, place: Coordinates, layout: Layout, training: Training) -> tuple[int, int]:
    """Return the bytes of a replicate while it runs on a thread, and those of its part of a checkpoint.

    The state has the buffers of the rule, and under early stopping two copies of it all. By words there are an operand,
    sums and gradients. By sentences there is what the backward pass needs; other results are those of a block.
    """
    moving, k, size = _moving(place), _width(place), place.axes_shape[1]
    state = (moving + _buffers(place, training)) * (1 if training.patience is None else 3)
    by_words = (6 * (k + 1) + (2 if place.by_keys else 1)) * size + _still(place)
    by_sentences = (columns_of(k) + 4) * corpus.n_sentences
    step = 0 if training.plain and "query" not in training.train else moving  # one array after the other
    numbers = FLOAT * (state + by_words + by_sentences + step)
    record = bytes_recorded(layout, training.epochs, ROOM) + bytes_of_snapshots(layout, training.epochs)
    running = numbers + record + OF_BATCH * _entries_of_batch(corpus, training)
    return running, FLOAT * state + bytes_of_trajectory(layout, training.epochs)


def _on_device(
    itemsize: int, corpora: Sequence[Corpus], place: Coordinates, training: Training
) -> tuple[int, int, int]:
    """Return the bytes of the pattern on a device, those of a replicate there, and those of a copy of its state.

    The state has the buffers of the rule, and under early stopping a copy without them. By words the device holds an
    operand, sums and gradients, and holds them again for a mini-batch. By sentences it holds contexts, their deviations
    from the leading word, logits, what the head keeps, and the slopes of contexts, logits and what is kept.
    """
    head, (d, size), moving, k = place.head, place.axes_shape, _moving(place), _width(place)
    batch, keys = min(training.batch_size or 0, corpora[0].n_sentences), place.start.keys.size if place.by_keys else 0
    state = moving + _buffers(place, training) + (0 if training.patience is None else moving)
    by_words = (6 * (k + 1) * (2 if batch else 1) + (2 if place.by_keys else 1)) * size
    rows = max(corpus.n_sentences for corpus in corpora)
    read, layer = head.readout_matrix.shape[1], head.first_layer.shape[1]
    by_sentences = (4 * (k + 1) + 2 * (read + layer) + 3 * head.n_classes) * rows
    kept = 2 * (k + 1) * (sum(corpus.n_sentences for corpus in corpora) + batch)
    in_place = max(d * min(size, WORDS_AT_ONCE), 3 * (d + 1) * min(size, SOME_WORDS), keys)
    step = in_place if training.plain else OF_A_STEP * moving
    pattern = INDEX * (sum(corpus.counts.nnz for corpus in corpora) + _entries_of_batch(corpora[0], training))
    return pattern, itemsize * (state + by_words + by_sentences + kept + step), FLOAT * state


def _moving(place: Coordinates) -> int:
    """Return how many numbers a replicate's parameters are in coordinates, those that are not trained included."""
    by_scores = place.start.keys.size + place.start.query.size if place.by_keys else place.axes_shape[1]
    return math.prod(place.axes_shape) + sum(array.size for array in place.head.arrays().values()) + by_scores


def _buffers(place: Coordinates, training: Training) -> int:
    """Return how many numbers the buffers of the rule are."""
    # Views of one number take no memory, and zeros that a rule makes of them none before they are written.
    views = {name: np.broadcast_to(0.0, shape) for name, shape in place.shapes.items()}
    return sum(array.size for array in first_buffers(training.rule, views).values())


def _width(place: Coordinates) -> int:
    """Return the number k of columns of the sparse products."""
    return min(place.head.readout_matrix.shape)


def _still(place: Coordinates) -> int:
    """Return how many numbers `Coordinates` keeps of the start: norms, and embeddings if law A6 is used."""
    return place.axes_shape[1] + (math.prod(place.axes_shape) if place.reduced else 0)


def _entries_of_batch(corpus: Corpus, training: Training) -> int:
    """Return how many entries of the counts a mini-batch has; 0 without mini-batches."""
    return corpus.counts.nnz * min(training.batch_size or 0, corpus.n_sentences) // corpus.n_sentences


def most_replicates(engine: Torch | Threads, needed: Sequence[MemoryNeed], share: float) -> int | None:
    """Return how many replicates, not drawn yet, fit into a share of the free memory; None if that is unknown."""
    return min((each.replicates_in(int(share * room)) for each, room in memory_for(engine, needed, 0)), default=None)


def check_memory(engine: Torch | Threads, needed: Sequence[MemoryNeed], replicates: int) -> None:
    """Refuse more replicates than memory can hold, before anything is computed; their starts are already in memory.

    Raises:
        InputError: memory is too small; the message gives the bytes needed and the largest R that fits.
    """
    for each, room in memory_for(engine, needed, replicates):
        if each.of(replicates) > room:
            raise too_large(each, replicates, room)


def memory_for(engine: Torch | Threads, needed: Sequence[MemoryNeed], there: int) -> list[tuple[MemoryNeed, int]]:
    """Return the need of each memory and the bytes available: free ones and those of the starts already there."""
    found = [engine.free_memory()] if engine.on_host else [engine.free_memory(), available_memory()]
    known = ((each, free) for each, free in zip(needed, found, strict=True) if free is not None)
    return [(each, max(0, free) + there * each.start) for each, free in known]


def too_large(needed: MemoryNeed, replicates: int, room: int) -> InputError:
    """Return the error that says how many replicates would fit."""
    most = min(needed.replicates_in(room), replicates - 1)
    fix = f"At most {most:,} fit at a time: train them in several calls." if most else "Not even one fits."
    return InputError(
        "parameters",
        expected=f"replicates that fit into the {in_words(room)} of memory that are free for them",
        given=f"{replicates:,}, which need about {in_words(needed.of(replicates))}",
        fix=fix,
    )
