"""Times of epochs, and ratios of the times of two ways to do the same, measured in turns in one process."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

REST = 0.05
"""Seconds between two turns, in which the threads of one fall asleep before the other starts."""
ROUNDS = 3
"""Number of runs whose least time counts."""


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


class Seconds(NamedTuple):
    """Times of an epoch."""

    wall: float
    processor: float
    """Processor seconds summed over threads, which other programs on the machine affect less."""

    def over(self, other: "Seconds") -> str:
        """Return both times as ratios to another's."""
        return f"{self.wall / other.wall:5.1f} ({self.processor / other.processor:5.1f})"


def epoch_time(run: Callable[[int], object], epochs: int) -> Seconds:
    """Return the time of an epoch in the quickest of some runs, because other programs use the machine too.

    A run without epochs is taken off: the start, the record, and what belongs to both.
    """
    least = np.full((2, 2), np.inf)
    for _ in range(ROUNDS):
        for row, length in enumerate((0, epochs)):
            begun = time.perf_counter(), time.process_time()
            run(length)
            least[row] = np.minimum(least[row], [time.perf_counter() - begun[0], time.process_time() - begun[1]])
    return Seconds(*((least[1] - least[0]) / epochs).tolist())
