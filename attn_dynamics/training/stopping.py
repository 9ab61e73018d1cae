"""Early stopping: when to stop waiting for a lower loss on held-out data, and how to return to the lowest."""

import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import named, part

EVERY = 64
"""Epochs between two copies of the state; the best state is recomputed from the copy before it, to the bit."""


class Patience:
    """Stop after `patience` epochs, at least one, without a lower development loss.

    Copies of the state are rare, because the loss may fall at every epoch and a copy would cost more than the step.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_loss = np.inf
        self.best_epoch = self.kept_epoch = self._latest_epoch = -1
        self.kept: dict[str, Array] = {}
        """State at `kept_epoch`, fewer than `EVERY` epochs before the best one."""
        self._latest: dict[str, Array] = {}

    def update(self, epoch: int, loss: float, state: dict[str, Array]) -> bool:
        """Update with the dev loss of an epoch, called at every epoch; return whether to stop."""
        if epoch % EVERY == 0:
            self._latest_epoch = epoch
            for name, array in state.items():
                np.copyto(self._latest.setdefault(name, np.empty_like(array)), array)
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, epoch
            if self._latest_epoch > self.kept_epoch:
                self.kept, self._latest = self._latest, self.kept
                self.kept_epoch = self._latest_epoch
        return epoch - self.best_epoch >= self.patience

    def state(self) -> dict[str, np.ndarray]:
        """Return everything kept, for a checkpoint."""
        numbers = {name: np.array(getattr(self, name)) for name in ("best_loss", "best_epoch", "kept_epoch")}
        numbers["latest_epoch"] = np.array(self._latest_epoch)
        return numbers | named("kept.", self.kept) | named("latest.", self._latest)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Resume from what `state` returned."""
        self.best_loss, self.best_epoch = float(state["best_loss"]), int(state["best_epoch"])
        self.kept_epoch, self._latest_epoch = int(state["kept_epoch"]), int(state["latest_epoch"])
        self.kept, self._latest = part(state, "kept."), part(state, "latest.")
