"""Claim: what is recorded at epoch e is the state before step e, as a dense loop written by hand has it."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from attn_dynamics import Corpus, FixedLinear, Parameters, Run, descend, descend_many
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import write_netcdf
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.results.summary import join
from attn_dynamics.training.recording import snapshot_due
from tests.support import MODELS, PAIRS, Epoch, ids, naive_descent, named, numbered, parameters_for, topic_corpus

EPOCHS, RATE = 5, 0.5
ABSENT = 13
"""The word of `topic_corpus` that stands in no sentence."""
FOLLOW = (2, 0, ABSENT, 7)


def close(measured: Any, expected: Any, name: str) -> None:
    np.testing.assert_allclose(measured, expected, rtol=1e-11, atol=1e-13, err_msg=name)


def compare(run: Run, states: list[Epoch]) -> None:
    """Every recorded number against the states by hand."""
    trajectory = run.trajectory
    for epoch, state in enumerate(states):
        at = trajectory.sel(epoch=epoch)
        for name, expected in state.scalars.items():
            close(at[name], expected, f"{name} at {epoch}")
        for name, expected in state.words.items():
            close(at[name], expected[list(FOLLOW)], f"{name} at {epoch}")
        followed = np.linalg.norm(state.words["score_gradient"][list(FOLLOW)])
        close(at["followed_score_signal"], followed, f"followed signal at {epoch}")
    for epoch in trajectory.snapshot.values.tolist():
        for name in ("score", "embedding_norm", "attention"):
            everything = trajectory[f"all_{name}"].sel(snapshot=epoch)
            close(everything, states[epoch].words[name], f"all {name} at {epoch}")


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("train", PAIRS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_every_recorded_number_is_that_of_the_state_before_the_step(
    model: str, train: tuple[str, ...], reduced: bool
) -> None:
    corpora = {"train": topic_corpus(0), "dev": topic_corpus(1, sentences=9), "test": topic_corpus(2, sentences=5)}
    start = parameters_for(corpora["train"], model, 0, d=5, hidden=4)
    states = naive_descent(corpora, start, train=train, rate=RATE, epochs=EPOCHS)
    judge = {name: corpora[name] for name in ("dev", "test")}
    run = descend(
        corpora["train"],
        start,
        learning_rate=RATE,
        epochs=EPOCHS,
        train=train,
        evaluate_on=judge,
        follow=FOLLOW,
        reduced=reduced,
    )
    compare(run, states)
    assert run.parameters is not None
    for name, array in named(run.parameters).items():
        close(array, named(states[-1].parameters)[name], name)


@pytest.mark.parametrize("model", MODELS)
def test_scores_spread_over_thousands_are_recorded_as_exactly(model: str) -> None:
    corpus = topic_corpus(3)
    start = parameters_for(corpus, model, 3, spread=2000.0)
    run = descend(corpus, start, learning_rate=RATE, epochs=EPOCHS, follow=FOLLOW)
    for epoch, state in enumerate(
        naive_descent({"train": corpus}, start, train=TRAINABLE[1:], rate=RATE, epochs=EPOCHS)
    ):
        at = run.trajectory.sel(epoch=epoch)
        for name, expected in state.words.items():
            np.testing.assert_allclose(at[name], expected[list(FOLLOW)], rtol=1e-9, atol=1e-11, err_msg=name)
        assert float(at.train_loss) == pytest.approx(state.scalars["train_loss"], rel=1e-11)


def test_a_record_that_is_one_step_off_is_rejected() -> None:
    """Negative control of the comparison."""
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tc", 0, d=5)
    states = naive_descent({"train": corpus}, start, train=TRAINABLE[1:], rate=RATE, epochs=EPOCHS + 1)
    run = descend(corpus, start, learning_rate=RATE, epochs=EPOCHS, follow=FOLLOW)
    compare(run, states[:-1])
    with pytest.raises(AssertionError, match="train_loss at 0"):
        compare(run, states[1:])


SIZES = ("score_signal", "followed_score_signal", "embedding_signal", "embedding_norm", "all_embedding_norm")


@pytest.mark.parametrize(("embeddings", "head"), [(-560, -300), (-40, -560)], ids=str)
@pytest.mark.parametrize("d", [2, 6], ids=["E itself", "E W"])
def test_lengths_are_right_where_their_squares_are_too_small_for_floats(embeddings: int, head: int, d: int) -> None:
    """By powers of two: where logits vanish beside 1, scores' slopes go with E U, those of embeddings with U."""
    corpus, drawn = topic_corpus(0), parameters_for(topic_corpus(0), "attn-fc", 0, d=d)

    def lengths(e: int, u: int, **options: Any) -> dict[str, np.ndarray]:
        weight = drawn.head.first_layer * 2.0**u
        start = replace(drawn, embeddings=drawn.embeddings * 2.0**e, head=FixedLinear(weight=weight))
        options |= {"epochs": 0, "follow": FOLLOW}
        hold = descend(corpus, start, **options, frozen_words=[3])
        alone, (many, _) = descend(corpus, start, **options), descend_many(corpus, [start, drawn], **options)
        by = {"score": e + u, "followed_score": e + u, "embedding": u}
        return {
            f"{name} {way}": run.trajectory[name].values * 2.0 ** -by.get(name.removesuffix("_signal"), e)
            for way, run in {"held": hold, "alone": alone, "many": many}.items()
            for name in SIZES
        }

    expected = lengths(-40, -40)
    assert min(each.max() for each in expected.values()) > 1e-3
    for name, found in lengths(embeddings, head).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-13, err_msg=name)


# --- coordinates


def small_run(epochs: int = 3, **options) -> tuple[Corpus, Parameters, Run]:
    corpus = Corpus.from_sentences([["a", "b", "b"], ["c", "b"]], [0, 1], vocabulary=["a", "b", "c", "never"])
    start = parameters_for(corpus, "attn-fc", 1)
    return corpus, start, descend(corpus, start, learning_rate=0.25, epochs=epochs, **options)


def test_epochs_times_words_and_vocabulary_are_coordinates() -> None:
    trajectory = small_run(follow=["c", "never"])[2].trajectory
    assert trajectory.epoch.values.tolist() == [0, 1, 2, 3]
    assert trajectory.time.values.tolist() == [0.0, 0.25, 0.5, 0.75]
    assert trajectory.word.values.tolist() == ["c", "never"]
    assert trajectory.vocabulary.values.tolist() == ["a", "b", "c", "never"]
    assert trajectory.snapshot.values.tolist() == [0, 1, 2, 3]
    assert all(variable.attrs["long_name"] for variable in trajectory.data_vars.values())
    assert all(variable.dtype == np.float64 for variable in trajectory.data_vars.values())


def test_a_word_in_no_sentence_receives_no_attention_that_could_be_averaged() -> None:
    trajectory = small_run(follow=["c", "never"])[2].trajectory
    assert np.isnan(trajectory.attention.sel(word="never")).all()
    assert np.isnan(trajectory.all_attention.sel(vocabulary="never")).all()
    assert np.isfinite(trajectory.attention.sel(word="c")).all()
    assert np.isfinite(trajectory.all_attention.sel(vocabulary=["a", "b", "c"])).all()
    assert (trajectory.score_gradient.sel(word="never") == 0).all()


def test_nothing_need_be_followed_or_judged() -> None:
    trajectory = small_run()[2].trajectory
    assert trajectory.sizes["word"] == 0
    assert (trajectory.followed_score_signal == 0).all()
    assert trajectory.score.sel(word=[]).shape == (4, 0)
    assert not any(str(name).startswith(("dev", "test")) for name in trajectory)


@pytest.mark.parametrize("follow", [[], ["c", "never"]])
def test_words_come_back_from_the_file_as_text(follow: list[str], tmp_path: Path) -> None:
    trajectory = small_run(follow=follow)[2].trajectory
    for name, run in (("one.nc", trajectory), ("joined.nc", join([trajectory, trajectory]))):
        write_netcdf(tmp_path / name, run)
        again = xr.load_dataset(tmp_path / name)
        assert (again.word.dtype.kind, again.word.values.tolist()) == ("U", follow)
        assert (again.vocabulary.dtype.kind, again.sizes["vocabulary"]) == ("U", 4)
        assert again.identical(run)


def test_a_list_of_no_words_would_come_back_as_numbers(tmp_path: Path) -> None:
    """Negative control."""
    write_netcdf(tmp_path / "x.nc", xr.Dataset(coords={"word": []}))
    assert xr.load_dataset(tmp_path / "x.nc").word.dtype.kind == "f"


def test_no_epochs_record_the_start() -> None:
    _, start, run = small_run(epochs=0, follow=["a"])
    assert run.trajectory.epoch.values.tolist() == [0]
    assert run.trajectory.snapshot.values.tolist() == [0]
    np.testing.assert_allclose(run.trajectory.all_score[0], start.scores, rtol=1e-15)
    assert run.parameters is not None
    for name, array in named(run.parameters).items():
        np.testing.assert_array_equal(array, named(start)[name])


def test_corpora_may_be_judged_under_any_name() -> None:
    corpus, start, _ = small_run()
    run = descend(corpus, start, epochs=2, evaluate_on={"dev": corpus, "held_out": corpus, "out of domain": corpus})
    for name in ("dev", "held_out", "out of domain"):
        np.testing.assert_array_equal(run.trajectory[f"{name}_loss"], run.trajectory.train_loss)


def test_the_training_corpus_keeps_its_name() -> None:
    corpus, start, _ = small_run()
    with pytest.raises(InputError, match="evaluate_on"):
        descend(corpus, start, epochs=2, evaluate_on={"train": corpus})


def test_an_unknown_word_to_follow_is_refused() -> None:
    with pytest.raises(InputError, match=r"follow: expected words of the vocabulary \(4 words\), got 'd'"):
        small_run(follow=["a", "d"])


def test_words_that_are_numbers_are_recorded_by_their_names() -> None:
    corpus = numbered([[0, 1], [2]], [0, 1], 3, 2)
    trajectory = descend(corpus, parameters_for(corpus, "attn-fc", 0), epochs=1, follow=[2]).trajectory
    assert trajectory.word.values.tolist() == ["2"]


# --- how often


def test_all_words_are_recorded_at_the_start_ten_times_a_decade_and_at_the_end() -> None:
    _, _, run = small_run(epochs=1234)
    epochs = run.trajectory.snapshot.values.tolist()
    assert epochs[:2] == [0, 1]
    assert epochs[-1] == 1234
    assert [e for e in epochs if 100 <= e < 1000] == [100, 126, 158, 200, 251, 316, 398, 501, 631, 794]
    assert epochs == sorted(set(epochs))


def test_snapshots_do_not_depend_on_how_long_a_run_is() -> None:
    short, long = (set(small_run(epochs=n)[2].trajectory.snapshot.values.tolist()) for n in (70, 300))
    assert {e for e in long if e < 70} == short - {70}


def test_epochs_of_snapshots_thin_out_evenly() -> None:
    due = [epoch for epoch in range(100_001) if snapshot_due(epoch)]
    assert due[:3] == [0, 1, 2]
    assert all(later / earlier <= 2.0 for earlier, later in pairwise(due[1:]))
    for decade in (10, 100, 1000, 10_000):
        assert sum(decade <= epoch < 10 * decade for epoch in due) == 10


# --- keys


@pytest.mark.parametrize("model", MODELS)
def test_keys_are_rebuilt_from_the_scores_while_the_query_is_fixed(model: str) -> None:
    """K(τ) = K(0) + (s(τ) − s(0)) qᵀ/‖q‖²."""
    corpus = topic_corpus(4)
    start = parameters_for(corpus, model, 4, d_k=4)
    run = descend(corpus, start, epochs=300, follow=range(corpus.n_words))
    score = run.trajectory.score.values
    query = start.query
    assert run.parameters is not None
    np.testing.assert_array_equal(run.parameters.query, query)
    rebuilt = start.keys + np.outer(score[-1] - score[0], query) / (query @ query)
    np.testing.assert_allclose(run.parameters.keys, rebuilt, rtol=0, atol=1e-13)
    np.testing.assert_allclose(run.parameters.scores, score[-1], rtol=0, atol=1e-13)


def test_with_a_query_of_zero_the_keys_cannot_move() -> None:
    corpus, start, _ = small_run()
    zero = Parameters(query=np.zeros_like(start.query), keys=start.keys, embeddings=start.embeddings, head=start.head)
    run = descend(corpus, zero, epochs=5)
    assert run.parameters is not None
    np.testing.assert_array_equal(run.parameters.keys, start.keys)
    assert not run.trajectory.score_sum.any()
