"""Two ways to do the same, timed in turns in one process, as the ratio of their times."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

REST = 0.05
"""Seconds between two turns, in which the threads of the one fall asleep before the other begins."""


class Ratio(NamedTuple):
    """How many times as long the other takes."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.least:.1f} … {self.most:.1f})"


def ratio(other: Callable[[], int], ours: Callable[[], int], *, rounds: int = 7) -> Ratio:
    """Time a turn of each, `rounds` times over; each turn answers how many epochs it took."""
    each = np.array([_seconds_an_epoch(other) / _seconds_an_epoch(ours) for _ in range(rounds)])
    return Ratio(float(np.median(each)), float(each.min()), float(each.max()))


def _seconds_an_epoch(turn: Callable[[], int]) -> float:
    time.sleep(REST)
    begun = time.perf_counter()
    epochs = turn()
    return (time.perf_counter() - begun) / epochs
