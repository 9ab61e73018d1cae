"""Growth of time and memory with the corpus, from 10⁵ to 10⁷ tokens, each size in its own process."""

import json
import subprocess
import sys
import time
import tracemalloc

import numpy as np

from attn_dynamics import descend, draw
from attn_dynamics.tasks import Synthetic

SIZES = (10**5, 10**6, 10**7)


def growth() -> None:
    """Print time and peak memory per token of corpora of 10⁵ to 10⁷ tokens, less the memory of a tiny corpus."""
    print("\ngrowth with the corpus: Attn-TC on the synthetic task, recorded")
    print(f"{'tokens':>12}  {'time a token and epoch':>24}  {'peak bytes a token':>20}")
    measured = [_measure(size) for size in SIZES]
    for size, (seconds, peak) in zip(SIZES, measured, strict=True):
        relative = seconds / size / (measured[0][0] / SIZES[0])
        print(f"{size:>12,}  {relative:>22.2f} ×  {peak / size:>20.1f}")
    print(f"10⁷ tokens take {measured[2][0] / measured[1][0]:.1f} times as long as 10⁶")


def _measure(size: int) -> tuple[float, float]:
    out = subprocess.run([sys.executable, "-m", "benchmarks.growth", str(size)], check=True, stdout=subprocess.PIPE)
    return tuple(json.loads(out.stdout))


def _run(size: int) -> tuple[float, float]:
    """Return seconds per epoch and peak bytes; times come first, because tracing memory slows the run."""
    seconds = _descend(size, max(40, 3 * 10**7 // size))
    return seconds, _peak(size) - _peak(100)


def _peak(size: int) -> int:
    tracemalloc.start()
    _descend(size, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def _descend(size: int, epochs: int) -> float:
    task = Synthetic(sentences=size // 21, test_sentences=0).draw(0)
    corpus = task.train
    start = draw(
        "paper",
        "attn-tc",
        n_words=corpus.n_words,
        n_classes=corpus.n_classes,
        embedding_dim=10,
        rng=np.random.default_rng(0),
    )
    looks: list[tuple[int, float]] = []
    descend(corpus, start, epochs=epochs, meter=lambda epoch, loss: looks.append((epoch, time.perf_counter())))
    epochs_between, seconds_between = np.diff(looks, axis=0).T
    return float(np.median(seconds_between / epochs_between))


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]))))
