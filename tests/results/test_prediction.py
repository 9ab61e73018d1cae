"""Claim: wherever its assumptions are met, mean field predicts a run with nothing fitted; elsewhere it says nothing."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from attn_dynamics import Corpus, Parameters, descend, draw
from attn_dynamics.results import prediction
from attn_dynamics.results.assumptions import BESIDE, FIXED, FROM_ZERO, LABELS, ONE_LENGTH, ONE_WORD
from attn_dynamics.results.prediction import deviation, predict
from attn_dynamics.tasks import Synthetic, Task

TRAIN = ("keys", "embeddings", "head")
EPOCHS = 600
TASK = Synthetic(topics=3, other_words=8, dictionary=20_000, sentences=240, test_sentences=0).draw(0)
"""Few sentences share one of the other words: 240 · 8 / 20,000 of them."""


def started(model: str, preset: str = "mean-field", task: Task = TASK) -> Parameters:
    corpus = task.train
    rng = np.random.default_rng(0)
    size = {"n_words": corpus.n_words, "n_classes": corpus.n_classes, "embedding_dim": 6, "hidden_dim": 4}
    return draw(preset, model, **size, rng=rng)


def beside(start: Parameters, predicted_from: Parameters | None = None, *, rate: float = 0.3) -> xr.Dataset:
    """A run, with what is predicted from its start or from another."""
    words = [word for topic in TASK.topic_words for word in topic]
    run = descend(TASK.train, start, learning_rate=rate, epochs=EPOCHS, follow=[*words, "w1"]).trajectory
    predicted = predict(TASK, predicted_from or start, train=TRAIN, learning_rate=rate, epochs=EPOCHS)
    assert isinstance(predicted, xr.Dataset), predicted
    return run.merge(predicted, join="left")


@pytest.mark.parametrize("preset", ["mean-field", "lmn21"])
@pytest.mark.parametrize("model", ["attn-fc", "attn-tc"])
def test_a_run_is_predicted_from_its_start(model: str, preset: str) -> None:
    """To 1 %: the other words start at 10⁻³ √d for lmn21, and some stand in two sentences."""
    run = beside(started(model, preset))
    off = deviation(run)
    assert off is not None
    assert off <= 0.01
    late = run.predicted[run.predicted >= 50]
    for name in ("embedding_norm", "attention"):
        topic = run.sel(predicted=late).isel(word=slice(0, 6))
        np.testing.assert_allclose(topic[f"predicted_{name}"], topic[name].sel(epoch=late), rtol=0.01)
    np.testing.assert_allclose(run.predicted_loss.sel(predicted=late), run.train_loss.sel(epoch=late), rtol=0.01)
    assert np.isnan(run.predicted_score.sel(word="w1")).all()


def test_the_prediction_of_another_start_is_not_that_of_this_one() -> None:
    start = started("attn-tc")
    off = deviation(beside(start, replace(start, query=1.1 * start.query)))
    assert off is not None
    assert off > 0.03


def nudged(start: Parameters, array: str, word: int) -> Parameters:
    values = getattr(start, array).copy()
    values[word] += 0.1 * np.ones_like(values[word])
    return replace(start, **{array: values})


def with_sentences(*sentences: tuple[list[str], int]) -> Task:
    words, labels = zip(*sentences, strict=True)
    vocabulary = ("a", "b", "x", "y", "z")
    train = Corpus.from_sentences(words, labels, vocabulary=vocabulary, n_classes=2)
    return Task(name="own", train=train, topic_words=(("a",), ("b",)))


FINE = with_sentences((["a", "x"], 0), (["b", "y"], 1))


def test_it_speaks_where_its_assumptions_are_met() -> None:
    found = predict(FINE, started("attn-fc", task=FINE), train=TRAIN, learning_rate=0.1, epochs=3)
    assert isinstance(found, xr.Dataset)
    for array in ("keys", "embeddings"):
        moved = nudged(started("attn-fc", task=FINE), array, 0)
        assert isinstance(predict(FINE, moved, train=TRAIN, learning_rate=0.1, epochs=3), xr.Dataset)


def test_a_topic_word_of_no_training_sentence_stays_and_spoils_nothing() -> None:
    """As happens in small samples: after training nothing may be refused that was not refused before."""
    plain = with_sentences((["a", "x"], 0), (["a", "y"], 0), (["b", "x"], 1), (["b", "y"], 1))
    task = replace(plain, topic_words=(("a", "z"), ("b",)))
    start = started("attn-fc", task=task)
    found = predict(task, start, train=TRAIN, learning_rate=0.1, epochs=300)
    alone = predict(plain, start, train=TRAIN, learning_rate=0.1, epochs=300)
    assert isinstance(found, xr.Dataset)
    assert isinstance(alone, xr.Dataset)
    assert np.all(found.predicted_score.sel(word="z") == 0.0)
    np.testing.assert_allclose(found.predicted_score.sel(word=["a", "b"]), alone.predicted_score, rtol=1e-3, atol=1e-9)
    assert alone.predicted_score.values[-1].min() > 0.0
    np.testing.assert_allclose(found.predicted_loss, alone.predicted_loss, rtol=1e-3)


def test_times_beyond_all_numbers_are_a_reason() -> None:
    """Where the fixed head's logits stay finite all the same, the run ends well and only its prediction is missing."""
    found = predict(FINE, started("attn-fc", task=FINE), train=TRAIN, learning_rate=1e308, epochs=60)
    assert found == "at this learning rate the times of the run exceed float64"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (with_sentences((["a", "x"], 0), (["b", "y", "z"], 1)), ONE_LENGTH),
        (with_sentences((["a", "x"], 0), (["x", "y"], 1)), ONE_WORD),
        (with_sentences((["a", "a"], 0), (["b", "y"], 1)), ONE_WORD),
        (with_sentences((["a", "x"], 1), (["b", "y"], 0)), LABELS),
        (with_sentences((["a"], 0), (["b"], 1)), BESIDE),
        (replace(FINE, topic_words=()), "the task names none"),
    ],
    ids=["lengths differ", "no topic word", "twice", "of another class", "alone", "none named"],
)
def test_of_other_corpora_it_says_why_it_is_silent(task: Task, reason: str) -> None:
    found = predict(task, started("attn-fc", task=task), train=TRAIN, learning_rate=0.1, epochs=3)
    assert isinstance(found, str)
    assert reason in found


def test_of_other_models_it_says_why_it_is_silent() -> None:
    linear = started("attn-tc", task=FINE)
    for start, train, reason in (
        (started("attn-tl", task=FINE), TRAIN, "linear heads, not for the head of attn-tl"),
        (linear, ("query", *TRAIN), FIXED),
        (nudged(linear, "keys", 2), TRAIN, FROM_ZERO),
        (nudged(linear, "embeddings", 2), TRAIN, FROM_ZERO),
    ):
        found = predict(FINE, start, train=train, learning_rate=0.1, epochs=3)
        assert isinstance(found, str)
        assert reason in found


def test_steps_that_no_solver_follows_are_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "MOST", 10)
    found = predict(FINE, started("attn-tc", task=FINE), train=TRAIN, learning_rate=0.1, epochs=1000)
    assert isinstance(found, str)
    assert "10 evaluations were too few" in found
    monkeypatch.undo()
    start = started("attn-tc", task=FINE)
    beyond = replace(start, head=start.head.replace(weight=1e200 * start.head.first_layer))
    found = predict(FINE, beyond, train=TRAIN, learning_rate=0.1, epochs=1000)
    assert isinstance(found, str)
    assert "could not be followed (flow: expected a velocity that is finite" in found


def test_a_run_of_no_epoch_has_no_deviation() -> None:
    start = started("attn-fc", task=FINE)
    run = descend(FINE.train, start, epochs=0, follow=["a", "b"]).trajectory
    predicted = predict(FINE, start, train=TRAIN, learning_rate=0.1, epochs=0)
    assert isinstance(predicted, xr.Dataset)
    assert deviation(run.merge(predicted, join="left")) is None
    assert deviation(run) is None
