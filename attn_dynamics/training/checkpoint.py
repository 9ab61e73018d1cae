"""Checkpoints of a run: one file, replaced whole every few seconds, that fits one run only."""

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import read_arrays, write_arrays
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus

SHARE = 20
"""A checkpoint waits at least this many times as long as the last one took to write."""


class CheckpointMismatch(InputError):
    """A checkpoint of another run, of a longer one, or none at all."""


class Checkpoint:
    """The file that a run saves itself to and goes on from.

    Args:
        path: the file; its folder exists.
        every: seconds between two writes, more if writing is slow.
    """

    def __init__(self, path: Path, every: float = 5.0) -> None:
        self.path = path
        self._every = every
        self._due = time.monotonic() + every

    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() >= self._due

    def save(self, identity: str, arrays: dict[str, np.ndarray]) -> None:
        """Replace the file.

        Raises:
            StorageError: it could not be written; the last checkpoint still stands.
        """
        begun = time.monotonic()
        write_arrays(self.path, {"identity": np.array(identity)} | arrays)
        ended = time.monotonic()
        self._due = ended + max(self._every, SHARE * (ended - begun))

    def load(self, identity: str) -> dict[str, np.ndarray] | None:
        """What was saved last, or None if nothing was.

        Raises:
            CheckpointMismatch: the file is of a run with another corpus, start or setting, or is no checkpoint.
        """
        if not self.path.exists():
            return None
        saved, arrays = self._read()
        if saved != identity:
            raise CheckpointMismatch(
                f"checkpoint {self.path}",
                expected="a checkpoint of this run",
                given="one of another corpus, start or setting",
                fix="Resume with the settings of that run, or give a new folder.",
            )
        return arrays

    def resume(self, identity: str, epochs: int) -> dict[str, np.ndarray] | None:
        """What `load` gives, to go on to so many epochs.

        Raises:
            CheckpointMismatch: as `load`, or what was saved is longer already.
        """
        saved = self.load(identity)
        if saved is not None and int(saved["epoch"]) > epochs:
            raise CheckpointMismatch(
                "epochs",
                expected=f"at least the {saved['epoch']} of the checkpoint {self.path}",
                given=epochs,
                fix="A run can be made longer, not shorter.",
            )
        return saved

    def peek(self, *names: str) -> dict[str, np.ndarray]:
        """Some of what was saved last, of whatever run; nothing if nothing was.

        Raises:
            CheckpointMismatch: the file is no checkpoint.
        """
        return self._read("identity", *names)[1] if self.path.exists() else {}

    def _read(self, *names: str) -> tuple[str, dict[str, np.ndarray]]:
        try:
            arrays = read_arrays(self.path, *names)
            return str(arrays.pop("identity")), arrays
        # A damaged archive raises what it likes: OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error.
        except Exception as error:
            raise CheckpointMismatch(
                f"checkpoint {self.path}",
                expected="a checkpoint of this program",
                given=f"a file that cannot be read ({error})",
                fix="Remove it to start again.",
            ) from None


def identity(corpora: Collection[Corpus], starts: Sequence[Parameters], *settings: object) -> str:
    """A digest that two runs, or two batches of runs, share exactly if they take the same course."""
    arrays = (
        array for each in starts for array in (each.query, each.keys, each.embeddings, *each.head.arrays().values())
    )
    return digest(corpora, arrays, *(type(each.head).__name__ for each in starts), *settings)


def digest(corpora: Collection[Corpus], arrays: Iterable[np.ndarray] = (), *settings: object) -> str:
    """SHA-256 of corpora over one vocabulary, of arrays and of whatever else."""
    vocabulary = next(iter(corpora)).vocabulary
    found = hashlib.sha256(repr((*settings, vocabulary)).encode())
    content = (
        part for each in corpora for part in (each.counts.indptr, each.counts.indices, each.counts.data, each.labels)
    )
    for array in chain(content, arrays):
        found.update(repr(array.shape).encode())
        found.update(np.ascontiguousarray(array).view(np.uint8).data)
    return found.hexdigest()


def named(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a part, as they are called in the whole."""
    return {prefix + name: array for name, array in arrays.items()}


def part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays that `named` called so, as the part calls them."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
