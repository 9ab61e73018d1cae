"""Tasks: the data to train and evaluate a model on, up to three corpora over one vocabulary."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from attn_dynamics.check import instance
from attn_dynamics.tasks.corpus import Corpus


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Training data, and development and test data if they exist, over one vocabulary.

    Raises:
        InputError: the corpora differ in vocabulary or classes.
    """

    name: str
    """Name that the user gave: "synthetic", "sst2", or a path."""
    train: Corpus
    """Training data, from which the gradient is computed."""
    dev: Corpus | None = None
    """Development data, whose loss early stopping reads."""
    test: Corpus | None = None
    """Test data, which training never reads."""
    topic_words: tuple[tuple[Hashable, ...], ...] = ()
    """Topic words of each class, if the task names them."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about how the data were read."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Number of sentences of each split that were dropped because they hold no word."""

    def __post_init__(self) -> None:
        for name, corpus in self.splits.items():
            corpus.check_alike(self.train, f"{name} data")

    @property
    def splits(self) -> dict[str, Corpus]:
        """Return the corpora that exist by name, "train" first."""
        named = {"train": self.train, "dev": self.dev, "test": self.test}
        return {name: corpus for name, corpus in named.items() if corpus is not None}


def as_task(task: Task | Corpus) -> Task:
    """Return the task itself, or a task without topic words from a corpus.

    Raises:
        InputError: the argument is neither a task nor a corpus.
    """
    if isinstance(task, Corpus):
        return Task(name="a corpus", train=task)
    return instance("task", task, Task, fix="Give what load_task returns, or a Corpus.")
