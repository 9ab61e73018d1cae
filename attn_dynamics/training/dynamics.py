"""A model in training on one corpus, in numpy: its gradient, its epochs, and its record."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.errors import InputError
from attn_dynamics.kernels import words
from attn_dynamics.kernels.epochs import Rates
from attn_dynamics.model.corpus_arrays import Data
from attn_dynamics.model.gradient import NO_WORDS, Fit, Gradient, Objective, aligned, check_fit
from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import with_prefix
from attn_dynamics.training.coordinates import Coordinates
from attn_dynamics.training.moving import Moving
from attn_dynamics.training.rules import Arrays
from attn_dynamics.training.run import divergence_message
from attn_dynamics.training.settings import PLAIN, Training


class Dynamics(Moving):
    """A model in training on one corpus: its present state, its gradient, and steps by an update rule.

    Args:
        corpus: sentences on which the gradient is computed.
        parameters: the initial values, which are copied.
        training: trained parts, frozen words, whether to use law A6, update rule, weight decay and mini-batches.
        others: further corpora, evaluated with every recorded row.
        followed: columns of the words in every recorded row.
        data: the arrays of the corpora, with frozen and followed words, if they exist already.

    Raises:
        InputError: the parameters fit another corpus, a frozen word is unknown, or a trained query would move its
            score.
    """

    def __init__(
        self,
        corpus: Corpus,
        parameters: Parameters,
        training: Training = PLAIN,
        *,
        others: Collection[Corpus] = (),
        followed: NDArray[np.int64] = NO_WORDS,
        data: Data | None = None,
    ) -> None:
        check_fit(corpus, parameters)
        self._corpus, begin = corpus, Coordinates(parameters, training, from_zero=True)
        self.head, self.scores = begin.head, aligned(begin.scores)
        steps_keys = begin.by_keys and "keys" in begin.train
        arrays = {
            "query": parameters.query.copy(),
            "keys": parameters.keys.copy() if steps_keys else parameters.keys,
            "scores": self.scores,
            "axes": begin.axes,
        }
        frozen = frozen_columns(corpus, parameters, training)
        super().__init__(begin, arrays | with_prefix("head.", self.head.arrays()), training, frozen)
        self.objective = Objective(
            corpus,
            self.scores,
            begin.axes,
            self.head,
            still=begin.still_norm,
            frozen=frozen,
            others=others,
            followed=followed,
            data=data,
        )
        self._passes = np.zeros(())
        """Number of passes over mini-batches so far, which decides the order of the next one."""

    def evaluate(self) -> tuple[Fit, Gradient]:
        """Return loss, accuracy and gradient of the present state."""
        return self.objective.evaluate()

    def advance(self, rows: Array, learning_rate: float, *, threads: bool = False) -> int:
        """Train for as many epochs as there are rows, and record each state that they lead to.

        The present state must have been recorded or evaluated last.

        Returns:
            The number of rows before the first that is not finite.
        """
        if self._training.plain and self.head.compiled and "query" not in self._begin.train:
            return self.objective.descend(rows, self.rates(learning_rate), threads=threads)
        for index, row in enumerate(rows):
            self._epoch(learning_rate)
            if not self.record(row):
                return index
        return len(rows)

    def record(self, row: Array) -> bool:
        """Fill a row of the record at the present state; return whether loss, signals and scores are finite."""
        return self.objective.record(row)

    def state(self) -> Arrays:
        """Return all arrays that move, all buffers of the rule, and the number of passes; they are not copied."""
        passes = {} if self._training.batch_size is None else {"passes": self._passes}
        return super().state() | passes

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state that `state` returned."""
        for name, array in self.state().items():
            array[...] = state[name]
        self.follow_keys()

    def velocity(self, gradient: Gradient) -> Arrays:
        """Return the velocity d/dτ of all arrays that move, by name, along gradient flow."""
        return {name: -slope for name, slope in self.slopes(gradient).items()}

    def parameters(self) -> Parameters:
        """Return the present state as parameters of the same shapes as the start, as copies."""
        return self._begin.parameters(self.moving())

    def embedding_norms(self) -> Array:
        """Return the embedding norms ‖ν_w‖ of all words (V,)."""
        out = np.empty(self.scores.size)
        words.all_norms(self._arrays["axes"], self._begin.still_norm, out)
        return out

    def snapshot(self, frequency: NDArray[np.int64]) -> Array:
        """Return score, embedding norm and mean attention (3, V) of all words, which so many sentences hold."""
        with np.errstate(invalid="ignore", divide="ignore"):
            attention = self.objective.received() / frequency
        return np.stack([self.scores, self.embedding_norms(), attention])

    divergence = staticmethod(divergence_message)

    def rates(self, learning_rate: float) -> Rates:
        """Return the factor on the gradient of each part in a step of the compiled loop."""
        query, train = self._arrays["query"], self._begin.train
        return Rates(
            scores=learning_rate * float(query @ query) if "keys" in train else 0.0,
            embeddings=learning_rate if "embeddings" in train else 0.0,
            head=learning_rate if self._begin.trained_head else 0.0,
        )

    def _epoch(self, learning_rate: float) -> None:
        """Take the steps of one epoch: one on all sentences, or one on each mini-batch."""
        if self._training.batch_size is None:
            self.step(self.objective.gradient(), learning_rate)
            return
        for rows in self._training.batches(self._corpus.n_sentences, int(self._passes)):
            self.step(self.objective.evaluate(rows)[1], learning_rate)
        self._passes += 1.0


def frozen_columns(corpus: Corpus, parameters: Parameters, training: Training) -> NDArray[np.int64]:
    """Return the columns of the words that keep their initial values.

    Raises:
        InputError: a word is unknown, or a trained query would move its score.
    """
    frozen = corpus.columns(training.frozen_words, "frozen_words")
    if "query" in training.train and (keys := parameters.keys[frozen]).any():
        raise InputError(
            "frozen_words",
            expected="words whose key is 0, because a trained query moves the scores of all others",
            given=f"{np.count_nonzero(keys.any(axis=1))} whose key is not",
            fix="Leave the query out of `train`.",
        )
    return frozen
