"""This package beside plain PyTorch on the same data and start; times count only if the trajectories agree."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from attn_dynamics import Corpus, Parameters, descend, draw
from attn_dynamics.model.heads import HEADS
from attn_dynamics.tasks import Synthetic, Task, text_task
from attn_dynamics.tasks.treebank import ABSENT, sst_folder
from benchmarks.plain_torch import PlainModel, padded, train
from benchmarks.timing import ratio

LEARNING_RATE = 0.1
COLUMNS = ("float64, recorded", "float64, bare", "float32, recorded", "float32, bare")
"""Columns for plain PyTorch, which records what this package records, or nothing; this package records in float64."""
AGREE = 1e-9
"""Largest relative distance between two trajectories in float64: round-off of 2⁻⁵², grown a few million times."""
RECORDED = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("score_signal", "followed_score_signal", "embedding_signal", "score_sum"),
    *("score", "embedding_norm", "attention", "score_gradient"),
)
"""Recorded series, in the order of the plain model."""


def paper() -> None:
    """Time LMN21's synthetic task at its published configuration."""
    task = Synthetic().draw(0)
    topic = [str(word) for words in task.topic_words for word in words]
    _table("synthetic task, d = 10", task, topic, list(HEADS), embedding_dim=10, turns=(60, 1500), agree_over=300)


def sst2() -> None:
    """Time SST-2 with 200-dimensional embeddings."""
    folder = sst_folder()
    if folder is None:
        print(f"\nSST-2: {ABSENT}; it names the folder of the files")
        return
    task = text_task(folder, prefer="stsa.binary", name="sst2")
    followed = ["powerful", "solid", "stupid", "suffers", "mess"]
    _table("SST-2, d = 200", task, followed, ["attn-fc", "attn-tc"], embedding_dim=200, turns=(2, 600), agree_over=3)


def _table(
    title: str,
    task: Task,
    followed: Sequence[str],
    models: Sequence[str],
    *,
    embedding_dim: int,
    turns: tuple[int, int],
    agree_over: int,
) -> None:
    print(f"\n{title}: epochs a second as a multiple of plain PyTorch's, median (least … most)")
    print(f"{'model':8}  " + "  ".join(f"{column:24}" for column in COLUMNS))
    for model in models:
        start = draw(
            "paper",
            model,
            n_words=task.train.n_words,
            n_classes=task.train.n_classes,
            embedding_dim=embedding_dim,
            rng=np.random.default_rng([0, 0]),
        )
        _check_agreement(task, start, followed, agree_over)
        cells = [
            str(_against(task, start, followed, turns, dtype=dtype, record=record))
            for dtype in (torch.float64, torch.float32)
            for record in (True, False)
        ]
        print(f"{model:8}  " + "  ".join(f"{cell:24}" for cell in cells), flush=True)


def _against(
    task: Task, start: Parameters, followed: Sequence[str], turns: tuple[int, int], *, dtype: torch.dtype, record: bool
) -> object:
    epochs = _torch_epochs(task, start, followed, dtype=dtype, record=record)
    theirs, ours = turns

    def their_turn() -> int:
        return len(list(islice(epochs, theirs)))

    def our_turn() -> int:
        _ours(task, start, followed, ours)
        return ours

    their_turn()
    _ours(task, start, followed, 5)
    return ratio(their_turn, our_turn)


def _torch_epochs(
    task: Task, start: Parameters, followed: Sequence[str], *, dtype: torch.dtype, record: bool
) -> Iterator[torch.Tensor | None]:
    test = _test(task)
    columns = torch.as_tensor(task.train.columns(followed))
    model = PlainModel(start, dtype)
    return train(model, padded(task.train), padded(test), columns, LEARNING_RATE, record=record)


def _ours(task: Task, start: Parameters, followed: Sequence[str], epochs: int) -> np.ndarray:
    run = descend(
        task.train,
        start,
        learning_rate=LEARNING_RATE,
        epochs=epochs,
        evaluate_on={"test": _test(task)},
        follow=followed,
    ).trajectory
    return np.column_stack([run[name].values for name in RECORDED])


def _check_agreement(task: Task, start: Parameters, followed: Sequence[str], epochs: int) -> None:
    theirs = list(islice(_torch_epochs(task, start, followed, dtype=torch.float64, record=True), epochs + 1))
    theirs = np.stack([row.numpy() for row in theirs if row is not None])
    ours = _ours(task, start, followed, epochs)
    scale = np.abs(theirs).max(axis=0) + 1e-3
    distance = (np.abs(ours - theirs) / scale).max()
    if not distance <= AGREE:
        message = f"the two trajectories differ by {distance:.1e}, more than {AGREE:.0e}: nothing was timed"
        raise SystemExit(message)


def _test(task: Task) -> Corpus:
    assert task.test is not None
    return task.test
