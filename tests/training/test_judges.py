"""Claim: corpora to judge by have the words and classes of the training data, in the same order, or are refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attn_dynamics import Corpus, descend, descend_many, flow
from attn_dynamics.errors import InputError
from attn_dynamics.model.initial import draw

TRAIN = Corpus.from_sentences([["good", "film"], ["bad", "film"]] * 4, ["good", "bad"] * 4)
START = draw("published", "attn-tc", n_words=3, n_classes=2, embedding_dim=4, rng=np.random.default_rng(0))
WAYS: dict[str, Callable[[Corpus], Any]] = {
    "descend": lambda judge: descend(TRAIN, START, learning_rate=1.0, epochs=300, evaluate_on={"test": judge}),
    "descend_many": lambda judge: descend_many(
        TRAIN, [START], learning_rate=1.0, epochs=300, evaluate_on={"test": judge}
    )[0],
    "flow": lambda judge: flow(TRAIN, START, time=300.0, evaluate_on={"test": judge}),
}
SENTENCES, LABELS = [["bad", "film"], ["good", "film"]], ["bad", "good"]
ALIKE = {"vocabulary": TRAIN.vocabulary, "class_names": TRAIN.class_names}
OTHERS = {
    "words in another order": (
        {"vocabulary": ("bad", "film", "good")},
        r"'test': expected the 3 words of the training data, got 3, of which number 0 is 'bad' instead of 'good'",
    ),
    "more words": (
        {"vocabulary": (*TRAIN.vocabulary, "new")},
        r"expected the 3 words .*, got 4\. Build",
    ),
    "classes in another order": ({"class_names": ("good", "bad")}, r"the 2 classes .* number 0 is 'good' instead"),
    "more classes": (
        {"class_names": ("bad", "good", "so-so")},
        r"expected the 2 classes .*, got 3\. Build",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_corpus_of_the_same_words_and_classes_is_judged(way: str) -> None:
    run = WAYS[way](Corpus.from_sentences(SENTENCES, LABELS, **ALIKE))
    assert run.trajectory.test_accuracy[-1] == 1.0
    # Numbered classes have no names to compare.
    assert WAYS[way](Corpus.from_sentences(SENTENCES, [0, 1], vocabulary=TRAIN.vocabulary)) is not None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", OTHERS)
def test_other_words_or_classes_are_refused(way: str, other: str) -> None:
    change, message = OTHERS[other]
    with pytest.raises(InputError, match=message):
        WAYS[way](Corpus.from_sentences(SENTENCES, LABELS, **ALIKE | change))
