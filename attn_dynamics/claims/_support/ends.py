"""Ends of training on any data, kept in memory because controls test wrong laws on the same ends."""

from functools import cache
from typing import Any

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.descent import descend
from attn_dynamics.training.flow import flow
from attn_dynamics.training.rules import DESCENT, Rule

AWAY = 8.0
"""Least |b₁| of a start of Attn-TL from which no relu switches.

Where a relu switches, the flow may slide along the switch, and no solver can proceed (see `flow`).
"""
SMALL = 100
"""Largest vocabulary for which a stiff solver pays off; biases as large as `AWAY` make the flow stiff."""


@cache
def flowed(corpus: Corpus, begin: Parameters, time: float, train: tuple[str, ...], hold: int = 0) -> Parameters:
    """Return the parameters at the end of a flow; the first `hold` words of the vocabulary are frozen."""
    solver = "LSODA" if not begin.head.smooth and corpus.n_words <= SMALL else "DOP853"
    steps = {"solver": solver, "rtol": RTOL, "atol": RTOL / 100, "max_steps": 20_000}
    run = flow(corpus, begin, times=[time], train=train, frozen_words=corpus.vocabulary[:hold], **steps)
    assert run.parameters is not None
    return run.parameters


@cache
def descended(
    corpus: Corpus,
    begin: Parameters,
    rate: float,
    time: float,
    train: tuple[str, ...],
    hold: int = 0,
    *,
    rule: Rule = DESCENT,
    batch_size: int | None = None,
) -> Parameters:
    """Return the parameters after epochs of total time `time`, learning rate × epochs, by descent or another rule."""
    options: dict[str, Any] = {
        "train": train,
        "frozen_words": corpus.vocabulary[:hold],
        "rule": rule,
        "batch_size": batch_size,
    }
    run = descend(corpus, begin, learning_rate=rate, epochs=round(time / rate), **options)
    assert run.parameters is not None
    return run.parameters
