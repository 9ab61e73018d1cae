"""The record of a run, as an xarray Dataset.

Every epoch has losses, accuracies, training signals, the sum of scores, and four quantities of each followed word. The
snapshots, ten per decade of epochs and one at the end, have three quantities of all words.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from attn_dynamics.check import data_sets, instance, words
from attn_dynamics.model.gradient import Fit
from attn_dynamics.model.heads import Array
from attn_dynamics.system.memory import check_room
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training import interface
from attn_dynamics.training.run import Ending, Run
from attn_dynamics.training.settings import Training

if TYPE_CHECKING:
    import xarray as xr

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
ROOM = 64
"""Rows allocated at first for a run; doubled as needed."""
ALL_WORDS = {name: f"{WORDS[name]}, all words" for name in ("score", "embedding_norm", "attention")}


def snapshots_due(epochs: int, decade: int = 10) -> list[int]:
    """Return all epochs up to this one at which to take a snapshot: 0, and `decade` per decade of epochs."""
    steps = range(round(decade * math.log10(max(epochs, 1))) + 2)
    return sorted(epoch for epoch in {0, *(round(10 ** (step / decade)) for step in steps)} if epoch <= epochs)


@lru_cache  # replicates ask for the same epochs
def snapshot_due(epoch: int, decade: int = 10) -> bool:
    """Return whether to take a snapshot at this epoch."""
    return epoch in snapshots_due(epoch, decade)


@lru_cache
def next_snapshot(epoch: int, decade: int = 10) -> int:
    """Return the first epoch after this one at which to take a snapshot."""
    return next(each for each in snapshots_due(10 * epoch + 10, decade) if each > epoch)


class Layout:
    """Corpora and words that a run records, in rows, one per epoch, and the dataset made from them.

    Args:
        corpus: the training corpus.
        evaluate_on: further corpora by name, whose words and classes must be those of `corpus`, in the same order.
        follow: words to follow.

    Raises:
        InputError: an argument is of another type, a corpus has other words or classes, or a word is unknown.
    """

    def __init__(
        self, corpus: Corpus, evaluate_on: Mapping[str, Corpus] | None = None, follow: Iterable[Hashable] = ()
    ) -> None:
        self.corpus = instance("corpus", corpus, Corpus, fix="Corpus.from_sentences makes one.")
        self.others = data_sets("evaluate_on", evaluate_on, Corpus)
        """Corpora by name that are only evaluated."""
        for name, other in self.others.items():
            other.check_alike(corpus, f"evaluate_on {name!r}")
        followed = words("follow", follow)
        self.columns = corpus.columns(followed, "follow")
        """Columns (words,) of the followed words."""
        self.frequency = np.bincount(corpus.counts.indices, minlength=corpus.n_words)
        """Number of sentences (V,) that hold each word."""
        self._words = [str(word) for word in followed]
        self._vocabulary = [str(word) for word in corpus.vocabulary]
        names = ["train", *self.others]
        self._fits = [f"{name}_{part}" for name in names for part in Fit._fields]
        self.scalars = len(self._fits) + len(SIGNALS)
        """Number of values in a row before those of the followed words."""
        self.losses = {name: len(Fit._fields) * index for index, name in enumerate(names)}
        """Index of the loss of each corpus in a row."""
        self.width = self.scalars + len(WORDS) * self.columns.size
        """Number of values in a row: fits, SIGNALS, then each of WORDS for all followed words."""

    @property
    def corpora(self) -> list[Corpus]:
        """Return all corpora, the training corpus first."""
        return [self.corpus, *self.others.values()]

    @property
    def identity(self) -> tuple[list[str], list[str]]:
        """Return the names of the corpora and the followed words, which decide the content of a record."""
        return [*self.losses], self._words

    def followed(self, row: Array, name: str) -> Array:
        """Return one quantity of `WORDS` (words,) for all followed words in a row."""
        first = self.scalars + list(WORDS).index(name) * self.columns.size
        return row[first : first + self.columns.size]

    snapshot_due = staticmethod(snapshot_due)
    next_snapshot = staticmethod(next_snapshot)

    def snapshot(self, model: Any) -> Array:
        """Return score, embedding norm and mean attention (3, V) of all words."""
        return model.snapshot(self.frequency)

    def check_room(self, epochs: int, replicates: int = 1) -> None:
        """Refuse a record of all replicates that, with a copy in the trajectories, is larger than the free memory.

        Raises:
            InputError: the memory is too small; the message gives the needed and the free memory.
        """
        each = 2 * self.bytes(epochs + 1, len(snapshots_due(epochs)))
        check_room(replicates * each, {"epochs": epochs, "replicates": replicates})

    def bytes(self, rows: int, snapshots: int) -> int:
        """Return the bytes of a record of so many rows and snapshots."""
        return np.float64().itemsize * (self.width * rows + len(ALL_WORDS) * len(self._vocabulary) * snapshots)

    def dataset(self, rows: Array, snapshots: Mapping[int, Array], learning_rate: float) -> xr.Dataset:
        """Return the trajectory over epoch, word, snapshot (epochs) and vocabulary; time = learning rate × epoch."""
        import xarray as xr  # which loads slowly, and no step needs it

        epochs, scalars = np.arange(len(rows)), [*self._fits, *SIGNALS]
        followed = rows[:, len(scalars) :].reshape(len(rows), len(WORDS), self.columns.size)
        kept = np.array(list(snapshots.values())).reshape(-1, len(ALL_WORDS), len(self._vocabulary))
        variables: dict[str, object] = {
            name: ("epoch", rows[:, index].copy(), _describe(name)) for index, name in enumerate(scalars)
        }
        for index, (name, meaning) in enumerate(WORDS.items()):
            variables[name] = (("epoch", "word"), followed[:, index].copy(), {"long_name": meaning})
        for index, (name, meaning) in enumerate(ALL_WORDS.items()):
            variables[f"all_{name}"] = (("snapshot", "vocabulary"), kept[:, index].copy(), {"long_name": meaning})
        coordinates = {
            "epoch": epochs,
            "time": ("epoch", learning_rate * epochs, {"long_name": "time, learning rate × epoch"}),
            "word": np.array(self._words, str),  # text even if there are no words
            "snapshot": np.array(list(snapshots), dtype=np.int64),
            "vocabulary": self._vocabulary,
        }
        return xr.Dataset(variables, coordinates)

    def run(self, rows: Array, snapshots: Mapping[int, Array], training: Training, **ending: Unpack[Ending]) -> Run:
        """Return the run made of rows and snapshots, with how it ended."""
        return Run(trajectory=self.dataset(rows, snapshots, training.learning_rate), training=training, **ending)


class Recorder:
    """Record of a run.

    Args:
        model: the model in training.
        layout: layout of the record.
    """

    def __init__(self, model: object, layout: interface.Layout) -> None:
        self._model, self.layout = model, layout
        self._rows = np.empty((0, layout.width))
        self._snapshots: dict[int, Array] = {}

    def rows(self, start: int, stop: int) -> Array:
        """Return the rows of the epochs from start to before stop, to be filled."""
        if stop > len(self._rows):
            grown = np.full((max(stop, 2 * len(self._rows), ROOM), self.layout.width), np.nan)
            grown[:start] = self._rows[:start]
            self._rows = grown
        return self._rows[start:stop]

    def snapshot(self, epoch: int) -> None:
        """Take a snapshot of the state that was last evaluated."""
        self._snapshots[epoch] = self.layout.snapshot(self._model)

    def state(self, count: int) -> dict[str, np.ndarray]:
        """Return the rows before epoch `count` and all snapshots, for a checkpoint."""
        return {
            "rows": self._rows[:count],
            "snapshot_epochs": np.array(list(self._snapshots), dtype=np.int64),
            "snapshots": np.array(list(self._snapshots.values())),
        }

    def restore(self, state: Mapping[str, np.ndarray], epoch: int) -> None:
        """Resume at this epoch from the arrays of `state`; rows and snapshots from this epoch on are recorded again."""
        self._rows = state["rows"][:epoch]
        kept = zip(state["snapshot_epochs"].tolist(), state["snapshots"], strict=True)
        self._snapshots = {at: words for at, words in kept if at < epoch}

    def run(self, count: int, training: Training, **ending: Unpack[Ending]) -> Any:
        """Return the run of the first `count` recorded epochs, with how it ended."""
        return self.layout.run(self._rows[:count], self._snapshots, training, **ending)


def _describe(name: str) -> dict[str, str]:
    if name in SIGNALS:
        return {"long_name": SIGNALS[name]}
    split, part = name.rsplit("_", 1)
    return {"long_name": f"{split} {part}", "units": "nats" if part == "loss" else "1"}
