"""Early stopping: when to stop, and how to return to the state of the lowest dev loss."""

from collections.abc import Mapping

import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import with_prefix, without_prefix

EVERY = 64
"""Epochs between two copies of the state; the best state is recomputed from the copy before it, to the bit."""


class Patience:
    """Stopping rule that ends a run after `patience` epochs, at least one, without a lower dev loss.

    It copies the state rarely, because the loss may fall at every epoch, and a copy would cost more than a step.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_loss = np.inf
        self.best_epoch = self.kept_epoch = self._latest_epoch = -1
        self.kept: dict[str, Array] = {}
        """State at `kept_epoch`, which is at most `EVERY` epochs before the best epoch."""
        self._latest: dict[str, Array] = {}

    def keep(self, epoch: int, state: Mapping[str, Array]) -> None:
        """Copy the state at an epoch that is a multiple of `EVERY`, once the losses up to it are known."""
        self._latest_epoch = epoch
        for name, array in state.items():
            np.copyto(self._latest.setdefault(name, np.empty_like(array)), array)

    def update(self, epoch: int, losses: Array) -> None:
        """Update with the dev losses of the epochs from `epoch` on, at most to the next multiple of `EVERY`."""
        lowest = int(np.argmin(np.where(np.isnan(losses), np.inf, losses)))
        if losses[lowest] < self.best_loss:
            self.best_loss, self.best_epoch = float(losses[lowest]), epoch + lowest
            if self._latest_epoch > self.kept_epoch:
                self.kept, self._latest = self._latest, self.kept
                self.kept_epoch = self._latest_epoch

    @property
    def limit(self) -> int:
        """Return the epoch after which to stop if no lower loss comes before."""
        return self.best_epoch + self.patience

    def state(self) -> dict[str, np.ndarray]:
        """Return losses, epochs and copies of the state, for a checkpoint."""
        numbers = {name: np.array(getattr(self, name)) for name in ("best_loss", "best_epoch", "kept_epoch")}
        numbers["latest_epoch"] = np.array(self._latest_epoch)
        return numbers | with_prefix("kept.", self.kept) | with_prefix("latest.", self._latest)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Resume from the arrays of `state`."""
        self.best_loss, self.best_epoch = float(state["best_loss"]), int(state["best_epoch"])
        self.kept_epoch, self._latest_epoch = int(state["kept_epoch"]), int(state["latest_epoch"])
        self.kept, self._latest = (
            {name: array.copy() for name, array in without_prefix(state, prefix).items()}
            for prefix in ("kept.", "latest.")
        )
