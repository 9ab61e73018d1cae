"""LMN21's topic task: each sentence has topic words of its class among uninformative words (theory §1)."""

import textwrap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import as_floats, integer, number
from attn_dynamics.errors import InputError
from attn_dynamics.system.memory import check_room
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.label_noise import with_label_noise
from attn_dynamics.tasks.task import Task

WORD, TOKEN, RANK = 100, 20, 24
"""Bytes that a draw needs for each word of the vocabulary, for each token, and for each pair of a sentence and a topic
word of its class. The pairs count only if sentences have several topic words by Zipf's law."""
LARGEST_CORPUS = 2**31
"""Smallest number of tokens that 32-bit offsets cannot index."""


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """The synthetic topic task; the defaults are LMN21's.

    Each sentence holds one topic word of its class, or several different ones, drawn uniformly or by Zipf's law. It
    also holds `other_words` words, drawn uniformly from a dictionary with replacement.

    Raises:
        InputError: a count or a probability is out of range, sentences have more topic words than their class, or the
            topic distribution is invalid.

    Example:
        >>> task = Synthetic(topics=2, topic_words=1, other_words=3, sentences=10).draw(seed=0)
        >>> task.topic_words, task.train.n_sentences
        ((('t1.1',), ('t2.1',)), 10)
    """

    topics: int = 4
    """Number n of classes."""
    topic_words: int = 2
    """Number of topic words of each class."""
    topic_words_per_sentence: int = 1
    """Number of different topic words of its class in each sentence, up to topic_words."""
    topic_distribution: tuple[float, ...] | None = None
    """Probability of each class; by default uniform."""
    zipf: float = 0.0
    """Exponent α of the frequencies of topic words in their class, which go as rank^-α; 0 makes them equal."""
    other_words: int = 20
    """Number m of non-topic words in each sentence."""
    dictionary: int = 5000
    """Number of non-topic words to draw from."""
    sentences: int = 800
    """Number of training sentences."""
    test_sentences: int = 200
    """Number of test sentences; 0 for no test data."""
    label_noise: float = 0.0
    """Probability that a training label is replaced by another class, drawn uniformly; test labels stay as they are."""

    def __post_init__(self) -> None:
        least = {"topics": 2, "topic_words": 1, "other_words": 0, "dictionary": 1, "sentences": 1, "test_sentences": 0}
        for name, bound in least.items():
            object.__setattr__(self, name, integer(name, getattr(self, name), bound))
        object.__setattr__(self, "zipf", number("zipf", self.zipf, least=0, fix="Give 1 for Zipf's law."))
        several = integer("topic_words_per_sentence", self.topic_words_per_sentence, 1, most=self.topic_words)
        object.__setattr__(self, "topic_words_per_sentence", several)
        object.__setattr__(self, "label_noise", number("label_noise", self.label_noise, least=0.0, most=1.0))
        if self.topic_distribution is None:
            return
        p = as_floats("topic_distribution", self.topic_distribution)
        if p.shape != (self.topics,) or not p.min() >= 0 or not abs(p.sum() - 1) <= 1e-9:
            raise InputError(
                "topic_distribution",
                expected=f"{self.topics} probabilities that sum to 1",
                given=textwrap.shorten(" ".join(map(str, p.ravel().tolist())), 60, placeholder=" …"),
                fix="Give one for each topic.",
            )

    def draw(self, seed: int) -> Task:
        """Draw the task of one random seed, the same to the bit on every machine."""
        self._check_size()
        rng = np.random.default_rng(seed)
        names = [[f"t{topic + 1}.{word + 1}" for word in range(self.topic_words)] for topic in range(self.topics)]
        vocabulary = (
            *(word for topic in names for word in topic),
            *(f"w{word + 1}" for word in range(self.dictionary)),
        )
        train = self._corpus(rng, self.sentences, vocabulary)
        if self.label_noise:  # from a separate stream, so that noise changes labels only
            train = with_label_noise(train, self.label_noise, rng.spawn(1)[0])
        test = self._corpus(rng, self.test_sentences, vocabulary) if self.test_sentences else None
        return Task(name="synthetic", train=train, test=test, topic_words=tuple(map(tuple, names)))

    def _check_size(self) -> None:
        """Check that vocabulary and sentences fit into memory.

        Raises:
            InputError: one of the sizes is too large.
        """
        by_words = {name: getattr(self, name) for name in ("topics", "topic_words", "dictionary")}
        check_room(WORD * (self.topics * self.topic_words + self.dictionary), by_words)
        sizes = ("sentences", "test_sentences", "other_words", "topic_words_per_sentence")
        by_tokens = {name: getattr(self, name) for name in sizes}
        tokens = (self.sentences + self.test_sentences) * (self.topic_words_per_sentence + self.other_words)
        check_room(TOKEN * tokens, by_tokens)
        if self.zipf and self.topic_words_per_sentence > 1:
            by_ranks = {name: getattr(self, name) for name in ("sentences", "test_sentences", "topic_words")}
            check_room(RANK * max(self.sentences, self.test_sentences) * self.topic_words, by_ranks)
        if tokens >= LARGEST_CORPUS:
            name = max(by_tokens, key=lambda each: by_tokens[each])
            given = f"{by_tokens[name]:,}, which makes {tokens:,}"
            raise InputError(name, expected="fewer than 2³¹ tokens", given=given, fix="Give a smaller number.")

    def _corpus(self, rng: np.random.Generator, sentences: int, vocabulary: tuple[str, ...]) -> Corpus:
        labels = rng.choice(self.topics, size=sentences, p=self.topic_distribution)
        first_other, topical = self.topics * self.topic_words, self.topic_words_per_sentence
        tokens = np.empty((sentences, topical + self.other_words), np.int32)
        tokens[:, :topical] = labels[:, None] * self.topic_words + self._ranks(rng, sentences)
        others = tokens[:, topical:]
        others[:] = rng.integers(first_other, first_other + self.dictionary, others.shape, dtype=np.int32)
        offsets = np.arange(sentences + 1) * tokens.shape[1]
        return Corpus.from_tokens(tokens.ravel(), offsets, labels, vocabulary, n_classes=self.topics)

    def _ranks(self, rng: np.random.Generator, sentences: int) -> NDArray[np.int64]:
        """Draw which of its class's topic words each sentence holds (sentences, topic_words_per_sentence), from 0."""
        if self.zipf:
            return self._ranks_by_zipf(rng, sentences)
        drawn = np.empty((sentences, 0), np.int64)
        for taken in range(self.topic_words_per_sentence):
            word = rng.integers(self.topic_words - taken, size=sentences)
            for earlier in np.sort(drawn).T:  # the index counts only words not drawn yet
                word += word >= earlier
            drawn = np.column_stack([drawn, word])
        return drawn

    def _ranks_by_zipf(self, rng: np.random.Generator, sentences: int) -> NDArray[np.int64]:
        """Draw topic words, as `_ranks`, one after the other in proportion to rank^-α among those not drawn yet."""
        ranks = np.arange(1.0, self.topic_words + 1.0)
        if self.topic_words_per_sentence == 1:
            weights = ranks**-self.zipf
            return rng.choice(self.topic_words, size=(sentences, 1), p=weights / weights.sum())
        # Exponential times with these rates end in such an order. Their logarithms do not underflow.
        ends = np.log(rng.exponential(size=(sentences, self.topic_words))) + self.zipf * np.log(ranks)
        return np.argsort(ends, axis=1)[:, : self.topic_words_per_sentence]
