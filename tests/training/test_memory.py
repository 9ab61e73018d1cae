"""Claim: a run is refused where memory cannot hold it with the buffers of its rule and the copies of early stopping."""

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attn_dynamics import Adam, Corpus, InputError, Momentum, Parameters, descend
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.training.memory import bytes_needed
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.threads import Threads
from attn_dynamics.training.settings import Training
from tests.support import parameters_for, topic_corpus

CORPUS, DEV = topic_corpus(0, sentences=400, words=3000), topic_corpus(1, words=3000)
FOLLOW = range(8)
FACTOR = 1.25
"""Of what is said to be needed to what is: parts whose largest moments differ are added, small ones left out."""
UPDATES: dict[str, dict[str, Any]] = {
    "descent": {},
    "patience": {"patience": 9},
    "momentum, batches": {"rule": Momentum(), "batch_size": 100},
    "momentum, decay": {"rule": Momentum(), "decay": 1e-3},
    "adam": {"rule": Adam()},
    "adam, patience": {"rule": Adam(), "patience": 9},
    "adamw, trained query, batches": {
        "rule": Adam(),
        "decay": 0.1,
        "decoupled": True,
        "train": TRAINABLE,
        "batch_size": 9,
    },
}


def peak(start: Parameters, training: Training, corpus: Corpus = CORPUS) -> int:
    """Bytes that a run takes at most."""
    given: Any = {"evaluate_on": {"dev": topic_corpus(1, words=corpus.n_words)}, "follow": FOLLOW}
    descend(corpus, start, replace(training, epochs=1), **given)
    tracemalloc.start()
    descend(corpus, start, training, **given)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def need(start: Parameters, training: Training, corpus: Corpus = CORPUS) -> int:
    """Bytes said to be needed beside the start."""
    layout = Layout(corpus, {"dev": topic_corpus(1, words=corpus.n_words)}, FOLLOW)
    (needed,) = bytes_needed(Threads(), start, layout, training, saved=False)
    return needed.of(1) - needed.start


@pytest.mark.parametrize("d_k", [2, 20])
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", ["attn-fc", pytest.param("attn-tc", marks=pytest.mark.slow)])
def test_what_is_said_to_be_needed_is_what_a_run_takes(model: str, update: str, d_k: int) -> None:
    start, training = parameters_for(CORPUS, model, 0, d=20, d_k=d_k), Training(epochs=3, **UPDATES[update])
    taken = peak(start, training)
    assert taken / FACTOR <= need(start, training) <= FACTOR * taken
    if update in ("adam", "adam, patience"):
        without = need(start, replace(training, rule=Training.rule, patience=None))
        assert without < taken / FACTOR, "negative control: buffers and copies left out"


@pytest.mark.parametrize("batch_size", [None, 10_000])
def test_so_it_is_where_sentences_outnumber_words(batch_size: int | None) -> None:
    """Mini-batches where there are none, and none where there are, are the negative control."""
    corpus = topic_corpus(0, sentences=20_000, words=200)
    start, training = parameters_for(corpus, "attn-tc", 0), Training(epochs=3, batch_size=batch_size)
    taken, other = peak(start, training, corpus), replace(training, batch_size=None if batch_size else 10_000)
    assert taken / FACTOR <= need(start, training, corpus) <= FACTOR * taken
    assert not taken / FACTOR <= need(start, other, corpus) <= FACTOR * taken


def test_embeddings_that_start_at_zero_need_memory_for_what_can_move_alone() -> None:
    """The same shapes from a random start are the negative control."""
    random, training = parameters_for(CORPUS, "attn-tc", 0, d=60), Training(epochs=3)
    zero = replace(random, embeddings=np.zeros_like(random.embeddings))
    taken = peak(zero, training)
    assert taken / FACTOR <= need(zero, training) <= FACTOR * taken < need(random, training)


def test_a_run_is_refused_where_its_rule_needs_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain descent of the same start fits, which is the negative control."""
    start, others = parameters_for(CORPUS, "attn-tc", 0, d=20, d_k=20), {"dev": DEV}
    monkeypatch.setattr(Threads, "free_memory", lambda self: 9 * 2**20)
    for update in ("descent", "adam"):
        descend(CORPUS, start, epochs=1, evaluate_on=others, **UPDATES[update])
    message = r"memory: expected about [\d.]+ MiB for a run, got [\d.]+ MiB that are free for it\. Give embeddings"
    with pytest.raises(InputError, match=message):
        descend(CORPUS, start, epochs=1, evaluate_on=others, **UPDATES["adam, patience"])
    monkeypatch.setattr(Threads, "free_memory", lambda self: None)
    descend(CORPUS, start, epochs=1, evaluate_on=others, **UPDATES["adam, patience"])
