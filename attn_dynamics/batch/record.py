"""What is kept of replicates: of each what `attn_dynamics.record` keeps of one run."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from attn_dynamics.corpus import Corpus
from attn_dynamics.heads import Array
from attn_dynamics.record import Layout

Members = NDArray[np.int64]
"""Numbers of replicates, as they were given."""


class Records:
    """Rows and snapshots of R replicates, which may end at different epochs."""

    def __init__(self, replicates: int, corpus: Corpus, others: Iterable[str], words: Sequence[Hashable]) -> None:
        self.layout = Layout(corpus, others, words)
        self._rows = np.empty((64, replicates, self.layout.width))
        self._counts = np.zeros(replicates, np.int64)
        self._snapshots: list[dict[int, Array]] = [{} for _ in range(replicates)]

    def make_room(self, epoch: int) -> None:
        """Have a place for the rows of an epoch."""
        if epoch >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])

    def row(self, epoch: int, members: Members, rows: Array) -> None:
        """Keep the rows (R, numbers) of some replicates at an epoch."""
        self._rows[epoch, members] = rows
        self._counts[members] = epoch + 1

    def snapshot(self, epoch: int, members: Members, snapshots: Array) -> None:
        """Keep all words of some replicates (R, 3, V) at an epoch."""
        for member, words in zip(members.tolist(), snapshots, strict=True):
            self._snapshots[member][epoch] = words.copy()

    def dataset(self, member: int, learning_rate: float) -> xr.Dataset:
        """The trajectory of one replicate, as `Layout` has it."""
        rows = self._rows[: self._counts[member], member]
        return self.layout.dataset(rows, self._snapshots[member], learning_rate)
