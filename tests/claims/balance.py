"""What the tests of A2 to A4 share: how far a conserved quantity drifts, under flow and under descent."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from attn_dynamics import Corpus, Parameters, descend, flow
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.theory.invariants import invariants
from tests.support import Case, corpora, end, parameters_for

RATES = 0.02 / 2.0 ** np.arange(3)
SEEN = 1e-3
"""Drift over η from which an order can be read: smaller ones may have lost their first order by cancellation."""


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
