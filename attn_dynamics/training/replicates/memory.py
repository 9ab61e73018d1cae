"""The memory that replicates need, and the error if there is less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_dynamics.errors import InputError
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

INDEX = 16
"""Bytes of an entry of the pattern on a device: both directions, each an index and a count."""
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

    def of(self, replicates: int) -> int:
        """Return the bytes for this number of replicates."""
        return self.fixed + self.each * replicates

    def replicates_in(self, room: int) -> int:
        """Return how many replicates fit into this many bytes."""
        return max(0, (room - self.fixed) // self.each)


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
    place, batch = Coordinates(start, training), min(training.batch_size or 0, corpora[0].n_sentences)
    state, beside = _numbers(engine, corpora, place, training, batch)
    each = engine.itemsize * (state + beside)
    of_batch = corpora[0].counts.nnz * batch // corpora[0].n_sentences
    pattern = INDEX * (sum(corpus.counts.nnz for corpus in corpora) + of_batch)
    given = sum(array.nbytes for array in (start.query, start.keys, start.embeddings, *start.head.arrays().values()))
    inside = math.prod(place.axes_shape) if place.reduced else 0
    still = np.float64().itemsize * (place.axes_shape[1] + inside)
    trajectory, snapshots = bytes_of_trajectory(layout, training.epochs), bytes_of_snapshots(layout, training.epochs)
    on_host = given + trajectory + start.keys.nbytes + start.embeddings.nbytes
    if isinstance(engine, Threads):
        running = each + still + bytes_recorded(layout, training.epochs, ROOM) + snapshots
        checkpoint = engine.itemsize * state + trajectory if saved else 0
        return [MemoryNeed(pattern + engine.at_once * running, on_host + checkpoint, given)]
    on_host += still + np.float64().itemsize * math.prod(place.axes_shape)
    on_host += bytes_recorded(layout, training.epochs)
    on_host += np.float64().itemsize * state if saved or training.patience else 0  # copies for a checkpoint
    if engine.on_host:
        return [MemoryNeed(pattern + snapshots, each + on_host, given)]
    return [MemoryNeed(pattern, each, 0), MemoryNeed(snapshots, on_host, given)]


def _numbers(
    engine: Torch | Threads, corpora: Sequence[Corpus], place: Coordinates, training: Training, batch: int
) -> tuple[int, int]:
    """Return how many numbers of a replicate a checkpoint keeps, and how many its device holds beside them.

    The state has the buffers of the rule, and under early stopping copies: two of it all, or on a device of torch one,
    without the buffers. By words the device holds an operand, sums and gradients; torch holds them again for a
    mini-batch. By sentences it holds contexts, their deviations from the leading word, logits, what the head keeps, and
    the slopes of contexts, logits and what is kept.
    """
    head, start, (d, size) = place.head, place.start, place.axes_shape
    read, k = head.readout_matrix.shape[1], min(d, head.readout_matrix.shape[1])
    moving = d * size + sum(array.size for array in head.arrays().values())
    moving += start.keys.size + start.query.size if place.by_keys else size
    # Views of one number take no memory, and zeros that a rule makes of them none before they are written.
    views = {name: np.broadcast_to(0.0, shape) for name, shape in place.shapes.items()}
    state = moving + sum(array.size for array in first_buffers(training.rule, views).values())
    if training.patience is not None:
        state += 2 * state if isinstance(engine, Threads) else moving
    still = size * (2 if place.by_keys else 1)
    by_words = 6 * (k + 1) * size * (1 if isinstance(engine, Threads) or not batch else 2)
    rows = max(corpus.n_sentences for corpus in corpora)
    by_sentences = (4 * (k + 1) + 2 * (read + head.first_layer.shape[1]) + 3 * head.n_classes) * rows
    kept = 2 * (k + 1) * (sum(corpus.n_sentences for corpus in corpora) + batch)
    return state, still + _of_a_step(engine, training, place, moving) + by_words + by_sentences + kept


def _of_a_step(engine: Torch | Threads, training: Training, place: Coordinates, moving: int) -> int:
    """Return how many numbers a step needs beside the state and gradients by word, given how many numbers move."""
    if isinstance(engine, Threads):  # which step one array after the other
        return 0 if training.plain and "query" not in training.train else moving
    if not training.plain:
        return OF_A_STEP * moving
    d, size = place.axes_shape
    keys = place.start.keys.size if place.by_keys else 0
    return max(d * min(size, WORDS_AT_ONCE), 3 * (d + 1) * min(size, SOME_WORDS), keys)


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
