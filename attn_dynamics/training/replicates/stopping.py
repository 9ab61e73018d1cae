"""Early stopping of replicates, each by its own development loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import without_prefix
from attn_dynamics.training.replicates.engine import Engine


class Patiences:
    """Early stopping of R replicates, as `Patience` is for one run: best losses, epochs and states."""

    def __init__(self, engine: Engine, patience: int, replicates: int) -> None:
        self._engine, self._patience = engine, patience
        self._best_loss = np.full(replicates, np.inf)
        self.best_epoch = np.full(replicates, -1)
        """Best epoch (R,) of each replicate; -1 if every loss was NaN or infinite."""
        self.best: dict[str, Any] = {}

    def update(self, epoch: int, losses: Array, state: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Update with the dev losses (R,) of an epoch; return a mask (R,) of replicates to stop."""
        better = losses < self._best_loss
        self._best_loss[better], self.best_epoch[better] = losses[better], epoch
        if better.all() or not self.best:
            # Copied into the same arrays each time, because the losses may fall at every epoch.
            for name, array in state.items():
                self.best.setdefault(name, self._engine.xp.empty_like(array))[...] = array
        elif better.any():
            for name, array in state.items():
                places = np.flatnonzero(better)
                self.best[name][places] = array[places]
        return epoch - self.best_epoch >= self._patience

    def keep(self, places: NDArray[np.int64]) -> None:
        """Continue with the replicates at these indices only."""
        self._best_loss, self.best_epoch = self._best_loss[places], self.best_epoch[places]
        self.best = {name: array[places] for name, array in self.best.items()}

    def states(self) -> list[dict[str, Array]]:
        """Return for each replicate everything kept, for a checkpoint."""
        best = {f"best.{name}": self._engine.numbers(array) for name, array in self.best.items()}
        saved = {"best_loss": self._best_loss, "best_epoch": self.best_epoch} | best
        return [{name: array[place] for name, array in saved.items()} for place in range(len(self.best_epoch))]

    def restore(self, states: Sequence[Mapping[str, Array]], like: Mapping[str, Any]) -> None:
        """Resume from the arrays of `states`, with arrays `like` those of `update`; an empty one changes nothing."""
        if any(without_prefix(state, "best.") for state in states):
            self.best = {name: self._engine.xp.empty_like(array) for name, array in like.items()}
        for place, state in enumerate(states):
            if state:
                self._best_loss[place], self.best_epoch[place] = state["best_loss"], state["best_epoch"]
            for name, array in without_prefix(state, "best.").items():
                self.best[name][place] = self._engine.array(array)
