"""Claim: the gradient of every parameter of every head is autograd's, and the loss's own slope, to 1e-10 relative."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics import FixedLinear, Parameters, TrainedLinear, TwoLayer, descend, loss_and_gradient
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.readable_gradient import reference_loss_and_gradient
from tests.support import (
    EPS,
    MODELS,
    SPREADS,
    Case,
    Dense,
    attention_of,
    built,
    cases,
    corpora,
    cross_entropy_of,
    dense,
    examples,
    formula,
    named,
    numbered,
    own_logits,
    parameters_for,
    relative_error,
    tokens_of,
    topic_corpus,
    trained_names,
)

TOLERANCE = 1e-10
CASES = (300, pytest.param(1000, marks=pytest.mark.slow))
"""Drawn cases for each head: few in haste, since the gradient is proved, and compared on two grids below."""
KINK = 1e-8
"""A relu whose input is nearer to 0 than this has no gradient to compare with."""


def gradient_errors(case: Case, gradient: Parameters, reference: Dense | None = None) -> dict[str, float]:
    """Relative error of every array of a gradient against autograd; infinite where a fixed array is given any."""
    reference = reference or dense(case.corpus, case.parameters)
    trained = trained_names(case.parameters.head)
    return {
        name: relative_error(ours, reference.gradient[name], reference.round_off[name])
        if name in trained
        else (np.inf if ours.any() else 0.0)
        for name, ours in named(gradient).items()
    }


@pytest.mark.parametrize("number", CASES)
@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_is_that_of_autograd(model: str, number: int) -> None:
    @settings(max_examples=examples(number))
    @given(cases(model))
    def check(case: Case) -> None:
        loss, gradient = loss_and_gradient(case.corpus, case.parameters)
        reference = dense(case.corpus, case.parameters)
        assume(reference.preactivation > KINK)
        assert abs(loss - reference.loss) <= 1e-12 * max(1.0, reference.loss)
        assert max(gradient_errors(case, gradient, reference).values()) <= TOLERANCE
        loss, gradient = reference_loss_and_gradient(case.corpus, case.parameters)
        assert abs(loss - reference.loss) <= 1e-12 * max(1.0, reference.loss)
        assert max(gradient_errors(case, gradient, reference).values()) <= TOLERANCE

    check()


NAMED_CASES = {
    "repeated words": ([[0, 0, 0, 1], [1, 1, 2, 2], [2, 0, 2]], [0, 1, 2], 3, 3),
    "sentences of one word": ([[0], [1], [2], [0]], [0, 1, 1, 1], 3, 2),
    "one sentence": ([[0, 1, 2, 1]], [1], 3, 2),
    "one word": ([[0, 0], [0]], [0, 1], 1, 2),
    "words in no sentence": ([[1, 3], [3, 4]], [0, 1], 9, 2),
    "classes absent from the data": ([[0, 1], [1, 2]], [2, 2], 3, 6),
}


CORNERS = [
    (MODELS[(k + j) % len(MODELS)], name, spread)
    for k, name in enumerate(NAMED_CASES)
    for j, spread in enumerate(SPREADS)
]
"""Every case at every spread, and every two of all three together."""


@pytest.mark.parametrize(("model", "name", "spread"), CORNERS)
def test_the_gradient_is_exact_in_corner_cases(model: str, name: str, spread: float) -> None:
    corpus = numbered(*NAMED_CASES[name])
    case = Case(corpus, parameters_for(corpus, model, 7, spread=spread))
    loss, gradient = loss_and_gradient(corpus, case.parameters)
    assert loss == pytest.approx(dense(corpus, case.parameters).loss, rel=1e-12)
    assert max(gradient_errors(case, gradient).values()) <= TOLERANCE


SHAPES = [(model, d, (2, 40, 600)[(k + d) % 3]) for k, model in enumerate(MODELS) for d in range(1, 14)]
"""Every head at every width, and every two of head, width and number of sentences together."""


@pytest.mark.parametrize(("model", "d", "sentences"), SHAPES)
def test_the_gradient_is_exact_at_every_width_and_size(model: str, d: int, sentences: int) -> None:
    corpus = topic_corpus(d, sentences=sentences, words=17, n_classes=4)
    case = Case(corpus, parameters_for(corpus, model, d, d=d, d_k=1 + d % 5, hidden=1 + 5 * d % 13))
    _, gradient = loss_and_gradient(corpus, case.parameters)
    assert max(gradient_errors(case, gradient).values()) <= TOLERANCE


@pytest.mark.parametrize("model", MODELS)
def test_scores_two_thousand_apart_in_one_sentence_lose_nothing(model: str) -> None:
    """The word of the largest score takes all attention, in a sentence of high scores as in one of low scores."""
    corpus = numbered([[0, 1, 2], [1, 2], [2], [0, 3]], [0, 1, 0, 1], 4, 2)
    drawn = parameters_for(corpus, model, 3)
    query = np.array([1.0, 0.0, 0.0])
    keys = np.outer([2000.0, 0.0, -2000.0, 1999.0], query)
    parameters = replace(drawn, query=query, keys=keys)
    loss, gradient = loss_and_gradient(corpus, parameters)
    reference = dense(corpus, parameters)
    assert np.isfinite(loss)
    assert loss == pytest.approx(reference.loss, rel=1e-13)
    # The last sentence shares its attention by e : 1, the others give all of it to one word.
    assert np.abs(reference.gradient["scores"][[0, 3]]).min() > 1e-3
    assert max(gradient_errors(Case(corpus, parameters), gradient).values()) <= TOLERANCE


@pytest.mark.parametrize("model", MODELS)
def test_one_word_sentences_send_nothing_to_the_scores(model: str) -> None:
    corpus = numbered([[0], [1, 1], [2], [2]], [0, 1, 1, 0], 3, 2)
    parameters = parameters_for(corpus, model, 5)
    gradient = loss_and_gradient(corpus, parameters)[1]
    allowed = dense(corpus, parameters).round_off
    assert np.abs(gradient.keys).max() <= allowed["keys"]
    assert np.abs(gradient.query).max() <= allowed["query"]


@pytest.mark.parametrize("model", MODELS)
def test_a_word_in_no_sentence_has_gradient_zero(model: str) -> None:
    corpus = numbered([[1, 3], [3, 1, 1]], [0, 1], 5, 2)
    gradient = loss_and_gradient(corpus, parameters_for(corpus, model, 2, spread=50.0))[1]
    assert not gradient.keys[[0, 2, 4]].any()
    assert not gradient.embeddings[[0, 2, 4]].any()


# --- the same without knowing the head


def _head_loss(case: Case) -> float:
    """The loss by the head's own logits on contexts that are made densely."""
    parameters = case.parameters
    contexts = attention_of(case.corpus, parameters.scores) @ parameters.embeddings
    return cross_entropy_of(own_logits(parameters.head, contexts), case.corpus.labels)


STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
"""Central differences of order eight."""
SLOPE_TOLERANCE = 1e-10


def _slope(case: Case, name: str, direction: np.ndarray, step: float) -> float:
    def loss(distance: float) -> float:
        arrays = named(case.parameters)
        arrays[name] = arrays[name] + distance * direction
        return loss_and_gradient(case.corpus, built(case.parameters, arrays))[0]

    return sum(weight * (loss(k * step) - loss(-k * step)) for k, weight in STENCIL.items()) / step


def slope_errors(case: Case, gradient: Parameters, seed: int) -> dict[str, float] | None:
    """Error of the gradient along a random direction of length one in every array; None where a relu has its kink.

    The formula of order eight is off by O(h⁸), about 1e-22 at h = 2⁻⁹, and by cancellation ε L / h, about 1e-12. It is
    taken at h and at 2h: where these differ the loss has a kink in between.
    """
    rng = np.random.default_rng(seed)
    errors = {}
    for name in sorted(trained_names(case.parameters.head)):
        ours = named(gradient)[name]
        direction = rng.standard_normal(ours.shape)
        direction /= np.linalg.norm(direction)
        coarse, fine = (_slope(case, name, direction, 2.0**-k) for k in (8, 9))
        if abs(coarse - fine) > 0.1 * SLOPE_TOLERANCE:
            return None
        errors[name] = abs(float((ours * direction).sum()) - fine)
    return errors


def slope_error(case: Case, gradient: Parameters, name: str) -> float:
    """The error of one array, along the first direction that crosses no kink."""
    return next(errors[name] for seed in range(100) if (errors := slope_errors(case, gradient, seed)) is not None)


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_is_the_slope_of_the_loss(model: str) -> None:
    """Holds for a head that these tests have never seen."""
    kept = 0

    @settings(max_examples=examples(50))
    @given(corpora(max_sentences=5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
    def check(corpus, d: int, hidden: int, seed: int) -> None:
        nonlocal kept
        case = Case(corpus, parameters_for(corpus, model, seed, d=d, hidden=hidden, scale=0.5))
        loss, gradient = loss_and_gradient(corpus, case.parameters)
        assert loss == pytest.approx(_head_loss(case), rel=1e-13, abs=1e-13)
        errors = slope_errors(case, gradient, seed)
        assume(errors is not None)
        assert errors is not None
        kept += 1
        assert max(errors.values()) <= SLOPE_TOLERANCE

    check()
    assert kept >= 50


def test_every_registered_head_has_a_formula_in_these_tests() -> None:
    rng = np.random.default_rng(0)
    for head in HEADS.values():
        formula(head.draw(rng, 3, 2, 4))


def test_a_registered_head_without_a_formula_is_reported() -> None:
    class Unknown:
        """Stands for a head that someone adds."""

    with pytest.raises(AssertionError, match="add it to FORMULAS"):
        formula(Unknown())  # pyright: ignore[reportArgumentType]


# --- negative controls


BREAKAGES = {
    "a sign": lambda array: -array,
    "a factor of two": lambda array: 2.0 * array,
    "one part in 10⁹": lambda array: (1.0 + 1e-9) * array,
    "one entry missing": lambda array: np.where(
        np.arange(array.size).reshape(array.shape) == np.abs(array).argmax(), 0.0, array
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_gradient_is_rejected_whichever_array_it_is_in(model: str, breakage: str) -> None:
    corpus = topic_corpus(1, sentences=6)
    case = Case(corpus, parameters_for(corpus, model, 1, d=5, spread=3.0))
    gradient = loss_and_gradient(corpus, case.parameters)[1]
    assert max(gradient_errors(case, gradient).values()) <= TOLERANCE
    for name in trained_names(case.parameters.head):
        arrays = named(gradient)
        arrays[name] = BREAKAGES[breakage](arrays[name])
        broken = built(gradient, arrays)
        assert gradient_errors(case, broken)[name] > TOLERANCE
        if breakage != "one part in 10⁹":
            assert slope_error(case, broken, name) > SLOPE_TOLERANCE


def test_a_head_whose_backward_pass_is_wrong_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = topic_corpus(2, sentences=6)
    right = TwoLayer.backward

    def wrong(self: TwoLayer, read, slopes):
        slopes_in, gradients = right(self, read, slopes)
        return slopes_in, gradients | {"bias_in": 0.5 * gradients["bias_in"]}

    monkeypatch.setattr(TwoLayer, "compiled", ())
    monkeypatch.setattr(TwoLayer, "backward", wrong)
    case = Case(corpus, parameters_for(corpus, "attn-tl", 2))
    gradient = loss_and_gradient(corpus, case.parameters)[1]
    assert gradient_errors(case, gradient)["head.bias_in"] > 0.1
    assert slope_error(case, gradient, "head.bias_in") > SLOPE_TOLERANCE


@pytest.mark.parametrize("spread", [1.0, 300.0])
@pytest.mark.parametrize("model", MODELS)
def test_a_head_by_its_own_methods_is_the_compiled_one(
    model: str, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two writings of each head: compiled loops, and `forward` and `backward`."""
    corpus, other = topic_corpus(0), topic_corpus(4)
    for d in (2, 6):
        start = parameters_for(corpus, model, 0, d=d, spread=spread)
        options = {"epochs": 20, "learning_rate": 0.1, "evaluate_on": {"test": other}, "follow": [0, 1]}
        compiled = descend(corpus, start, **options).trajectory
        with monkeypatch.context() as patch:
            patch.setattr(type(start.head), "compiled", ())
            by_methods = descend(corpus, start, **options).trajectory
        for name in compiled.data_vars:
            scale = float(np.nanmax(np.abs(compiled[name].values)))
            np.testing.assert_allclose(by_methods[name], compiled[name], rtol=0, atol=1e-13 * (1 + scale))


def test_the_allowance_for_round_off_is_far_below_the_gradient_of_ordinary_models() -> None:
    for seed in range(20):
        corpus = topic_corpus(seed)
        for model in MODELS:
            reference = dense(corpus, parameters_for(corpus, model, seed))
            for name, allowed in reference.round_off.items():
                if reference.gradient[name].any():
                    assert allowed <= 1e-10 * np.abs(reference.gradient[name]).max()


# --- what comes back, and what is refused


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_has_the_shape_of_the_parameters_in_arrays_of_its_own(model: str) -> None:
    corpus = topic_corpus()
    parameters = parameters_for(corpus, model, 0)
    before = {name: array.copy() for name, array in named(parameters).items()}
    first = named(loss_and_gradient(corpus, parameters)[1])
    copies = {name: array.copy() for name, array in first.items()}
    other = topic_corpus(5)
    loss_and_gradient(other, parameters_for(other, model, 9))
    loss_and_gradient(corpus, parameters_for(corpus, model, 9))
    for name, array in named(parameters).items():
        assert first[name].shape == array.shape
        assert first[name].dtype == np.float64
        np.testing.assert_array_equal(array, before[name])
        np.testing.assert_array_equal(first[name], copies[name])
        assert not any(np.shares_memory(first[name], each) for each in named(parameters).values())


@given(cases("attn-tl", spreads=(3.0, 300.0)), st.data())
def test_the_order_of_sentences_and_the_numbers_of_words_do_not_matter(case: Case, data: st.DataObject) -> None:
    corpus, parameters = case.corpus, case.parameters
    rows = np.array(data.draw(st.permutations(range(corpus.n_sentences)), label="sentences"))
    columns = np.array(data.draw(st.permutations(range(corpus.n_words)), label="words"))
    words = np.argsort(columns)
    tokens = tokens_of(corpus)
    moved = numbered(
        [words[tokens[row]].tolist() for row in rows], corpus.labels[rows].tolist(), corpus.n_words, corpus.n_classes
    )
    renamed = replace(parameters, keys=parameters.keys[columns], embeddings=parameters.embeddings[columns])
    reference = dense(corpus, parameters)
    assume(reference.preactivation > KINK)
    loss, gradient = loss_and_gradient(corpus, parameters)
    moved_loss, moved_gradient = loss_and_gradient(moved, renamed)
    assert moved_loss == pytest.approx(loss, rel=1e-12)
    for name, array in named(gradient).items():
        expected = array[columns] if name in ("keys", "embeddings") else array
        assert relative_error(named(moved_gradient)[name], expected, 2 * reference.round_off[name]) <= 1e-12


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("model", MODELS)
def test_a_corpus_said_twice_has_the_same_gradient(model: str, factor: int) -> None:
    sentences, labels = [[0, 1, 1], [2], [1, 2]], [0, 1, 1]
    once, often = (numbered(k * sentences, k * labels, 3, 2) for k in (1, factor))
    parameters = parameters_for(once, model, 4)
    for ours, again in zip(
        named(loss_and_gradient(once, parameters)[1]).values(),
        named(loss_and_gradient(often, parameters)[1]).values(),
        strict=True,
    ):
        np.testing.assert_allclose(again, ours, rtol=1e-12, atol=4 * EPS)


def test_parameters_of_another_vocabulary_or_number_of_classes_are_refused() -> None:
    corpus = topic_corpus(words=14, n_classes=3)
    for other, given_ in ((topic_corpus(words=13), "13"), (topic_corpus(n_classes=4), "4")):
        with pytest.raises(InputError, match=f"got {given_}.*n_words and n_classes"):
            loss_and_gradient(corpus, parameters_for(other, "attn-fc", 0))


def test_arrays_that_do_not_fit_together_are_refused_by_name() -> None:
    good = {"query": np.ones(2), "keys": np.ones((3, 2)), "embeddings": np.ones((3, 4))}
    head = FixedLinear(weight=np.ones((4, 2)))
    for name, wrong in (
        ("query", np.ones((2, 1))),
        ("query", np.ones(3)),
        ("keys", np.ones(3)),
        ("embeddings", np.ones((2, 4))),
        ("embeddings", np.ones((3, 5))),
    ):
        with pytest.raises(InputError, match=r"expected .* got shape .*\."):
            Parameters(**good | {name: wrong}, head=head)
    for bad, words in (([np.nan, 1.0], "finite"), (["a", "b"], "numbers"), ([1j, 0], "numbers")):
        with pytest.raises(InputError, match=f"^query: .*{words}"), np.errstate(all="ignore"):
            Parameters(**good | {"query": bad}, head=head)  # pyright: ignore[reportArgumentType]


def test_a_head_whose_layers_do_not_fit_is_refused_by_name() -> None:
    good = {
        "weight_in": np.ones((3, 4)),
        "bias_in": np.ones(4),
        "weight_out": np.ones((4, 2)),
        "bias_out": np.ones(2),
    }
    for name, wrong in (("weight_in", np.ones(3)), ("bias_in", np.ones(3)), ("weight_out", np.ones((3, 2)))):
        with pytest.raises(InputError, match=r"TwoLayer\.\w+: expected shape"):
            TwoLayer(**good | {name: wrong})
    with pytest.raises(InputError, match=r"TrainedLinear\.weight: expected finite numbers, got 1 that"):
        TrainedLinear(weight=np.array([[1.0, np.inf]]))
