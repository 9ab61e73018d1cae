"""The settings of a run: everything that decides it besides its data and its initial values."""

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import flag, instance, integer, number, some_of, words
from attn_dynamics.errors import InputError
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.training.rules import (
    DESCENT,
    Descent,
    Rule,
    checked_rule,
    lasting,
    rule_in_words,
    simplest,
)


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of a run, by default those of LMN21's full-batch gradient descent.

    Raises:
        InputError: a value is out of range, or of the wrong type.

    Example:
        >>> from attn_dynamics import Momentum
        >>> training = Training(learning_rate=0.1, epochs=500, rule=Momentum(0.9))
        >>> training.train, training.plain
        (('keys', 'embeddings', 'head'), False)
    """

    learning_rate: float = 0.1
    """Learning rate η, above 0; time = η × epoch."""
    epochs: int = 5000
    """Number of steps, or of passes over the mini-batches, at least 0; epochs 0 … `epochs` are recorded."""
    train: Collection[str] = ("keys", "embeddings", "head")
    """Parts to train, any of query, keys, embeddings, head."""
    frozen_words: Collection[Hashable] = ()
    """Words whose scores and embeddings keep their initial values, as in an infinite dictionary (theory §3); their keys
    must be 0 if the query is trained."""
    patience: int | None = None
    """Number of epochs without a lower dev loss after which to stop and return to the best state; None for never."""
    reduced: bool = True
    """Whether to step fewer coordinates if law A6 holds; the results agree to round-off."""
    rule: Rule = DESCENT
    """Update rule, an object of one of `RULES`: Descent, Momentum, Adam or SignDescent. Momentum(0.0) is Descent()."""
    decay: float | Mapping[str, float] | tuple[tuple[str, float], ...] = 0.0
    """Weight decay λ, at least 0: one number for all trained parts, or a number for each part by its name. A run with
    decay does not use law A6."""
    decoupled: bool = False
    """Whether decay shrinks parameters θ by η λ θ at each step, as in AdamW, instead of adding λ θ to the gradient."""
    batch_size: int | None = None
    """Number of sentences in a step; None, or a number of at least all, for all of them. An epoch is one pass over all
    sentences, in an order of its own without replacement, and the record is evaluated on all sentences."""
    batch_seed: int = 0
    """Random seed of the orders of the mini-batches."""
    PARTS: ClassVar[tuple[str, ...]] = TRAINABLE
    """Parts that may be trained."""

    def __post_init__(self) -> None:
        trained = some_of("train", self.train, self.PARTS)
        checked = {
            "learning_rate": number("learning_rate", self.learning_rate, above=0, fix="LMN21 takes 0.1."),
            "epochs": integer("epochs", self.epochs, 0, fix="Give the number of steps."),
            "train": tuple(part for part in self.PARTS if part in trained),
            "frozen_words": words("frozen_words", self.frozen_words),
            "reduced": flag("reduced", self.reduced),
            "rule": simplest(checked_rule(self.rule)),
            "decay": _decay(self.decay, self.PARTS, trained),
            "decoupled": flag("decoupled", self.decoupled),
            "batch_seed": integer("batch_seed", self.batch_seed, 0, most=None),
        }
        if self.patience is not None:
            fix = "Give a positive integer, or leave it out."
            checked["patience"] = integer("patience", self.patience, 1, fix=fix)
        if self.batch_size is not None:
            checked["batch_size"] = integer("batch_size", self.batch_size, 1, fix="Leave it out for all sentences.")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def plain(self) -> bool:
        """Return whether this is gradient descent on all sentences without decay."""
        return type(self.rule) is Descent and not self.decays and self.batch_size is None

    @property
    def decays(self) -> bool:
        """Return whether any parameter decays."""
        return any(map(self.decay_of, self.train))

    @property
    def along_gradient(self) -> bool:
        """Return whether steps are sums of gradients, so that a run in reduced coordinates is the same.

        Decay would also shrink the coordinates that are left out.
        """
        return self.rule.linear and not self.decays

    @property
    def identity(self) -> tuple[object, ...]:
        """Return all settings but the number of epochs, in a form that is equal for equal runs, for a checkpoint.

        Raises:
            InputError: the rule's `repr` changes from process to process.
        """
        # A number of numpy and of Python is one word.
        words = sorted({repr(each.item() if isinstance(each, np.generic) else each) for each in self.frozen_words})
        kept = self.learning_rate, self.train, words, self.patience, self.reduced
        batches = None if self.batch_size is None else (self.batch_size, self.batch_seed)
        decay = {part: self.decay_of(part) for part in self.train}
        return kept if self.plain else (*kept, lasting(self.rule), decay, self.decoupled and self.decays, batches)

    @property
    def in_words(self) -> str:
        """Return rule, learning rate, decay and mini-batches in words.

        Example:
            >>> from attn_dynamics import Adam
            >>> Training(rule=Adam(), learning_rate=0.01, decay=1e-3, batch_size=32).in_words
            'Adam, η = 0.01, decay 0.001, batches of 32'
        """
        decays = {part: self.decay_of(part) for part in self.train}
        of_all = len({*decays.values()}) == 1
        told = [f"{rate:g}{'' if of_all else f' of {part}'}" for part, rate in decays.items() if rate]
        decay = [f"{'decoupled ' * self.decoupled}decay {' and '.join(dict.fromkeys(told))}"] * self.decays
        batches = [] if self.batch_size is None else [f"batches of {self.batch_size:,}"]
        return ", ".join([rule_in_words(self.rule), f"η = {self.learning_rate:g}", *decay, *batches])

    def steps(self, sentences: int) -> int:
        """Return the number of steps of an epoch on so many sentences."""
        return 1 if self.batch_size is None else -(-sentences // self.batch_size)

    def on(self, sentences: int) -> Self:
        """Return the settings for a training corpus of so many sentences, all of which are no mini-batch."""
        whole = self.batch_size is not None and self.batch_size >= sentences
        return replace(self, batch_size=None) if whole else self

    def check_dev(self, evaluate_on: Collection[str]) -> None:
        """Refuse patience if there is no dev corpus.

        Raises:
            InputError: none of the corpora that are evaluated is called "dev".
        """
        if self.patience is not None and "dev" not in evaluate_on:
            raise InputError(
                "patience",
                expected="a development corpus to watch",
                given=", ".join(evaluate_on) or "none",
                fix='Pass evaluate_on={"dev": corpus}, or leave patience out.',
            )

    def decay_of(self, part: str) -> float:
        """Return the weight decay λ of a part: query, keys, embeddings or head; 0 if it is not trained."""
        if part not in self.train:
            return 0.0
        return dict(self.decay).get(part, 0.0) if isinstance(self.decay, tuple | Mapping) else self.decay

    def batches(self, sentences: int, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of the sentences of each mini-batch of an epoch, in an order drawn from the seed."""
        order = np.random.default_rng([self.batch_seed, epoch]).permutation(sentences)
        size = self.batch_size or sentences
        for first in range(0, sentences, size):
            yield order[first : first + size]


Kind = TypeVar("Kind", bound=Training)


def training_with(training: Kind | None, settings: Mapping[str, Any], kind: type[Kind] = Training) -> Kind:
    """Return training settings with some fields replaced; None stands for the defaults.

    Raises:
        InputError: the object is no `Training`, a field does not exist, or a value is out of range.
    """
    known = [each.name for each in fields(kind)]
    for name in settings.keys() - {*known}:
        near = get_close_matches(name, known, 1)
        fix = f"Perhaps you meant {near[0]}." if near else f"It has {', '.join(known)}."
        raise InputError(name, expected=f"a field of {kind.__name__}", given="an unknown keyword", fix=fix)
    fix = f"Make one: {kind.__name__}(epochs=500). Or give its fields by name: epochs=500."
    training = kind() if training is None else instance("training", training, kind, fix=fix)
    if training.PARTS != kind.PARTS:
        name = type(training).__name__
        raise InputError("training", expected=f"a {kind.__name__}", given=f"a {name}", fix=fix)
    return replace(training, **settings)


def _decay(decay: object, parts: Collection[str], trained: Collection[str]) -> float | tuple[tuple[str, float], ...]:
    """Return weight decay as one number, or as pairs of a part and a number, which can be hashed, unlike a dict."""
    if not isinstance(decay, Mapping | tuple):
        return number("decay", decay, least=0, fix="0 is none, and 0.001 a usual one.")
    fix, decay = 'Give one number a part: {"keys": 1e-3}.', dict(decay)
    names = some_of("decay", [*decay], parts)
    found = {name: number(f"decay[{name!r}]", decay[name], least=0, fix=fix) for name in sorted(names)}
    still = [name for name, rate in found.items() if rate and name not in trained]
    if still:
        fix = "Train it, or leave its decay out."
        raise InputError("decay", expected="trained parts only", given=", ".join(still), fix=fix)
    return tuple(found.items())


PLAIN = Training()
"""Plain descent with the default settings."""
