"""Claim G5: Adam on two classes from zero takes two numbers a word; its curve is neither SEN nor a line."""

import numpy as np
import pytest

from attn_dynamics import Adam, SignDescent, descend
from attn_dynamics.claims._support.two_classes import drawn_text, from_zero, words_of_one_class
from attn_dynamics.claims.g5_adam import NO_EPSILON, topic_word
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sign_rules import in_one_dimension, sign_score

TRAIN = ("keys", "embeddings")


@pytest.mark.parametrize("rule", [Adam(epsilon=NO_EPSILON), Adam(0.5, 0.9, NO_EPSILON), SignDescent()])
@pytest.mark.parametrize("d", [2, 7])
def test_embeddings_and_keys_lie_along_the_signs(rule: Adam | SignDescent, d: int) -> None:
    corpus = drawn_text(7)
    start = from_zero(corpus, 7, d=d)
    run = descend(corpus, start, learning_rate=1e-3, epochs=200, rule=rule, train=TRAIN)
    assert run.parameters is not None
    contrast = start.head.first_layer[:, 0] - start.head.first_layer[:, 1]
    for array, direction in ((run.parameters.embeddings, contrast), (run.parameters.keys, start.query)):
        aligned = array * np.sign(direction)
        np.testing.assert_allclose(aligned, np.broadcast_to(aligned[:, :1], aligned.shape), atol=1e-14)
    narrow = descend(corpus, in_one_dimension(start), learning_rate=1e-3, epochs=200, rule=rule, train=TRAIN)
    np.testing.assert_allclose(narrow.trajectory.train_loss, run.trajectory.train_loss, rtol=1e-13)


def test_three_classes_do_not_close() -> None:
    """Negative control."""
    corpus = drawn_text(7, classes=3)
    start = from_zero(corpus, 7)
    run = descend(corpus, start, learning_rate=1e-3, epochs=200, rule=Adam(), train=TRAIN)
    assert run.parameters is not None
    sizes = np.abs(run.parameters.embeddings[corpus.columns(words_of_one_class(corpus))])
    assert (sizes.max(axis=1) > 1.05 * sizes.min(axis=1)).any()


def test_the_curve_is_neither_sen_nor_the_line() -> None:
    start, run = topic_word(0, 1000, 1e-3, NO_EPSILON)
    norm = run.travelled[100:] * 5**0.5
    sen = sen_norm(run.score[100:], 3.0, np.linalg.norm(start.query))
    assert (np.abs(norm / sen - 1.0) > 0.05).all()
    assert (run.score[100:] > 1.2 * sign_score(norm, start.query, 5, 1e-3)).all()


def test_the_usual_epsilon_is_felt() -> None:
    """The closing is exact for ε = 0; 10⁻⁸ leaves it by about ε over the first key gradients."""
    exact, usual = (topic_word(0, 500, 1e-3, epsilon)[1].score for epsilon in (NO_EPSILON, 1e-8))
    off = np.abs(usual[3:] / exact[3:] - 1.0).max()
    assert 1e-9 < off < 1e-3
