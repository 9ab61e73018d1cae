"""Update rules beside plain descent: ratios of processor time per epoch, on one thread."""

import numba
import numpy as np

from attn_dynamics import descend, draw
from attn_dynamics.tasks import Synthetic
from attn_dynamics.training.rules import Adam, Momentum, SignDescent
from benchmarks.timing import epoch_time

HEADS = ("attn-fc", "attn-tc", "attn-tl")
SETTINGS = {
    "momentum 0.9": {"rule": Momentum(0.9)},
    "Adam": {"rule": Adam(), "learning_rate": 1e-3},
    "sign descent": {"rule": SignDescent(), "learning_rate": 1e-3},
    "weight decay 0.001": {"decay": 1e-3},
    "batches of 32": {"batch_size": 32},
    "Adam, batches of 32": {"rule": Adam(), "learning_rate": 1e-3, "batch_size": 32},
}
"""Trainings to time, by name."""


def rules() -> None:
    """Print what an epoch costs under each rule, decay, or mini-batches, in epochs of plain descent."""
    print("\nsynthetic task, recorded, judged, one thread: processor time of an epoch over that of plain descent")
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    plain = {model: _seconds(model, {}, epochs=1000) for model in HEADS}
    print(f"{'plain descent':>20}  " + "  ".join(f"{model} {1e6 * each:.0f} µs" for model, each in plain.items()))
    for name, settings in SETTINGS.items():
        epochs = 20 if "batch_size" in settings else 200
        cells = [f"{model} {_seconds(model, settings, epochs) / each:5.1f} ×" for model, each in plain.items()]
        print(f"{name:>20}  " + "  ".join(cells), flush=True)
    numba.set_num_threads(threads)


def _seconds(model: str, settings: dict, epochs: int) -> float:
    task, rng = Synthetic().draw(0), np.random.default_rng(0)
    start = draw("paper", model, n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=rng)
    judge = {name: corpus for name, corpus in task.splits.items() if name != "train"}
    followed = [word for topic in task.topic_words for word in topic]

    def run(epochs: int) -> None:
        descend(task.train, start, epochs=epochs, evaluate_on=judge, follow=followed, **settings)

    return epoch_time(run, epochs).processor
