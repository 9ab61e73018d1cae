"""The record of a run, as an xarray Dataset.

At every epoch: losses, accuracies, training signals, the sum of scores, and four quantities of each followed word. At
epochs that thin out (ten per decade) and at the end: three quantities of all words.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
import xarray as xr

from attn_dynamics.model.gradient import Fit, Gradient, Objective
from attn_dynamics.model.heads import Array
from attn_dynamics.system.memory import check_room
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.dynamics import Dynamics

SIGNALS = {
    "score_signal": "T_s = ‖∂L/∂s‖₂ over all words",
    "followed_score_signal": "‖∂L/∂s‖₂ over the followed words",
    "embedding_signal": "T_ν = ‖∂L/∂E‖_F",
    "score_sum": "Σ_w s_w; the query fixed, it never moves (law A1)",
}
WORDS = {
    "score": "s_w",
    "embedding_norm": "‖ν_w‖",
    "attention": "mean of A_iw over the training sentences that hold w",
    "score_gradient": "∂L/∂s_w",
}
ALL_WORDS = {name: f"{WORDS[name]}, all words" for name in ("score", "embedding_norm", "attention")}


def snapshot_due(epoch: int) -> bool:
    """Return whether all words are recorded at this epoch: at 0 and ten times per decade, for a run of any length."""
    return epoch == 0 or epoch == round(10 ** (round(10 * math.log10(epoch)) / 10))


def snapshots_due(epochs: int) -> list[int]:
    """Return the epochs up to this one at which all words are recorded, without testing every epoch."""
    decades = range(round(10 * math.log10(max(epochs, 1))) + 2)
    rounded = {0, *(round(10 ** (tenth / 10)) for tenth in decades)}
    return sorted(epoch for epoch in rounded if epoch <= epochs and snapshot_due(epoch))


class Layout:
    """The contents of one recorded row per epoch, and the dataset that rows become.

    Args:
        corpus: the training corpus.
        others: names of the further corpora to evaluate.
        words: words to follow.
    """

    def __init__(self, corpus: Corpus, others: Iterable[str], words: Sequence[Hashable]) -> None:
        self.columns = corpus.columns(words, "follow")
        """Columns (words,) of the followed words."""
        self.frequency = np.bincount(corpus.counts.indices, minlength=corpus.n_words)
        """Number of sentences (V,) that hold each word."""
        self._words = [str(word) for word in words]
        self._vocabulary = [str(word) for word in corpus.vocabulary]
        self._fits = [f"{name}_{part}" for name in ("train", *others) for part in Fit._fields]
        self.scalars = len(self._fits) + len(SIGNALS)
        """Number of values in a row before those of the followed words."""
        self.width = self.scalars + len(WORDS) * self.columns.size
        """Number of values in a row: fits, SIGNALS, then each of WORDS for all followed words."""

    def check_room(self, epochs: int, replicates: int = 1) -> None:
        """Refuse a record larger than memory: rows and snapshots of every replicate, and a copy in its trajectory.

        Raises:
            InputError: the memory is too small; the message gives the bytes needed and free.
        """
        snapshots = len(snapshots_due(epochs)) * len(ALL_WORDS) * len(self._vocabulary)
        each = 2 * np.float64().itemsize * (self.width * (epochs + 1) + snapshots)
        check_room(replicates * each, {"epochs": epochs, "replicates": replicates})

    def dataset(self, rows: Array, snapshots: Mapping[int, Array], learning_rate: float) -> xr.Dataset:
        """Return the trajectory over epoch, word, snapshot (epochs) and vocabulary; time = learning rate × epoch."""
        epochs, scalars = np.arange(len(rows)), [*self._fits, *SIGNALS]
        followed = rows[:, len(scalars) :].reshape(len(rows), len(WORDS), self.columns.size)
        kept = np.array(list(snapshots.values())).reshape(-1, len(ALL_WORDS), len(self._vocabulary))
        variables: dict[str, object] = {
            name: ("epoch", rows[:, place].copy(), _describe(name)) for place, name in enumerate(scalars)
        }
        for place, (name, meaning) in enumerate(WORDS.items()):
            variables[name] = (("epoch", "word"), followed[:, place].copy(), {"long_name": meaning})
        for place, (name, meaning) in enumerate(ALL_WORDS.items()):
            variables[f"all_{name}"] = (("snapshot", "vocabulary"), kept[:, place].copy(), {"long_name": meaning})
        coordinates = {
            "epoch": epochs,
            "time": ("epoch", learning_rate * epochs, {"long_name": "time, learning rate × epoch"}),
            "word": np.array(self._words, str),  # text, also where there are none
            "snapshot": np.array(list(snapshots), dtype=np.int64),
            "vocabulary": self._vocabulary,
        }
        return xr.Dataset(variables, coordinates)


class Recorder:
    """Record of a run of `dynamics`, evaluated on further corpora, with some words followed at every epoch.

    Args:
        dynamics: the model in training.
        train: the training corpus.
        others: further corpora to evaluate, by name ("dev", "test").
        words: words to follow.
    """

    def __init__(
        self, dynamics: Dynamics, train: Corpus, others: Mapping[str, Corpus], words: Sequence[Hashable]
    ) -> None:
        self._dynamics = dynamics
        self._objectives = {name: Objective(corpus, dynamics.head) for name, corpus in others.items()}
        self.layout = Layout(train, others, words)
        self._places = dynamics.objective.attention.places(self.layout.columns)
        self._rows = np.empty((1024, self.layout.width))
        self._count = 0
        self._snapshots: dict[int, Array] = {}

    def record(self, epoch: int, fit: Fit, gradient: Gradient) -> dict[str, Fit]:
        """Record the state before step `epoch`; return loss and accuracy on each corpus."""
        dynamics, columns = self._dynamics, self.layout.columns
        operand = dynamics.operand
        fits = {"train": fit} | {name: each.fit(operand, dynamics.head) for name, each in self._objectives.items()}
        slopes = gradient.scores.take(columns)
        followed_signal, score_sum = math.hypot(*slopes.tolist()), np.add.reduce(dynamics.scores)
        signals = gradient.score_signal, followed_signal, gradient.embedding_signal, score_sum
        row = self._next_row()
        row[: self.layout.scalars] = *chain.from_iterable(fits.values()), *signals
        words = row[self.layout.scalars :].reshape(len(WORDS), -1)
        words[0] = dynamics.scores.take(columns)
        words[1] = dynamics.embedding_norms(columns)
        words[2] = dynamics.objective.attention.mean_weights(operand, self._places)
        words[3] = slopes
        if snapshot_due(epoch):
            self.snapshot(epoch)
        return fits

    def snapshot(self, epoch: int) -> None:
        """Record all words at the state that was last evaluated."""
        dynamics = self._dynamics
        with np.errstate(invalid="ignore", divide="ignore"):
            attention = dynamics.objective.attention.received(dynamics.operand) / self.layout.frequency
        self._snapshots[epoch] = np.stack([dynamics.scores, dynamics.embedding_norms(), attention])

    def state(self) -> dict[str, np.ndarray]:
        """Return everything recorded, for a checkpoint."""
        return {
            "rows": self._rows[: self._count],
            "snapshot_epochs": np.array(list(self._snapshots), dtype=np.int64),
            "snapshots": np.array(list(self._snapshots.values())),
        }

    def restore(self, state: Mapping[str, np.ndarray], epoch: int) -> None:
        """Resume at this epoch from what `state` returned; rows and snapshots from this epoch on are recorded again."""
        self._rows, self._count = state["rows"], epoch
        kept = zip(state["snapshot_epochs"].tolist(), state["snapshots"], strict=True)
        self._snapshots = {at: words for at, words in kept if at < epoch}

    def dataset(self, learning_rate: float) -> xr.Dataset:
        """Return the trajectory in the form of `Layout.dataset`."""
        return self.layout.dataset(self._rows[: self._count], self._snapshots, learning_rate)

    def _next_row(self) -> Array:
        if self._count == len(self._rows):
            grown = np.empty((2 * len(self._rows) + 1, self._rows.shape[1]))
            grown[: self._count] = self._rows
            self._rows = grown
        self._count += 1
        return self._rows[self._count - 1]


def _describe(name: str) -> dict[str, str]:
    if name in SIGNALS:
        return {"long_name": SIGNALS[name]}
    split, part = name.rsplit("_", 1)
    return {"long_name": f"{split} {part}", "units": "nats" if part == "loss" else "1"}
