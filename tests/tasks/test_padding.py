"""Claim: padding fills every sentence up to the longest with a word of its own, attended to and trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, loss_and_gradient
from attn_dynamics.claims._support.drawn import ragged
from attn_dynamics.errors import InputError
from attn_dynamics.model.initial import draw
from attn_dynamics.tasks import Options, Task, TextOptions, load_task, padded
from attn_dynamics.tasks.padding import PAD
from attn_dynamics.tasks.treebank import sst_folder
from tests.support import needs_sst


def task_of(seed: int) -> Task:
    """Sentences of unequal lengths, the longest of them in the test data."""
    rng = np.random.default_rng(seed)
    train, dev = ragged(rng, sentences=12), ragged(rng, sentences=5)
    words = tuple(f"w{k}" for k in range(max(train.n_words, dev.n_words)))
    longest = [[words[0]] * 40, [words[-1]]]

    def corpus(sentences: list[list[str]], labels: np.ndarray) -> Corpus:
        return Corpus.from_sentences(sentences, labels, vocabulary=words, n_classes=train.n_classes)

    made = [corpus(tokens(part, words), part.labels) for part in (train, dev)]
    return Task(name="ragged", train=made[0], dev=made[1], test=corpus(longest, np.array([0, 1])))


def tokens(corpus: Corpus, words: tuple[str, ...]) -> list[list[str]]:
    return [[words[w] for w in range(corpus.n_words) for _ in range(row[w])] for row in corpus.counts.toarray()]


@settings(max_examples=20)
@given(st.integers(0, 99))
def test_it_is_as_if_the_word_had_been_written_there(seed: int) -> None:
    """Written out by hand, and the loss and every gradient are the same; without padding they are not."""
    task = task_of(seed)
    words = tuple(map(str, task.train.vocabulary))
    filled = padded(task)
    for name, corpus in task.splits.items():
        by_hand = Corpus.from_sentences(
            [sentence + [PAD] * (40 - len(sentence)) for sentence in tokens(corpus, words)],
            corpus.labels,
            vocabulary=(*words, PAD),
            n_classes=corpus.n_classes,
        )
        assert (filled.splits[name].counts.toarray() == by_hand.counts.toarray()).all()
        assert filled.splits[name].vocabulary == by_hand.vocabulary
        assert filled.splits[name].counts.sum(axis=1).tolist() == [40] * corpus.n_sentences
    shape = {"n_words": filled.train.n_words, "n_classes": task.train.n_classes, "embedding_dim": 3, "scale": 1e3}
    start = draw("paper", "attn-tc", **shape, rng=np.random.default_rng(seed))
    loss, gradient = loss_and_gradient(filled.train, start)
    assert np.abs(gradient.embeddings[-1]).max() > 0, "the word that fills up is attended to and trained"
    alone = replace(start, keys=start.keys[:-1], embeddings=start.embeddings[:-1])
    assert loss_and_gradient(task.train, alone)[0] != loss


def test_a_text_that_holds_the_word_is_refused_and_the_option_is_named(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"{k % 2} word {'more ' * (k % 3)}{PAD}\n" for k in range(30)))
    whitespace = TextOptions(preparation="whitespace", padding=True)
    with pytest.raises(InputError, match=r"--padding: expected a text without the word \$PAD\$"):
        load_task(str(file), Options(text=whitespace))
    task = load_task(str(file), Options(text=replace(whitespace, preparation="lmn21")))
    assert task.train.vocabulary[-2:] == ("PAD", PAD), "lmn21 deletes the marks of a word of the text"


def test_the_option_of_the_command_pads_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"{k % 2} word{' more' * (k % 3)}\n" for k in range(30)))
    plain, filled = (load_task(str(file), Options(text=TextOptions(padding=padding))) for padding in (False, True))
    assert plain.notes == ()
    assert filled.notes == ("Every sentence is padded to 3 words with $PAD$, which is attended to and trained.",)
    for corpus in filled.splits.values():
        assert (corpus.counts.sum(axis=1) == 3).all()


@needs_sst
@pytest.mark.parametrize(("name", "words"), [("sst2", 17_440), ("sst5", 19_376)])
def test_the_treebank_is_padded_to_52_words(name: str, words: int) -> None:
    task = load_task(name, Options(data_dir=sst_folder(), text=TextOptions(padding=True)))
    assert task.train.n_words == words
    for corpus in task.splits.values():
        assert (corpus.counts.sum(axis=1) == 52).all()
