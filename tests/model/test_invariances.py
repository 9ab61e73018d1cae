"""Claim: what a model is called, and in which order it is told, changes nothing; nor does a constant in all scores."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, Parameters, Run, descend, flow
from tests.support import (
    MODELS,
    Case,
    apart,
    cases,
    end,
    examples,
    numbered,
    parameters_for,
    tokens_of,
    topic_corpus,
)

ROUND_OFF = 1e-9
"""Of 50 epochs, in which sums are taken in another order."""
READOUTS = ("weight", "weight_out", "bias_out")
"""Arrays of heads whose last axis is the classes."""


def run(corpus: Corpus, start: Parameters) -> Run:
    return descend(corpus, start, learning_rate=0.05, epochs=50, train=("keys", "embeddings", "head"))


def trained(corpus: Corpus, start: Parameters) -> Parameters:
    return end(run(corpus, start))


def stable(case: Case) -> bool:
    """Whether the loss never rises; where it does, each step makes round-off larger by a factor."""
    return np.diff(run(case.corpus, case.parameters).trajectory.train_loss.values).max() <= 1e-12


def ordinary(model: str) -> st.SearchStrategy[Case]:
    return cases(model, spreads=(0.5, 3.0))


any_model = st.sampled_from(MODELS).flatmap(ordinary)


# --- a constant in all scores


def shifted(start: Parameters, by: float) -> Parameters:
    return replace(start, keys=start.keys + by * start.query / (start.query @ start.query))


@settings(max_examples=examples(40))
@given(any_model, st.floats(-50.0, 50.0))
def test_a_constant_in_all_scores_changes_nothing(case: Case, by: float) -> None:
    assume(stable(case))
    ours = trained(case.corpus, case.parameters)
    theirs = trained(case.corpus, shifted(case.parameters, by))
    assert apart(shifted(ours, by), theirs) <= ROUND_OFF


def test_nor_does_it_along_the_flow() -> None:
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tc", 0)
    ours, theirs = (end(flow(corpus, each, times=[5.0])) for each in (start, shifted(start, 3.0)))
    assert apart(shifted(ours, 3.0), theirs) <= 1e-7


def test_a_constant_in_some_scores_changes_all() -> None:
    """Negative control."""
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tc", 0)
    keys = start.keys.copy()
    keys[:7] += 0.01 * start.query
    moved = trained(corpus, replace(start, keys=keys)).embeddings - trained(corpus, start).embeddings
    assert np.abs(moved).max() > 1e-5


# --- names and order


def renamed_words(case: Case, order: Sequence[int]) -> Case:
    """Word order[k] becomes word k."""
    place, tokens, start = np.argsort(order), tokens_of(case.corpus), case.parameters
    sentences = [place[part].tolist() for part in tokens]
    corpus = numbered(sentences, case.corpus.labels.tolist(), case.corpus.n_words, case.corpus.n_classes)
    order = list(order)
    return Case(corpus, replace(start, keys=start.keys[order], embeddings=start.embeddings[order]))


def renamed_classes(case: Case, order: Sequence[int]) -> Case:
    """Class order[k] becomes class k."""
    head = case.parameters.head
    arrays = {name: array[..., list(order)] for name, array in head.arrays().items() if name in READOUTS}
    labels = np.argsort(order)[case.corpus.labels]
    return Case(replace(case.corpus, labels=labels), replace(case.parameters, head=head.replace(**arrays)))


def reordered_sentences(case: Case, order: Sequence[int]) -> Case:
    rows = list(order)
    corpus = replace(case.corpus, counts=case.corpus.counts[rows], labels=case.corpus.labels[rows])
    return Case(corpus, case.parameters)


SAID = {"words": renamed_words, "classes": renamed_classes, "sentences": reordered_sentences}
SIZES = {"words": "n_words", "classes": "n_classes", "sentences": "n_sentences"}


@pytest.mark.parametrize("what", SAID)
@settings(max_examples=examples(30))
@given(any_model, st.data())
def test_names_and_order_change_nothing(what: str, case: Case, data: st.DataObject) -> None:
    assume(stable(case))
    order = data.draw(st.permutations(range(getattr(case.corpus, SIZES[what]))), label=what)
    said = SAID[what](case, order)
    after = SAID[what](Case(case.corpus, trained(case.corpus, case.parameters)), order).parameters
    assert apart(trained(said.corpus, said.parameters), after) <= ROUND_OFF


@pytest.mark.parametrize("what", SAID)
def test_names_on_one_side_alone_change_all(what: str) -> None:
    """Negative control: the corpus renamed and the start not, or one label gone astray."""
    corpus = topic_corpus(0)
    case = Case(corpus, parameters_for(corpus, "attn-tc", 0))
    order = np.roll(range(getattr(corpus, SIZES[what])), 1).tolist()
    other = SAID[what](case, order).corpus
    if what == "sentences":
        other = replace(other, labels=corpus.labels)
    assert apart(trained(other, case.parameters), trained(corpus, case.parameters)) > 1e-3
