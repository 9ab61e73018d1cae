"""Claim: a run that was cut off anywhere goes on from its checkpoint as if nothing had happened, to the bit."""

import os
import signal
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics import Corpus, Run, descend
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import read_arrays, write_arrays
from attn_dynamics.model.heads import FixedLinear, TrainedLinear
from attn_dynamics.training import checkpoint
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.training.run import Interrupted
from tests.support import MODELS, examples, named, parameters_for, topic_corpus

DEV = topic_corpus(1)
DEV = replace(DEV, labels=DEV.labels[::-1].copy())
"""Classes that say nothing: what is learned hurts here after a while."""


class PowerCut(BaseException):
    """Ends a run in the middle of an epoch."""


pytestmark = pytest.mark.usefixtures("epoch_by_epoch")


def cut(at: int) -> Callable[[int, float], None]:
    def meter(epoch: int, loss: float) -> None:
        if epoch >= at:
            raise PowerCut

    return meter


@contextmanager
def saved_at_every_epoch() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "SHARE", 0)
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def go(model: str = "attn-tc", path: Path | None = None, **options) -> Run:
    """One run among those of this file, by default the same one."""
    corpus = options.pop("corpus", topic_corpus(0))
    start = options.pop("start", None) or parameters_for(corpus, model, 0, d=5)
    every = options.pop("every", 0.0)
    defaults: dict[str, Any] = {"learning_rate": 0.3, "epochs": 40, "evaluate_on": {"dev": DEV}, "follow": (3, 1, 13)}
    saving: dict[str, Any] = {} if path is None else {"checkpoint": Checkpoint(path, every=every)}
    return descend(corpus, start, **defaults | saving | options)


def assert_same(first: Run, second: Run) -> None:
    """To the bit."""
    assert first.trajectory.identical(second.trajectory)
    for name, variable in first.trajectory.variables.items():
        if variable.dtype.kind == "f":
            assert variable.values.tobytes() == second.trajectory[name].values.tobytes(), name
    assert (first.ended, first.best_epoch) == (second.ended, second.best_epoch)
    assert first.parameters is not None
    assert second.parameters is not None
    other = named(second.parameters)
    for name, array in named(first.parameters).items():
        assert array.tobytes() == other[name].tobytes(), name


TRAINED = (("keys", "embeddings", "head"), ("query", "keys", "embeddings", "head"), ("query",), ("embeddings",), ())


@pytest.mark.parametrize("patience", [None, 8])
@pytest.mark.parametrize("model", MODELS)
def test_a_run_cut_off_anywhere_goes_on_to_the_bit(model: str, patience: int | None) -> None:
    whole: dict[tuple[tuple[str, ...], bool], Run] = {
        (train, reduced): go(model, train=train, reduced=reduced, patience=patience)
        for train in TRAINED
        for reduced in (True, False)
    }

    @settings(max_examples=examples(25))
    @given(st.sampled_from(TRAINED), st.booleans(), st.lists(st.integers(0, 40), max_size=3).map(sorted), st.booleans())
    def check(train: tuple[str, ...], reduced: bool, cuts: list[int], always: bool) -> None:
        options = {"train": train, "reduced": reduced, "patience": patience}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.npz"
            for at in cuts:
                # Saved at every epoch, or as seldom as its cost has it: then less is kept.
                with saved_at_every_epoch() if always else pytest.MonkeyPatch.context():
                    try:
                        go(model, path, meter=cut(at), **options)
                    except PowerCut:
                        assert path.exists()
            assert_same(go(model, path, **options), whole[train, reduced])

    check()


@pytest.mark.parametrize("patience", [None, 60])
@pytest.mark.parametrize("model", MODELS)
def test_more_epochs_on_resuming_are_the_longer_run(model: str, patience: int | None, tmp_path: Path) -> None:
    for epochs in (0, 17, 55):
        go(model, tmp_path / "run.npz", epochs=epochs, patience=patience)
    longer = go(model, tmp_path / "run.npz", epochs=130, patience=patience)
    assert_same(longer, go(model, epochs=130, patience=patience))


def test_a_path_may_be_text(tmp_path: Path) -> None:
    assert Checkpoint(f"{tmp_path}/run.npz").path == tmp_path / "run.npz"


@pytest.mark.parametrize("patience", [None, 8])
def test_a_finished_run_that_is_resumed_is_finished(patience: int | None, tmp_path: Path) -> None:
    first = go(path=tmp_path / "run.npz", patience=patience)
    told = []
    again = go(path=tmp_path / "run.npz", patience=patience, meter=lambda epoch, loss: told.append(epoch))
    assert_same(first, again)
    assert len(told) == 1


def test_a_run_over_a_thousand_epochs_outgrows_its_first_record_and_resumes(tmp_path: Path) -> None:
    for at in (1023, 1024, 1025, 2100):
        with pytest.raises(PowerCut):
            go("attn-fc", tmp_path / "run.npz", epochs=2200, meter=cut(at))
        assert (tmp_path / "run.npz").exists()
    assert_same(go("attn-fc", tmp_path / "run.npz", epochs=2200), go("attn-fc", epochs=2200))


def test_ctrl_c_saves_the_run_it_gives(tmp_path: Path) -> None:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(epoch: int, loss: float) -> None:
        if epoch == 11:
            os.kill(os.getpid(), signal.SIGINT)

    try:
        with pytest.raises(Interrupted):
            go(path=tmp_path / "run.npz", every=1e9, meter=press, patience=30)
    finally:
        signal.signal(signal.SIGINT, usual)
    told = []
    run = go(path=tmp_path / "run.npz", patience=30, meter=lambda epoch, loss: told.append(epoch))
    assert told[0] == 11
    assert_same(run, go(patience=30))


# --- how often


def test_a_checkpoint_waits_its_time_and_twenty_times_its_own_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, cost = [100.0], [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    slow = Checkpoint(tmp_path / "run.npz", every=5.0)

    def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
        now[0] += cost[0]

    monkeypatch.setattr(checkpoint, "write_arrays", write)
    for spent, waits in ((0.1, 5.0), (2.0, 40.0)):
        cost[0] = spent
        slow.save("", {})
        now[0] += waits - 0.01
        assert not slow.due()
        now[0] += 0.02
        assert slow.due()


def test_only_one_file_is_left(tmp_path: Path) -> None:
    with saved_at_every_epoch():
        go(path=tmp_path / "run.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_checkpoint_changes_nothing(tmp_path: Path) -> None:
    with saved_at_every_epoch():
        assert_same(go(path=tmp_path / "run.npz"), go())


# --- what does not fit


def other_word() -> Corpus:
    corpus = topic_corpus(0)
    counts = corpus.counts.copy()
    counts.data[0] += 1
    return replace(corpus, counts=counts)


def other_label() -> Corpus:
    corpus = topic_corpus(0)
    labels = corpus.labels.copy()
    labels[0] = (labels[0] + 1) % 3
    return replace(corpus, labels=labels)


def nudged(name: str) -> dict:
    corpus = topic_corpus(0)
    start = parameters_for(corpus, "attn-tc", 0, d=5)
    if name == "head":
        return {"start": replace(start, head=TrainedLinear(weight=np.nextafter(start.head.first_layer, 9)))}
    return {"start": replace(start, **{name: np.nextafter(getattr(start, name), 9.0)})}


def same_arrays_another_head() -> dict:
    start = parameters_for(topic_corpus(0), "attn-tc", 0, d=5)
    return {"start": replace(start, head=FixedLinear(weight=start.head.first_layer))}


OTHERS = {
    "learning rate": {"learning_rate": 0.30000000000000004},
    "trained subset": {"train": ("keys", "embeddings")},
    "patience": {"patience": 9},
    "full instead of reduced": {"reduced": False},
    "followed words": {"follow": (3, 1)},
    "order of followed words": {"follow": (1, 3, 13)},
    "no judge": {"evaluate_on": {}},
    "name of the judge": {"evaluate_on": {"test": DEV}},
    "another judge": {"evaluate_on": {"dev": topic_corpus(2)}},
    "one word more": {"corpus": other_word()},
    "one label": {"corpus": other_label()},
    "query": nudged("query"),
    "keys": nudged("keys"),
    "embeddings": nudged("embeddings"),
    "weight": nudged("head"),
    "a head of the same arrays": same_arrays_another_head(),
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_checkpoint_of_another_run_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    go(path=path, epochs=3)
    kept = path.read_bytes()
    with pytest.raises(InputError, match="expected a checkpoint of this run, got one of another"):
        go(path=path, epochs=3, **OTHERS[what])
    assert path.read_bytes() == kept


def test_a_head_of_the_same_arrays_is_refused_in_either_direction(tmp_path: Path) -> None:
    """With all d dimensions moving even the shapes agree."""
    for first, second in (({}, same_arrays_another_head()), (same_arrays_another_head(), {})):
        path = tmp_path / f"{len(first)}.npz"
        go(path=path, epochs=3, reduced=False, **first)
        with pytest.raises(InputError, match="got one of another"):
            go(path=path, epochs=5, reduced=False, **second)


def test_the_order_of_names_in_train_makes_no_other_run(tmp_path: Path) -> None:
    go(path=tmp_path / "run.npz", epochs=3, train=("keys", "head"))
    assert_same(go(path=tmp_path / "run.npz", epochs=6, train=["head", "keys"]), go(epochs=6, train=("keys", "head")))


def test_numbers_of_numpy_make_no_other_run(tmp_path: Path) -> None:
    go(path=tmp_path / "run.npz", epochs=3, learning_rate=0.5, patience=30)
    again = go(path=tmp_path / "run.npz", epochs=6, learning_rate=float(np.float64(0.5)), patience=30)
    numpy_again = go(path=tmp_path / "run.npz", epochs=6, learning_rate=np.float64(0.5), patience=np.int64(30))
    assert_same(again, numpy_again)


def a_checkpoint(folder: Path) -> bytes:
    go(path=folder / "good.npz", epochs=2)
    return (folder / "good.npz").read_bytes()


def unreadable(folder: Path, content: bytes) -> None:
    """The run refuses the file in words that help, and leaves it as it is."""
    path = folder / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected a checkpoint of this program, got a file that cannot be read"):
        go(path=path, epochs=2)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04", b"\x80\x04N.", b"\x00" * 5000], ids=repr)
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    unreadable(tmp_path, content[:5000])


def test_another_file_of_numpy_is_no_checkpoint(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.ones(3))
    unreadable(tmp_path, (tmp_path / "array.npy").read_bytes())
    write_arrays(tmp_path / "arrays.npz", {"a": np.ones(3)})
    unreadable(tmp_path, (tmp_path / "arrays.npz").read_bytes())


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a checkpoint of this program"):
        go(path=tmp_path, epochs=2)


def test_a_checkpoint_cut_short_is_refused(tmp_path: Path) -> None:
    whole = a_checkpoint(tmp_path)
    for length in np.linspace(1, len(whole) - 1, 60).astype(int).tolist():
        unreadable(tmp_path, whole[:length])


def test_a_checkpoint_with_a_damaged_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    """Harmless are bytes that nothing reads, such as dates; no sum guards the directory that ends the archive."""
    whole = a_checkpoint(tmp_path)
    arrays = read_arrays(tmp_path / "good.npz")
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "good.npz") as archive:
        size = archive.start_dir
    for place in {*rng.integers(size, size=400).tolist(), *range(60)}:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path = tmp_path / "damaged.npz"
        path.write_bytes(damaged)
        try:
            loaded = Checkpoint(path).load(str(arrays["identity"]))
        except InputError:
            continue
        assert loaded is not None
        assert {name: array.tobytes() for name, array in loaded.items()} == {
            name: array.tobytes() for name, array in arrays.items() if name != "identity"
        }
