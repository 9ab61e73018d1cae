"""Whole jobs: the command from start to end in a process of its own, and three models in one process."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attn_dynamics import Run, descend, draw
from attn_dynamics.tasks import Synthetic

MODELS = ("attn-tl", "attn-tc", "attn-fc")
"""Models from the longest run to the shortest, so that two threads end at about the same time."""
TURNS = 7
"""Number of turns after one that loads or compiles what the others find in a cache."""


def whole_jobs() -> None:
    """Print the seconds of the command at its defaults, and of three recorded models of 5,000 epochs."""
    task = Synthetic().draw(0)
    followed, test = [word for topic in task.topic_words for word in topic], task.splits["test"]

    def train(model: str) -> Run:
        rng = np.random.default_rng(0)
        start = draw("paper", model, n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=rng)
        return descend(task.train, start, epochs=5000, evaluate_on={"test": test}, follow=followed)

    with ThreadPoolExecutor(2) as pool:
        jobs = {
            "the command, attn-tc at its defaults": _command,
            "three models, one after another": lambda: list(map(train, MODELS)),
            "three models, on two threads": lambda: list(pool.map(train, MODELS)),
        }
        print("\nSeconds from start to end: median (least … most)")
        for name, job in jobs.items():
            _, *seconds = [_seconds(job) for _ in range(1 + TURNS)]
            print(f"{name:>38}  {np.median(seconds):.2f} ({min(seconds):.2f} … {max(seconds):.2f})", flush=True)


def _command() -> None:
    with TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "attn_dynamics.simulate", "--model", "attn-tc", "--out", str(Path(folder, "run"))]
        subprocess.run(line, check=True, capture_output=True)


def _seconds(job: Callable[[], object]) -> float:
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun
