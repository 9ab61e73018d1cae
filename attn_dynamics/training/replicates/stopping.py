"""Early stopping of replicates on a device, each by its own development loss."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import with_prefix
from attn_dynamics.training.replicates.tensors import Tensors


class Patiences:
    """Early stopping of R replicates, as `Patience` is for one run: best losses, epochs and states.

    Args:
        patience: number of epochs without a lower dev loss after which to stop.
        replicates: number R of replicates.
        state: everything that moves.
    """

    def __init__(self, patience: int, replicates: int, state: Tensors) -> None:
        self._patience = patience
        self._best_loss = np.full(replicates, np.inf)
        self.best_epoch = np.full(replicates, -1)
        """Best epoch (R,) of each replicate; -1 if every loss was NaN or infinite."""
        self.best = {name: array.clone() for name, array in state.items()}

    def update(self, epoch: int, losses: Array, state: Tensors) -> NDArray[np.bool_]:
        """Update with the dev losses (R,) of an epoch; return a mask (R,) of replicates to stop."""
        better = losses < self._best_loss
        self._best_loss[better], self.best_epoch[better] = losses[better], epoch
        if better.any():
            # Copied into the same arrays each time, because the losses may fall at every epoch.
            places = slice(None) if better.all() else np.flatnonzero(better)
            for name, array in state.items():
                self.best[name][places] = array[places]
        return epoch - self.best_epoch >= self._patience

    def keep(self, places: NDArray[np.int64]) -> None:
        """Continue with the replicates at these indices only."""
        self._best_loss, self.best_epoch = self._best_loss[places], self.best_epoch[places]
        self.best = {name: array[places] for name, array in self.best.items()}

    def state(self) -> dict[str, Any]:
        """Return everything kept, by name, replicates first: the arrays themselves, not copies."""
        return {"best_loss": self._best_loss, "best_epoch": self.best_epoch} | with_prefix("best.", self.best)
