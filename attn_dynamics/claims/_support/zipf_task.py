"""Task whose topic words have Zipf's frequencies, one in each sentence among other words that are frozen at zero."""

from typing import Any, NamedTuple

import numpy as np

from attn_dynamics.model.heads import Array, TrainedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.zipf import zipf_frequencies
from attn_dynamics.training.descent import descend


class ZipfTask(NamedTuple):
    """Task of V topic words, dealt by rank to the classes in turn, with U the identity, ‖q‖ = 1 and a zero start.

    All sentences share their m other words, which are frozen at zero, so that no topic word depends on another.
    """

    exponent: float
    """Exponent α of the frequencies."""
    words: int
    """Number V of topic words."""
    classes: int
    """Number n of classes."""
    others: int
    """Number m of other words in a sentence."""
    most: int
    """Number of sentences of the most frequent word; rank w has most/w^α of them, rounded, but at least one."""

    @property
    def counts(self) -> Array:
        """Return the number of sentences of each topic word."""
        frequencies = zipf_frequencies(self.words, self.exponent)
        return np.maximum(np.rint(self.most * frequencies / frequencies[0]), 1.0)

    @property
    def frequencies(self) -> Array:
        """Return the share of the sentences that hold each topic word."""
        return self.counts / self.counts.sum()

    def word(self, **setting: Any) -> MeanField:
        """Return the curve of a word that every sentence holds; `setting` replaces arguments of `MeanField`."""
        return MeanField(**{"frequency": 1.0, "classes": self.classes, "others": self.others} | setting)

    def losses(self, learning_rate: float, epochs: int, **settings: Any) -> Array:
        """Return the training loss (epochs,) of the model itself, in nats; `settings` are those of `descend`."""
        topic = np.repeat(np.arange(self.words), self.counts.astype(int))
        rest = self.words + np.arange(self.others)
        tokens = np.column_stack([topic, np.tile(rest, (topic.size, 1))])
        corpus = Corpus.from_tokens(
            tokens.ravel().astype(np.int32),
            np.arange(topic.size + 1) * tokens.shape[1],
            topic % self.classes,
            tuple(map(str, range(self.words + self.others))),
            n_classes=self.classes,
        )
        start = Parameters(
            query=np.ones(1),
            keys=np.zeros((corpus.n_words, 1)),
            embeddings=np.zeros((corpus.n_words, self.classes)),
            head=TrainedLinear(weight=np.eye(self.classes)),
        )
        trained = {"train": ("keys", "embeddings"), "frozen_words": tuple(map(str, rest))}
        run = descend(corpus, start, learning_rate=learning_rate, epochs=epochs, **trained | settings)
        return run.trajectory.train_loss.values
