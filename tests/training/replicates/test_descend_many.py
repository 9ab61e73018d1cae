"""Claim: replicates in one pass are the runs that each would be alone, on every engine, however each of them ends."""

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Adam, Corpus, Momentum, Parameters, Run, SignDescent, descend, descend_many, draw
from attn_dynamics.errors import InputError
from attn_dynamics.system import memory as available
from attn_dynamics.system.memory import available_memory
from attn_dynamics.tasks import Options, load_task
from attn_dynamics.tasks.treebank import sst_folder
from attn_dynamics.training import memory
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.engine import engine_for
from attn_dynamics.training.replicates.threads import Threads
from attn_dynamics.training.run import Diverged, RunsInterrupted
from attn_dynamics.training.settings import Training
from tests.support import (
    MODELS,
    SUBSETS,
    apart,
    corpora,
    differences,
    examples,
    ids,
    named,
    needs_sst,
    parameters_for,
    press,
    topic_corpus,
)

TRAINED = ("keys", "embeddings", "head")
TOLERANCE = {"numpy": 1e-12, "cpu": 1e-10, "cuda": 1e-10}
"""Relative distance from single runs: round-off of 2⁻⁵², some hundred operations deep, at learning rates that do not
amplify it; torch is free in the order of its sums, on a GPU from run to run."""


def _devices() -> list[Any]:
    try:
        import torch

        gpu = torch.cuda.is_available()
    except ImportError:
        return ["numpy", *(pytest.param(name, marks=pytest.mark.skip("needs PyTorch")) for name in ("cpu", "cuda"))]
    missing = [pytest.mark.gpu] if gpu else [pytest.mark.gpu, pytest.mark.skip("torch sees no GPU here")]
    return ["numpy", "cpu", pytest.param("cuda", marks=missing)]


DEVICES = _devices()


def single(corpus: Corpus, start: Parameters, **options: Any) -> Run:
    """The run of one start alone, also where it diverges."""
    try:
        return descend(corpus, start, **options)
    except Diverged as stop:
        return stop.run


def distance(first: Run, second: Run) -> float:
    """Largest relative distance between two runs, their parameters included; infinite where they ended otherwise."""
    if (first.ended, first.best_epoch) != (second.ended, second.best_epoch):
        return np.inf
    if first.trajectory.sizes != second.trajectory.sizes:
        return np.inf
    off = max(differences(first, second).values())
    if first.parameters is None or second.parameters is None:
        return off if first.parameters is second.parameters else np.inf
    size = max(1.0, *(float(np.abs(array).max()) for array in named(first.parameters).values()))
    return max(off, apart(first.parameters, second.parameters) / size)


def farthest(corpus: Corpus, starts: Sequence[Parameters], *, device: str, **options: Any) -> float:
    """The largest distance of replicates from single runs."""
    many = descend_many(corpus, starts, device=device, **options)
    return max(distance(single(corpus, start, **options), run) for start, run in zip(starts, many, strict=True))


def starts_for(corpus: Corpus, model: str, number: int, seed: int = 0, **options: Any) -> list[Parameters]:
    return [parameters_for(corpus, model, 100 * seed + k, **options) for k in range(number)]


@pytest.fixture
def corpus() -> Corpus:
    return topic_corpus(0)


# --- equal to single runs


def _on(model: str, train: tuple[str, ...], device: Any) -> Any:
    """One case, with the marks that a device may have."""
    (name,), marks = (device.values, device.marks) if not isinstance(device, str) else ((device,), ())
    return pytest.param(model, train, name, marks=marks, id=f"{model}-{ids(train)}-{name}")


CASES = [
    _on(model, train, DEVICES[place])
    for k, model in enumerate(MODELS)
    for j, train in enumerate(SUBSETS)
    for place in ((k + j) % 2, *([2] if (k + j) % 3 == 0 else []))
]
"""Every head with every subset, and every two of head, subset and device together."""


@pytest.mark.parametrize(("model", "train", "device"), CASES)
def test_replicates_are_single_runs_for_every_head_and_subset(
    model: str, train: tuple[str, ...], device: str, corpus: Corpus
) -> None:
    options = {"learning_rate": 0.1, "epochs": 5, "train": train, "follow": [0, 3, 5]}
    judge = {"dev": topic_corpus(5), "test": topic_corpus(6)}
    for reduced, d in ((True, 6), (False, 6), (True, 2)):
        starts = starts_for(corpus, model, 3, d=d)
        off = farthest(corpus, starts, device=device, evaluate_on=judge, reduced=reduced, **options)
        assert off <= TOLERANCE[device], (reduced, d)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", MODELS)
def test_so_they_are_on_any_corpus(model: str, device: str) -> None:
    @settings(max_examples=examples(15))
    @given(corpora(), st.integers(1, 6), st.sampled_from(SUBSETS), st.booleans(), st.integers(0, 10**6))
    def check(corpus: Corpus, number: int, train: tuple[str, ...], reduced: bool, seed: int) -> None:
        starts = starts_for(corpus, model, number, seed, d=5)
        options = {"learning_rate": 0.01, "epochs": 3, "train": train, "reduced": reduced, "follow": [0]}
        assert farthest(corpus, starts, device=device, **options) <= TOLERANCE[device]

    check()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", MODELS)
def test_scores_spread_over_thousands_do_no_harm_to_any_replicate(model: str, device: str, corpus: Corpus) -> None:
    starts = [
        parameters_for(corpus, model, k, spread=spread) for k, spread in enumerate((1.0, 40.0, 2000.0, 3.0, 300.0))
    ]
    options = {"learning_rate": 1e-3, "epochs": 5, "evaluate_on": {"test": topic_corpus(4)}, "follow": [1, 4]}
    # The keys that come back are s q/‖q‖², and s up to 2000: a unit in the last place of s is 2e-13.
    assert farthest(corpus, starts, device=device, **options) <= max(TOLERANCE[device], 1e-11)


@pytest.mark.slow
@needs_sst
def test_so_are_64_on_sst2_at_its_published_dimension() -> None:
    """After 300 epochs, some of either end and the middle; a neighbouring replicate is another run."""
    if (available_memory() or 2**33) < 2**33:
        pytest.skip("needs 8 GiB of memory")
    task = load_task("sst2", Options(data_dir=sst_folder()))
    shape = {"n_words": task.train.n_words, "n_classes": 2, "embedding_dim": 200}
    starts = [draw("paper", "attn-fc", **shape, rng=np.random.default_rng(k)) for k in range(64)]
    options: dict[str, Any] = {
        "epochs": 300,
        "evaluate_on": {name: task.splits[name] for name in ("dev", "test")},
        "follow": ["stupid"],
    }
    many = descend_many(task.train, starts, **options)
    for k in (0, 31, 63):
        alone = single(task.train, starts[k], **options)
        assert distance(alone, many[k]) <= TOLERANCE["numpy"]
        assert distance(alone, many[k - 1]) > 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_words_that_are_held_stay(device: str, corpus: Corpus) -> None:
    starts = starts_for(corpus, "attn-tc", 3, d=6)
    options = {"learning_rate": 0.1, "epochs": 6, "frozen_words": [0, 5], "follow": [0, 1]}
    assert farthest(corpus, starts, device=device, **options) <= TOLERANCE[device]


def test_the_starts_are_not_changed(corpus: Corpus) -> None:
    starts = starts_for(corpus, "attn-tl", 2)
    before = [{name: array.tobytes() for name, array in named(start).items()} for start in starts]
    descend_many(corpus, starts, epochs=3, train=("query", "keys", "embeddings", "head"))
    assert [{name: array.tobytes() for name, array in named(start).items()} for start in starts] == before


def test_no_starts_no_runs(corpus: Corpus) -> None:
    assert descend_many(corpus, []) == []


def test_single_precision_is_the_same_to_single_precision(corpus: Corpus) -> None:
    """ε = 2⁻²³ = 1.2e-7, some hundred operations deep; and more than float64 would be off."""
    pytest.importorskip("torch", reason="needs PyTorch")
    starts = starts_for(corpus, "attn-tc", 4, d=6)
    options = {"learning_rate": 0.1, "epochs": 10, "follow": [1]}
    many = descend_many(corpus, starts, device="cpu", precision="float32", **options)
    off = [distance(single(corpus, start, **options), run) for start, run in zip(starts, many, strict=True)]
    assert 1e-9 < max(off) <= 1e-4


# --- breaks that the comparison must notice


def test_a_broken_product_is_noticed(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """∂L/∂s with 0.999 of itself."""
    tensors = pytest.importorskip("attn_dynamics.training.replicates.tensors", reason="needs PyTorch")
    right = tensors.TorchProducts.attend_back

    def wrong(self: Any, operand: Any, slopes: Any) -> tuple[Any, Any]:
        by_score, by_value = right(self, operand, slopes)
        return 0.999 * by_score, by_value

    monkeypatch.setattr(tensors.TorchProducts, "attend_back", wrong)
    off = farthest(corpus, starts_for(corpus, "attn-fc", 4), device="cpu", learning_rate=0.1, epochs=5)
    assert off > 1e3 * TOLERANCE["cpu"]


def test_a_run_of_another_replicate_is_noticed(corpus: Corpus) -> None:
    starts, options = starts_for(corpus, "attn-fc", 4), {"learning_rate": 0.1, "epochs": 5}
    many = descend_many(corpus, starts, **options)
    assert distance(single(corpus, starts[0], **options), many[1]) > 1e3 * TOLERANCE["numpy"]


@pytest.mark.parametrize("threads", [1, 3])
def test_on_any_number_of_threads_they_are_single_runs_to_the_bit(
    threads: int, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Threads, "at_once", threads)
    starts = starts_for(corpus, "attn-tc", 5, d=6)
    options = {
        "learning_rate": 0.1,
        "epochs": 40,
        "follow": [2],
        "evaluate_on": {"dev": topic_corpus(3)},
        "patience": 9,
    }
    for start, run in zip(starts, descend_many(corpus, starts, **options), strict=True):
        assert single(corpus, start, **options).trajectory.identical(run.trajectory)


@dataclass(frozen=True)
class Growing:
    """Rule that doubles all arrays at each step, until they overflow."""

    linear: ClassVar[bool] = False

    def start(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def step(self, state: dict[str, Any], slopes: Mapping[str, Any], buffers: dict[str, Any], rate: float) -> None:
        for name, slope in slopes.items():
            state[name] -= rate * slope
            state[name] *= 2.0


@pytest.mark.parametrize("settings", [{}, {"patience": 7}, {"rule": Growing(), "epochs": 30}])
def test_on_a_device_no_bit_depends_on_how_many_epochs_are_computed_at_a_time(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some diverge between two looks, at epochs of their own."""
    equations = pytest.importorskip("attn_dynamics.training.replicates.equations", reason="needs PyTorch")
    corpus, starts, options = overfitting(4)
    options |= settings
    lengths, advance = set[int](), equations.Replicates.advance

    def noted(self: Any, epoch: int, stop: int) -> None:
        lengths.add(stop - epoch)
        advance(self, epoch, stop)

    monkeypatch.setattr(equations.Replicates, "advance", noted)
    monkeypatch.setattr("attn_dynamics.system.threads.TURN", 1e9)
    some = descend_many(corpus, starts, device="cpu", **options)
    assert max(lengths) > 1, "else both are alike"
    monkeypatch.setattr("attn_dynamics.system.threads.TURN", 0.0)
    at_a_time = descend_many(corpus, starts, device="cpu", **options)
    for run, other in zip(some, at_a_time, strict=True):
        assert run.trajectory.identical(other.trajectory)
        assert distance(run, other) == 0.0
    assert distance(some[0], at_a_time[1]) > 0.0, "negative control"
    if "rule" in settings:
        alone = [single(corpus, start, **options) for start in starts]
        assert [run.trajectory.sizes for run in some] == [run.trajectory.sizes for run in alone]
        assert len({run.trajectory.sizes["epoch"] for run in some if run.ended == "diverged"}) > 1


# --- each ends in its own way


def overfitting(number: int, model: str = "attn-tl") -> tuple[Corpus, list[Parameters], dict[str, Any]]:
    """Starts that get worse on development data at different epochs."""
    train, dev = topic_corpus(0, sentences=12), topic_corpus(1)
    dev = replace(dev, labels=np.random.default_rng(0).permutation(dev.labels))
    return train, starts_for(train, model, number), {"learning_rate": 0.1, "evaluate_on": {"dev": dev}, "epochs": 150}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", MODELS)
def test_each_stops_at_its_own_patience_and_returns_to_its_own_best_state(model: str, device: str) -> None:
    corpus, starts, options = overfitting(6, model)
    many = descend_many(corpus, starts, device=device, patience=7, follow=[1], **options)
    assert len({run.trajectory.sizes["epoch"] for run in many}) > 2, "these starts tell nothing: all end together"
    assert "patience" in {run.ended for run in many}
    alone = [single(corpus, start, patience=7, follow=[1], **options) for start in starts]
    # Round-off grows along a hundred epochs of a relu that switches: by no more than e^(rate · epochs · curvature).
    assert max(distance(one, run) for one, run in zip(alone, many, strict=True)) <= 1e3 * TOLERANCE[device]


def test_a_best_state_taken_from_another_replicate_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    equations = pytest.importorskip("attn_dynamics.training.replicates.equations", reason="needs PyTorch")
    corpus, starts, options = overfitting(6)
    right = equations.Replicates._copy_best

    def spoilt(self: Any, losses: Any) -> None:
        right(self, losses.flip(0))

    monkeypatch.setattr(equations.Replicates, "_copy_best", spoilt)
    assert farthest(corpus, starts, device="cpu", patience=7, **options) > 1e3 * TOLERANCE["cpu"]


@pytest.mark.parametrize("device", DEVICES)
def test_one_that_diverges_leaves_the_others_to_go_on(device: str, corpus: Corpus) -> None:
    starts = starts_for(corpus, "attn-tc", 4)
    weight = 1e200 * starts[1].head.first_layer
    starts[1] = replace(starts[1], head=replace(starts[1].head, weight=weight))  # pyright: ignore
    reports: list[float] = []
    meter = lambda _, loss: reports.append(loss)  # noqa: E731
    many = descend_many(corpus, starts, device=device, learning_rate=0.1, epochs=8, meter=meter)
    assert [run.ended for run in many] == ["epochs", "diverged", "epochs", "epochs"]
    assert np.nanmax(reports) < 100.0, "progress tells the loss of those that go on"
    assert many[1].parameters is None
    for start, run in zip(starts, many, strict=True):
        alone = single(corpus, start, learning_rate=0.1, epochs=8)
        assert (alone.ended, alone.trajectory.sizes["epoch"]) == (run.ended, run.trajectory.sizes["epoch"])
        if run.ended == "epochs":
            assert distance(alone, run) <= TOLERANCE[device]


@pytest.fixture
def default_handler() -> Iterator[None]:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("default_handler", "epoch_by_epoch")
@pytest.mark.parametrize("device", [device for device in DEVICES if device in ("numpy", "cpu")])
def test_ctrl_c_gives_the_runs_so_far(device: str, corpus: Corpus) -> None:
    starts = starts_for(corpus, "attn-fc", 3)

    with pytest.raises(RunsInterrupted, match=r"interrupted after epochs? \d") as caught:
        descend_many(corpus, starts, learning_rate=0.1, epochs=10_000, meter=press(6), device=device)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    epochs = [run.trajectory.sizes["epoch"] - 1 for run in caught.value.runs]
    assert caught.value.after in (f"epoch {max(epochs)}", f"epochs {min(epochs)} to {max(epochs)} of different runs")
    for start, run in zip(starts, caught.value.runs, strict=True):
        assert run.ended == "interrupted"
        last = run.trajectory.sizes["epoch"] - 1
        alone = replace(single(corpus, start, learning_rate=0.1, epochs=last), ended="interrupted")
        assert distance(alone, run) <= TOLERANCE[device]


def test_the_meter_is_told_the_mean_loss(corpus: Corpus) -> None:
    starts, told = starts_for(corpus, "attn-fc", 3), []
    many = descend_many(corpus, starts, epochs=4, meter=lambda epoch, loss: told.append((epoch, loss)))
    assert told[-1] == (4, pytest.approx(np.mean([run.trajectory.train_loss.values[-1] for run in many]), rel=1e-14))
    assert [epoch for epoch, _ in told] == sorted(epoch for epoch, _ in told)


# --- refused


def test_starts_of_different_shapes_are_refused(corpus: Corpus) -> None:
    starts = [parameters_for(corpus, "attn-fc", 0, d=4), parameters_for(corpus, "attn-fc", 0, d=5)]
    with pytest.raises(InputError, match="parameters: expected replicates of one head and one shape"):
        descend_many(corpus, starts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device: expected one of numpy, cpu, cuda, got 'tpu'"),
        ({"precision": "float16"}, "precision: expected one of float64, float32, got 'float16'"),
        ({"precision": "float32"}, "precision: expected 'float64' on the device 'numpy'"),
        ({"learning_rate": 0.0}, "learning_rate: expected a finite number above 0"),
        ({"patience": 3}, "patience: expected a development corpus to watch"),
        ({"train": ("values",)}, "train: expected any of"),
    ],
)
def test_a_bad_argument_is_refused(options: dict[str, Any], message: str, corpus: Corpus) -> None:
    with pytest.raises(InputError, match=message):
        descend_many(corpus, starts_for(corpus, "attn-fc", 2), **options)


@pytest.mark.parametrize("rule", [{}, {"rule": Adam(), "decay": 0.1, "batch_size": 5}], ids=["descent", "adam"])
@pytest.mark.parametrize("device", [device for device in DEVICES if device in ("numpy", "cpu")])
def test_too_many_replicates_for_the_memory_are_refused_with_the_number_that_fits(
    device: str, rule: dict[str, Any], corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = starts_for(corpus, "attn-tc", 9)
    engine = engine_for(device, "float64")
    training, layout = Training(train=("keys",), epochs=1, **rule), Layout(corpus)
    (needed,) = memory.bytes_needed(engine, starts[0], layout, training, saved=False)
    start, held = needed.start, [9 * needed.start]
    monkeypatch.setattr(type(engine), "free_memory", lambda self: needed.of(5) - held[0])
    options: dict[str, Any] = {"device": device, "train": ("keys",), "epochs": 1} | rule
    with pytest.raises(InputError, match=r"for 9 runs, got .* that are free for them\. At most 5 fit at a time"):
        descend_many(corpus, starts, **options)
    held[0] = 5 * start
    assert len(descend_many(corpus, starts[:5], **options)) == 5
    held[0] = 6 * start
    with pytest.raises(InputError):
        descend_many(corpus, starts[:6], **options)
    monkeypatch.setattr(type(engine), "free_memory", lambda self: -(10**6) - 9 * start)
    with pytest.raises(InputError, match=r"got [\d.]+ [KM]iB that are free for them\. Give embeddings"):
        descend_many(corpus, starts, **options)


def test_replicates_fewer_than_threads_need_no_memory_for_idle_ones(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two fit where sixteen threads could compute them; three do not, which is the negative control."""
    starts, layout = starts_for(corpus, "attn-tc", 3), Layout(corpus)
    (needed,) = memory.bytes_needed(Threads(), starts[0], layout, Training(epochs=1), saved=False)
    both = needed.fixed + 2 * (needed.each + needed.running - needed.start)
    monkeypatch.setattr(Threads, "at_once", 16)
    monkeypatch.setattr(Threads, "free_memory", lambda self: both)
    assert len(descend_many(corpus, starts[:2], epochs=1)) == 2
    with pytest.raises(InputError, match="At most 2 fit"):
        descend_many(corpus, starts, epochs=1)


def test_memory_is_counted_for_the_start_that_needs_most(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """From E(0) = 0 fewer dimensions move; two such starts fit, which is the negative control."""
    random, layout = parameters_for(corpus, "attn-tc", 0, d=40), Layout(corpus)
    zero = replace(random, embeddings=np.zeros_like(random.embeddings))
    (needed,) = memory.bytes_needed(Threads(), random, layout, Training(epochs=1), saved=False)
    monkeypatch.setattr(Threads, "free_memory", lambda self: needed.of(2) - 2 * needed.start - 1)
    assert len(descend_many(corpus, [zero, zero], epochs=1)) == 2
    with pytest.raises(InputError, match="At most 1 fit"):
        descend_many(corpus, [zero, random], epochs=1)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(0, 5), st.integers(0, 500))
def test_one_more_than_fits_does_not_fit(fixed: int, each: int, running: int, at_once: int, room: int) -> None:
    needed = memory.MemoryNeed(fixed, each, 0, running, at_once)
    fits = needed.replicates_in(room)
    assert needed.of(fits + 1) > room
    assert needed.of(fits) <= room or fits == 0


def test_a_device_with_memory_of_its_own_leaves_starts_and_records_to_the_host(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = pytest.importorskip("attn_dynamics.training.replicates.tensors", reason="needs PyTorch")

    class Apart(tensors.Torch):
        on_host = False

        def __init__(self) -> None:
            super().__init__("cpu", "float64")
            self.on_host = False

    starts = starts_for(corpus, "attn-tc", 9)
    training, layout = Training(train=TRAINED, epochs=9), Layout(corpus)
    (whole,), (device, host) = (
        memory.bytes_needed(engine, starts[0], layout, training)
        for engine in (tensors.Torch("cpu", "float64"), Apart())
    )
    assert [*whole] == [one + other for one, other in zip(device, host, strict=True)]
    assert host.each > 2 * host.start > 2 * starts[0].embeddings.nbytes
    for module in (memory, tensors):
        monkeypatch.setattr(module, "available_memory", lambda: 10**9)
    monkeypatch.setattr("attn_dynamics.training.replicates.descent.engine_for", lambda *given: Apart())
    assert len(descend_many(corpus, starts, epochs=9, device="cpu")) == 9, "negative control: there is enough of both"
    for short, module in ((host, memory), (device, tensors)):
        with monkeypatch.context() as patch:
            patch.setattr(module, "available_memory", lambda short=short: short.of(4) - 9 * short.start)
            with pytest.raises(InputError, match="At most 4 fit"):
                descend_many(corpus, starts, epochs=9, device="cpu")


@pytest.mark.parametrize("device", [device for device in DEVICES if device in ("numpy", "cpu")])
def test_memory_that_runs_out_on_the_way_is_told_the_same(
    device: str, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(self: object, *given: object, **more: object) -> None:
        raise MemoryError

    method = "loop.Loop.run" if device == "numpy" else "replicates.equations.Replicates.record"
    monkeypatch.setattr(f"attn_dynamics.training.{method}", short)
    with pytest.raises(InputError, match=r"for 2 runs, got less on the way, .*At most 1"):
        descend_many(corpus, starts_for(corpus, "attn-fc", 2), epochs=1, device=device)


def peak_and_estimate(
    model: str, replicates: int, epochs: int, counted: int | None = None, d_k: int = 2, **settings: Any
) -> tuple[int, memory.MemoryNeed]:
    """Bytes that starts and a run of so many epochs take at most, and those said to be needed for `counted` epochs."""
    corpus, test = topic_corpus(0, sentences=400, words=3000), topic_corpus(1, words=3000)
    follow = range(8)
    options = {"evaluate_on": {"test": test}, "follow": follow, "learning_rate": 0.01} | settings
    descend_many(corpus, starts_for(corpus, model, 1, d=20, d_k=d_k), epochs=1, **options)
    tracemalloc.start()
    starts = starts_for(corpus, model, replicates, d=20, d_k=d_k)
    descend_many(corpus, starts, epochs=epochs, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    training = Training(epochs=epochs if counted is None else counted, **settings)
    layout = Layout(corpus, {"test": test}, follow)
    (needed,) = memory.bytes_needed(Threads(), starts[0], layout, training, saved=False)
    return peak, needed


FACTOR = 1.25
"""Of what is said to be needed to what is: parts whose largest moments differ are added, small ones left out."""


RULED = [
    {"rule": Adam()},
    {"rule": Adam(), "decay": 0.1, "batch_size": 100},
    {"rule": Momentum(), "train": ("query", *TRAINED)},
    {"rule": SignDescent()},
]


@pytest.mark.parametrize("d_k", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("epochs", [1, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("model", MODELS)
def test_what_is_said_to_be_needed_is_what_numpy_takes(model: str, epochs: int, d_k: int) -> None:
    peak, needed = peak_and_estimate(model, 6, epochs, d_k=d_k)
    assert peak / FACTOR <= needed.of(6) <= FACTOR * peak


@pytest.mark.parametrize("settings", RULED, ids=["adam", "adam, decay, batches", "momentum, query", "sign"])
def test_so_it_is_with_a_rule(settings: dict[str, Any]) -> None:
    peak, needed = peak_and_estimate("attn-tc", 6, 2, d_k=20, **settings)
    assert peak / FACTOR <= needed.of(6) <= FACTOR * peak


def test_memory_without_the_starts_is_noticed() -> None:
    """Negative control: the starts left out of the estimate."""
    peak, needed = peak_and_estimate("attn-fc", 6, 1, d_k=20)
    assert peak > FACTOR * (needed.of(6) - 6 * needed.start)


def test_memory_without_what_is_recorded_is_noticed() -> None:
    """Negative control: the epochs left out of the estimate."""
    peak, needed = peak_and_estimate("attn-fc", 6, 300, counted=0)
    assert peak > FACTOR * needed.of(6)


def test_caches_of_files_are_available_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "cgroup"
    monkeypatch.setattr(available, "MEMINFO", meminfo)
    monkeypatch.setattr(available, "CGROUP", group)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = available_memory()  # by sysconf
    assert found is not None
    assert 0 < found <= pages
    meminfo.write_text("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 5000 kB\nHugePages_Total: 0\n")
    assert available_memory() == 5000 * 1024
    group.mkdir()
    (group / "memory.current").write_text("1000000\n")
    (group / "memory.stat").write_text("anon 400000\ninactive_file 600000\n")
    (group / "memory.max").write_text("max\n")
    assert available_memory() == 5000 * 1024
    for limit, left in (("1500000", 1_100_000), ("300000", 0), ("900000000", 5000 * 1024)):
        (group / "memory.max").write_text(limit + "\n")
        assert available_memory() == left


def test_without_torch_the_core_runs_and_says_what_is_missing() -> None:
    program = """
import sys
sys.modules["torch"] = None
from attn_dynamics import Corpus, descend_many, draw
import numpy as np
corpus = Corpus.from_sentences([["a", "b"], ["b", "c"]], [0, 1])
start = draw("paper", "attn-fc", n_words=3, n_classes=2, embedding_dim=3, rng=np.random.default_rng(0))
print(len(descend_many(corpus, [start, start], epochs=2)))
try:
    descend_many(corpus, [start], device="cpu")
except ValueError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert out.startswith("2\ndevice: expected 'numpy', or PyTorch to be installed, got 'cpu'.")
