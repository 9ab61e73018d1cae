"""Replicates beside single runs, and torch beside numpy: ratios of seconds per epoch, in one process."""

from collections.abc import Sequence
from functools import partial

import numba
import numpy as np
import torch

from attn_dynamics import Parameters, descend, descend_many, draw
from attn_dynamics.errors import InputError
from attn_dynamics.system.threads import one_blas_thread
from attn_dynamics.tasks import Synthetic, Task, text_task
from attn_dynamics.tasks.treebank import ABSENT, sst_folder
from attn_dynamics.training.replicates.engine import PRECISIONS
from benchmarks.timing import Ratio, Seconds, epoch_time, ratio

REPLICATES = 64
DRAWN = 8
"""Number of starts that are drawn; more replicates share them, because they are only timed."""
ENGINES = (1, 64, 1024)
"""Numbers R of replicates for the comparison of engines."""
SIZES = (1, 16, 256, 4096)
"""Numbers R of replicates for the rates of torch."""
EPOCHS = 15
"""Number of epochs that are timed, of torch and of numpy beside it."""
LARGEST = 2**33
"""Largest number of bytes for the results of a comparison: a replicate has V × d parameters twice."""


def replicates() -> None:
    """Print replicates beside single runs, torch beside numpy, and rates by the number of replicates."""
    tasks = [("synthetic task, d = 10", Synthetic().draw(0), 10, {"attn-fc": 1500, "attn-tc": 1500, "attn-tl": 1500})]
    if folder := sst_folder():
        sst = text_task(folder, prefer="stsa.binary", name="sst2")
        tasks.insert(0, ("SST-2, d = 200", sst, 200, {"attn-fc": 600, "attn-tc": 1000}))
    else:
        print(f"\nSST-2: {ABSENT}; it names the folder of the files")
    print(f"\n{REPLICATES} replicates, recorded and judged, in such runs one by one: median (least … most)")
    for title, task, d, heads in tasks:
        for model, epochs in heads.items():
            print(f"{title}, {model}  {_in_single_runs(task, _starts(task, d, REPLICATES, model), epochs)}", flush=True)
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
    starts = _starts(task, 10, number)
    ways = [("numpy", "float64")] * (number <= max(ENGINES))
    ways += [(device, precision) for device in _devices() for precision in PRECISIONS]
    cells = []
    for device, precision in ways:
        run = partial(descend_many, task.train, starts, device=device, precision=precision)
        try:
            rate = f"{number / epoch_time(lambda epochs, run=run: run(epochs=epochs), EPOCHS).wall:9.2e}"
        except InputError as error:
            rate = str(error)
        cells.append(f"{device} {precision}: {rate}")
    return "   ".join(cells)


def _devices() -> list[str]:
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def _in_single_runs(task: Task, starts: Sequence[Parameters], epochs: int) -> Ratio:
    """Return the time of all runs at once in the mean time of one of them; results of a turn are kept either way."""
    judge = {name: corpus for name, corpus in task.splits.items() if name != "train"}

    def at_once() -> int:
        descend_many(task.train, starts, epochs=epochs, evaluate_on=judge)
        return epochs

    def one_by_one() -> int:
        most = numba.get_num_threads()
        numba.set_num_threads(1)
        with one_blas_thread():
            runs = [descend(task.train, start, epochs=epochs, evaluate_on=judge) for start in starts[:DRAWN]]
        numba.set_num_threads(most)
        return len(runs) * epochs

    return ratio(at_once, one_by_one)


def _engines(task: Task, starts: Sequence[Parameters]) -> str:
    def seconds(device: str) -> Seconds:
        return epoch_time(lambda epochs: descend_many(task.train, starts, epochs=epochs, device=device), EPOCHS)

    try:
        numpy = seconds("numpy")
        return "   ".join(f"{device}: {seconds(device).over(numpy)}" for device in _devices())
    except InputError as error:
        return str(error)


def _starts(task: Task, d: int, number: int, model: str = "attn-fc") -> list[Parameters]:
    shape = {"n_words": task.train.n_words, "n_classes": task.train.n_classes, "embedding_dim": d}
    drawn = [draw("paper", model, **shape, rng=np.random.default_rng([0, k])) for k in range(min(number, DRAWN))]
    return [drawn[k % len(drawn)] for k in range(number)]
