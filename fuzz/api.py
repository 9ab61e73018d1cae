"""Cases of the Python API: every argument with values of the wrong kind, of which it refuses the meaningless ones."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from attn_dynamics import (
    Corpus,
    FixedLinear,
    Parameters,
    TrainedLinear,
    TwoLayer,
    descend,
    descend_many,
    draw,
    flow,
    loss_and_gradient,
)
from attn_dynamics.commands.window_config import WindowConfig
from attn_dynamics.model.bell import Bell
from attn_dynamics.tasks import Synthetic, text_task
from attn_dynamics.theory.early_training import early_scores
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.window.layer import Layer
from attn_dynamics.window.reach import half_width
from attn_dynamics.window.readout import Likelihood
from attn_dynamics.window.tasks import WindowOptions
from attn_dynamics.window.windows import Windows
from fuzz.case import FAILED, OK, REFUSED, Case, trying

VALUES: Mapping[str, Any] = {
    "None": None,
    "True": True,
    "text": "0.1",
    "empty text": "",
    "bytes": b"0.1",
    "nan": float("nan"),
    "inf": float("inf"),
    "minus one": -1,
    "a half": 0.5,
    "one and a half": 1.5,
    "numpy's three": np.int64(3),
    "numpy's half": np.float32(0.5),
    "complex": 1 + 1j,
    "a decimal": Decimal("0.5"),
    "huge": 10**30,
    "an empty list": [],
    "a list": [1, 2],
    "a list of texts": ["w1"],
    "a list of lists": [["w1"]],
    "a list of None": [None],
    "a dict": {"dev": 1},
    "a dict of lists": {"dev": [1]},
    "complex numbers": np.ones((4, 2), complex),
    "masked numbers": np.ma.masked_array(np.ones((4, 2)), np.eye(4, 2) > 0),
    "texts": np.full((4, 2), "0.1"),
    "a ragged list": [[1.0], [1.0, 2.0]],
    "three axes": np.ones((2, 2, 2)),
    "no numbers": np.full((4, 2), np.nan),
    "an object": object(),
    "a class": int,
    "a function": len,
    "a path": Path("x"),
}
"""Values that people pass, and that their variables hold by mistake."""
INTEGERS = frozenset({"numpy's three"})
NUMBERS = frozenset({"numpy's three", "numpy's half", "a half", "one and a half", "a decimal", "huge"})
WORDS = frozenset({"an empty list", "a list", "a list of texts", "a list of None", "a dict", "a dict of lists"})
NONE = frozenset({"None"})


def cases() -> Iterator[Case]:
    """Yield all cases of the Python API."""
    for function, arguments, fitting in _signatures():
        for argument, meant in fitting.items():
            for name, value in VALUES.items():
                if (function, name) == (flow, "huge") and argument in ("time", "times"):
                    continue  # no mistake, but it takes forever
                if argument == "meter" and callable(value):
                    continue  # its errors are the caller's own
                act = trying(_with, function, arguments, argument, value)
                allowed = frozenset({OK, REFUSED, FAILED} if name in meant else {REFUSED})
                family = f"API: {getattr(function, '__qualname__', function)}"
                yield Case(family, f"{argument} = {name}", act, allowed)


def _with(function: Callable[..., object], arguments: Mapping[str, Any], argument: str, value: object) -> None:
    function(**{**arguments, argument: value})


def _signatures() -> Iterator[tuple[Callable[..., object], dict[str, Any], dict[str, frozenset[str]]]]:
    """Yield functions, valid arguments, and the further values that each argument may have."""
    task = Synthetic(dictionary=6, sentences=6, test_sentences=3, other_words=2, topics=2).draw(0)
    corpus, words = task.train, task.train.n_words
    sizes = {"n_words": words, "n_classes": 2, "embedding_dim": 2}
    start = draw("published", "attn-tc", **sizes, rng=np.random.default_rng(0))
    never = frozenset[str]()
    choices = {"evaluate_on": NONE, "follow": WORDS, "frozen_words": WORDS, "train": WORDS}
    choices |= {"reduced": frozenset({"True"}), "meter": NONE | {"a function", "a class"}, "corpus": never}
    steps = {"learning_rate": NUMBERS, "epochs": INTEGERS, "patience": NONE | INTEGERS, "checkpoint": NONE} | choices
    common: dict[str, Any] = {"corpus": corpus, "epochs": 2}
    yield descend, common | {"parameters": start}, steps | {"parameters": never}
    lists = frozenset({"an empty list"})
    yield descend_many, common | {"parameters": [start, start]}, steps | {"parameters": lists, "device": never}
    times = {
        "time": NUMBERS,
        "times": NONE | {"a list", "True"} | NUMBERS,
        "rtol": NUMBERS,
        "atol": NUMBERS,
        "solver": never,
    }
    times |= {"log_time": frozenset({"True"}), "stop_loss": NONE | NUMBERS, "max_steps": NONE | INTEGERS}
    yield flow, {"corpus": corpus, "parameters": start, "time": 0.1}, times | choices | {"parameters": never}
    yield loss_and_gradient, {"corpus": corpus, "parameters": start}, {"corpus": never, "parameters": never}
    drawn = {"n_words": INTEGERS, "n_classes": INTEGERS, "embedding_dim": INTEGERS, "hidden_dim": INTEGERS}
    named = {"preset": "published", "model": "attn-tl", "rng": np.random.default_rng(0)}
    yield draw, named | sizes, drawn | {"scale": NUMBERS, "rng": never, "preset": never, "model": never}
    arrays = {"query": np.ones(2), "keys": np.ones((4, 2)), "embeddings": np.ones((4, 2))}
    head = FixedLinear(weight=np.ones((2, 2)))
    yield Parameters, arrays | {"head": head}, {"query": frozenset({"a list"}), "keys": never, "head": never}
    yield FixedLinear, {}, {"weight": never}
    yield TrainedLinear, {}, {"weight": never}
    layers = {
        "weight_in": np.ones((2, 3)),
        "bias_in": np.ones(3),
        "weight_out": np.ones((3, 2)),
        "bias_out": np.ones(2),
    }
    yield TwoLayer, layers, {name: frozenset({"a list"} if name == "bias_out" else ()) for name in layers}
    sentences = {"sentences": [["a", "b"], ["b"]], "labels": [0, 1]}
    labels = frozenset({"a list", "a list of lists"})
    others = {
        "n_classes": NONE | INTEGERS,
        "labels": labels | {"a list of texts"},
        "sentences": labels | {"a ragged list"},
    }
    yield Corpus.from_sentences, sentences, others
    names = ("topics", "topic_words", "topic_words_per_sentence", "other_words", "dictionary", "sentences")
    counts = {name: INTEGERS for name in names}
    yield Synthetic, {"topics": 2}, counts | {"topic_distribution": NONE, "label_noise": NUMBERS}
    of_text = ("path", "preparation", "vocabulary", "split", "encoding", "seed", "text_column", "label_column")
    yield text_task, {"path": "none.txt"}, dict.fromkeys(of_text, never)
    yield Bell, {}, {"placement": never, "scale": never}
    yield Bell().parameter, {}, {"width": NUMBERS}
    yield half_width, {"width": 1.0, "error": 0.1}, {"width": NUMBERS, "error": NUMBERS, "spread": NUMBERS}
    few = {name: INTEGERS | NONE for name in ("sequences", "words")}
    window = {"distance": INTEGERS, "window": INTEGERS, "length": INTEGERS, "classes": INTEGERS, "distances": never}
    yield WindowOptions, {"distance": 1}, window | few
    rates = {"learning_rate": NUMBERS | NONE, "start_width": NUMBERS | NONE}
    rates |= {"bell_rate": NUMBERS, "epochs": INTEGERS}
    yield WindowConfig, {}, rates
    layer = {
        "scores": np.zeros(2),
        "values": np.ones((2, 1)),
        "parameter": 1.0,
        "bell": Bell(),
        "readout": Likelihood(),
    }
    of_layer = {"scores": frozenset({"a list"}), "values": never, "parameter": NUMBERS, "bell": never}
    yield Layer, layer, of_layer
    seen = {"sequences": [[0, 1, 0]], "queries": [[0, 1]], "labels": [0], "n_words": 2}
    yield Windows.of, seen, {"half_width": NONE | INTEGERS, "n_words": INTEGERS, "labels": never, "queries": never}
    mean = {"frequency": 0.1, "classes": 2, "others": 3}
    numbers = NUMBERS | {"True", "a list", "inf", "three axes"}
    yield MeanField, mean, {"frequency": NUMBERS | {"True", "three axes"}, "classes": numbers, "others": numbers}
    yield early_scores, {"corpus": corpus, "start": start}, {"corpus": never, "start": never}
