"""Ratio of the times of two ways to do the same, measured in turns in one process."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

REST = 0.05
"""Seconds between two turns, in which the threads of one fall asleep before the other starts."""


class Ratio(NamedTuple):
    """Ratio of the other's time to ours."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.least:.1f} … {self.most:.1f})"


def ratio(other: Callable[[], int], ours: Callable[[], int], *, rounds: int = 7) -> Ratio:
    """Time one turn of each, `rounds` times; each turn returns its number of epochs."""
    each = np.array([_seconds_an_epoch(other) / _seconds_an_epoch(ours) for _ in range(rounds)])
    return Ratio(float(np.median(each)), float(each.min()), float(each.max()))


def _seconds_an_epoch(turn: Callable[[], int]) -> float:
    time.sleep(REST)
    begun = time.perf_counter()
    epochs = turn()
    return (time.perf_counter() - begun) / epochs
