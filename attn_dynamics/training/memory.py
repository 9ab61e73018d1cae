"""The memory that single runs and replicates need, and the error if there is less."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.model.corpus_arrays import columns_of
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.memory import available_memory, in_words
from attn_dynamics.training import recording
from attn_dynamics.training.coordinates import SOME_WORDS, Coordinates
from attn_dynamics.training.recording import Layout, snapshots_due
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
OF_A_STEP = 3
"""Arrays that a rule's step on a device needs beside each moving array and its buffers: its slope, two on the way."""
SMALLER = "Give embeddings and keys fewer dimensions, take fewer words or epochs, or plain descent without patience."


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
    engine: Torch | Threads, start: Parameters, layout: Layout, training: Training, *, saved: bool = True
) -> list[MemoryNeed]:
    """Return the bytes that a run needs of the engine's memory, and of the host's if that is separate.

    The host holds the start of a replicate, as given and in coordinates, its record, and at the end its trajectory and
    parameters. While a trajectory is made, the host also holds the snapshots of one more replicate.

    On threads, only the replicates that run hold coordinates and a record. A checkpoint keeps the state and the record
    of every replicate, of those that ended too.
    """
    on_threads = isinstance(engine, Threads)
    place, corpora = Coordinates(start, training, from_zero=on_threads), layout.corpora
    axes = math.prod(place.axes_shape)
    still = FLOAT * (place.axes_shape[1] + (axes if place.reduced else 0))
    entries = sum(corpus.counts.nnz for corpus in corpora)
    of_batch = layout.corpus.counts.nnz * (training.batch_size or 0) // layout.corpus.n_sentences
    # While rows are doubled, half as much again is allocated; this is no more than their copy in the trajectory.
    rows = max(recording.ROOM, 1 << training.epochs.bit_length())
    taken = len(snapshots_due(training.epochs)) + 1  # one at the end
    recorded, trajectory, snapshots = (layout.bytes(each, taken) for each in (rows, training.epochs + 1, 0))
    given = sum(array.nbytes for array in (start.query, start.keys, start.embeddings, *start.head.arrays().values()))
    on_host = given + trajectory + start.keys.nbytes + start.embeddings.nbytes
    state, beside = (_on_threads if on_threads else _on_device)(layout, place, training)
    if on_threads:
        running = FLOAT * (state + beside) + still + OF_BATCH * of_batch + recorded + snapshots
        pattern = BY_WORD * entries + FLOAT * sum(corpus.n_sentences for corpus in corpora)
        on_host += (FLOAT * state + trajectory) * saved
        return [MemoryNeed(pattern, on_host, given, running, engine.at_once)]
    each, pattern = engine.itemsize * (state + beside), INDEX * (entries + of_batch)
    on_host += still + FLOAT * axes + recorded
    on_host += FLOAT * state if saved or training.patience else 0  # copies for a checkpoint
    if engine.on_host:
        return [MemoryNeed(pattern + snapshots, each + on_host, given)]
    return [MemoryNeed(pattern, each, 0), MemoryNeed(snapshots, on_host, given)]


def _on_threads(layout: Layout, place: Coordinates, training: Training) -> tuple[int, int]:
    """Return how many numbers a replicate's state has, and how many its thread holds beside it.

    Under early stopping there are two copies of the state. By words the thread holds an operand, sums and gradients; by
    sentences it holds what the backward pass needs. All else is of one block of sentences.
    """
    moving, buffers = _moving(place, training)
    k, size = min(place.head.readout_matrix.shape), place.axes_shape[1]
    by_words = (6 * (k + 1) + (2 if place.by_keys else 1)) * size
    by_sentences = (columns_of(k) + 4) * layout.corpus.n_sentences
    step = 0 if training.plain and "query" not in training.train else moving  # one array after the other
    return (moving + buffers) * (1 if training.patience is None else 3), by_words + by_sentences + step


def _on_device(layout: Layout, place: Coordinates, training: Training) -> tuple[int, int]:
    """Return how many numbers a replicate's state has, and how many its device holds beside it.

    Under early stopping there is a copy of the state without buffers. By words the device holds an operand, sums and
    gradients, and holds them again for a mini-batch. By sentences it holds contexts, their deviations from the leading
    word, logits, what the head keeps, and the slopes of contexts, logits and what is kept.
    """
    moving, buffers = _moving(place, training)
    head, (d, size), batch = place.head, place.axes_shape, training.batch_size or 0
    read, layer = head.readout_matrix.shape[1], head.first_layer.shape[1]
    k, sentences = min(d, read), [corpus.n_sentences for corpus in layout.corpora]
    by_words = (6 * (k + 1) * (2 if batch else 1) + (2 if place.by_keys else 1)) * size
    by_sentences = (4 * (k + 1) + 2 * (read + layer) + 3 * head.n_classes) * max(sentences)
    kept = 2 * (k + 1) * (sum(sentences) + batch)
    keys = place.start.keys.size if place.by_keys else 0
    in_place = max(3 * (d + 1) * min(size, SOME_WORDS), keys)
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


def most_replicates(
    engine: Torch | Threads, start: Parameters, layout: Layout, training: Training, share: float
) -> int | None:
    """Return how many starts like this one, not drawn yet, `descend_many` can take in a share of the free memory.

    The result is None if the free memory is unknown.
    """
    rooms = _rooms(engine, bytes_needed(engine, start, layout, training), 0)
    return min((each.replicates_in(int(share * room)) for each, room in rooms), default=None)


def check_run(start: Parameters, layout: Layout, training: Training) -> None:
    """Refuse a run that memory cannot hold, before it is computed; its start is already in memory.

    Raises:
        InputError: memory is too small; the message gives the bytes needed and those available.
    """
    if training.patience is not None:  # which may end the run at any epoch
        training = replace(training, epochs=0)
    _checked_rooms(Threads(), bytes_needed(Threads(), start, layout, training, saved=False), 1)


@contextmanager
def memory_for(engine: Torch | Threads, needed: Sequence[MemoryNeed], replicates: int) -> Iterator[None]:
    """Refuse more replicates than memory can hold, before they are trained or when it runs out on the way.

    Args:
        engine: device of the replicates.
        needed: bytes needed of each of its memories, from `bytes_needed`.
        replicates: number R of replicates, whose starts are already in memory.

    Raises:
        InputError: memory is too small; the message gives the bytes needed and the largest R that fits.
    """
    rooms = _checked_rooms(engine, needed, replicates)
    try:
        yield
    except engine.out_of_memory:
        first, room = rooms[0] if rooms else (needed[0], 0)
        raise _too_large(first, room, replicates, given="less on the way, perhaps by a limit of this process") from None


def _checked_rooms(
    engine: Torch | Threads, needed: Sequence[MemoryNeed], replicates: int
) -> list[tuple[MemoryNeed, int]]:
    """Return what `_rooms` returns, if so many replicates fit."""
    rooms = _rooms(engine, needed, replicates)
    for each, room in rooms:
        if each.of(replicates) > room:
            raise _too_large(each, room, replicates)
    return rooms


def _rooms(engine: Torch | Threads, needed: Sequence[MemoryNeed], there: int) -> list[tuple[MemoryNeed, int]]:
    """Return the need of each memory and the bytes available: free ones, and those of `there` starts already there."""
    found = [engine.free_memory()] if engine.on_host else [engine.free_memory(), available_memory()]
    known = ((each, free) for each, free in zip(needed, found, strict=True) if free is not None)
    return [(each, max(0, free) + there * each.start) for each, free in known]


def _too_large(needed: MemoryNeed, room: int, replicates: int, given: str | None = None) -> InputError:
    """Return the error that says how many replicates would fit in `room`, or how to make one smaller."""
    most = min(needed.replicates_in(room), replicates - 1)
    runs, them = ("a run", "it") if replicates == 1 else (f"{replicates:,} runs", "them")
    return InputError(
        "memory",
        expected=f"about {in_words(needed.of(replicates))} for {runs}",
        given=given or f"{in_words(room)} that are free for {them}",
        fix=f"At most {most:,} fit at a time: train them in several calls." if most else SMALLER,
    )
