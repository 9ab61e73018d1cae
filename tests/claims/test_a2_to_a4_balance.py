"""Claims A2 to A4: what is balanced between two neighbouring layers stays so along the flow, and drifts by O(η).

Query and keys q qᵀ - KᵀK (A2); embeddings and head EᵀE - U Uᵀ of Attn-TC (A3) and EᵀE - U₁U₁ᵀ of Attn-TL, and of every
hidden unit ‖U₁[:,h]‖² + b₁[h]² - ‖U₂[h,:]‖² (A4). Descent may cross the switches of relu; along the flow none switches
here: see `flow`.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, Parameters, TwoLayer, descend, flow
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.theory.invariants import invariants
from tests.support import MODELS, Case, attention_of, corpora, end, examples, parameters_for, topic_corpus

RATES = 0.02 / 2.0 ** np.arange(3)
SEEN = 1e-3
"""Drift over η from which an order can be read: smaller ones may have lost their first order by cancellation."""

LAWS = {
    "A2": (("query_keys",), MODELS, ("query", "keys")),
    "A3": (("embeddings_head",), ["attn-tc"], ("embeddings", "head")),
    "A4": (("embeddings_head", "hidden_units"), ["attn-tl"], ("embeddings", "head")),
}
"""Of each claim the conserved quantities, the models, and the two layers that have to be trained."""


@st.composite
def trainings(draw: st.DrawFn, model: str, *, away: float = 0.0) -> Case:
    """A corpus and an ordinary start, all |b₁| of which are moved `away` from 0."""
    corpus = draw(corpora(max_sentences=6))
    shape = {name: draw(st.integers(2, 5), label=name) for name in ("d", "d_k", "hidden")}
    start = parameters_for(corpus, model, draw(st.integers(0, 2**32 - 1), label="seed"), spread=1.0, **shape)
    if start.head.smooth:
        return Case(corpus, start)
    biases = start.head.arrays()["bias_in"]
    return Case(corpus, replace(start, head=start.head.replace(bias_in=biases + np.copysign(away, biases))))


def drift(name: str, before: Parameters, after: Parameters) -> float:
    """How far it moved, in shares of its largest entry and 1."""
    first, last = (invariants(parameters, TRAINABLE)[name] for parameters in (before, after))
    return float(np.abs(last - first).max() / max(1.0, np.abs(first).max()))


def drift_under_flow(name: str, case: Case, train: Collection[str], *, time: float = 2.0) -> float:
    run = flow(case.corpus, case.parameters, times=[time], train=train, rtol=1e-11, atol=1e-13, max_steps=5000)
    return drift(name, case.parameters, end(run))


def drifts_under_descent(
    name: str, corpus: Corpus, start: Parameters, train: Collection[str], *, time: float = 0.5
) -> np.ndarray:
    """At each of `RATES`, to the same time."""
    ends = (
        end(descend(corpus, start, learning_rate=eta, epochs=round(time / eta), train=train, reduced=False))
        for eta in RATES
    )
    return np.array([drift(name, start, each) for each in ends])


def order(drifts: np.ndarray) -> float:
    """In the learning rate."""
    return float(np.polyfit(np.log(RATES), np.log(drifts), 1)[0])


@st.composite
def balances(draw: st.DrawFn, claim: str, *, away: float = 0.0) -> tuple[str, Case, tuple[str, ...]]:
    """A quantity that the claim says is conserved, a case, and trained parts with both of its layers."""
    names, models, both = LAWS[claim]
    case = draw(st.sampled_from(models).flatmap(lambda model: trainings(model, away=away)))
    third = "keys" if "keys" not in both else "embeddings"
    trained = tuple(name for name in TRAINABLE if name in (*both, third))
    return draw(st.sampled_from(names)), case, draw(st.sampled_from([both, trained, TRAINABLE]))


@pytest.mark.parametrize("claim", LAWS)
@settings(max_examples=examples(8))
@given(data=st.data())
def test_the_flow_keeps_it(claim: str, data: st.DataObject) -> None:
    name, case, train = data.draw(balances(claim, away=8.0))
    assert drift_under_flow(name, case, train) <= 1e-9


@pytest.mark.parametrize("claim", LAWS)
@settings(max_examples=examples(8))
@given(data=st.data())
def test_descent_drifts_at_first_order(claim: str, data: st.DataObject) -> None:
    name, case, train = data.draw(balances(claim))
    drifts = drifts_under_descent(name, case.corpus, case.parameters, train)
    assume((drifts > SEEN * RATES).all())
    assert order(drifts) == pytest.approx(1.0, abs=0.1)


ONE_OF_TWO = [
    *(("query_keys", model, (("query",), ("keys",), ("keys", "embeddings", "head")), 1e-4) for model in MODELS),
    ("embeddings_head", "attn-tc", (("head",), ("embeddings",), ("query", "keys", "embeddings")), 1e-3),
    ("embeddings_head", "attn-tl", (("head",), ("keys", "embeddings")), 1e-3),
]
"""Quantity, model, trained parts with one of its two layers only, and the least that it moves then."""


@pytest.mark.parametrize(
    ("name", "model", "train", "least"),
    [(name, model, train, least) for name, model, trained, least in ONE_OF_TWO for train in trained],
)
def test_it_moves_where_only_one_of_the_two_is_trained(
    name: str, model: str, train: tuple[str, ...], least: float
) -> None:
    """Negative control, and no learning rate is small enough."""
    corpus = topic_corpus(0)
    drifts = drifts_under_descent(name, corpus, parameters_for(corpus, model, 0), train)
    assert drifts.min() > least
    assert np.ptp(drifts) < 0.1 * drifts.min()


def test_a4_descent_drifts_at_first_order_across_many_switches() -> None:
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tl", 0, hidden=6)
    later = end(descend(corpus, start, learning_rate=0.01, epochs=200, train=TRAINABLE))
    active = []
    for state in (start, later):
        assert isinstance(state.head, TwoLayer)
        contexts = attention_of(corpus, state.scores) @ state.embeddings
        active.append(contexts @ state.head.weight_in + state.head.bias_in > 0.0)
    assert np.count_nonzero(active[0] != active[1]) > 3
    for name in LAWS["A4"][0]:
        drifts = drifts_under_descent(name, corpus, start, TRAINABLE, time=2.0)
        assert order(drifts) == pytest.approx(1.0, abs=0.1)


def test_a4_b1_belongs_to_the_balance_of_a_unit() -> None:
    """Negative control: without it the balance moves."""
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tl", 0)
    after = end(descend(corpus, start, learning_rate=0.001, epochs=1000, train=TRAINABLE))
    units, squares = (
        np.abs(quantity(after.head) - quantity(start.head)).max()
        for quantity in (lambda head: head.balances()["hidden_units"], lambda head: head.arrays()["bias_in"] ** 2)
    )
    assert units < 1e-2 * squares
