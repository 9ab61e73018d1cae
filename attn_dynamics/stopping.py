"""Early stopping: the best state on held-out data, and when to give up waiting for a better one."""

import numpy as np

from attn_dynamics.heads import Array


class Patience:
    """Stop after `patience` epochs, at least one, without a lower development loss; keeps the best state."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_loss = np.inf
        self.best_epoch = -1
        self.best: dict[str, Array] = {}

    def update(self, epoch: int, loss: float, state: dict[str, Array]) -> bool:
        """Take note of the loss at an epoch; whether to stop."""
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, epoch
            for name, array in state.items():
                # Into the same buffer each time: the loss may fall at every epoch.
                np.copyto(self.best.setdefault(name, np.empty_like(array)), array)
        return epoch - self.best_epoch >= self.patience

    def state(self) -> dict[str, np.ndarray]:
        """All that was kept, for a checkpoint."""
        best = {f"best.{name}": array for name, array in self.best.items()}
        return {"best_loss": np.array(self.best_loss), "best_epoch": np.array(self.best_epoch)} | best

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self.best_loss, self.best_epoch = float(state["best_loss"]), int(state["best_epoch"])
        self.best = {name.removeprefix("best."): array for name, array in state.items() if name.startswith("best.")}
