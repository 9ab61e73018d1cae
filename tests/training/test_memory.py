"""Claim: a run is refused where memory cannot hold it with the buffers of its rule and the copies of early stopping."""

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from attn_dynamics import Adam, InputError, Momentum, descend
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.training import memory
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.settings import Training
from tests.support import parameters_for, topic_corpus

CORPUS, DEV = topic_corpus(0, sentences=400, words=3000), topic_corpus(1, words=3000)
FOLLOW = range(8)
FACTOR = 1.25
"""Of what is said to be needed to what is: parts whose largest moments differ are added, small ones left out."""
UPDATES: dict[str, dict[str, Any]] = {
    "descent": {},
    "patience": {"patience": 9},
    "momentum, batches": {"rule": Momentum(), "batch_size": 100},
    "momentum, decay": {"rule": Momentum(), "decay": 1e-3},
    "adam": {"rule": Adam()},
    "adam, patience": {"rule": Adam(), "patience": 9},
    "adamw, trained query, batches": {
        "rule": Adam(),
        "decay": 0.1,
        "decoupled": True,
        "train": TRAINABLE,
        "batch_size": 9,
    },
}


def peak_and_need(model: str, update: str, d_k: int) -> list[int]:
    """Bytes that a run takes at most, those said to be needed, and those with a rule that keeps no buffers."""
    start, training = parameters_for(CORPUS, model, 0, d=20, d_k=d_k), Training(epochs=3, **UPDATES[update])
    given: Any = {"training": training, "evaluate_on": {"dev": DEV}, "follow": FOLLOW}
    descend(CORPUS, start, **given | {"training": replace(training, epochs=1)})
    tracemalloc.start()
    descend(CORPUS, start, **given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    layout, plain = Layout(CORPUS, ("dev",), FOLLOW), replace(training, rule=Training.rule, patience=None)
    needs = [memory.run_memory([CORPUS, DEV], start, layout, each) for each in (training, plain)]
    return [peak, *(each.of(1) - each.start for each in needs)]


@pytest.mark.parametrize("d_k", [2, 20])
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", ["attn-fc", pytest.param("attn-tc", marks=pytest.mark.slow)])
def test_what_is_said_to_be_needed_is_what_a_run_takes(model: str, update: str, d_k: int) -> None:
    peak, needed, without = peak_and_need(model, update, d_k)
    assert peak / FACTOR <= needed <= FACTOR * peak
    if update in ("adam", "adam, patience"):
        assert without < peak / FACTOR, "negative control: buffers and copies left out"


def test_a_run_is_refused_where_its_rule_needs_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain descent of the same start fits, which is the negative control."""
    start, others = parameters_for(CORPUS, "attn-tc", 0, d=20, d_k=20), {"dev": DEV}
    monkeypatch.setattr(memory, "available_memory", lambda: 9 * 2**20)
    for update in ("descent", "adam"):
        descend(CORPUS, start, epochs=1, evaluate_on=others, **UPDATES[update])
    message = (
        r"memory: expected a run that fits into the [\d.]+ MiB .*got one that needs about .* MiB of it for the buffers"
    )
    with pytest.raises(InputError, match=message):
        descend(CORPUS, start, epochs=1, evaluate_on=others, **UPDATES["adam, patience"])
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    descend(CORPUS, start, epochs=1, evaluate_on=others, **UPDATES["adam, patience"])
