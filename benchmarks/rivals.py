"""This package beside plain PyTorch and JAX on the same data and start; times count only if the trajectories agree."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
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
AGREE = 1e-9
"""Largest relative distance between two trajectories in float64: round-off of 2⁻⁵², grown a few million times."""
SCALARS = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("score_signal", "followed_score_signal", "embedding_signal", "score_sum"),
)
RECORDED = (*SCALARS, "score", "embedding_norm", "attention", "score_gradient")
"""Recorded series, in the order of the plain models: numbers, then those of each followed word."""


def paper() -> None:
    """Time LMN21's synthetic task at its published configuration beside plain PyTorch and JAX."""
    task = Synthetic().draw(0)
    topic = [str(word) for words in task.topic_words for word in words]
    _table("synthetic task, d = 10", task, topic, list(HEADS), embedding_dim=10, ours=1500, agree_over=300)


def sst2() -> None:
    """Time SST-2 with 200-dimensional embeddings beside plain PyTorch and JAX."""
    folder = sst_folder()
    if folder is None:
        print(f"\nSST-2: {ABSENT}; it names the folder of the files")
        return
    task = text_task(folder, prefer="stsa.binary", name="sst2")
    followed = ["powerful", "solid", "stupid", "suffers", "mess"]
    _table("SST-2, d = 200", task, followed, ["attn-fc", "attn-tc"], embedding_dim=200, ours=600, agree_over=3)


Turn = Callable[[int], np.ndarray]
"""A number of epochs of training by another library; returns their record, if it keeps one."""


def _in_torch(
    task: Task, start: Parameters, followed: Sequence[str], *, dtype: torch.dtype, record: bool, compiled: bool = False
) -> Turn:
    """Return turns of plain PyTorch, each going on where the last one ended."""
    model = PlainModel(start, dtype)
    columns = torch.as_tensor(task.train.columns(followed))
    forward = torch.compile(model) if compiled else model
    epochs = train(
        model, padded(task.train), padded(_test(task)), columns, LEARNING_RATE, record=record, forward=forward
    )
    return lambda number: np.array([row for row in islice(epochs, number) if row is not None])


def _in_jax(task: Task, start: Parameters, followed: Sequence[str], *, record: bool) -> Turn:
    """Return turns of JAX, each from the start."""
    from benchmarks import plain_jax  # an extra of its own

    columns = task.train.columns(followed)
    return plain_jax.run(start, task.train, _test(task), columns, LEARNING_RATE, record=record)


RIVALS: dict[str, tuple[Callable[..., Turn], int]] = {
    "PyTorch": (partial(_in_torch, dtype=torch.float64, record=True), 60),
    "PyTorch, bare": (partial(_in_torch, dtype=torch.float64, record=False), 60),
    "float32": (partial(_in_torch, dtype=torch.float32, record=True), 60),
    "torch.compile": (partial(_in_torch, dtype=torch.float64, record=True, compiled=True), 60),
    "JAX": (partial(_in_jax, record=True), 300),
    "JAX, bare": (partial(_in_jax, record=False), 300),
}
"""Other ways to train, by name, and the epochs of a turn on the synthetic task.

They record what this package records, or nothing (bare); in float64, where nothing else is said. This package records
in float64.
"""
ON_TEXT = 30
"""Factor by which a turn on SST-2 is shorter."""


def _table(
    title: str,
    task: Task,
    followed: Sequence[str],
    models: Sequence[str],
    *,
    embedding_dim: int,
    ours: int,
    agree_over: int,
) -> None:
    rivals = {name: each for name, each in RIVALS.items() if "JAX" not in name or find_spec("jax")}
    print(f"\n{title}: epochs a second of this package as a multiple of each one's, median (least … most)")
    if len(rivals) < len(RIVALS):
        print('JAX is not installed: pip install -e ".[bench]"')
    print(f"{'model':8}  " + "  ".join(f"{name:24}" for name in rivals))
    for model in models:
        start = draw(
            "paper",
            model,
            n_words=task.train.n_words,
            n_classes=task.train.n_classes,
            embedding_dim=embedding_dim,
            rng=np.random.default_rng([0, 0]),
        )
        cells = []
        for make, epochs in rivals.values():
            turn = make(task, start, followed)
            _check_agreement(task, start, followed, turn, agree_over)
            theirs = epochs if task.name == "synthetic" else epochs // ON_TEXT
            cells.append(str(_against(task, start, followed, turn, theirs, ours)))
        print(f"{model:8}  " + "  ".join(f"{cell:24}" for cell in cells), flush=True)


def _against(task: Task, start: Parameters, followed: Sequence[str], turn: Turn, theirs: int, ours: int) -> object:
    def their_turn() -> int:
        turn(theirs)
        return theirs

    def our_turn() -> int:
        _ours(task, start, followed, ours)
        return ours

    their_turn()
    _ours(task, start, followed, 5)
    return ratio(their_turn, our_turn)


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


def _check_agreement(task: Task, start: Parameters, followed: Sequence[str], turn: Turn, epochs: int) -> None:
    """Refuse to time a trajectory in float64 that is another one; without a record there is nothing to compare."""
    theirs = turn(epochs + 1)
    if theirs.shape[1:] != (len(SCALARS) + 4 * len(followed),) or theirs.dtype != np.float64:
        return
    ours = _ours(task, start, followed, epochs)
    scale = np.abs(theirs).max(axis=0) + 1e-3
    distance = (np.abs(ours - theirs) / scale).max()
    if not distance <= AGREE:
        message = f"the two trajectories differ by {distance:.1e}, more than {AGREE:.0e}: nothing was timed"
        raise SystemExit(message)


def _test(task: Task) -> Corpus:
    assert task.test is not None
    return task.test
