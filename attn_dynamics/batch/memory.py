"""How much memory replicates take, and what to say where there is less."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from attn_dynamics.batch.engine import Engine
from attn_dynamics.batch.record import bytes_kept, bytes_of_snapshots
from attn_dynamics.corpus import Corpus
from attn_dynamics.dynamics import Coordinates
from attn_dynamics.errors import InputError
from attn_dynamics.record import Layout

INDEX = 16
"""Bytes an entry of the pattern takes on a device: both directions, each an index and a count."""


class Needed(NamedTuple):
    """Bytes at the largest moment of a run."""

    fixed: int
    """Whatever R is."""
    each: int
    """A replicate."""

    def of(self, replicates: int) -> int:
        """Of all."""
        return self.fixed + self.each * replicates

    def fitting(self, free: int) -> int:
        """Replicates for which so many bytes are enough."""
        return (free - self.fixed) // self.each


def bytes_needed(
    engine: Engine, corpora: Sequence[Corpus], start: Coordinates, layout: Layout, *, epochs: int, patience: bool
) -> Needed:
    """What a run of so many epochs takes.

    A replicate holds its state, twice under early stopping; an operand, its sums and the gradients by words; by
    sentences contexts, logits, what the head keeps, and the slopes of all three; and in the end its parameters.
    The host holds its record (`bytes_kept`), and the snapshots of one more replicate while its trajectory is made.
    """
    head, (d, size) = start.head, start.axes.shape
    read, k = head.reading.shape[1], min(d, head.reading.shape[1])
    state = (2 + d) * size + sum(array.size for array in head.arrays().values())
    if "query" in start.train:
        state += 2 * start.start.keys.size + start.start.query.size
    by_words = 6 * (k + 1) * size
    rows = max(corpus.n_sentences for corpus in corpora)
    by_sentences = (3 * (k + 1) + 2 * (read + head.first_layer.shape[1]) + 3 * head.n_classes) * rows
    kept = sum((k + 1) * corpus.n_sentences for corpus in corpora)
    each = engine.itemsize * (state * (2 if patience else 1) + by_words + by_sentences + kept)
    fixed = INDEX * sum(corpus.counts.nnz for corpus in corpora)
    if engine.on_host:
        each += start.start.keys.nbytes + start.start.embeddings.nbytes + bytes_kept(layout, epochs)
        fixed += bytes_of_snapshots(layout, epochs)
    return Needed(fixed, each)


def check_memory(engine: Engine, needed: Needed, replicates: int) -> None:
    """Refuse more replicates than memory holds, before anything is computed.

    Raises:
        InputError: with the bytes needed and the largest R that fits.
    """
    free = engine.free_memory()
    if free is not None and needed.of(replicates) > free:
        raise too_large(needed, replicates, free)


def too_large(needed: Needed, replicates: int, free: int) -> InputError:
    """The error that says how many replicates would fit."""
    most = min(max(needed.fitting(free), 0), replicates - 1)
    fix = f"At most {most:,} fit at a time: train them in several calls." if most else "Not even one fits."
    return InputError(
        "parameters",
        expected=f"replicates that fit into the {_size(free)} of memory that are free",
        given=f"{replicates:,}, which need about {_size(needed.of(replicates))}",
        fix=fix,
    )


def _size(number: int) -> str:
    units: Iterable[tuple[str, int]] = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
    return next((f"{number / size:.3g} {unit}" for unit, size in units if number >= size), f"{number} bytes")
