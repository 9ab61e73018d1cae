"""Claim B8: among unequal lengths the norm lies between B1 for the longest and for the shortest sentence."""

from dataclasses import replace

import numpy as np
import pytest

from attn_dynamics import Corpus, flow, loss_and_gradient
from attn_dynamics.claims._support.sen import SMOOTH, start_of_topic_words
from attn_dynamics.claims.b8_lengths import LENGTHS, at_mean, between_two_curves, course
from attn_dynamics.theory.sen_lengths import sen_norm_bounds


@pytest.mark.parametrize("model", SMOOTH)
def test_no_length_between_is_a_bound(model: str) -> None:
    for each in course(model, hold=True, contrary=0):
        low, high = sen_norm_bounds(each.score, min(LENGTHS), max(LENGTHS), each.query_norm)
        assert (low < each.norm).all()
        assert (each.norm < high).all()
        closer = sen_norm_bounds(each.score, at_mean(0), at_mean(0), each.query_norm)[0]
        assert (each.norm > closer).any(), "the mean length is no upper bound"
        assert each.score[-1] > 2.0


def test_short_sentences_of_the_other_class_break_the_lower_bound_by_a_number() -> None:
    """Train the other words too: the topic word's score falls below 0, where the lower bound excludes no norm."""
    assert all(each.score.max() < 0.0 for model in SMOOTH for each in course(model, hold=False, contrary=3))
    parts = between_two_curves(quick=True, contrary=3).parts
    assert parts["below"].value > 2.0
    assert parts["below_if_all_are_trained"].value == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_the_embedding_lowers_the_loss_of_each_sentence(seed: int) -> None:
    """The assumption, sentence by sentence, along the flow from zero; and where it is broken, the sandwich is too."""
    rest = [f"w{k}" for k in range(9)]
    rows = [["t0", *rest[:3]], ["t0", *rest], ["t1", *rest[:3]], ["t1", *rest]]
    for labels, lowered in (([0, 0, 1, 1], True), ([0, 1, 1, 0], False)):
        corpus = Corpus.from_sentences(rows, labels)
        begin = start_of_topic_words(corpus, ["t0", "t1"], "attn-fc", seed, key=0.0, embedding=0.0)
        run = flow(corpus, begin, time=30.0, frozen_words=rest, rtol=1e-10, atol=1e-13, follow=["t0", "t1"])
        assert run.parameters is not None
        works = [_work(corpus, replace(run.parameters), row) for row in range(4)]
        assert (max(works) <= 0.0) == lowered, works


def _work(corpus: Corpus, state, row: int) -> float:
    """A_it ν_t·g_i of the topic word of a sentence."""
    alone = replace(corpus, counts=corpus.counts[[row]], labels=corpus.labels[[row]])
    slopes, column = loss_and_gradient(alone, state)[1], corpus.columns([f"t{row // 2}"])[0]
    return float(np.dot(state.embeddings[column], slopes.embeddings[column]))
