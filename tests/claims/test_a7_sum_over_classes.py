"""Claim A7: the sum over classes of what the last layer learns never moves, in no step and along the flow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Parameters, flow, loss_and_gradient
from attn_dynamics.claims.a7_sum_over_classes import OneBias, with_one_bias
from attn_dynamics.training.descent import descend
from attn_dynamics.training.rules import RULES
from tests.support import Case, cases, end, examples, parameters_for, states, topic_corpus

TRAINED = ("attn-tc", "attn-tl")
LAST = ("weight", "weight_out", "bias_out")


def class_sums(parameters: Parameters, weigh: float = 1.0) -> np.ndarray:
    """Sums over classes of all last layers, one after the other, the first class weighed."""
    arrays = [array for name, array in parameters.head.arrays().items() if name in LAST]
    weights = np.r_[weigh, np.ones(parameters.head.n_classes - 1)]
    return np.concatenate([np.ravel(array @ weights) for array in arrays])


@settings(max_examples=examples(100))
@given(st.sampled_from(TRAINED).flatmap(cases))
def test_a7_the_gradients_of_the_classes_sum_to_zero(case: Case) -> None:
    """To round-off of their terms, at scores and margins of any size."""
    gradient = loss_and_gradient(case.corpus, case.parameters)[1]
    for name, array in gradient.head.arrays().items():
        if name in LAST:
            assert np.abs(array.sum(axis=-1)).max() <= 1e-13 * max(np.abs(array).max(), 1e-300)


@pytest.mark.parametrize("rule", ["descent", "momentum"])
@pytest.mark.parametrize("model", TRAINED)
def test_a7_no_step_moves_them(model: str, rule: str) -> None:
    """A rule that adds up gradients keeps them as well, and so do mini-batches; sign descent does not."""
    corpus = topic_corpus(3)
    start = parameters_for(corpus, model, 3)
    steps = {"learning_rate": 0.1, "epochs": 40, "batch_size": 5}
    after = end(descend(corpus, start, rule=RULES[rule](), **steps))
    assert np.abs(class_sums(after) - class_sums(start)).max() <= 1e-13
    assert np.abs(class_sums(after, 0.99) - class_sums(start, 0.99)).max() > 1e-5, "negative control"
    after = end(descend(corpus, start, rule=RULES["sign"](), **steps))
    assert np.abs(class_sums(after) - class_sums(start)).max() > 1e-2, "negative control"


def test_a7_nor_does_the_flow() -> None:
    corpus = topic_corpus(3)
    start = parameters_for(corpus, "attn-tc", 3)
    after = end(flow(corpus, start, times=[10.0]))
    assert np.abs(class_sums(after) - class_sums(start)).max() <= 1e-13
    assert np.abs(after.head.first_layer - start.head.first_layer).max() > 0.1


def test_a7_needs_every_class() -> None:
    """Negative control: of a bias that one class alone learns the sum moves, that of the columns beside it does not."""
    corpus = topic_corpus(3)
    start = with_one_bias(parameters_for(corpus, "attn-tc", 3))
    assert isinstance(start.head, OneBias)
    *_, last = states(corpus, start, ("keys", "embeddings", "head"), epochs=20)
    moved = np.abs(class_sums(last) - class_sums(start))
    assert moved[:-1].max() <= 1e-13
    assert moved[-1] > 1e-3
