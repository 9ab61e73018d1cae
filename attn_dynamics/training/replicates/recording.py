"""The record of replicates: each is recorded as `attn_dynamics.training.recording` records one run."""

from collections.abc import Mapping
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import without_prefix
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.run import Ending, Run
from attn_dynamics.training.settings import Training

Members = NDArray[np.int64]
"""Numbers of replicates, in the order given."""
ROOM = 64
"""Rows allocated at first for each replicate; doubled as needed."""


class Records:
    """Rows and snapshots of R replicates, which may end at different epochs."""

    def __init__(self, replicates: int, layout: Layout) -> None:
        self._layout = layout
        # Rows after a replicate's end stay NaN instead of undefined, so that two checkpoints are alike.
        self._rows = np.full((ROOM, replicates, layout.width), np.nan)
        self._counts = np.zeros(replicates, np.int64)
        self._snapshots: list[dict[int, Array]] = [{} for _ in range(replicates)]

    def row(self, epoch: int, members: Members, rows: Array) -> None:
        """Keep the rows (R, numbers) of some replicates at an epoch."""
        if epoch >= len(self._rows):
            grown = np.full((max(ROOM, 2 * len(self._rows)), *self._rows.shape[1:]), np.nan)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        self._rows[epoch, members] = rows
        self._counts[members] = epoch + 1

    def snapshot(self, epoch: int, members: Members, snapshots: Array) -> None:
        """Keep the snapshots (R, 3, V) of all words, for some replicates at an epoch."""
        for member, words in zip(members.tolist(), snapshots, strict=True):
            self._snapshots[member][epoch] = words.copy()

    def state(self) -> dict[str, np.ndarray]:
        """Return everything recorded, for a checkpoint: views, not copies."""
        snapshots = {
            f"snapshot.{member}.{epoch}": words
            for member, kept in enumerate(self._snapshots)
            for epoch, words in kept.items()
        }
        return {"rows": self._rows[: self._counts.max(initial=0)], "counts": self._counts} | snapshots

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Resume from the arrays of `state`."""
        self._rows, self._counts = state["rows"], state["counts"]
        for name, words in without_prefix(state, "snapshot.").items():
            member, epoch = map(int, name.split("."))
            self._snapshots[member][epoch] = words

    def run(self, member: int, training: Training, **ending: Unpack[Ending]) -> Run:
        """Return the run of one replicate, with how it ended."""
        rows = self._rows[: self._counts[member], member]
        return self._layout.run(rows, self._snapshots[member], training, **ending)


def mean_of_finite(losses: Array) -> float:
    """Return the mean of the losses that are finite, which a report of progress shows; NaN if there are none."""
    known = losses[np.isfinite(losses)]
    return float(known.mean()) if known.size else np.nan
