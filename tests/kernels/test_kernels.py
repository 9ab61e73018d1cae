"""Claim: the compiled loops do what their docstrings say, at every width, with the same bits on any threads."""

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import mpmath
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.special import softmax

from attn_dynamics import Corpus, descend, loss_and_gradient
from attn_dynamics.kernels import FUSING, LEAF, epochs, loss, words
from attn_dynamics.kernels.elementary import exponential, log1p
from attn_dynamics.model import corpus_arrays
from attn_dynamics.model.corpus_arrays import SHARED_SPREAD, Data, columns_of
from attn_dynamics.model.gradient import Objective, _kept_rows
from attn_dynamics.model.heads import HEADS
from tests.support import (
    EPS,
    MODELS,
    Array,
    attention_of,
    cross_entropy_of,
    dense,
    named,
    numbered,
    parameters_for,
    relative_error,
    topic_corpus,
    trained_names,
)

WIDTHS = range(1, 14)
SPREADS = (1.0, 0.45 * SHARED_SPREAD, 0.55 * SHARED_SPREAD, 2000.0)
"""Largest scores, either side of where one shift serves all sentences."""


def ragged(seed: int, *, n_sentences: int = 30, n_words: int = 25, longest: int = 40) -> Corpus:
    """Sentences from one word to many, with repeats; the last word stands in none."""
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(n_words - 1, size=rng.integers(1, longest)).tolist() for _ in range(n_sentences)]
    return numbered(drawn, rng.integers(3, size=n_sentences).tolist(), n_words, 3)


def spread_scores(rng: np.random.Generator, size: int, spread: float) -> Array:
    scores = rng.uniform(-spread, spread, size)
    scores[:2] = spread, -spread
    return scores


# --- attention, forward and back


class Through(NamedTuple):
    """What attention gives forward and back."""

    contexts: Array
    score_gradient: Array
    value_gradient: Array
    received: Array
    squares: Array


def through(corpus: Corpus, scores: Array, values: Array, slopes: Array, readout_matrix: Array) -> Through:
    """Forward and back through the loops that an epoch is made of, in blocks and in parts."""
    width, wide = values.shape[1], not np.ptp(scores) <= SHARED_SPREAD
    data, state = Data.of(corpus, (), np.empty(0, np.int64)), np.ascontiguousarray(values.T)
    operand, kept = np.zeros((corpus.n_words, columns_of(width))), _kept_rows(corpus.n_sentences, corpus.n_words, width)
    words.fill_operand(0, corpus.n_words, wide, scores.max(), scores, state, operand)
    contexts = np.empty((width, corpus.n_sentences))
    for start in range(0, corpus.n_sentences, epochs.BLOCK):
        stop = min(start + epochs.BLOCK, corpus.n_sentences)
        some, (sums, deviations) = np.empty((width, stop - start)), np.empty((2, stop - start, len(operand[0])))
        where = kept, start, some
        epochs.contexts_of(start, stop, wide, data.sentences, scores, operand, sums, deviations, *where)
        contexts[:, start:stop] = some
        outward = np.array(slopes[start:stop].T, order="C")
        epochs.keep_slopes(outward, some, deviations, kept, start, stop - start, np.empty(stop - start))
    by_score, by_value, squares = np.empty(corpus.n_words), np.empty((width, corpus.n_words)), np.zeros(2)
    scratch, metric = np.empty((2, kept.rows.shape[1])), readout_matrix.T @ readout_matrix
    for start, stop in pairwise(data.words.parts.tolist()):
        results = by_score, by_value, scratch
        if not wide:
            words.attend_back(start, stop, data.words, kept.rows, operand, *results[:2])
        words.attend_back_apart(start, stop, wide, data.words, kept, scores, operand, *results)
        squares += (by_score[start:stop] ** 2).sum(), words.joint_square(start, stop, by_value, metric)
    received = [words.received(word, wide, data.words, kept, scores, operand) for word in range(corpus.n_words)]
    return Through(contexts.T, by_score, by_value.T, np.array(received), squares)


def test_products_are_rounded_before_they_are_added_to_the_slope_of_a_leading_word() -> None:
    """Fused or not, as the compiler pleases, they would give compiled code other last bits than that of the cache."""
    rng, (sentences, width) = np.random.default_rng(0), (epochs.BLOCK, 13)
    slopes, contexts = rng.normal(size=(2, width, sentences))
    deviations, kept = rng.normal(size=(sentences, columns_of(width))), _kept_rows(sentences, 1, width)
    kept.inverses[:], kept.leads[:] = rng.random(sentences), 0
    epochs.keep_slopes(slopes, contexts, deviations, kept, 0, sentences, np.empty(sentences))
    products = kept.rows[:, 1 : width + 1] * deviations[:, 1 : width + 1]
    np.testing.assert_array_equal(kept.lead_slopes, np.cumsum(products, axis=1)[:, -1])
    fused = np.zeros(sentences)
    for column in range(1, width + 1):
        pairs = zip(kept.rows[:, column], deviations[:, column], fused, strict=True)
        fused = np.array([float(Fraction(a) * Fraction(b) + Fraction(c)) for a, b, c in pairs])
    assert (kept.lead_slopes != fused).any(), "negative control"


@pytest.mark.parametrize("stated", [True, False])
def test_a_function_that_rounds_does_so_too_where_one_that_fuses_compiles_it(stated: bool) -> None:
    """Numba hands options down to functions that do not state their own, which is the negative control."""
    ours: dict[str, Any] = {name: value for name, value in LEAF.items() if stated or name != "fastmath"}
    theirs: dict[str, Any] = FUSING | {"cache": False}
    ours["cache"] = False
    rounding = numba.njit(**ours)(lambda a, b, c: a * b + c)
    caller = numba.njit(**theirs)(lambda a, b, c: rounding(a, b, c))
    numbers = np.random.default_rng(0).normal(size=(1000, 3)).tolist()
    assert all(caller(a, b, c) == rounding(a, b, c) for a, b, c in numbers)
    assert all(rounding(a, b, c) == a * b + c for a, b, c in numbers) == stated


PRODUCTS = [
    (width, spread, (1, 3)[(width + k) % 2], (1, 7, 10_000)[(width + 2 * k) % 3])
    for width in WIDTHS
    for k, spread in enumerate(SPREADS)
]
"""Every width at every spread, and every two of width, spread, parts and size of block together."""


@pytest.mark.parametrize(("width", "spread", "parts", "block"), PRODUCTS)
def test_attention_is_the_dense_one_forward_and_back(
    width: int, spread: float, parts: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many parts the vocabulary and blocks the sentences are cut into."""
    rng = np.random.default_rng(width)
    corpus = ragged(width)
    monkeypatch.setattr(corpus_arrays, "ENTRIES_A_PART", corpus.counts.nnz // parts)
    monkeypatch.setattr(epochs, "BLOCK", block)
    scores = spread_scores(rng, corpus.n_words, spread)
    values, slopes = rng.standard_normal((corpus.n_words, width)), rng.standard_normal((corpus.n_sentences, width))
    readout_matrix = rng.standard_normal((4, width))
    out = through(corpus, scores, values, slopes, readout_matrix)
    shares = attention_of(corpus, scores)
    along = ((shares @ values) * slopes).sum(axis=1)
    tolerance: dict[str, Any] = {"rtol": 1e-11, "atol": 50 * EPS * (1 + spread)}
    np.testing.assert_allclose(out.contexts, shares @ values, **tolerance)
    np.testing.assert_allclose(out.value_gradient, shares.T @ slopes, **tolerance)
    np.testing.assert_allclose(
        out.score_gradient, ((shares.T @ slopes) * values).sum(axis=1) - shares.T @ along, **tolerance
    )
    np.testing.assert_allclose(out.received, shares.sum(axis=0), **tolerance)
    norms = (out.score_gradient**2).sum(), ((out.value_gradient @ readout_matrix.T) ** 2).sum()
    np.testing.assert_allclose(out.squares, norms, rtol=1e-11)


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 8])
def test_parts_of_the_vocabulary_have_about_equal_work(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = ragged(3)
    monkeypatch.setattr(corpus_arrays, "ENTRIES_A_PART", corpus.counts.nnz // parts)
    bounds, counts = Data.of(corpus, [], np.empty(0, np.int64)).words.parts, corpus.counts
    assert bounds.size == parts + 1
    assert (bounds[0], bounds[-1]) == (0, corpus.n_words)
    work = np.bincount(counts.indices, minlength=corpus.n_words) + corpus_arrays.WORK_A_WORD
    each = [work[start:stop].sum() for start, stop in pairwise(bounds)]
    assert max(each) <= work.sum() / parts + work.max()


@pytest.mark.parametrize("parts", [1, 3])
def test_a_batch_has_the_arrays_of_a_corpus_of_its_sentences(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, frozen, rows = ragged(3), np.array([1]), np.array([4, 0, 7, 2])
    monkeypatch.setattr(corpus_arrays, "ENTRIES_A_PART", corpus.counts.nnz // parts)
    whole = Data.of(corpus, [], frozen)
    batch = whole.batch(rows)
    monkeypatch.setattr(corpus_arrays, "ENTRIES_A_PART", corpus.take(rows).counts.nnz // parts)
    expected = Data.of(corpus.take(rows), [], frozen)
    assert batch.parts == expected.parts == parts
    for name in ("sentences", "words"):
        for array, other in zip(getattr(batch, name), getattr(expected, name), strict=True):
            assert array.dtype == other.dtype
            np.testing.assert_array_equal(array, other)
    assert not np.array_equal(batch.words.rows, whole.batch(rows[::-1]).words.rows)


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_in_many_parts_is_exact(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_arrays, "ENTRIES_A_PART", 5)
    for d in (2, 8):
        corpus = topic_corpus(1, sentences=33)
        parameters = parameters_for(corpus, model, 1, d=d)
        value, gradient = loss_and_gradient(corpus, parameters)
        reference = dense(corpus, parameters)
        assert value == pytest.approx(reference.loss, rel=1e-12)
        for name in trained_names(parameters.head):
            ours = named(gradient)[name]
            assert relative_error(ours, reference.gradient[name], reference.round_off[name]) <= 1e-10


def test_turns_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many epochs are computed at a time."""
    corpus = topic_corpus(2, sentences=33)
    for model in MODELS:
        start = parameters_for(corpus, model, 2, d=7)
        options = {"epochs": 70, "follow": (0, 5, 13), "evaluate_on": {"dev": topic_corpus(3)}, "patience": 60}
        whole = descend(corpus, start, **options).trajectory
        with monkeypatch.context() as patch:
            patch.setattr("attn_dynamics.system.threads.TURN", 0.0)
            assert descend(corpus, start, **options).trajectory.identical(whole)


@pytest.mark.parametrize("spread", SPREADS)
def test_the_mean_attention_of_a_few_words_is_that_of_the_dense_matrix(spread: float) -> None:
    rng = np.random.default_rng(1)
    corpus, columns = ragged(5), np.array([4, 0, 24, 4])
    scores, head = spread_scores(rng, corpus.n_words, spread), HEADS["attn-fc"].draw(rng, 3, 3, 1)
    row = np.empty(2 + epochs.SIGNALS + 4 * columns.size)
    Objective(corpus, scores, rng.standard_normal((3, corpus.n_words)), head, followed=columns).record(row)
    means = row[-2 * columns.size : -columns.size]
    shares, held = attention_of(corpus, scores), corpus.counts.toarray() > 0
    expected = [shares[held[:, column], column].mean() if held[:, column].any() else np.nan for column in columns]
    np.testing.assert_allclose(means, expected, rtol=1e-11, atol=1e-300)
    assert np.isnan(means[2])


# --- words


@pytest.mark.parametrize("n_words", [1, 2, 255, 256, 257, 700])
@pytest.mark.parametrize("spread", [0.0, *SPREADS])
def test_an_operand_is_the_weighted_values_beside_their_weights(spread: float, n_words: int) -> None:
    rng = np.random.default_rng(n_words)
    scores = spread * rng.uniform(-1, 1, n_words)
    low, high = words.extent(scores)
    assert (low, high) == (scores.min(), scores.max())
    for width in (1, 2, 3, 4, 7, 10):
        values = rng.standard_normal((width, n_words))
        for wide, weights in ((False, np.exp(scores - high)), (True, np.ones(n_words))):
            out = np.zeros((n_words, columns_of(width)))
            words.fill_operand(0, n_words, wide, high, scores, values, out)
            np.testing.assert_allclose(out[:, 0], weights, rtol=4 * EPS, atol=1e-300)
            np.testing.assert_array_equal(out[:, 1 : width + 1], out[:, :1] * values.T)


def test_an_extent_with_a_score_that_is_no_number_is_none() -> None:
    for wrong in (np.nan, np.inf, -np.inf):
        low, high = words.extent(np.array([1.0, wrong, 2.0]))
        assert not np.isfinite(high - low)


SHAPES = [(d, k) for d in (1, 2, 5, 13) for k in (1, 3, 4, 9)]


@pytest.mark.parametrize(("d", "k"), SHAPES)
def test_products_over_the_vocabulary_are_those_of_numpy(d: int, k: int) -> None:
    rng = np.random.default_rng(10 * d + k)
    axes, slopes, weight = (rng.standard_normal(shape) for shape in ((d, 600), (k, 600), (d, k)))
    out, again = np.full((k, 600), np.nan), np.zeros((k, 600))
    words.clear(0, 600, out)
    words.step_and_project(0, 600, axes, slopes, weight, 0.0, weight, out)
    np.testing.assert_allclose(out, weight.T @ axes, atol=50 * EPS)

    pulled = np.zeros((d, k))
    words.pull_back(0, 600, axes, slopes, pulled)
    np.testing.assert_allclose(pulled, axes @ slopes.T, atol=1e-12)

    moved, after = axes.copy(), rng.standard_normal((d, k))
    out[...] = 0.0
    words.step_and_project(0, 600, moved, slopes, weight, 0.3, after, out)
    np.testing.assert_allclose(moved, axes - 0.3 * weight @ slopes, atol=50 * EPS)
    words.step_and_project(0, 600, moved, slopes, weight, 0.0, after, again)
    np.testing.assert_array_equal(out, again)

    words.subtract(0, 600, moved, -0.7, axes)
    np.testing.assert_allclose(moved, 1.7 * axes - 0.3 * weight @ slopes, atol=50 * EPS)


@pytest.mark.parametrize("n_words", [3, 7, 8, 9, 600])
def test_squared_norms_are_those_of_the_gradients_for_any_number_of_words(n_words: int) -> None:
    rng = np.random.default_rng(n_words)
    corpus = ragged(1, n_words=n_words)
    scores, values = rng.standard_normal(n_words), rng.standard_normal((n_words, 5))
    slopes = rng.standard_normal((corpus.n_sentences, 5))
    for readout_matrix in (np.eye(5), rng.standard_normal((3, 5)), rng.standard_normal((9, 5))):
        out = through(corpus, scores, values, slopes, readout_matrix)
        norms = (out.score_gradient**2).sum(), ((out.value_gradient @ readout_matrix.T) ** 2).sum()
        np.testing.assert_allclose(out.squares, norms, rtol=1e-12)


# --- loss


LOSSES = [
    (n_classes, size, (0.0, 1.0, 30.0, 1e4)[(k + j) % 4])
    for k, n_classes in enumerate((2, 3, 5, 13))
    for j, size in enumerate((1, 2, 255, 256, 257, 600))
]
"""Every number of classes at every size, and every two of classes, size and scale together."""


@pytest.mark.parametrize(("n_classes", "size", "scale"), LOSSES)
def test_cross_entropy_is_that_of_the_formula(n_classes: int, size: int, scale: float) -> None:
    rng = np.random.default_rng(n_classes)
    logits, labels = scale * rng.standard_normal((n_classes, size)), rng.integers(n_classes, size=size)
    slopes, losses = logits.copy(), np.empty(size)
    correct = loss.cross_entropy(slopes, labels, size, losses)
    assert losses.mean() == pytest.approx(cross_entropy_of(logits.T, labels), rel=1e-13)
    assert correct == (logits.argmax(axis=0) == labels).sum()
    expected = (softmax(logits, axis=0) - np.eye(n_classes)[:, labels]) / size
    np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=8 * EPS * (1 + scale) / size)
    np.testing.assert_allclose(slopes.sum(axis=0), 0.0, atol=8 * EPS / size)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("label", [0, 1])
def test_a_logit_that_is_no_number_never_leaves_a_loss_that_is_one(label: int, wrong: float) -> None:
    """Whether it is that of the sentence's class or of another; only −∞ is a limit, of a class that is never chosen."""
    logits, losses = np.zeros((3, 1)), np.empty(1)
    logits[1] = wrong
    with np.errstate(all="ignore"):
        loss.cross_entropy(logits, np.array([label]), 1, losses)
    if label == 0 and wrong == -np.inf:
        assert losses[0] == pytest.approx(np.log(2))
    else:
        assert not np.isfinite(losses[0])


# --- exponential


@njit
def exponentials(x: Array, out: Array) -> None:
    for place in range(x.size):
        out[place] = exponential(x[place])


@njit
def logarithms(x: Array, out: Array) -> None:
    for place in range(x.size):
        out[place] = log1p(x[place])


def exponential_of(x: Array) -> Array:
    out = np.empty(x.size)
    exponentials(x, out)
    return out


def units(found: Array, function: Callable[[Any], Any], x: Array) -> float:
    """Return the largest error of f(x), in units in the last place of the exact value."""
    with mpmath.workdps(60):
        pairs = [(mpmath.mpf(float(y)), function(mpmath.mpf(float(each)))) for y, each in zip(found, x, strict=True)]
        return max(float(abs(y - exact) / float(np.spacing(float(exact)))) for y, exact in pairs)


@settings(max_examples=50)
@given(st.lists(st.floats(-800.0, 700.0), min_size=1, max_size=300))
def test_the_exponential_is_right_to_two_units_in_the_last_place(values: list[float]) -> None:
    x = np.array(values)
    assert units(exponential_of(x), mpmath.exp, x) <= 2


@settings(max_examples=50)
@given(st.lists(st.one_of(st.floats(0.0, 1.0), st.floats(1.0, 2.0**52)), min_size=1, max_size=300))
def test_the_logarithm_is_right_to_two_units_in_the_last_place(values: list[float]) -> None:
    x, out = np.array(values), np.empty(len(values))
    logarithms(x, out)
    assert units(out, mpmath.log1p, x) <= 2


def test_a_logarithm_of_the_rounded_sum_is_noticed() -> None:
    x = np.array([1e-9, 3e-5])
    assert units(np.log(1 + x), mpmath.log1p, x) > 1e3


def test_the_exponential_is_exact_at_zero_and_nothing_far_below() -> None:
    assert exponential_of(np.array([0.0, -0.0])).tolist() == [1.0, 1.0]
    assert exponential_of(np.array([-746.0, -1e5, -np.inf])).tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(exponential_of(np.array([np.nan]))).all()


def test_the_exponential_rises() -> None:
    x = np.linspace(-40, 40, 20_001)
    assert (np.diff(exponential_of(x)) > 0).all()


# --- threads

DIGESTS = """
import hashlib
import numpy as np
import numba
from attn_dynamics.model import corpus_arrays
from attn_dynamics.tasks import Synthetic
from attn_dynamics.training.dynamics import Dynamics
from tests.support import parameters_for

corpus_arrays.ENTRIES_A_PART = 2000
task = Synthetic(sentences=900, dictionary=1500).draw(0)
assert numba.config.NUMBA_NUM_THREADS == 3
followed = task.train.columns(["t1.1", "w3"])
for model in MODELS:
    for spread in (1.0, 500.0):
        for d in (2, 6):
            start = parameters_for(task.train, model, 0, d=d, spread=spread)
            found = set()
            for threads in (0, 1, 2, 3):
                numba.set_num_threads(threads or 3)
                dynamics = Dynamics(task.train, start, others=[task.test], followed=followed)
                assert dynamics.objective.parts > 1
                rows = np.empty((9, 2 + 2 + 4 + 4 * 2))
                dynamics.record(rows[0])
                assert dynamics.advance(rows[1:], 0.1, threads=threads > 0) == 8
                gradient = dynamics.objective.gradient()
                arrays = [rows, *dynamics.state().values(), gradient.scores, gradient.axes, *gradient.head.values()]
                found.add(hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)).hexdigest())
            print(model, spread, d, len(found))
"""


def test_any_number_of_threads_gives_the_same_bits() -> None:
    """In a process of its own, since the number of threads is settled when numba is first used.

    The loop of one thread steps first layer and embeddings axis by axis, that of several by words.
    """
    environment = os.environ | {"NUMBA_NUM_THREADS": "3", "NUMBA_DISABLE_JIT": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"MODELS = {MODELS}\n{DIGESTS}"],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4 * len(MODELS)
    assert [line for line in lines if not line.endswith(" 1")] == []


def test_an_objective_of_every_head_runs_in_the_smaller_of_two_widths() -> None:
    """What the products cost: the columns of the operand."""
    corpus = topic_corpus(n_classes=3)
    rng = np.random.default_rng(0)
    for model, hidden_width in (("attn-fc", 2), ("attn-tc", 2), ("attn-tl", 4)):
        for d in (1, 2, 3, 9):
            head = HEADS[model].draw(rng, d, 3, 4)
            objective = Objective(corpus, np.zeros(corpus.n_words), np.ones((d, corpus.n_words)), head)
            assert objective.evaluate()[1].values.shape == (min(d, hidden_width), corpus.n_words)
