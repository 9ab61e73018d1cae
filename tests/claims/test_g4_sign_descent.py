"""Claim G4: under sign descent a word of one class runs along a straight line."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, SignDescent, descend
from attn_dynamics.claims._support.two_classes import drawn_text, from_zero, words_on_the_line
from attn_dynamics.theory.sign_rules import sign_score
from tests.support import examples


def signed(corpus: Corpus, seed: int, d: int, rate: float, follow: list[str], **start: float):
    begin = from_zero(corpus, seed, d=d, **start)
    options = {"rule": SignDescent(), "train": ("keys", "embeddings"), "follow": follow}
    run = descend(corpus, begin, learning_rate=rate, epochs=60, **options).trajectory
    return begin.query, run.score.values, run.embedding_norm.values, run


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 999), d=st.integers(1, 9), rate=st.floats(1e-4, 1e-2))
def test_every_word_of_one_class_is_where_it_is_said_after_each_step(seed: int, d: int, rate: float) -> None:
    corpus = drawn_text(seed)
    query, score, norm, run = signed(corpus, seed, d, rate, words_on_the_line(corpus))
    steps, length = np.arange(1, 61)[:, None], np.abs(query).sum()
    np.testing.assert_allclose(score[1:], np.broadcast_to((steps - 1) * rate * length, score[1:].shape), rtol=1e-13)
    np.testing.assert_allclose(norm[1:], np.broadcast_to(steps * rate * d**0.5, norm[1:].shape), rtol=1e-13)
    np.testing.assert_allclose(score[1:], sign_score(norm[1:], query, d, rate), rtol=1e-12, atol=1e-15)
    # A1 does not hold: scores of all words no longer sum to 0.
    assert abs(float(run.score_sum[-1])) > 1e-3 * length * rate


def test_a_word_of_both_classes_leaves_the_line() -> None:
    """Negative control."""
    corpus = drawn_text(0)
    query, score, norm, _ = signed(corpus, 0, 5, 1e-3, ["w0"])
    assert np.abs(score[-1] - sign_score(norm[-1], query, 5, 1e-3)).max() > 0.1 * np.abs(query).sum() * 1e-3 * 60


def test_where_all_words_are_of_one_class_no_key_need_move() -> None:
    """D·(ν - v) is 0 then, so that round-off decides: the assumption of a word beside is needed."""
    corpus = Corpus.from_sentences([["a"], ["b"]], [0, 1])
    _, score, norm, _ = signed(corpus, 0, 5, 1e-3, ["a", "b"])
    np.testing.assert_array_equal(score, 0.0)
    assert norm[-1].min() > 0.1
