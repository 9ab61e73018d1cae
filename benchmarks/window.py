"""Keys sliced to a half-width beside full attention: time and peak memory by length, each in its own process."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from attn_dynamics.encoder import TrainedBell
from attn_dynamics.encoder.dense import AttentionInputs, dense
from attn_dynamics.encoder.sliced import sliced
from attn_dynamics.model.bell import Bell

LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)
HALF_WIDTHS = (16, 64, 256)
HEADS, SIZE = 12, 32
"""Number of heads and their size in MiniLM."""
FULL, WRITTEN = "full", "written"
LONGEST_WRITTEN = 4096
"""Largest length whose attention weights, which grow with its square, fit into memory."""
ROUNDS = 3


class Cost(NamedTuple):
    """Cost of one forward pass through one layer's attention, for one sequence."""

    wall: float
    """Seconds, the least of some rounds."""
    processor: float
    """Processor seconds summed over threads, which other programs on the machine affect less."""
    peak: float
    """Bytes without the inputs."""


def window() -> None:
    """Print time and peak memory of keys sliced to a half-width, beside full attention, by length."""
    print(
        f"\nsliced beside full attention: {HEADS} heads of {SIZE}, forward, float32, {torch.get_num_threads()} threads"
    )
    print("full: scaled_dot_product_attention; written: its weights written down; sliced: a frozen renormalised bell")
    kinds = [FULL, WRITTEN, *map(str, HALF_WIDTHS)]
    found: dict[str, dict[int, Cost]] = {kind: {} for kind in kinds}
    heads = "".join(f"{'w = ' + kind:>22}" for kind in kinds[2:])
    print("\ntimes as long as sliced, full: wall (processor)\n" + f"{'length':>8}{heads}")
    for length in LENGTHS:
        for kind in kinds:
            if kind != WRITTEN or length <= LONGEST_WRITTEN:
                found[kind][length] = _measure(kind, length)
        full = found[FULL][length]
        cells = [(full.wall / each.wall, full.processor / each.processor) for each in _row(found, length, kinds[2:])]
        print(f"{length:>8,}" + "".join(f"{f'{one:.1f} ({other:.1f})':>22}" for one, other in cells), flush=True)
    print("\npeak memory beside the inputs, MB\n" + f"{'length':>8}{FULL:>10}{WRITTEN:>10}{heads}")
    for length in LENGTHS:
        cells = [each.peak / 1e6 if (each := found[kind].get(length)) else np.nan for kind in kinds]
        print(f"{length:>8,}" + "".join(f"{cell:>{10 if k < 2 else 22}.1f}" for k, cell in enumerate(cells)))
    print(
        "\nexponent of the length over its last two doublings: processor time, and memory beside what any length takes"
    )
    for kind in kinds:
        print(f"{kind if kind in (FULL, WRITTEN) else 'w = ' + kind:>8}" + _exponents(found[kind]), flush=True)


def _row(found: dict[str, dict[int, Cost]], length: int, kinds: list[str]) -> list[Cost]:
    return [found[kind][length] for kind in kinds]


def _exponents(costs: dict[int, Cost]) -> str:
    lengths = list(costs)[-3:]
    times, peaks = np.array([[costs[length].processor, costs[length].peak] for length in lengths]).T
    by_time = np.polyfit(np.log(lengths), np.log(times), 1)[0]
    less, more = np.diff(peaks)
    return f"{by_time:10.2f}{np.log2(more / less):10.2f}"


def _measure(kind: str, length: int) -> Cost:
    command = [sys.executable, "-m", "benchmarks.window", kind, str(length)]
    return Cost(*json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


@torch.no_grad()
def _run(kind: str, length: int) -> Cost:
    random = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, HEADS, length, SIZE, generator=random) for _ in range(3))
    asked = AttentionInputs(query, key, value, None, None, SIZE**-0.5, 0.0)
    half_width = None if kind in (FULL, WRITTEN) else int(kind)
    bell = TrainedBell(Bell(), (half_width or length) / 3.0, 1, half_width=half_width)
    passes: dict[str, Callable[[], object]] = {
        FULL: lambda: scaled_dot_product_attention(query, key, value),
        WRITTEN: lambda: dense(asked, bell),
    }
    forward = passes.get(kind, lambda: sliced(asked, bell))
    before = _memory(reset=True)
    forward()
    peak, least = _memory() - before, np.full(2, np.inf)
    for _ in range(ROUNDS):
        begun = np.array([time.perf_counter(), time.process_time()])
        forward()
        least = np.minimum(least, np.array([time.perf_counter(), time.process_time()]) - begun)
    wall, processor = least.tolist()
    return Cost(wall, processor, float(peak))


def _memory(*, reset: bool = False) -> int:
    """Return the largest resident memory since the reset in bytes, as Linux counts it."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], int(sys.argv[2]))))
