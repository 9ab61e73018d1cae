"""Early stopping: when to give up waiting for a lower loss on held-out data, and the way back to the lowest."""

import numpy as np

from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import named, part

EVERY = 64
"""Epochs between two copies of the state; the best one is found again from the copy before it, to the bit."""


class Patience:
    """Stop after `patience` epochs, at least one, without a lower development loss.

    The loss may fall at every epoch, and a copy of the state would then cost more than the step: few are taken.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_loss = np.inf
        self.best_epoch = self.kept_epoch = self._latest_epoch = -1
        self.kept: dict[str, Array] = {}
        """The state at `kept_epoch`, less than `EVERY` epochs before the best one."""
        self._latest: dict[str, Array] = {}

    def update(self, epoch: int, loss: float, state: dict[str, Array]) -> bool:
        """Take note of the loss at an epoch, of which none is left out; whether to stop."""
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
        """All that was kept, for a checkpoint."""
        numbers = {name: np.array(getattr(self, name)) for name in ("best_loss", "best_epoch", "kept_epoch")}
        numbers["latest_epoch"] = np.array(self._latest_epoch)
        return numbers | named("kept.", self.kept) | named("latest.", self._latest)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self.best_loss, self.best_epoch = float(state["best_loss"]), int(state["best_epoch"])
        self.kept_epoch, self._latest_epoch = int(state["kept_epoch"]), int(state["latest_epoch"])
        self.kept, self._latest = part(state, "kept."), part(state, "latest.")
