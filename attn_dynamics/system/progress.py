"""Progress bar with loss and speed, which costs one reading of the clock per epoch."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

REFRESH = 0.1
"""Seconds between two updates."""


@contextmanager
def meter(
    epochs: int, label: str, *, unit: str = "epochs", first: str = "kernels load, or compile if they are new"
) -> Iterator[Callable[[int, float], None]]:
    """Show a bar of epochs, or of another unit; yield a function to call with epoch and loss."""
    with tqdm(total=epochs, desc=label, unit=f" {unit}", mininterval=REFRESH, dynamic_ncols=True) as bar:
        bar.set_postfix_str(first)
        due, last = 0.0, (0, float("nan"))

        def show(epoch: int, loss: float) -> None:
            nonlocal due, last
            last = epoch, loss
            if (now := time.monotonic()) >= due:
                due = now + REFRESH
                if not math.isnan(loss):  # no replicate has a loss before the first is evaluated
                    bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
                bar.update(epoch - bar.n)

        yield show
        bar.set_postfix_str(f"loss {last[1]:.4f}", refresh=False)
        bar.update(last[0] - bar.n)
