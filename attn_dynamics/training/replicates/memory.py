"""How much memory replicates take, and what to say where there is less."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.memory import available_memory, in_words
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.dynamics import Coordinates
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.engine import Engine
from attn_dynamics.training.replicates.recording import bytes_kept, bytes_of_snapshots

INDEX = 16
"""Bytes an entry of the pattern takes on a device: both directions, each an index and a count."""


class MemoryNeed(NamedTuple):
    """Bytes of one memory at the largest moment of a run."""

    fixed: int
    """Whatever R is."""
    each: int
    """A replicate, its start included."""
    start: int
    """Of these the start's, which is there before the run."""

    def of(self, replicates: int) -> int:
        """Of all."""
        return self.fixed + self.each * replicates

    def fitting(self, room: int) -> int:
        """Replicates for which so many bytes are enough."""
        return max(0, (room - self.fixed) // self.each)


def bytes_needed(
    engine: Engine,
    corpora: Sequence[Corpus],
    start: Parameters,
    layout: Layout,
    *,
    train: Collection[str],
    reduced: bool,
    epochs: int,
    patience: int | None,
) -> list[MemoryNeed]:
    """What a run of so many epochs takes of the engine's memory, and of the host's where that is another one.

    A replicate holds its state, twice under early stopping; an operand, its sums and the gradients by words; by
    sentences contexts, how far each is from its leading word, logits, what the head keeps, and the slopes of all three.
    The host holds its start, as it was given and in coordinates, its record (`bytes_kept`), in the end its parameters,
    and the snapshots of one more replicate while its trajectory is made.
    """
    place = Coordinates(start, train, reduced=reduced)
    head, (d, size) = place.head, place.axes.shape
    read, k = head.readout_matrix.shape[1], min(d, head.readout_matrix.shape[1])
    state = (2 + d) * size + sum(array.size for array in head.arrays().values())
    if "query" in place.train:
        state += 2 * start.keys.size + start.query.size
    state *= 2 if patience else 1
    by_words = 6 * (k + 1) * size
    rows = max(corpus.n_sentences for corpus in corpora)
    by_sentences = (4 * (k + 1) + 2 * (read + head.first_layer.shape[1]) + 3 * head.n_classes) * rows
    kept = sum(2 * (k + 1) * corpus.n_sentences for corpus in corpora)
    each = engine.itemsize * (state + by_words + by_sentences + kept)
    pattern = INDEX * sum(corpus.counts.nnz for corpus in corpora)
    given = sum(array.nbytes for array in (start.query, start.keys, start.embeddings, *start.head.arrays().values()))
    on_host = given + place.axes.nbytes + place.still_norm.nbytes + bytes_kept(layout, epochs)
    on_host += start.keys.nbytes + start.embeddings.nbytes
    snapshots = bytes_of_snapshots(layout, epochs)
    if engine.on_host:
        return [MemoryNeed(pattern + snapshots, each + on_host, given)]
    copied = np.float64().itemsize * state if patience else 0  # of those that stopped, for the checkpoint
    return [MemoryNeed(pattern, each, 0), MemoryNeed(snapshots, on_host + copied, given)]


def fitting(engine: Engine, needed: Sequence[MemoryNeed], share: float) -> int | None:
    """Replicates, their starts yet to be drawn, for which a share of what is free is enough; None if nobody knows."""
    return min((each.fitting(int(share * room)) for each, room in rooms(engine, needed, 0)), default=None)


def check_memory(engine: Engine, needed: Sequence[MemoryNeed], replicates: int) -> None:
    """Refuse more replicates, whose starts are there, than memory holds, before anything is computed.

    Raises:
        InputError: with the bytes needed and the largest R that fits.
    """
    for each, room in rooms(engine, needed, replicates):
        if each.of(replicates) > room:
            raise too_large(each, replicates, room)


def rooms(engine: Engine, needed: Sequence[MemoryNeed], there: int) -> list[tuple[MemoryNeed, int]]:
    """What is needed of every memory, and the bytes of it that are free or hold the starts that are there."""
    found = [engine.free_memory()] if engine.on_host else [engine.free_memory(), available_memory()]
    known = ((each, free) for each, free in zip(needed, found, strict=True) if free is not None)
    return [(each, max(0, free) + there * each.start) for each, free in known]


def too_large(needed: MemoryNeed, replicates: int, room: int) -> InputError:
    """The error that says how many replicates would fit."""
    most = min(needed.fitting(room), replicates - 1)
    fix = f"At most {most:,} fit at a time: train them in several calls." if most else "Not even one fits."
    return InputError(
        "parameters",
        expected=f"replicates that fit into the {in_words(room)} of memory that are free for them",
        given=f"{replicates:,}, which need about {in_words(needed.of(replicates))}",
        fix=fix,
    )
