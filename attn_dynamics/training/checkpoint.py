"""Checkpoints: one file per run, replaced as a whole every few seconds, from which only that run resumes.

`results/folder.py` has the further rule by which the command resumes in a folder.
"""

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.files.run_store import check_length
from attn_dynamics.files.storage import read_arrays, write_arrays
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus

Kind = TypeVar("Kind")
SHARE = 20
"""Shortest pause between two writes, as a multiple of the time that the last write took."""


class CheckpointMismatch(InputError):
    """The checkpoint belongs to another run, or the file is no checkpoint."""


class Checkpoint:
    """The file that a run saves its state to and resumes from.

    Args:
        path: the file; its folder must exist.
        every: seconds between two writes, or more if writing is slow.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     checkpoint = Checkpoint(Path(folder, "run.npz"))
        ...     checkpoint.save("this run", {"epoch": np.array(3)})
        ...     int(checkpoint.load("this run")["epoch"])
        3
    """

    def __init__(self, path: Path | str, every: float = 5.0) -> None:
        self.path, self.every = Path(path), every
        self._due = time.monotonic() + every

    def due(self) -> bool:
        """Return whether it is time to write again."""
        return time.monotonic() >= self._due

    def save(self, identity: str, arrays: dict[str, np.ndarray]) -> None:
        """Replace the file with a checkpoint of these arrays.

        Raises:
            StorageError: the file could not be written; the last checkpoint remains.
        """
        begun = time.monotonic()
        self.write(identity, arrays)
        ended = time.monotonic()
        self._due = ended + max(self.every, SHARE * (ended - begun))

    def write(self, identity: str, arrays: dict[str, np.ndarray]) -> None:
        """Replace the file as `save` does, without a change of when the next write is due."""
        write_arrays(self.path, {"identity": np.array(identity)} | arrays)

    def load(self, identity: str) -> dict[str, np.ndarray] | None:
        """Return the arrays that were saved last, or None if there is no file.

        Raises:
            CheckpointMismatch: the file is no checkpoint, or that of a run with another corpus, start or setting.
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
        """Return the arrays that were saved last, to resume up to `epochs`, or None if there is no file.

        Raises:
            CheckpointMismatch: as in `load`.
            InputError: the saved run already has more epochs.
        """
        saved = self.load(identity)
        if saved is not None:
            check_length(int(saved["epoch"]), epochs, f"the checkpoint {self.path}")
        return saved

    def peek(self, *names: str) -> dict[str, np.ndarray]:
        """Return the named arrays of the checkpoint of any run; empty if there is no file.

        Raises:
            CheckpointMismatch: the file is no checkpoint.
        """
        return self._read("identity", *names)[1] if self.path.exists() else {}

    def _read(self, *names: str) -> tuple[str, dict[str, np.ndarray]]:
        try:
            arrays = read_arrays(self.path, *names)
            return str(arrays.pop("identity")), arrays
        # A damaged archive raises any of OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error.
        except Exception as error:
            raise CheckpointMismatch(
                f"checkpoint {self.path}",
                expected="a checkpoint of this program",
                given=f"a file that cannot be read ({error})",
                fix="Remove it to start again.",
            ) from None


def resume_point(checkpoint: Checkpoint, epochs: int) -> tuple[int, bool] | None:
    """Return the epoch to resume at, of replicates the mean, and whether nothing is left to do; None without a file.

    Raises:
        CheckpointMismatch: the file is no checkpoint.
    """
    saved = checkpoint.peek("epoch", "epochs", "over")
    if not saved:
        return None
    reached = saved.get("epochs", saved["epoch"])
    return int(reached.mean()), bool(((reached >= epochs) | saved.get("over", False)).all())


def identity(corpora: Collection[Corpus], starts: Sequence[Parameters], *settings: object) -> str:
    """Return a digest of one run or several, which is the same exactly if corpora, starts and settings are the same."""
    arrays = (
        array for each in starts for array in (each.query, each.keys, each.embeddings, *each.head.arrays().values())
    )
    return digest(corpora, arrays, *(type(each.head).__name__ for each in starts), *settings)


def digest(corpora: Collection[Corpus], arrays: Iterable[np.ndarray] = (), *settings: object) -> str:
    """Return the SHA-256 digest of corpora over one vocabulary, of arrays, and of the `repr` of any settings."""
    content = (
        part for each in corpora for part in (each.counts.indptr, each.counts.indices, each.counts.data, each.labels)
    )
    return digest_of_arrays(chain(content, arrays), *settings, next(iter(corpora)).vocabulary)


def digest_of_arrays(arrays: Iterable[np.ndarray], *settings: object) -> str:
    """Return the SHA-256 digest of arrays, and of the `repr` of any settings."""
    found = hashlib.sha256(repr(settings).encode())
    for array in arrays:
        found.update(repr(array.shape).encode())
        found.update(np.ascontiguousarray(array).view(np.uint8).data)
    return found.hexdigest()


def with_prefix(prefix: str, arrays: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return the arrays with the prefix added to their names."""
    return {prefix + name: array for name, array in arrays.items()}


def without_prefix(arrays: Mapping[str, Kind], prefix: str) -> dict[str, Kind]:
    """Return the arrays whose names have the prefix, without it: the inverse of `with_prefix`."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
