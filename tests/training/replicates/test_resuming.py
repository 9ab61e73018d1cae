"""Claim: replicates that were cut off anywhere go on from their checkpoint as if nothing had happened, to the bit."""

import signal
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Adam, Corpus, Momentum, Parameters, Run, descend_many
from attn_dynamics.errors import InputError
from attn_dynamics.training.checkpoint import Checkpoint, resume_point
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.loop import Loop
from attn_dynamics.training.replicates.threads import Threads, common_state
from attn_dynamics.training.run import RunsInterrupted
from attn_dynamics.training.stopping import Patience
from tests.support import MODELS, examples, named, parameters_for, press, topic_corpus
from tests.training.test_checkpoint import DEV, TRAINED, PowerCut, cut, saved_at_every_epoch

try:
    import torch
except ImportError:
    torch = None
TORCH = [pytest.mark.skipif(torch is None, reason="needs PyTorch"), pytest.mark.slow]
pytestmark = pytest.mark.usefixtures("epoch_by_epoch")
DEVICES = ["numpy", pytest.param("cpu", marks=TORCH)]


def starts(model: str, number: int = 4, *, corpus: Corpus | None = None) -> list[Parameters]:
    return [parameters_for(corpus or topic_corpus(0), model, k, d=5) for k in range(number)]


def diverging(start: Parameters) -> Parameters:
    """The same start with a head whose gradient overflows at once, or after a step."""
    weight = getattr(start.head, start.head.first)
    return replace(start, head=start.head.replace(**{start.head.first: 1e200 * weight}))


def go(model: str = "attn-tc", path: Path | None = None, **options: Any) -> list[Run]:
    """Replicates among those of this file, by default the same ones: they lose their patience at different epochs."""
    begin = options.pop("starts", None) or starts(model)
    corpus, every = options.pop("corpus", topic_corpus(0)), options.pop("every", 0.0)
    defaults: dict[str, Any] = {"learning_rate": 0.3, "epochs": 40, "evaluate_on": {"dev": DEV}, "follow": (3, 1, 13)}
    saving: dict[str, Any] = {} if path is None else {"checkpoint": Checkpoint(path, every=every)}
    return descend_many(corpus, begin, **defaults | saving | options)


def unlike(first: list[Run], second: list[Run]) -> list[str]:
    """What differs between replicates, in any bit."""
    return [
        f"{k}: {name}"
        for k, (one, other) in enumerate(zip(first, second, strict=True))
        for name, value in _told(one).items()
        if value != _told(other)[name]
    ]


def _told(run: Run) -> dict[str, Any]:
    variables = {str(name): variable.values.tobytes() for name, variable in run.trajectory.variables.items()}
    arrays = {} if run.parameters is None else named(run.parameters)
    told = {name: array.tobytes() for name, array in arrays.items()}
    return variables | told | {"ended": run.ended, "best_epoch": run.best_epoch, "arrays": sorted(arrays)}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("patience", [None, 8])
@pytest.mark.parametrize("model", MODELS)
def test_replicates_cut_off_anywhere_go_on_to_the_bit(model: str, patience: int | None, device: str) -> None:
    begin = [*starts(model), diverging(starts(model)[0])]
    whole: dict[tuple[tuple[str, ...], bool], list[Run]] = {}

    @settings(max_examples=examples(5))
    @given(st.sampled_from(TRAINED), st.booleans(), st.lists(st.integers(0, 40), max_size=3).map(sorted), st.booleans())
    def check(train: tuple[str, ...], reduced: bool, cuts: list[int], always: bool) -> None:
        options: dict[str, Any] = {
            "train": train,
            "reduced": reduced,
            "patience": patience,
            "device": device,
            "starts": begin,
        }
        if (train, reduced) not in whole:
            whole[train, reduced] = go(**options)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "runs.npz"
            for at in cuts:
                # Saved at every epoch, or as seldom as its cost has it: then less is kept.
                with saved_at_every_epoch() if always else pytest.MonkeyPatch.context():
                    try:
                        go(path=path, meter=cut(at), **options)
                    except PowerCut:
                        assert path.exists()
            assert unlike(go(path=path, **options), whole[train, reduced]) == []

    check()


RULED: list[dict[str, Any]] = [
    {"rule": Adam(), "learning_rate": 0.02, "batch_size": 7},
    {"rule": Momentum(0.9), "learning_rate": 0.03, "train": ("query", "keys", "embeddings", "head"), "decay": 0.01},
]


@pytest.mark.parametrize("options", RULED)
def test_a_rule_on_a_device_of_torch_goes_on_to_the_bit(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equations = pytest.importorskip("attn_dynamics.training.replicates.equations", reason="needs PyTorch")
    options = {"device": "cpu", "patience": 20, "starts": starts("attn-tl", 3)} | options

    def cut_twice(path: Path) -> list[Run]:
        for at in (5, 17):
            with saved_at_every_epoch(), pytest.raises(PowerCut):
                go(path=path, meter=cut(at), **options)
        return go(path=path, **options)

    whole = go(**options)
    assert unlike(cut_twice(tmp_path / "runs.npz"), whole) == []
    monkeypatch.setattr(equations.Replicates, "state", equations.Replicates.moving)
    assert unlike(cut_twice(tmp_path / "forgetful.npz"), whole) != [], "negative control: without buffers"


def test_these_replicates_end_in_every_way() -> None:
    """Else what is above would show less than it says."""
    runs = go(patience=8, starts=[*starts("attn-tc"), diverging(starts("attn-tc")[0])], epochs=22)
    assert {run.ended for run in runs} == {"patience", "epochs", "diverged"}
    assert len({run.trajectory.sizes["epoch"] for run in runs}) > 2


def test_what_early_stopping_kept_is_not_changed_by_a_resumed_run_that_is_cut_off(tmp_path: Path) -> None:
    """Beyond the epochs at which copies are taken, where the dev loss falls all the way."""
    options: dict[str, Any] = {"patience": 300, "evaluate_on": {"dev": topic_corpus(0)}, "learning_rate": 0.01}
    for at in (100, 200):
        with pytest.raises(PowerCut):
            go(path=tmp_path / "runs.npz", epochs=400, meter=cut(at), **options)
    assert unlike(go(path=tmp_path / "runs.npz", epochs=400, **options), go(epochs=400, **options)) == []


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("patience", [None, 8])
@pytest.mark.parametrize("model", MODELS)
def test_more_epochs_lengthen_those_that_ended_by_them_alone(
    model: str, patience: int | None, device: str, tmp_path: Path
) -> None:
    for epochs in (0, 12, 19):
        go(model, tmp_path / "runs.npz", epochs=epochs, patience=patience, device=device)
    longer = go(model, tmp_path / "runs.npz", epochs=130, patience=patience, device=device)
    assert unlike(longer, go(model, epochs=130, patience=patience, device=device)) == []


class Advancing(Sequence[dict[str, np.ndarray]]):
    """States of two replicates, which are an epoch on at every look at one of them."""

    epoch = 0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, replicate: Any) -> Any:
        if replicate >= len(self):
            raise IndexError(replicate)
        self.epoch += 1
        return {"epoch": np.array(self.epoch), "over": np.array(False)}


def test_a_checkpoint_is_of_one_moment_though_replicates_replace_their_states_meanwhile() -> None:
    states = Advancing()
    arrays = common_state(states)
    assert arrays["epochs"].tolist() == [arrays["0.epoch"], arrays["1.epoch"]]
    assert int(states[0]["epoch"]) > arrays["epochs"].max(), "negative control"


def test_on_more_threads_they_go_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = go(patience=8)
    go(path=tmp_path / "runs.npz", epochs=15, patience=8)
    monkeypatch.setattr(Threads, "at_once", 3)
    assert unlike(go(path=tmp_path / "runs.npz", patience=8), whole) == []


def test_single_precision_goes_on_to_the_bit(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    options: dict[str, Any] = {"device": "cpu", "precision": "float32", "patience": 8}
    go(path=tmp_path / "runs.npz", epochs=15, **options)
    assert unlike(go(path=tmp_path / "runs.npz", **options), go(**options)) == []


@pytest.mark.parametrize("patience", [None, 8])
def test_finished_replicates_that_are_resumed_take_no_step(
    patience: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They only step again from the copy that early stopping kept to the best state."""
    options: dict[str, Any] = {"patience": patience, "epochs": 200}
    first, taken, advance = go(path=tmp_path / "runs.npz", **options), [], Loop.advance
    monkeypatch.setattr(Loop, "advance", lambda *given, **more: taken.append(advance(*given, **more)))
    assert unlike(first, go(path=tmp_path / "runs.npz", **options)) == []
    assert not taken
    go(path=tmp_path / "more.npz", **options)
    assert taken, "negative control"


@pytest.mark.parametrize("device", DEVICES)
def test_records_longer_than_their_first_room_go_on(device: str, tmp_path: Path) -> None:
    for at in (63, 64, 65, 140):
        with pytest.raises(PowerCut):
            go("attn-fc", tmp_path / "runs.npz", epochs=150, meter=cut(at), device=device)
    assert (
        unlike(
            go("attn-fc", tmp_path / "runs.npz", epochs=150, device=device), go("attn-fc", epochs=150, device=device)
        )
        == []
    )


def test_ctrl_c_saves_the_runs_it_gives(tmp_path: Path) -> None:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)

    options: dict[str, Any] = {"patience": 8, "epochs": 60}
    try:
        with pytest.raises(RunsInterrupted) as caught:
            go(path=tmp_path / "runs.npz", every=1e9, meter=press(12), **options)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert "interrupted" in {run.ended for run in caught.value.runs}
    resumed = resume_point(Checkpoint(tmp_path / "runs.npz"), 60)
    assert resumed is not None
    assert resumed[0] > 0
    assert not resumed[1]
    assert unlike(go(path=tmp_path / "runs.npz", **options), go(**options)) == []


@pytest.mark.parametrize("device", DEVICES)
def test_a_checkpoint_of_replicates_says_where_it_stands(device: str, tmp_path: Path) -> None:
    at = Checkpoint(tmp_path / "runs.npz")
    assert resume_point(at, 40) is None
    go(path=at.path, epochs=12, device=device)
    assert resume_point(at, 12) == (12, True)
    assert resume_point(at, 13) == (12, False)
    (tmp_path / "runs.npz").unlink()
    go(path=at.path, patience=8, epochs=500, device=device)
    found = resume_point(at, 500)
    assert found is not None
    assert found[1]


# --- what must not come back unnoticed


@pytest.mark.parametrize(
    ("kind", "name"), [(Dynamics, "axes"), (Dynamics, "scores"), (Patience, "kept.axes"), (Patience, "best_loss")]
)
def test_a_checkpoint_that_lacks_something_is_noticed(
    kind: type, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"patience": 8, "starts": starts("attn-tl", 3)}
    whole, state = go(**options), kind.state
    with monkeypatch.context() as patch:
        patch.setattr(kind, "state", lambda self: {key: each for key, each in state(self).items() if key != name})
        go(path=tmp_path / "runs.npz", epochs=9, **options)
    try:
        again = go(path=tmp_path / "runs.npz", **options)
    except (KeyError, InputError):  # what was never written may be no number
        return
    assert unlike(again, whole) != []


# --- what does not fit


def nudged(name: str) -> list[Parameters]:
    begin = starts("attn-tc")
    begin[2] = replace(begin[2], **{name: np.nextafter(getattr(begin[2], name), 9.0)})
    return begin


OTHERS: dict[str, dict[str, Any]] = {
    "learning rate": {"learning_rate": 0.30000000000000004},
    "trained subset": {"train": ("keys", "embeddings")},
    "patience": {"patience": 9},
    "full instead of reduced": {"reduced": False},
    "followed words": {"follow": (3, 1)},
    "held words": {"frozen_words": (4,)},
    "name of the judge": {"evaluate_on": {"test": DEV}},
    "another judge": {"evaluate_on": {"dev": topic_corpus(2)}},
    "another corpus": {"corpus": topic_corpus(3)},
    "device": {"device": "cpu"},
    "query of one start": {"starts": nudged("query")},
    "keys of one start": {"starts": nudged("keys")},
    "a start less": {"starts": starts("attn-tc")[:-1]},
    "another order": {"starts": starts("attn-tc")[::-1]},
    "another head": {"starts": starts("attn-fc")},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_checkpoint_of_other_replicates_is_refused(what: str, tmp_path: Path) -> None:
    if what == "device":
        pytest.importorskip("torch", reason="needs PyTorch")
    path = tmp_path / "runs.npz"
    go(path=path, epochs=3)
    kept = path.read_bytes()
    with pytest.raises(InputError, match="expected a checkpoint of this run, got one of another"):
        go(path=path, epochs=3, **OTHERS[what])
    assert path.read_bytes() == kept


def test_precision_makes_other_replicates(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    go(path=tmp_path / "runs.npz", epochs=3, device="cpu")
    with pytest.raises(InputError, match="got one of another"):
        go(path=tmp_path / "runs.npz", epochs=3, device="cpu", precision="float32")


def test_fewer_epochs_are_refused(tmp_path: Path) -> None:
    go(path=tmp_path / "runs.npz", epochs=9)
    with pytest.raises(InputError, match=r"epochs: expected at least the 9 of the checkpoint .*, got 8"):
        go(path=tmp_path / "runs.npz", epochs=8)


def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "runs.npz"
    go(path=path, epochs=3)
    whole = path.read_bytes()
    for content in (b"", b"no checkpoint", whole[:100], whole[: len(whole) // 2], whole[:-1], bytes(len(whole))):
        path.write_bytes(content)
        with pytest.raises(InputError, match="expected a checkpoint of this program, got a file that cannot be read"):
            go(path=path, epochs=3)
        assert path.read_bytes() == content


# --- alone and in company


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("model", MODELS)
def test_a_replicate_does_not_know_who_stands_beside_it(model: str, n_classes: int) -> None:
    corpus = topic_corpus(0, sentences=60, words=120, n_classes=n_classes)
    begin = [parameters_for(corpus, model, k, d=5) for k in range(7)]
    for train in TRAINED:
        options: dict[str, Any] = {"corpus": corpus, "train": train, "evaluate_on": {}, "epochs": 25}
        together = go(starts=begin, **options)
        for few in (begin[:1], begin[:2], begin[:3]):
            assert unlike(go(starts=few, **options), together[: len(few)]) == [], (train, len(few))
