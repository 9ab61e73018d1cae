"""What is kept of a run and how often, as an xarray Dataset.

Every epoch: losses, accuracies, training signals, the score sum, and four quantities of a few followed words. At epochs
that thin out (ten a decade) and at the end: three quantities of all words.
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
    """Whether all words are recorded at this epoch: 0 and ten a decade, whatever the length of the run."""
    return epoch == 0 or epoch == round(10 ** (round(10 * math.log10(epoch)) / 10))


def snapshots_due(epochs: int) -> list[int]:
    """Return the epochs up to this one at which all words are recorded, without a look at each epoch."""
    decades = range(round(10 * math.log10(max(epochs, 1))) + 2)
    rounded = {0, *(round(10 ** (tenth / 10)) for tenth in decades)}
    return sorted(epoch for epoch in rounded if epoch <= epochs and snapshot_due(epoch))


class Layout:
    """What a row of a record holds, epoch by epoch, and the dataset that rows become.

    Args:
        corpus: the one that is trained on.
        others: names of the further corpora to judge on.
        words: the words to follow.
    """

    def __init__(self, corpus: Corpus, others: Iterable[str], words: Sequence[Hashable]) -> None:
        self.columns = corpus.columns(words, "follow")
        """(words,) of the followed words."""
        self.frequency = np.bincount(corpus.counts.indices, minlength=corpus.n_words)
        """(V,) sentences that hold each word."""
        self._words = [str(word) for word in words]
        self._vocabulary = [str(word) for word in corpus.vocabulary]
        self._fits = [f"{name}_{part}" for name in ("train", *others) for part in Fit._fields]
        self.scalars = len(self._fits) + len(SIGNALS)
        """Numbers of a row before those of the followed words."""
        self.width = self.scalars + len(WORDS) * self.columns.size
        """Numbers of a row: fits, SIGNALS, then WORDS, each of all followed words."""

    def check_room(self, epochs: int, replicates: int = 1) -> None:
        """Refuse more than memory has room for: rows and snapshots of every replicate, and a copy in its trajectory.

        Raises:
            InputError: with the memory that is needed and free.
        """
        snapshots = len(snapshots_due(epochs)) * len(ALL_WORDS) * len(self._vocabulary)
        each = 2 * np.float64().itemsize * (self.width * (epochs + 1) + snapshots)
        check_room(replicates * each, {"epochs": epochs, "replicates": replicates})

    def dataset(self, rows: Array, snapshots: Mapping[int, Array], learning_rate: float) -> xr.Dataset:
        """The trajectory: dimensions epoch, word, snapshot (epochs), vocabulary; time = learning rate × epoch."""
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
    """Keeps a run of `dynamics`, judged on further corpora, with some words followed at every epoch.

    Args:
        dynamics: what is observed.
        train: the corpus that it is trained on.
        others: further corpora to judge it on, by name ("dev", "test").
        words: the words to follow.
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
        """Keep the state before step `epoch`; how well each corpus is classified there."""
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
        """Keep all words at the state that was last evaluated."""
        dynamics = self._dynamics
        with np.errstate(invalid="ignore", divide="ignore"):
            attention = dynamics.objective.attention.received(dynamics.operand) / self.layout.frequency
        self._snapshots[epoch] = np.stack([dynamics.scores, dynamics.embedding_norms(), attention])

    def state(self) -> dict[str, np.ndarray]:
        """All that was kept, for a checkpoint."""
        return {
            "rows": self._rows[: self._count],
            "snapshot_epochs": np.array(list(self._snapshots), dtype=np.int64),
            "snapshots": np.array(list(self._snapshots.values())),
        }

    def restore(self, state: Mapping[str, np.ndarray], epoch: int) -> None:
        """Go on, at this epoch, from what `state` gave; what was kept at it or later is recorded again."""
        self._rows, self._count = state["rows"], epoch
        kept = zip(state["snapshot_epochs"].tolist(), state["snapshots"], strict=True)
        self._snapshots = {at: words for at, words in kept if at < epoch}

    def dataset(self, learning_rate: float) -> xr.Dataset:
        """The trajectory, as `Layout` has it."""
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
