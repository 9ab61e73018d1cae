"""Early stopping of replicates, each by its own development loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import Array
from attn_dynamics.training.checkpoint import part
from attn_dynamics.training.replicates.engine import Engine


class Patiences:
    """What `Patience` is to one run, to R of them: best losses, epochs and states."""

    def __init__(self, engine: Engine, patience: int, replicates: int) -> None:
        self._engine, self._patience = engine, patience
        self._best_loss = np.full(replicates, np.inf)
        self.best_epoch = np.full(replicates, -1)
        """(R,); -1 where no loss was a number."""
        self.best: dict[str, Any] = {}

    def update(self, epoch: int, losses: Array, state: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Take note of the losses (R,) at an epoch; who is to stop (R,)."""
        better = losses < self._best_loss
        self._best_loss[better], self.best_epoch[better] = losses[better], epoch
        if better.all() or not self.best:
            # Into the same arrays each time, for the losses may fall at every epoch.
            for name, array in state.items():
                self.best.setdefault(name, self._engine.xp.empty_like(array))[...] = array
        elif better.any():
            for name, array in state.items():
                places = np.flatnonzero(better)
                self.best[name][places] = array[places]
        return epoch - self.best_epoch >= self._patience

    def keep(self, places: NDArray[np.int64]) -> None:
        """Go on with some of the replicates only."""
        self._best_loss, self.best_epoch = self._best_loss[places], self.best_epoch[places]
        self.best = {name: array[places] for name, array in self.best.items()}

    def states(self) -> list[dict[str, Array]]:
        """Of each replicate all that was kept, for a checkpoint."""
        best = {f"best.{name}": self._engine.numbers(array) for name, array in self.best.items()}
        told = {"best_loss": self._best_loss, "best_epoch": self.best_epoch} | best
        return [{name: array[place] for name, array in told.items()} for place in range(len(self.best_epoch))]

    def restore(self, states: Sequence[Mapping[str, Array]], like: Mapping[str, Any]) -> None:
        """Go on from what `states` gave, its arrays `like` those of `update`; a replicate without any starts anew."""
        if any(part(state, "best.") for state in states):
            self.best = {name: self._engine.xp.empty_like(array) for name, array in like.items()}
        for place, state in enumerate(states):
            if state:
                self._best_loss[place], self.best_epoch[place] = state["best_loss"], state["best_epoch"]
            for name, array in part(state, "best.").items():
                self.best[name][place] = self._engine.array(array)
