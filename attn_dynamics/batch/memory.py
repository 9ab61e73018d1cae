"""How much memory replicates take, and what to say where there is less."""

from collections.abc import Iterable, Sequence

from attn_dynamics.batch.engine import Engine
from attn_dynamics.corpus import Corpus
from attn_dynamics.dynamics import Coordinates
from attn_dynamics.errors import InputError

INDEX = 16
"""Bytes an entry of the pattern takes on a device: both directions, each an index and a count."""


def bytes_needed(engine: Engine, corpora: Sequence[Corpus], start: Coordinates, *, patience: bool) -> tuple[int, int]:
    """(bytes whatever R is, bytes a replicate) at the largest moment of an epoch.

    A replicate holds its state, twice under early stopping; an operand, its sums and the gradients by words; by
    sentences contexts, logits, what the head keeps, and the slopes of all three; and in the end its parameters.
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
    if engine.on_host:
        each += start.start.keys.nbytes + start.start.embeddings.nbytes
    return INDEX * sum(corpus.counts.nnz for corpus in corpora), each


def check_memory(engine: Engine, corpora: Sequence[Corpus], starts: Sequence[Coordinates], *, patience: bool) -> None:
    """Refuse more replicates than memory holds, before anything is computed.

    Raises:
        InputError: with the bytes needed and the largest R that fits.
    """
    free = engine.free_memory()
    if free is None:
        return
    fixed, each = bytes_needed(engine, corpora, starts[0], patience=patience)
    if fixed + each * len(starts) > free:
        raise too_large(len(starts), fixed + each * len(starts), free, (free - fixed) // each)


def too_large(replicates: int, needed: int, free: int, fitting: int) -> InputError:
    """The error that says how many replicates would fit."""
    most = min(max(int(fitting), 0), replicates - 1)
    fix = f"At most {most:,} fit at a time: train them in several calls." if most else "Not even one fits."
    return InputError(
        "parameters",
        expected=f"replicates that fit into the {_size(free)} of memory that are free",
        given=f"{replicates:,}, which need about {_size(needed)}",
        fix=fix,
    )


def _size(number: int) -> str:
    units: Iterable[tuple[str, int]] = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
    return next((f"{number / size:.3g} {unit}" for unit, size in units if number >= size), f"{number} bytes")
