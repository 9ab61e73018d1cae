"""Claims: laws A1, A5 and A6 of theory §2 hold at every step of descent, for every head and data, to round-off."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, FixedLinear, Parameters, Run, descend, loss_and_gradient
from attn_dynamics.dynamics import Dynamics
from attn_dynamics.errors import InputError
from attn_dynamics.heads import HEADS
from attn_dynamics.parameters import TRAINABLE
from tests.support import (
    MODELS,
    Array,
    Case,
    cases,
    corpora,
    dense,
    examples,
    named,
    parameters_for,
    relative_error,
    topic_corpus,
    trained_names,
)

SUBSETS = [tuple(name for k, name in enumerate(TRAINABLE) if number >> k & 1) for number in range(2 ** len(TRAINABLE))]
"""All that `train` may be, the empty one included."""


def ids(train: Collection[str]) -> str:
    return "+".join(train) or "nothing"


def states(
    corpus: Corpus, start: Parameters, train: Collection[str], *, epochs: int, rate: float = 0.3, reduced: bool = True
) -> Iterator[Parameters]:
    """The parameters before every step, and after the last."""
    dynamics = Dynamics(corpus, start, train=train, reduced=reduced)
    for _ in range(epochs):
        yield dynamics.parameters()
        dynamics.step(dynamics.evaluate()[1], rate)
    yield dynamics.parameters()


# --- one step


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("train", SUBSETS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a_step_takes_the_gradient_times_the_rate_off_what_is_trained_and_nothing_else(
    model: str, train: tuple[str, ...], reduced: bool
) -> None:
    for seed, d in enumerate((2, 3, 7)):
        corpus = topic_corpus(seed)
        start = parameters_for(corpus, model, seed, d=d, hidden=4)
        gradient = named(loss_and_gradient(corpus, start)[1])
        *_, after = states(corpus, start, train, epochs=1, rate=0.7, reduced=reduced)
        moving = {name for name in trained_names(start.head) if name.split(".")[0] in train}
        for name, array in named(after).items():
            before = named(start)[name]
            if name in moving:
                np.testing.assert_allclose(array, before - 0.7 * gradient[name], rtol=0, atol=1e-13)
            else:
                np.testing.assert_array_equal(array, before, err_msg=name)


@given(st.sampled_from(MODELS).flatmap(cases), st.sampled_from(SUBSETS), st.booleans())
def test_the_gradient_along_a_course_is_that_of_loss_and_gradient(
    case: Case, train: tuple[str, ...], reduced: bool
) -> None:
    """Whatever coordinates move inside."""
    dynamics = Dynamics(case.corpus, case.parameters, train=train, reduced=reduced)
    fit, gradient = dynamics.evaluate()
    loss, reference = loss_and_gradient(case.corpus, case.parameters)
    allowed = dense(case.corpus, case.parameters).round_off
    assert fit.loss == pytest.approx(loss, rel=1e-11)
    ours = np.outer(gradient.scores, case.parameters.query)
    assert relative_error(ours, reference.keys, 2 * allowed["keys"]) <= 1e-10
    signals = descend(case.corpus, case.parameters, train=train, reduced=reduced, epochs=0).trajectory.isel(epoch=0)
    for name, exact in (("scores", gradient.scores), ("embeddings", reference.embeddings)):
        measured = float(signals[f"{name.removesuffix('s')}_signal"])
        assert measured == pytest.approx(np.linalg.norm(exact), rel=1e-10, abs=2 * allowed[name] * exact.size**0.5)


@pytest.mark.parametrize("train", SUBSETS, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a_state_that_is_restored_goes_on_as_it_did(model: str, train: tuple[str, ...]) -> None:
    corpus = topic_corpus(3)
    dynamics = Dynamics(corpus, parameters_for(corpus, model, 3, d=6), train=train)
    dynamics.step(dynamics.evaluate()[1], 0.5)
    kept = {name: array.copy() for name, array in dynamics.state().items()}

    def goes_on() -> list[bytes]:
        for _ in range(3):
            dynamics.step(dynamics.evaluate()[1], 0.5)
        return [array.tobytes() for array in named(dynamics.parameters()).values()]

    first = goes_on()
    dynamics.restore(kept)
    assert goes_on() == first


def test_parameters_come_in_arrays_of_their_own() -> None:
    corpus = topic_corpus()
    for model in MODELS:
        for reduced in (True, False):
            start = parameters_for(corpus, model, 0, d=6)
            dynamics = Dynamics(corpus, start, train=TRAINABLE, reduced=reduced)
            before = dynamics.parameters()
            kept = {name: array.copy() for name, array in named(before).items()}
            dynamics.step(dynamics.evaluate()[1], 0.5)
            for name, array in named(before).items():
                np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize(("train", "given_"), [("keys", "'keys'"), (("keys", "heads"), "'heads'"), (("",), "''")])
def test_an_unknown_name_in_train_is_refused(train: Collection[str], given_: str) -> None:
    corpus = topic_corpus()
    with pytest.raises(InputError, match=f"train: expected any of query, keys, embeddings, head, got {given_}"):
        Dynamics(corpus, parameters_for(corpus, "attn-fc", 0), train=train)


# --- A1


def score_sum_excess(corpus: Corpus, parameters: Parameters, gradient: Array) -> float:
    """|Σ_w ∂L/∂s_w| in shares of the round-off that V terms of this size may leave."""
    allowed = dense(corpus, parameters).round_off["scores"] * corpus.n_words
    return float(abs(gradient.sum())) / max(allowed, np.finfo(float).tiny)


@settings(max_examples=examples(200))
@given(st.sampled_from(MODELS).flatmap(cases))
def test_a1_the_score_gradients_sum_to_zero(case: Case) -> None:
    gradient = Dynamics(case.corpus, case.parameters, train=()).evaluate()[1]
    assert score_sum_excess(case.corpus, case.parameters, gradient.scores) <= 1.0


def key_sum_drift(course: Iterator[Parameters]) -> float:
    """How far Σ_w κ_w moves along a course, in shares of Σ_w |κ_w| at its largest."""
    keys = np.array([each.keys for each in course])
    sums = keys.sum(axis=1)
    return float(np.abs(sums - sums[0]).max() / np.abs(keys).sum(axis=1).max())


@settings(max_examples=examples(60))
@given(
    corpora(),
    st.sampled_from(MODELS),
    st.sampled_from([train for train in SUBSETS if "keys" in train]),
    st.integers(0, 2**32 - 1),
    st.sampled_from((0.0, 3.0, 300.0)),
)
def test_a1_the_sum_of_the_keys_never_moves(
    corpus: Corpus, model: str, train: tuple[str, ...], seed: int, spread: float
) -> None:
    """At every step of descent, the query trained or not."""
    start = parameters_for(corpus, model, seed, spread=spread)
    assert key_sum_drift(states(corpus, start, train, epochs=20)) <= 1e-13


def test_a1_rejects_a_score_gradient_with_a_lost_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the −v of ν − v, and with a part of the sentences left out of it."""
    corpus = topic_corpus(4)
    start = parameters_for(corpus, "attn-tc", 4)
    gradient = Dynamics(corpus, start, train=(), reduced=False).evaluate()[1]
    weight, slope = gradient.embeddings, gradient.scores
    assert score_sum_excess(corpus, start, slope) <= 1.0
    assert score_sum_excess(corpus, start, (weight * start.embeddings).sum(axis=1)) > 1e6
    assert score_sum_excess(corpus, start, slope * (1 + 1e-9 * (np.arange(slope.size) == 0))) > 1.0

    right = Dynamics.evaluate

    def wrong(self: Dynamics):
        fit, gradient = right(self)
        return fit, gradient._replace(scores=np.abs(gradient.scores))

    monkeypatch.setattr(Dynamics, "evaluate", wrong)
    assert key_sum_drift(states(corpus, start, ("keys",), epochs=5)) > 1e-4


# --- A5


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0.01, 100.0))
def test_a5_whatever_one_query_can_say_another_can(d_k: int, n_words: int, seed: int, size: float) -> None:
    """For q, q' ≠ 0 and any K there is K' with K'q' = Kq."""
    rng = np.random.default_rng(seed)
    query, other = rng.standard_normal(d_k), size * rng.standard_normal(d_k)
    keys = rng.standard_normal((n_words, d_k))
    keys_of_other = np.outer(keys @ query, other) / (other @ other)
    np.testing.assert_allclose(keys_of_other @ other, keys @ query, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("train", [("keys",), ("keys", "embeddings"), ("keys", "embeddings", "head")], ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a5_queries_of_one_norm_lead_the_same_course(model: str, train: tuple[str, ...]) -> None:
    rng = np.random.default_rng(5)
    corpus = topic_corpus(5)
    start = parameters_for(corpus, model, 5, d_k=4)
    turned = np.linalg.qr(rng.standard_normal((4, 4)))[0] @ start.query
    keys = np.outer(start.scores, turned) / (turned @ turned)
    other = replace(start, query=turned, keys=keys)
    runs = [descend(corpus, each, train=train, epochs=200, follow=range(5)) for each in (start, other)]
    assert max(differences(*runs).values()) <= 1e-11
    assert not np.allclose(runs[0].trajectory.score[-1], runs[0].trajectory.score[0], atol=1e-2)
    first, second = (run.parameters for run in runs)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-11)


def test_a5_a_query_of_another_norm_leads_another_course() -> None:
    """Negative control of the check above."""
    corpus = topic_corpus(5)
    start = parameters_for(corpus, "attn-fc", 5)
    longer = replace(start, query=1.01 * start.query, keys=start.keys / 1.01)
    runs = [descend(corpus, each, epochs=200) for each in (start, longer)]
    assert max(differences(*runs).values()) > 1e-6


def test_keys_orthogonal_to_a_fixed_query_never_move() -> None:
    corpus = topic_corpus(6)
    start = parameters_for(corpus, "attn-fc", 6, d_k=5)
    *_, end = states(corpus, start, ("keys", "embeddings"), epochs=50)
    moved = end.keys - start.keys
    unit = start.query / np.linalg.norm(start.query)
    assert np.abs(moved).max() > 0.1
    assert np.abs(moved - np.outer(moved @ unit, unit)).max() <= 1e-15 * 50


# --- A6


def differences(first: Run, second: Run) -> dict[str, float]:
    """Largest distance between two runs in every recorded variable, relative to 1 or the variable's largest value."""
    assert first.trajectory.sizes == second.trajectory.sizes
    out = {}
    for name, variable in first.trajectory.variables.items():
        if variable.dtype.kind != "f":
            assert variable.equals(second.trajectory[name].variable), name
            continue
        ours, other = variable.values, second.trajectory[name].values
        # What is no number in one is none in the other.
        known = np.isfinite(ours)
        assert (known == np.isfinite(other)).all(), name
        size = max(1.0, float(np.abs(ours[known]).max(initial=0.0)))
        out[str(name)] = float(np.abs(ours[known] - other[known]).max(initial=0.0)) / size
    return out


def parameter_differences(first: Run, second: Run) -> dict[str, float]:
    assert first.parameters is not None
    assert second.parameters is not None
    other = named(second.parameters)
    return {name: float(np.abs(array - other[name]).max()) for name, array in named(first.parameters).items()}


WITHOUT_HEAD = [train for train in SUBSETS if "head" not in train and train]


@pytest.mark.parametrize("train", WITHOUT_HEAD, ids=ids)
@pytest.mark.parametrize("model", MODELS)
def test_a6_the_reduced_course_is_the_full_one(model: str, train: tuple[str, ...]) -> None:
    """Wherever the head's first layer is fixed, not only in Attn-FC."""
    for seed, (d, hidden) in enumerate(((2, 2), (5, 3), (12, 4))):
        corpus, test = topic_corpus(seed), topic_corpus(seed + 10)
        start = parameters_for(corpus, model, seed, d=d, hidden=hidden)
        reduced, full = (
            descend(corpus, start, train=train, epochs=150, judge={"test": test}, follow=range(6), reduced=choice)
            for choice in (True, False)
        )
        assert max(differences(reduced, full).values()) <= 1e-11
        assert max(parameter_differences(reduced, full).values()) <= 1e-11


@pytest.mark.parametrize("d", [2, 3, 4, 10, 40])
def test_a6_attn_fc_in_n_dimensions_is_attn_fc_in_d(d: int) -> None:
    corpus = topic_corpus(7)
    start = parameters_for(corpus, "attn-fc", 7, d=d)
    reduced, full = (descend(corpus, start, epochs=1000, follow=range(6), reduced=choice) for choice in (True, False))
    assert max(differences(reduced, full).values()) <= 1e-11
    assert max(parameter_differences(reduced, full).values()) <= 1e-11


def test_a6_fewer_numbers_move_where_it_holds() -> None:
    corpus = topic_corpus(n_classes=3)
    for model, train, moving in (
        ("attn-fc", ("embeddings", "head"), 2),
        ("attn-tc", ("embeddings",), 2),
        ("attn-tl", ("embeddings",), 4),
        ("attn-tc", ("embeddings", "head"), 9),
        ("attn-tl", ("embeddings", "head"), 9),
    ):
        start = parameters_for(corpus, model, 0, d=9, hidden=4)
        for reduced, wanted in ((True, moving), (False, 9)):
            state = Dynamics(corpus, start, train=train, reduced=reduced).state()
            assert sorted(state["axes"].shape) == sorted((wanted, corpus.n_words))


def strayed(start: Parameters, course: Iterator[Parameters]) -> float:
    """How far the part of E orthogonal to all differences of two columns of U moves, relative to what E moves."""
    weight = start.head.first_layer
    basis = np.linalg.svd(weight[:, 1:] - weight[:, :1], full_matrices=False)[0]
    moved = np.array([each.embeddings - start.embeddings for each in course])
    return float(np.abs(moved - moved @ basis @ basis.T).max() / np.abs(moved).max())


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_a6_only_contrasts_of_classes_move_the_embeddings(n_classes: int, reduced: bool) -> None:
    """The law sharpened: n − 1 directions, spanned by differences of columns of U, hold all motion of E."""
    corpus = topic_corpus(8, n_classes=n_classes)
    start = parameters_for(corpus, "attn-fc", 8, d=9)
    course = list(states(corpus, start, ("keys", "embeddings"), epochs=60, reduced=reduced))
    assert strayed(start, iter(course)) <= 1e-13
    moved = np.concatenate([each.embeddings - start.embeddings for each in course])
    sizes = np.linalg.svd(moved, compute_uv=False)
    assert (sizes > 1e-10 * sizes[0]).sum() == n_classes - 1


def test_a6_rejects_a_head_that_is_trained_and_a_span_that_is_another() -> None:
    """Negative controls: E leaves the span of U₀ where U moves, and that of another U at once."""
    corpus = topic_corpus(9)
    start = parameters_for(corpus, "attn-tc", 9, d=9)
    course = list(states(corpus, start, ("embeddings", "head"), epochs=60))
    assert strayed(start, iter(course)) > 1e-3
    fixed = replace(start, head=FixedLinear(weight=start.head.first_layer))
    course = list(states(corpus, fixed, ("embeddings",), epochs=60))
    other = replace(fixed, head=FixedLinear(weight=start.head.first_layer[::-1]))
    assert strayed(fixed, iter(course)) <= 1e-13
    assert strayed(other, iter(course)) > 1e-3


@pytest.mark.parametrize("breakage", ["a sign", "a factor"])
def test_a6_rejects_a_reduced_gradient_that_is_wrong(breakage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = topic_corpus(7)
    start = parameters_for(corpus, "attn-fc", 7, d=10)
    full = descend(corpus, start, epochs=50, reduced=False)
    right = Dynamics.step

    def wrong(self: Dynamics, gradient, learning_rate: float) -> None:
        factor = -1.0 if breakage == "a sign" else 1.0 + 1e-6
        right(self, gradient._replace(values=factor * gradient.values), learning_rate)

    monkeypatch.setattr(Dynamics, "step", wrong)
    reduced = descend(corpus, start, epochs=50)
    assert max(differences(reduced, full).values()) > 1e-11
    assert max(parameter_differences(reduced, full).values()) > 1e-11


def test_embedding_norms_are_those_of_the_parameters() -> None:
    for model in HEADS:
        for reduced in (True, False):
            corpus = topic_corpus(1)
            dynamics = Dynamics(corpus, parameters_for(corpus, model, 1, d=8), train=("embeddings",), reduced=reduced)
            for _ in range(3):
                dynamics.step(dynamics.evaluate()[1], 1.0)
            wanted = np.linalg.norm(dynamics.parameters().embeddings, axis=1)
            np.testing.assert_allclose(dynamics.embedding_norms(), wanted, rtol=1e-13)
            np.testing.assert_allclose(dynamics.embedding_norms(np.array([4, 0])), wanted[[4, 0]], rtol=1e-13)
