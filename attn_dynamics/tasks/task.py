"""What a model is trained and judged on: up to three corpora over one vocabulary."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from attn_dynamics.tasks.corpus import Corpus


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Training data, and where they exist development and test data, over one vocabulary.

    Raises:
        InputError: the corpora differ in vocabulary or number of classes.
    """

    name: str
    """What the user asked for: "synthetic", "sst2", a path."""
    train: Corpus
    """What the gradient sees."""
    dev: Corpus | None = None
    """What early stopping watches."""
    test: Corpus | None = None
    """What is only reported."""
    topic_words: tuple[tuple[Hashable, ...], ...] = ()
    """The topic words of each class, where the task names them."""
    notes: tuple[str, ...] = ()
    """What was done to the data on the way in, in sentences for the user."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Sentences of each split that were left out because they hold no word."""

    def __post_init__(self) -> None:
        for name, corpus in self.splits.items():
            corpus.check_alike(self.train, f"{name} data")

    @property
    def splits(self) -> dict[str, Corpus]:
        """The corpora that exist by name, "train" first."""
        named = {"train": self.train, "dev": self.dev, "test": self.test}
        return {name: corpus for name, corpus in named.items() if corpus is not None}
