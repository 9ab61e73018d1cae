"""Claim: each update rule, weight decay and mini-batches step as torch's optimisers do, and resume to the bit."""

import re
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from array_api_compat import array_namespace
from torch import Tensor

from attn_dynamics import (
    Adam,
    Corpus,
    InputError,
    Momentum,
    Parameters,
    Run,
    SignDescent,
    Synthetic,
    check_assumptions,
    descend,
    descend_many,
    draw,
)
from attn_dynamics.commands.sweep.grid import Grid
from attn_dynamics.commands.sweep.table import settings
from attn_dynamics.results import summary as results
from attn_dynamics.results.assumptions import PLAIN_STEPS, Assumption
from attn_dynamics.results.prediction import predict
from attn_dynamics.tasks import Task
from attn_dynamics.theory.small_start import decay_threshold
from attn_dynamics.training import checkpoint, configured_run, loop
from attn_dynamics.training.checkpoint import Checkpoint, CheckpointMismatch
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.memory import bytes_needed
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.threads import Threads
from attn_dynamics.training.rules import RULES, Arrays, Descent, Rule
from attn_dynamics.training.settings import Training
from tests.support import (
    MODELS,
    built,
    differences,
    end,
    formula,
    named,
    parameters_for,
    relative_error,
    topic_corpus,
    trained_names,
)

ALL = ("query", "keys", "embeddings", "head")
FIXED = ("keys", "embeddings", "head")
HELD = (2, 5, 13)
ABSENT = (13,)
"""The word of no sentence. It moves by decay alone; once Adam has it near 0, round-off decides (in torch too, from a
start 1e-15 away, it ends 1e-6 away). So it is held where a test takes so many steps."""
BATCH = 10
SEED = 7
CORPUS = topic_corpus(0)

Options = dict[str, Any]
Optimiser = Callable[[list[Tensor]], torch.optim.Optimizer]


# --- the same training by torch


class SignByHand(torch.optim.SGD):
    """Sign descent, which torch lacks."""

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for each in group["params"]:
                each.grad = torch.sign(each.grad)
        super().step()


class Decoupled(torch.optim.SGD):
    """SGD whose decay shrinks parameters first and leaves the gradient as it is, as AdamW does for Adam."""

    def __init__(self, parameters: list[Tensor], *, shrink: float, **options: Any) -> None:
        super().__init__(parameters, **options)
        self.shrink = shrink

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for each in group["params"]:
                each *= 1.0 - group["lr"] * self.shrink
        super().step()


@dataclass(frozen=True)
class Case:
    """One rule with its settings, here and in torch."""

    ours: Options
    torch: Optimiser
    rate: float = 0.1


SMALL = 0.005
"""Learning rate of rules whose steps do not shrink with the gradient."""
CASES: dict[str, Case] = {
    "descent": Case({}, lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": Case({"rule": Momentum(0.9)}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "nesterov": Case(
        {"rule": Momentum(0.8, nesterov=True)}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.8, nesterov=True)
    ),
    "descent, decay": Case({"decay": 0.02}, lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.02)),
    "momentum, decay": Case(
        {"rule": Momentum(0.9), "decay": 0.01}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01)
    ),
    "momentum, decoupled decay": Case(
        {"rule": Momentum(0.9), "decay": 0.01, "decoupled": True},
        lambda p: Decoupled(p, lr=0.1, momentum=0.9, shrink=0.01),
    ),
    "adam": Case({"rule": Adam()}, lambda p: torch.optim.Adam(p, SMALL), SMALL),
    "adam, decay": Case(
        {"rule": Adam(0.8, 0.95, 1e-6), "decay": 0.02},
        lambda p: torch.optim.Adam(p, SMALL, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.02),
        SMALL,
    ),
    "adamw": Case(
        {"rule": Adam(), "decay": 0.5, "decoupled": True},
        lambda p: torch.optim.AdamW(p, SMALL, weight_decay=0.5),
        SMALL,
    ),
    "sign": Case({"rule": SignDescent()}, lambda p: SignByHand(p, 0.001), 0.001),
}


def plain_torch(
    start: Parameters,
    optimiser: Optimiser,
    *,
    train: Collection[str],
    epochs: int,
    held: tuple[int, ...],
    batch: int | None,
) -> dict[str, np.ndarray]:
    """The model of theory §1 in dense torch, its free words and its held ones in tensors of their own."""
    free = np.setdiff1d(np.arange(CORPUS.n_words), held)
    leaves = {name: torch.tensor(array) for name, array in named(start).items()}
    still = {name: leaves[name].clone() for name in ("keys", "embeddings")}
    leaves |= {name: leaves[name][free] for name in still}
    moving = [name for name in leaves if name in trained_names(start.head) and name.split(".")[0] in train]
    for name in moving:
        leaves[name].requires_grad_()
    steps = optimiser([leaves[name] for name in moving])

    def whole(name: str) -> Tensor:
        return still[name].index_copy(0, torch.tensor(free), leaves[name])

    counts, labels = torch.tensor(CORPUS.counts.toarray(), dtype=torch.float64), torch.tensor(CORPUS.labels)
    head = {name.removeprefix("head."): leaf for name, leaf in leaves.items() if name.startswith("head.")}
    update = Training(batch_size=batch or CORPUS.n_sentences, batch_seed=SEED)
    for epoch in range(epochs):
        everything = [np.arange(CORPUS.n_sentences)]
        for rows in update.batches(CORPUS.n_sentences, epoch) if batch else everything:
            attention = torch.softmax(torch.log(counts[rows]) + whole("keys") @ leaves["query"], dim=1)
            logits = formula(start.head)(head, attention @ whole("embeddings"))
            steps.zero_grad()
            torch.nn.functional.cross_entropy(logits, labels[rows]).backward()
            steps.step()
    return {name: (whole(name) if name in still else leaf).detach().numpy() for name, leaf in leaves.items()}


def started(model: str, held: tuple[int, ...] = (), seed: int = 3) -> Parameters:
    """A start with more dimensions than its head reads; the keys of held words are 0, as a trained query asks."""
    start = parameters_for(CORPUS, model, seed, d=5, spread=1.0)
    keys = start.keys.copy()
    keys[list(held)] = 0.0
    return built(start, named(start) | {"keys": keys})


def apart(ours: Parameters, wanted: dict[str, np.ndarray]) -> float:
    """Largest distance of a parameter from another model's, in shares of its size."""
    return max(relative_error(array, wanted[name], 0.0) for name, array in named(ours).items())


EPOCHS = 200


def trained(model: str, case: str, train: tuple[str, ...], batch: int | None, held: tuple[int, ...], **other) -> Run:
    """A run of a case, or of other settings at its rate."""
    return descend(CORPUS, started(model, held), **settled(case, train, batch, held) | other)


def settled(case: str, train: tuple[str, ...], batch: int | None, held: tuple[int, ...]) -> Options:
    """The settings of a case."""
    settings: Options = {"train": train, "frozen_words": held, "batch_size": batch, "batch_seed": SEED}
    return settings | {"epochs": EPOCHS, "learning_rate": CASES[case].rate} | CASES[case].ours


WAYS = {
    "fixed query": (FIXED, None, ()),
    "fixed query, held words, batches": (FIXED, BATCH, HELD),
    "trained query, held words": (ALL, None, HELD),
    "trained query, batches": (ALL, BATCH, ABSENT),
}


def spread_over(*others: Iterable[Any], quick: int = 4) -> list[Any]:
    """Every combination of a case with others; all but one in so many, in which each case stands, are slow."""
    rest = [*product(*others)]
    return [
        pytest.param(case, *rest[place], marks=() if (place + number) % quick == 0 else pytest.mark.slow)
        for number, case in enumerate(CASES)
        for place in range(len(rest))
    ]


@pytest.mark.parametrize(("case", "model", "way"), spread_over(MODELS, WAYS))
def test_parameters_are_those_of_torch(model: str, case: str, way: str) -> None:
    train, batch, held = WAYS[way]
    start = started(model, held)
    wanted = plain_torch(start, CASES[case].torch, train=train, epochs=EPOCHS, held=held, batch=batch)
    assert apart(end(trained(model, case, train, batch, held)), wanted) <= 1e-10
    assert apart(start, wanted) > 1e-3, "negative control: nothing moved"


@dataclass(frozen=True)
class Uncorrected:
    """Adam without the correction of its bias: a rule as a user would add one."""

    linear: ClassVar[bool] = False

    def start(self, state: Arrays) -> Arrays:
        return Adam().start(state)

    def step(self, state: Arrays, slopes: Arrays, buffers: Arrays, rate: float) -> None:
        buffers["steps"][...] = 1e9
        Adam().step(state, slopes, buffers, rate)


@dataclass(frozen=True)
class Reduced:
    """Adam that claims to commute with reduced coordinates."""

    adam: Adam = field(default_factory=Adam)
    linear: ClassVar[bool] = True

    def start(self, state: Arrays) -> Arrays:
        return self.adam.start(state)

    def step(self, state: Arrays, slopes: Arrays, buffers: Arrays, rate: float) -> None:
        self.adam.step(state, slopes, buffers, rate)


MISTAKES = [
    ("adam", {"rule": Uncorrected()}),
    ("adam", {"rule": Reduced()}),
    ("adam", {"rule": Adam(epsilon=1e-7)}),
    ("adam, decay", {"decoupled": True}),
    ("adamw", {"decoupled": False}),
    ("momentum, decay", {"decoupled": True}),
    ("momentum, decoupled decay", {"decoupled": False}),
    ("momentum, decay", {"decay": {"keys": 0.01, "embeddings": 0.01}}),
    ("nesterov", {"rule": Momentum(0.8)}),
    ("momentum", {"rule": Momentum(0.9, nesterov=True)}),
    ("momentum", {"batch_seed": SEED + 1}),
    ("momentum", {"batch_size": BATCH + 1}),
    ("sign", {"rule": Descent()}),
]


@pytest.mark.parametrize(("case", "wrong"), MISTAKES, ids=lambda value: str(value).replace("object at", "")[:50])
def test_another_rule_is_far_from_that_of_torch(case: str, wrong: Options) -> None:
    """Negative control: what would be a mistake of a rule, of decay or of batches is seen, on a device too."""
    wanted = plain_torch(started("attn-tc"), CASES[case].torch, train=FIXED, epochs=40, held=(), batch=BATCH)
    settings: Options = settled(case, FIXED, BATCH, ()) | {"epochs": 40} | wrong
    for device in ("numpy", "cpu"):
        (run,) = descend_many(CORPUS, [started("attn-tc")], device=device, **settings)
        assert apart(end(run), wanted) > 1e-7


# --- coordinates


@pytest.mark.parametrize("batch", [None, BATCH])
@pytest.mark.parametrize("case", ["momentum", "nesterov", "descent"])
@pytest.mark.parametrize("model", MODELS)
def test_reduced_coordinates_change_round_off_alone(model: str, case: str, batch: int | None) -> None:
    for train in (FIXED, ALL, ("keys", "embeddings"), ("embeddings",)):
        runs = [trained(model, case, train, batch, (), reduced=reduced, epochs=50) for reduced in (True, False)]
        assert apart(end(runs[0]), named(end(runs[1]))) <= 1e-12


@pytest.mark.parametrize("case", CASES)
def test_only_rules_that_commute_with_them_run_in_reduced_coordinates(case: str) -> None:
    state = Dynamics(CORPUS, started("attn-fc"), Training(train=FIXED, **CASES[case].ours)).state()
    reduces = case in ("descent", "momentum", "nesterov")
    assert ("scores" in state, "keys" in state) == (reduces, not reduces)
    assert state["axes"].shape[0] == (2 if reduces else 5)


# --- words that are held, parts that decay


@pytest.mark.parametrize("train", [FIXED, ALL], ids=["fixed query", "trained query"])
@pytest.mark.parametrize("case", CASES)
def test_held_words_never_move(case: str, train: tuple[str, ...]) -> None:
    start = started("attn-tl", HELD)
    for batch in (None, BATCH):
        after = end(trained("attn-tl", case, train, batch, HELD, epochs=30))
        for name in ("keys", "embeddings"):
            before, now = named(start)[name], named(after)[name]
            moved = np.flatnonzero((before != now).any(axis=1))
            np.testing.assert_array_equal(now[list(HELD)], before[list(HELD)])
            assert moved.size > 5, "negative control: other words move"


@dataclass(frozen=True)
class Shrinking:
    """Descent with a decay of its own, which also moves entries of slope 0."""

    linear: ClassVar[bool] = False

    def start(self, state: Arrays) -> Arrays:
        return {}

    def step(self, state: Arrays, slopes: Arrays, buffers: Arrays, rate: float) -> None:
        for name in slopes:
            state[name] *= 0.9
        Descent().step(state, slopes, buffers, rate)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_a_rule_that_moves_entries_of_slope_0_leaves_held_words(device: str) -> None:
    start = started("attn-tc", HELD)
    for train in (FIXED, ALL):
        (run,) = descend_many(
            CORPUS, [start], rule=Shrinking(), frozen_words=HELD, train=train, epochs=3, device=device
        )
        for name in ("keys", "embeddings"):
            before, now = named(start)[name], named(end(run))[name]
            np.testing.assert_array_equal(now[list(HELD)], before[list(HELD)])
            assert (now[0] != before[0]).all(), "negative control: other words move"


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("part", ALL)
def test_a_part_decays_alone(part: str, decoupled: bool) -> None:
    """After one step of descent, decay differs from none by η λ θ in its part, and by nothing in the others."""
    start = started("attn-tl")
    options: Options = {"train": ALL, "epochs": 1, "decoupled": decoupled}
    plain, decayed = (end(descend(CORPUS, start, decay={part: decay}, **options)) for decay in (0.0, 0.3))
    for name, array in named(decayed).items():
        expected = named(plain)[name] - 0.1 * 0.3 * (name.split(".")[0] == part) * named(start)[name]
        np.testing.assert_allclose(array, expected, rtol=0, atol=1e-14)


# --- mini-batches


def test_each_epoch_takes_every_sentence_once_in_an_order_of_its_own() -> None:
    update = Training(batch_size=BATCH, batch_seed=SEED)
    epochs = [[rows.tolist() for rows in update.batches(24, epoch)] for epoch in range(3)]
    assert [[len(rows) for rows in batches] for batches in epochs] == 3 * [[10, 10, 4]]
    orders = [[row for rows in batches for row in rows] for batches in epochs]
    assert all(sorted(order) == list(range(24)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    again = [rows.tolist() for rows in update.batches(24, 1)]
    assert again == epochs[1]
    assert again != [rows.tolist() for rows in Training(batch_size=BATCH, batch_seed=SEED + 1).batches(24, 1)]


def test_what_is_recorded_is_evaluated_on_all_sentences() -> None:
    run = trained("attn-tc", "momentum", FIXED, BATCH, (), epochs=12)
    before = trained("attn-tc", "momentum", FIXED, BATCH, (), epochs=11)
    whole = descend(CORPUS, end(before), epochs=0, train=FIXED).trajectory
    for name in ("train_loss", "score_signal", "embedding_signal", "score_sum"):
        assert run.trajectory[name][11] == pytest.approx(whole[name][0].item(), rel=1e-12)
    other = trained("attn-tc", "momentum", FIXED, None, (), epochs=11).trajectory
    assert other.train_loss[11] != pytest.approx(whole.train_loss[0].item(), rel=1e-6), "negative control"


def test_rows_of_a_corpus_are_a_corpus_of_their_sentences() -> None:
    rows = np.array([3, 20, 0])
    taken = CORPUS.take(rows)
    made = Corpus(
        counts=CORPUS.counts[rows], labels=CORPUS.labels[rows], vocabulary=CORPUS.vocabulary, n_classes=CORPUS.n_classes
    )
    np.testing.assert_array_equal(taken.counts.toarray(), CORPUS.counts.toarray()[rows])
    for ours, wanted in zip(
        (taken.counts.data, taken.counts.indices, taken.counts.indptr, taken.labels),
        (made.counts.data, made.counts.indices, made.counts.indptr, made.labels),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, wanted)
        assert ours.dtype == wanted.dtype
    assert (taken.vocabulary, taken.n_classes, taken.n_sentences) == (CORPUS.vocabulary, CORPUS.n_classes, 3)
    for bad in ([], [24], [-1], [0.5]):
        with pytest.raises(InputError, match="rows: expected"):
            CORPUS.take(np.array(bad))


# --- checkpoints and patience


class PowerCut(BaseException):
    """Ends a run in the middle."""


def cut(at: int) -> Callable[[int, float], None]:
    def meter(epoch: int, loss: float) -> None:
        if epoch >= at:
            raise PowerCut

    return meter


def same(first: Run, second: Run) -> bool:
    """Whether two runs are the same to the bit."""
    return first.trajectory.identical(second.trajectory) and same_ends(first, second)


def same_ends(first: Run, second: Run) -> bool:
    """Whether two runs end in the same parameters, to the bit."""
    ends = named(end(first)), named(end(second))
    return all(array.tobytes() == ends[1][name].tobytes() for name, array in ends[0].items())


@pytest.fixture
def saved_at_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SHARE", 0)


DEV = topic_corpus(1)


def resumed(case: str, batch: int | None, train: tuple[str, ...], **options) -> tuple[Run, Run]:
    """A run as a whole, and the same one killed twice and resumed."""
    options |= {"evaluate_on": {"dev": DEV}, "follow": (3, 1), "epochs": 130}
    whole = trained("attn-tl", case, train, batch, (), **options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.npz"
        for at in (20, 100):
            with pytest.raises(PowerCut):
                trained("attn-tl", case, train, batch, (), checkpoint=Checkpoint(path, 0), meter=cut(at), **options)
            assert path.exists()
        return whole, trained("attn-tl", case, train, batch, (), checkpoint=Checkpoint(path, 0), **options)


@pytest.mark.usefixtures("saved_at_every_turn")
@pytest.mark.parametrize(("case", "batch", "patience"), spread_over([None, BATCH], [None, 1000]))
def test_a_killed_run_goes_on_to_the_bit(case: str, batch: int | None, patience: int | None) -> None:
    assert same(*resumed(case, batch, ALL if patience else FIXED, patience=patience))


def without(kept: str) -> Callable[[Dynamics], Arrays]:
    """A state that lacks what the update keeps under this name."""
    whole = Dynamics.state
    return lambda dynamics: {n: array for n, array in whole(dynamics).items() if not n.startswith(kept)}


LOSSES = [("momentum", None, "rule."), ("adam", None, "rule.steps"), ("descent", BATCH, "passes")]
"""Cases whose course changes where a checkpoint forgets what has this name."""


@pytest.mark.usefixtures("saved_at_every_turn")
@pytest.mark.parametrize(("case", "batch", "forgotten"), LOSSES)
def test_what_a_checkpoint_forgets_is_missed(
    case: str, batch: int | None, forgotten: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(Dynamics, "state", without(forgotten))
    assert not same(*resumed(case, batch, FIXED))


def stopped(case: str, batch: int | None) -> tuple[Run, Run]:
    """A run that patience ended, and one that ends by itself at the best epoch of the first."""
    judge = {"dev": replace(DEV, labels=DEV.labels[::-1].copy())}
    run = trained("attn-tc", case, FIXED, batch, (), patience=60, epochs=400, evaluate_on=judge)
    assert (run.ended, run.best_epoch > 2) == ("patience", True)
    return run, trained("attn-tc", case, FIXED, batch, (), epochs=run.best_epoch)


@pytest.fixture
def state_kept_at_every_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "EVERY", 2)


@pytest.mark.usefixtures("state_kept_at_every_second_epoch")
@pytest.mark.parametrize("batch", [None, BATCH])
@pytest.mark.parametrize("case", CASES)
def test_patience_returns_the_best_state_to_the_bit(case: str, batch: int | None) -> None:
    assert same_ends(*stopped(case, batch))


@pytest.mark.usefixtures("state_kept_at_every_second_epoch")
@pytest.mark.parametrize(("batch", "forgotten"), [(BATCH, "rule."), (BATCH, "passes")])
def test_what_patience_forgets_is_missed(batch: int | None, forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the best epoch lies behind a copy of the state, and the steps between them need the buffers."""
    monkeypatch.setattr(Dynamics, "state", without(forgotten))
    run, to_best = stopped("momentum", batch)
    assert run.best_epoch % 2 == 1
    assert not same_ends(run, to_best)


def test_a_checkpoint_belongs_to_one_rule(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    settings: Options = {"epochs": 5, "train": FIXED}
    descend(CORPUS, started("attn-tc"), checkpoint=Checkpoint(path), **settings)
    descend(CORPUS, started("attn-tc"), checkpoint=Checkpoint(path), rule=Descent(), decay=0, **settings)
    others: list[Options] = [{"rule": Momentum(0.5)}, {"decay": 0.1}, {"batch_size": 9}, {"rule": Uncorrected()}]
    for other in others:
        with pytest.raises(CheckpointMismatch):
            descend(CORPUS, started("attn-tc"), checkpoint=Checkpoint(path), **settings, **other)


def test_plain_descent_keeps_its_identity_and_every_other_setting_has_its_own() -> None:
    others = [Training(**CASES[case].ours) for case in CASES if case != "descent"]
    others += [
        Training(batch_size=9),
        Training(batch_size=8),
        Training(batch_size=9, batch_seed=1),
        Training(decay={"head": 1}),
        Training(decay=0.1),
        Training(decay=0.1, decoupled=True),
        Training(learning_rate=0.2),
        Training(train=("keys",)),
        Training(frozen_words=(3,)),
        Training(patience=7),
        Training(reduced=False),
    ]
    found = {repr(each.identity) for each in others}
    assert len(found) == len(others)
    plain = repr(Training().identity)
    same = Training(batch_seed=3, decay={"head": 0.0}, decoupled=True, epochs=9, train=["head", "embeddings", "keys"])
    assert plain == repr(same.identity)
    assert plain not in found


# --- replicates


@pytest.mark.parametrize("batch", [None, BATCH])
@pytest.mark.parametrize("case", ["descent", "nesterov", "adam", "adamw", "sign"])
def test_replicates_are_single_runs_to_the_bit(case: str, batch: int | None) -> None:
    starts = [started("attn-tc", HELD), parameters_for(CORPUS, "attn-tc", 8, d=5)]
    options: Options = CASES[case].ours | {"batch_size": batch, "frozen_words": HELD, "epochs": 20, "train": FIXED}
    runs = descend_many(CORPUS, starts, **options)
    alone = [descend(CORPUS, start, **options) for start in starts]
    assert [same(*pair) for pair in zip(runs, alone, strict=True)] == [True, True]
    assert not same(runs[0], alone[1]), "negative control"


def on_each(model: str, case: str, way: str, **other: Any) -> list[list[Run]]:
    """Three replicates in numpy, and the same ones on a device of torch."""
    train, batch, held = WAYS[way]
    starts = [started(model, held, seed) for seed in (3, 4, 5)]
    settings: Options = settled(case, train, batch, held) | {
        "epochs": 100,
        "evaluate_on": {"dev": DEV},
        "follow": (1, 2),
    }
    settings |= other
    return [descend_many(CORPUS, starts, device=device, **settings) for device in ("numpy", "cpu")]


def distance(first: Run, second: Run) -> float:
    """Largest relative distance of all that two runs recorded, and of their ends."""
    return max(*differences(first, second).values(), apart(end(first), named(end(second))))


@pytest.mark.parametrize(("case", "model", "way"), spread_over(MODELS, WAYS, quick=12))
def test_a_device_of_torch_steps_as_numpy_does(case: str, model: str, way: str) -> None:
    numpy, device = on_each(model, case, way)
    assert max(map(distance, numpy, device)) <= 1e-10
    assert distance(numpy[0], device[1]) > 1e-3, "negative control"


@pytest.mark.parametrize("case", ["nesterov", "adamw", "sign"])
def test_patience_on_a_device_of_torch_is_that_of_numpy(case: str) -> None:
    judge = {"dev": replace(DEV, labels=DEV.labels[::-1].copy())}
    numpy, device = on_each("attn-tc", case, "fixed query, held words, batches", patience=9, evaluate_on=judge)
    assert "patience" in {run.ended for run in device}
    assert [run.ended for run in numpy] == [run.ended for run in device]
    assert len({run.best_epoch for run in device}) > 1, "all end together: this shows nothing"
    assert [run.best_epoch for run in numpy] == [run.best_epoch for run in device]
    assert max(map(distance, numpy, device)) <= 1e-10


NORMALISED = "normalised"
OWN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    NORMALISED: lambda slope: slope / array_namespace(slope).sum(slope * slope) ** 0.5,
    "numpy": lambda slope: np.sqrt(slope * slope),
    "number": lambda slope: slope * float((slope * slope).sum()),
}
"""Steps of rules of one's own: by the norm of a whole array, by functions of numpy, and by a number on the host."""


@dataclass(frozen=True)
class Own:
    """A rule of one's own."""

    kind: str
    linear: ClassVar[bool] = False

    def start(self, state: Arrays) -> Arrays:
        return {}

    def step(self, state: Arrays, slopes: Arrays, buffers: Arrays, rate: float) -> None:
        for name, slope in slopes.items():
            state[name] -= rate * OWN[self.kind](slope)


def test_a_rule_that_reads_norms_sees_one_replicate_at_a_time() -> None:
    assert max(map(distance, *on_each("attn-tl", "sign", "fixed query", rule=Own(NORMALISED)))) <= 1e-10


@pytest.mark.parametrize("kind", ["numpy", "number"])
def test_a_rule_that_needs_numpy_is_refused_on_a_device_of_torch(kind: str) -> None:
    with pytest.raises(
        InputError, match=r"rule: expected a rule that steps tensors, which the device 'cpu' needs, got Own"
    ):
        descend_many(CORPUS, [started("attn-tc")], epochs=1, device="cpu", rule=Own(kind))
    descend_many(CORPUS, [started("attn-tc")], epochs=1, rule=Own(kind))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "gradient descent, η = 0.1"),
        (
            {"rule": Momentum(0.9), "decay": {"keys": 0.1, "head": 0.2}},
            "momentum 0.9, η = 0.1, decay 0.1 of keys and 0.2 of head",
        ),
        ({"rule": Adam(beta1=0.5), "decay": 0.01, "decoupled": True}, "Adam, beta1 0.5, η = 0.1, decoupled decay 0.01"),
        ({"decay": 0.0, "decoupled": True, "batch_size": 1000}, "gradient descent, η = 0.1, batches of 1,000"),
        ({"rule": Uncorrected()}, "Uncorrected, η = 0.1"),
    ],
)
def test_a_training_is_said_in_words(settings: Options, said: str) -> None:
    assert Training(**settings).in_words == said


def test_memory_counts_the_buffers_of_a_rule() -> None:
    def needed(rule: Rule) -> int:
        settings = Training(rule=rule, reduced=False, train=("embeddings",), epochs=0)
        return bytes_needed(Threads(), start, Layout(CORPUS), settings, saved=False)[0].of(1)

    start = started("attn-tc")
    size, plain = start.embeddings.nbytes, needed(SignDescent())
    assert [round((needed(RULES[name]()) - plain) / size) for name in ("momentum", "adam", "sign")] == [1, 2, 0]


def test_adam_corrects_its_means_to_round_off_in_single_precision() -> None:
    """As β₂ is near 1, 1 - β₂ᵗ from powers in single precision would be off by 1e-5."""
    rule, epsilon = Adam(), float(np.finfo(np.float32).eps)
    tensor: Any = torch.zeros(4, dtype=torch.float32)
    array = np.zeros(4)
    single, double = rule.start({"x": tensor}), rule.start({"x": array})
    for step in range(1, 6):
        slope = np.array([0.3, -0.2, 1.0, 5.0]) / step
        slopes: Any = torch.tensor(slope, dtype=torch.float32)
        rule.step({"x": tensor}, {"x": slopes}, single, rate=0.1)
        rule.step({"x": array}, {"x": slope}, double, rate=0.1)
        np.testing.assert_allclose(tensor.numpy(), array, rtol=8 * step * epsilon)
    powers = 1 - np.float32(0.999) ** np.float32(1)
    assert abs(powers / 0.001 - 1) > 50 * epsilon, "negative control"


@dataclass(frozen=True)
class ByName:
    """Descent with a momentum of the embeddings alone, by word, which reads the names and axes of its arrays."""

    linear: ClassVar[bool] = False

    def start(self, state: Arrays) -> Arrays:
        axes = state["axes"]
        return {"by_word": array_namespace(axes).zeros(axes.shape[1:], dtype=axes.dtype)}

    def step(self, state: Arrays, slopes: Arrays, buffers: Arrays, rate: float) -> None:
        by_word = buffers["by_word"]
        by_word += array_namespace(by_word).sum(slopes["axes"], axis=0)
        for name, slope in slopes.items():
            array = state[name]
            array -= rate * (slope + 0.1 * by_word if name == "axes" else slope)


def test_a_rule_may_read_the_names_and_shapes_of_its_arrays() -> None:
    starts, settings = [started("attn-tc", seed=seed) for seed in (3, 4)], {"epochs": 20, "rule": ByName()}
    alone = descend(CORPUS, starts[0], **settings)
    assert max(differences(alone, descend_many(CORPUS, starts, **settings)[0]).values()) == 0.0
    assert distance(alone, descend_many(CORPUS, starts, device="cpu", **settings)[0]) <= 1e-10
    assert distance(alone, descend(CORPUS, starts[0], epochs=20)) > 1e-3, "negative control"


# --- the command


def test_a_configuration_trains_by_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Synthetic(dictionary=50, sentences=240, test_sentences=10).draw(3)
    plain = Config(epochs=12, seed=3)
    config = replace(plain, rule="momentum", momentum=0.5, nesterov=True, decay=1e-3, decoupled=True, batch_size=100)
    start = configured_run.start(config, task)
    update: Options = {"decay": 1e-3, "decoupled": True, "batch_size": 100, "batch_seed": 3}
    alone = descend(task.train, start, epochs=12, rule=Momentum(0.5, nesterov=True), **update)
    assert same_ends(configured_run.train(config, task, start), alone)
    assert not same_ends(configured_run.train(plain, task, start), alone), "control"
    configured_run.check_start(replace(config, device="cpu"), task, start)
    monkeypatch.setitem(RULES, "momentum", lambda **settings: Own("numpy"))
    with pytest.raises(InputError, match="expected a rule that steps tensors"):
        configured_run.check_start(replace(config, device="cpu"), task, start)


def test_settings_that_a_rule_does_not_read_are_named() -> None:
    notes = Config(momentum=0.5, decoupled=True).notes
    rule, run = "the rule descent: --momentum", "a run without --decay: --decoupled"
    assert notes == [f"Without effect on {rule}.", f"Without effect on {run}."]
    assert Config(rule="momentum", momentum=0.5, decay=0.1, decoupled=True).notes == []
    assert Config(rule="adam", beta1=0.5).training.rule == Adam(beta1=0.5)
    refused: list[Options] = [{"momentum": 1.0}, {"beta2": 1.0}, {"epsilon": 0.0}, {"decay": -1.0}, {"batch_size": 0}]
    for bad in refused:
        with pytest.raises(InputError, match=next(iter(bad))):
            Config(**bad)


def test_a_sweep_takes_rules_as_an_axis() -> None:
    configs = Grid(rule=("descent", "adam"), decay=(0.0, 0.1), batch_size=(None, 8)).configs()
    assert len({repr(config.training) for config in configs}) == 8
    row = settings(configs[-1])
    assert (row["rule"], row["decay"], row["batch_size"]) == ("adam", 0.1, 8)


# --- which laws hold


LAWS: dict[str, tuple[Training, set[str], str]] = {
    "momentum": (Training(rule=Momentum()), {"B1", "C10"}, "scores sum to 0 over the words in every step$"),
    "batches": (Training(batch_size=10), {"C10"}, "scores sum to 0 over the words in every step$"),
    "decay": (Training(decay=0.1), {"B1", "C10"}, "decay shrinks Σ s, which starts at 0"),
    "decay of the head": (Training(decay={"head": 0.1}), {"C10"}, "no key decays"),
    "adam": (Training(rule=Adam()), {"A1", "B1", "C10"}, r"no sums of gradients \(law G5\)"),
    "sign": (Training(rule=SignDescent()), {"A1", "B1", "C10"}, r"no sums of gradients \(law G4\)"),
}
"""Updates, the laws that their steps break from scores that sum to 0, and why A1 holds or fails."""


@pytest.mark.parametrize("name", LAWS)
def test_the_laws_that_an_update_breaks_are_named(name: str) -> None:
    training, broken, reason = LAWS[name]
    task, start = small_task()
    found = check_assumptions(task, start, training, train=FIXED)
    assert {each.law for each in found if each.assumption == PLAIN_STEPS and not each.holds} == broken
    assert re.search(reason, told(task, start, training, "A1"))
    moved = replace(start, keys=np.ones_like(start.keys))
    if name == "decay":
        found = check_assumptions(task, moved, training, train=FIXED)
        assert {each.law for each in found if each.assumption == PLAIN_STEPS and not each.holds} == {"A1", *broken}
        assert "decay of the keys shrinks Σ s, which starts at" in told(task, moved, training, "A1")
    run = descend(task.train, moved, training, epochs=60, learning_rate=0.05)
    drift = np.abs(run.trajectory.score_sum - run.trajectory.score_sum[0]).max().item()
    assert (drift > 1e-3) == (name in ("adam", "sign", "decay")), "A1 as it is said"


STILL_PLAIN: dict[str, Options] = {
    "momentum that keeps nothing": {"rule": Momentum(0.0)},
    "Nesterov's that keeps nothing": {"rule": Momentum(0.0, nesterov=True)},
    "no decay": {"decay": 0.0, "decoupled": True},
    "no decay of a part": {"decay": {"keys": 0.0}},
    "a batch of all": {"batch_size": 80},
    "a batch of more": {"batch_size": 81},
}


@pytest.mark.parametrize("name", STILL_PLAIN)
def test_what_steps_as_plain_descent_is_plain_descent(name: str, tmp_path: Path) -> None:
    """No law is said to break, a prediction stands beside, and a checkpoint of plain descent goes on."""
    task, start = small_task()
    settings: Options = {"epochs": 30, "train": FIXED}
    assert not [each for each in check_assumptions(task, start, **settings, **STILL_PLAIN[name]) if _on_steps(each)]
    predicted, usual = predict(task, start, **settings, **STILL_PLAIN[name]), predict(task, start, **settings)
    assert not isinstance(predicted, str)
    assert not isinstance(usual, str)
    assert predicted.identical(usual)
    saved = Checkpoint(tmp_path / "run.npz")
    plain = descend(task.train, start, checkpoint=saved, **settings)
    assert same(descend(task.train, start, checkpoint=saved, **settings, **STILL_PLAIN[name]), plain)
    assert same(descend(task.train, start, **settings, **STILL_PLAIN[name]), plain)
    if name.startswith("a batch"):
        assert not same(descend(task.train, start, **settings, batch_size=79), plain), "negative control"
        assert [each for each in check_assumptions(task, start, **settings, batch_size=79) if _on_steps(each)]


def test_adam_that_trains_no_key_keeps_the_sum_of_scores() -> None:
    task, start = small_task()
    others = ("embeddings", "head")
    found = [check_assumptions(task, start, rule=Adam(), train=train)[-3:] for train in (others, FIXED)]
    assert [[each.holds for each in laws if each.law == "A1"] for laws in found] == [[True], [False]]


def small_task() -> tuple[Task, Parameters]:
    """A task of 80 sentences whose assumptions hold, and a start from zero scores."""
    task = Synthetic(dictionary=500, sentences=80).draw(0)
    sizes = {"n_words": task.train.n_words, "n_classes": 4, "embedding_dim": 5}
    return task, draw("paper", "attn-tc", rng=np.random.default_rng(0), **sizes)


def told(task: Task, start: Parameters, training: Training, law: str, **settings: Any) -> str:
    """What is found about a law's steps."""
    found = check_assumptions(task, start, training, train=FIXED, **settings)
    return next(each.detail for each in found if each.law == law and _on_steps(each))


def _on_steps(each: Assumption) -> bool:
    return each.assumption == PLAIN_STEPS


def test_what_holds_instead_is_named_with_all_that_breaks_the_relation() -> None:
    task, start = small_task()
    said = partial(told, task, start, Training(), "B1")
    assert "law G3" in said(batch_size=10)
    assert "embeddings beside" in said(decay={"embeddings": 0.1})
    assert "decay of the head alone leaves it" in said(decay={"head": 0.1})
    assert "equations of mean field have no weight decay" in told(task, start, Training(), "C10", decay={"head": 0.1})
    both = said(rule=Momentum(), decay=1e-3)
    assert "law G1" in both
    assert "Momentum steps along past gradients" in both
    assert "law G2" in both
    assert "law G4" in said(rule=SignDescent())
    assert "steps of Plain are not known to be those of plain descent" in said(rule=Plain())
    assert "past gradients" not in said(rule=Plain()), "a rule that nobody knows may have no memory"
    assert "law G5" in said(rule=Adam())
    assert "G1" not in said(rule=Momentum()), "negative control"
    threshold = decay_threshold(task.train)
    above = {"embeddings": 0.5 * threshold, "head": 2.1 * threshold}
    assert "only a smaller decay" in said(decay=1.01 * threshold)
    assert "only a smaller decay" in said(decay=above, rule=Momentum())
    assert "C13" not in said(decay=0.99 * threshold), "negative control"
    assert "C13" not in said(decay=1.01 * threshold, rule=Adam()), "negative control"
    assert "only a smaller decay" in said(decay=1.01 * threshold, decoupled=True)
    assert "C13" not in said(decay=1.01 * threshold, decoupled=True, rule=Momentum()), "negative control"


@pytest.mark.parametrize(
    "settings",
    [{"decay": 0.1}, {"learning_rate": 20.0}, {"decay": 0.01, "learning_rate": 40.0}],
    ids=lambda each: " and ".join(each),
)
def test_a_loss_that_decay_raises_is_no_sign_of_long_steps(settings: Options) -> None:
    """Decay takes back what little is learned, at any learning rate; long steps are the negative control."""
    config = Config(epochs=300, synthetic=Synthetic(dictionary=500, sentences=80), **settings)
    task = config.synthetic.draw(0)
    start = configured_run.start(config, task)
    summary = results.summarise(results.annotate(configured_run.train(config, task, start), config, task, start), 0.0)
    assert (summary["loss_rises"] > 0) == ("decay" in settings)
    told = " ".join(results.broken(summary))
    assert ("smaller --learning-rate" in told) == ("learning_rate" in settings)
    assert "rose at" not in told


# --- bad values


class Stepless:
    """Lacks what a rule needs most."""

    linear = True

    def start(self, state: Arrays) -> Arrays:
        return {}


class Plain(Stepless):
    """Steps, but has the repr of an object in memory, which changes from process to process."""

    def step(self, state: Arrays, slopes: Arrays, buffers: Arrays, rate: float) -> None:
        Descent().step(state, slopes, buffers, rate)


@dataclass(frozen=True)
class Mistaken:
    """Descent with a mistake by which the model, or a checkpoint, keeps the old arrays."""

    mistake: str
    linear: ClassVar[bool] = True

    def start(self, state: Arrays) -> Arrays:
        return {"seen": np.zeros(())}

    def step(self, state: Arrays, slopes: Arrays, buffers: Arrays, rate: float) -> Arrays | None:
        stepped = {name: state[name] - rate * slope for name, slope in slopes.items()}
        if self.mistake == "rebound":
            state.update(stepped)
        if self.mistake == "buffer":
            buffers["seen"] = buffers["seen"] + 1.0
        if self.mistake == "none":
            for name, array in stepped.items():
                state[name][...] = array
        return stepped if self.mistake == "returned" else None


class Forgetful(Plain):
    """Descent whose `start` returns nothing."""

    def start(self, state: Arrays) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass


def test_a_first_step_that_moves_nothing_is_told(recwarn: pytest.WarningsRecorder) -> None:
    descend(CORPUS, started("attn-tc"), epochs=1, rule=Plain())
    assert not recwarn.list, "negative control"
    with pytest.warns(UserWarning, match="first step of Mistaken moves nothing"):
        descend(CORPUS, started("attn-tc"), epochs=2, rule=Mistaken("still"))


def test_a_rule_without_a_mistake_is_descent() -> None:
    """Negative control of the refusals below."""
    runs = [descend(CORPUS, started("attn-tc"), epochs=3, rule=each) for each in (Mistaken("none"), Descent())]
    ours, wanted = (run.trajectory.train_loss.values for run in runs)
    np.testing.assert_allclose(ours, wanted, rtol=1e-12)


def test_only_a_checkpoint_asks_for_a_repr_that_lasts(tmp_path: Path) -> None:
    start = started("attn-tc")
    run = descend(CORPUS, start, epochs=3, rule=Plain())
    assert run.trajectory.train_loss[-1] < run.trajectory.train_loss[0]
    message = "expected a repr that tells a rule's settings, got .*Plain object at 0x.* frozen dataclass"
    with pytest.raises(InputError, match=message):
        descend(CORPUS, start, epochs=3, rule=Plain(), checkpoint=Checkpoint(tmp_path / "checkpoint.npz"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "momentum"}, r"rule: expected a Rule, got 'momentum'. Give rule=Momentum\(\)\."),
        ({"rule": "adamw"}, r"got 'adamw'. Give rule=Adam\(\), decoupled=True"),
        ({"rule": "lion"}, "got 'lion'. Take one of Descent, Momentum"),
        ({"rule": Momentum}, r"rule: expected a rule, got the class Momentum. Give Momentum\(\)"),
        ({"rule": Stepless()}, "with linear, start, step, got Stepless without step. In a rule step is a method"),
        ({"rule": Forgetful()}, "returns a dict of arrays by name, got one of Forgetful that returns None"),
        ({"rule": Mistaken("rebound")}, "changes arrays in place, got one of Mistaken that puts another at 'scores'"),
        ({"rule": Mistaken("returned")}, "changes arrays in place, got one of Mistaken that returns arrays"),
        ({"rule": Mistaken("buffer")}, "changes arrays in place, got one of Mistaken that puts another at 'seen'"),
        ({"decay": -1.0}, "decay: expected a finite number from 0, got -1.0"),
        ({"decay": np.nan}, "decay: expected a finite number"),
        ({"decay": "much"}, "decay: expected a finite number"),
        ({"decay": {"keys": -1.0}}, r"decay\['keys'\]: expected a finite number from 0"),
        ({"decay": {"values": 1.0}}, "decay: expected any of query, keys, embeddings, head, got 'values'"),
        ({"decay": {"query": 1.0}}, "decay: expected trained parts only, got query"),
        ({"decoupled": 1}, "decoupled: expected True or False"),
        ({"batch_size": 0}, "batch_size: expected 1 or more, got 0"),
        ({"batch_size": 1.5}, "batch_size: expected an integer"),
        ({"batch_seed": -1}, "batch_seed: expected 0 or more"),
    ],
)
def test_bad_values_are_refused(options: Options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        descend(CORPUS, started("attn-tc"), epochs=1, **options)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Momentum(1.0), "beta"),
        (lambda: Momentum(-0.1), "beta"),
        (lambda: Momentum(nesterov="yes"), "nesterov"),  # pyright: ignore[reportArgumentType]
        (lambda: Adam(beta1=1.0), "beta1"),
        (lambda: Adam(beta2=np.inf), "beta2"),
        (lambda: Adam(epsilon=0.0), "epsilon"),
    ],
)
def test_bad_settings_of_a_rule_are_refused(make: Callable[[], object], name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: expected"):
        make()


@pytest.mark.parametrize("name", RULES)
def test_every_rule_of_the_registry_learns(name: str) -> None:
    rate = 0.1 if name in ("descent", "momentum") else SMALL
    run = descend(CORPUS, started("attn-tc"), rule=RULES[name](), learning_rate=rate, epochs=400, batch_size=BATCH)
    assert run.trajectory.train_loss[-1] < 0.5 * run.trajectory.train_loss[0]
    assert run.ended == "epochs"
