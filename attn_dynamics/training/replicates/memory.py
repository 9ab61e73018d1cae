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
from attn_dynamics.training import recording
from attn_dynamics.training.dynamics import SOME_WORDS, Coordinates
from attn_dynamics.training.recording import Layout, snapshots_due
from attn_dynamics.training.replicates.recording import ROOM
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
    axes = math.prod(place.axes_shape)
    still = FLOAT * (place.axes_shape[1] + (axes if place.reduced else 0))
    entries = sum(corpus.counts.nnz for corpus in corpora)
    of_batch = corpora[0].counts.nnz * _batch(corpora[0], training) // corpora[0].n_sentences
    room = recording.ROOM if on_threads else ROOM
    recorded, trajectory, snapshots = _of_record(layout, training.epochs, room)
    given = sum(array.nbytes for array in (start.query, keys, embeddings, *start.head.arrays().values()))
    on_host = given + trajectory + keys.nbytes + embeddings.nbytes
    if on_threads:
        state, beside = _on_threads(corpora[0], place, training)
        running = FLOAT * (state + beside) + still + OF_BATCH * of_batch + recorded + snapshots
        pattern = BY_WORD * entries + FLOAT * sum(corpus.n_sentences for corpus in corpora)
        on_host += (FLOAT * state + trajectory) * saved
        return [MemoryNeed(pattern, on_host, given, running, engine.at_once)]
    state, beside = _on_device(corpora, place, training)
    each, pattern = engine.itemsize * (state + beside), INDEX * (entries + of_batch)
    on_host += still + FLOAT * axes + recorded
    on_host += FLOAT * state if saved or training.patience else 0  # copies for a checkpoint
    if engine.on_host:
        return [MemoryNeed(pattern + snapshots, each + on_host, given)]
    return [MemoryNeed(pattern, each, 0), MemoryNeed(snapshots, on_host, given)]


def _of_record(layout: Layout, epochs: int, room: int) -> tuple[int, int, int]:
    """Return the bytes of a record with room for so many rows at first, of its trajectory, and of its snapshots.

    While rows are doubled, half as much again is allocated; this is no more than their copy in the trajectory.
    """
    taken = len(snapshots_due(epochs)) + 1  # one at the end
    rows = max(room, 1 << epochs.bit_length())
    return layout.bytes(rows, taken), layout.bytes(epochs + 1, taken), layout.bytes(0, taken)


def _on_threads(corpus: Corpus, place: Coordinates, training: Training) -> tuple[int, int]:
    """Return how many numbers a replicate's state has, and how many its thread holds beside it.

    Under early stopping there are two copies of the state. By words the thread holds an operand, sums and gradients; by
    sentences it holds what the backward pass needs. All else is of one block of sentences.
    """
    moving, buffers = _moving(place, training)
    k, size = min(place.head.readout_matrix.shape), place.axes_shape[1]
    by_words = (6 * (k + 1) + (2 if place.by_keys else 1)) * size
    by_sentences = (columns_of(k) + 4) * corpus.n_sentences
    step = 0 if training.plain and "query" not in training.train else moving  # one array after the other
    return (moving + buffers) * (1 if training.patience is None else 3), by_words + by_sentences + step


def _on_device(corpora: Sequence[Corpus], place: Coordinates, training: Training) -> tuple[int, int]:
    """Return how many numbers a replicate's state has, and how many its device holds beside it.

    Under early stopping there is a copy of the state without buffers. By words the device holds an operand, sums and
    gradients, and holds them again for a mini-batch. By sentences it holds contexts, their deviations from the leading
    word, logits, what the head keeps, and the slopes of contexts, logits and what is kept.
    """
    moving, buffers = _moving(place, training)
    head, (d, size), batch = place.head, place.axes_shape, _batch(corpora[0], training)
    read, layer = head.readout_matrix.shape[1], head.first_layer.shape[1]
    k, rows = min(d, read), max(corpus.n_sentences for corpus in corpora)
    by_words = (6 * (k + 1) * (2 if batch else 1) + (2 if place.by_keys else 1)) * size
    by_sentences = (4 * (k + 1) + 2 * (read + layer) + 3 * head.n_classes) * rows
    kept = 2 * (k + 1) * (sum(corpus.n_sentences for corpus in corpora) + batch)
    keys = place.start.keys.size if place.by_keys else 0
    in_place = max(d * min(size, WORDS_AT_ONCE), 3 * (d + 1) * min(size, SOME_WORDS), keys)
    step = in_place if training.plain else OF_A_STEP * moving
    state = moving + buffers + (0 if training.patience is None else moving)
    return state, by_words + by_sentences + kept + step


def _moving(place: Coordinates, training: Training) -> tuple[int, int]:
    """Return how many numbers the parameters are in coordinates, trained or not, and how many the rule's buffers."""
    by_scores = place.start.keys.size + place.start.query.size if place.by_keys else place.axes_shape[1]
    moving = math.prod(place.axes_shape) + sum(array.size for array in place.head.arrays().values()) + by_scores
    # Views of one number take no memory, and zeros that a rule makes of them none before they are written.
    views = {name: np.broadcast_to(0.0, shape) for name, shape in place.shapes.items()}
    return moving, sum(array.size for array in first_buffers(training.rule, views).values())


def _batch(corpus: Corpus, training: Training) -> int:
    """Return the number of sentences of a mini-batch; 0 without mini-batches."""
    return min(training.batch_size or 0, corpus.n_sentences)


def most_replicates(engine: Torch | Threads, needed: Sequence[MemoryNeed], share: float) -> int | None:
    """Return how many replicates, not drawn yet, fit into a share of the free memory; None if that is unknown."""
    return min((each.replicates_in(int(share * room)) for each, room in rooms(engine, needed, 0)), default=None)


def check_memory(needs: Sequence[tuple[MemoryNeed, int]], replicates: int) -> None:
    """Refuse more replicates than memory can hold.

    Args:
        needs: the need of each memory and its bytes available, from `rooms`.
        replicates: number R of replicates.

    Raises:
        InputError: memory is too small; the message gives the bytes needed and the largest R that fits.
    """
    for needed, room in needs:
        if needed.of(replicates) > room:
            raise too_large(needed, room, replicates)


def rooms(engine: Torch | Threads, needed: Sequence[MemoryNeed], there: int) -> list[tuple[MemoryNeed, int]]:
    """Return the need of each memory and the bytes available: free ones, and those of `there` starts already there."""
    found = [engine.free_memory()] if engine.on_host else [engine.free_memory(), available_memory()]
    known = ((each, free) for each, free in zip(needed, found, strict=True) if free is not None)
    return [(each, max(0, free) + there * each.start) for each, free in known]


def too_large(needed: MemoryNeed, room: int, replicates: int) -> InputError:
    """Return the error that says how many replicates would fit."""
    most = min(needed.replicates_in(room), replicates - 1)
    fix = f"At most {most:,} fit at a time: train them in several calls." if most else "Not even one fits."
    return InputError(
        "parameters",
        expected=f"replicates that fit into the {in_words(room)} of memory that are free for them",
        given=f"{replicates:,}, which need about {in_words(needed.of(replicates))}",
        fix=fix,
    )
