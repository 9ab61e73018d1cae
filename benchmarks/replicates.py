"""Replicates beside single runs, and torch beside numpy: ratios of seconds per epoch, in one process."""

from collections.abc import Sequence
from functools import partial

import numba
import numpy as np
import torch

from attn_dynamics import Parameters, descend, descend_many, draw
from attn_dynamics.errors import InputError
from attn_dynamics.tasks import Synthetic, Task, text_task
from attn_dynamics.tasks.treebank import ABSENT, sst_folder
from attn_dynamics.training.replicates.engine import PRECISIONS
from benchmarks.timing import Seconds, epoch_time

REPLICATES = 64
ENGINES = (1, 64, 1024)
"""Numbers R of replicates for the comparison of engines."""
SIZES = (1, 16, 256, 4096, 65_536)
"""Numbers R of replicates for the rates of torch."""
PACED = 2**17
"""Number of replicate-epochs that are timed for a rate, in 2 to 15 epochs."""
LARGEST = 2**33
"""Largest number of bytes for the results of a comparison: a replicate has V × d parameters twice."""


def replicates() -> None:
    """Print replicates beside single runs, torch beside numpy, and rates by the number of replicates."""
    tasks = [("synthetic task, d = 10", Synthetic().draw(0), 10, {"attn-fc": 400, "attn-tc": 400})]
    if folder := sst_folder():
        sst = text_task(folder, prefer="stsa.binary", name="sst2")
        tasks.insert(0, ("SST-2, d = 200", sst, 200, {"attn-fc": 150, "attn-tc": 30}))
    else:
        print(f"\nSST-2: {ABSENT}; it names the folder of the files")
    print(f"\n{REPLICATES} replicates in epochs of a single run on one thread, judged: time (processor time)")
    for title, task, d, heads in tasks:
        for model, epochs in heads.items():
            ratios = _against_single(task, _starts(task, d, REPLICATES, model), epochs)
            print(f"{title}, {model}  {ratios}", flush=True)
    print("\nAttn-FC by torch in epochs by numpy, float64: least time (least processor time)")
    for title, task, d, _ in tasks:
        for number in ENGINES:
            size = 16 * number * task.train.n_words * d
            fits = size <= LARGEST
            told = (
                _engines(task, _starts(task, d, number)) if fits else f"left out: results take {size / 2**30:.0f} GiB"
            )
            print(f"{title}, R = {number:5,}  {told}", flush=True)

    print("\nReplicate-epochs of Attn-FC on the synthetic task per second")
    for number in SIZES:
        print(f"R = {number:6,}  {_rates(Synthetic().draw(0), number)}", flush=True)


def _rates(task: Task, number: int) -> str:
    """Return the rates of numpy, up to the largest number in `ENGINES`, and of torch in both precisions."""
    starts, epochs = _starts(task, 10, number), min(max(2, PACED // number), 15)
    ways = [("numpy", "float64")] * (number <= max(ENGINES))
    ways += [(device, precision) for device in _devices() for precision in PRECISIONS]
    cells = []
    for device, precision in ways:
        run = partial(descend_many, task.train, starts, device=device, precision=precision)
        try:
            rate = f"{number / epoch_time(lambda epochs, run=run: run(epochs=epochs), epochs).wall:9.2e}"
        except InputError as error:
            rate = str(error)
        cells.append(f"{device} {precision}: {rate}")
    return "   ".join(cells)


def _devices() -> list[str]:
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def _against_single(task: Task, starts: Sequence[Parameters], epochs: int) -> str:
    judge = {name: corpus for name, corpus in task.splits.items() if name != "train"}

    def single(epochs: int) -> None:
        descend(task.train, starts[0], epochs=epochs, evaluate_on=judge)

    def many(epochs: int) -> None:
        descend_many(task.train, starts, epochs=epochs, evaluate_on=judge)

    cells, most = [], numba.get_num_threads()
    for threads in sorted({1, most}):
        numba.set_num_threads(1)
        one = epoch_time(single, 4 * epochs)
        numba.set_num_threads(threads)
        cells.append(f"{threads} thread{'s' * (threads > 1)}: {epoch_time(many, epochs).over(one)}")
    numba.set_num_threads(most)
    return "   ".join(cells)


def _engines(task: Task, starts: Sequence[Parameters]) -> str:
    def seconds(device: str) -> Seconds:
        return epoch_time(lambda epochs: descend_many(task.train, starts, epochs=epochs, device=device), 15)

    try:
        numpy = seconds("numpy")
        return "   ".join(f"{device}: {seconds(device).over(numpy)}" for device in _devices())
    except InputError as error:
        return str(error)


def _starts(task: Task, d: int, number: int, model: str = "attn-fc") -> list[Parameters]:
    # All starts share a few tables of embeddings, because they are only timed.
    shape = {"n_words": task.train.n_words, "n_classes": task.train.n_classes, "embedding_dim": d}
    drawn = [draw("paper", model, **shape, rng=np.random.default_rng([0, k])) for k in range(min(number, 8))]
    return [drawn[k % len(drawn)] for k in range(number)]
