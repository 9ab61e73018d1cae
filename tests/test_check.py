"""The API refuses what it cannot use by the argument's name; wrong kinds by the thousand are in `fuzz`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attn_dynamics import Corpus, Parameters, descend, descend_many, draw, flow
from attn_dynamics.check import as_floats, flag, integer, number, some_of, words
from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.system import threads
from attn_dynamics.system.threads import threads_are_usable
from attn_dynamics.tasks import Synthetic
from attn_dynamics.training.recording import Layout, snapshot_due, snapshots_due
from attn_dynamics.window.tasks import WindowOptions
from tests.forking import context


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Synthetic(dictionary=6, sentences=6, test_sentences=3, other_words=2, topics=2).draw(0).train


@pytest.fixture(scope="module")
def start(corpus: Corpus) -> Parameters:
    sizes = {"n_words": corpus.n_words, "n_classes": 2, "embedding_dim": 2}
    return draw("published", "attn-tc", **sizes, rng=np.random.default_rng(0))


REFUSED: dict[str, tuple[Callable[..., object], str]] = {
    "patience that never stops": (
        lambda c, s: descend(c, s, evaluate_on={"dev": c}, patience=float("nan")),
        "patience: ",
    ),  # pyright: ignore
    "a share of an epoch": (lambda c, s: descend(c, s, epochs=1.5), "epochs: expected an integer, 0 or more, got 1.5"),  # pyright: ignore
    "a rate as text": (
        lambda c, s: descend(c, s, learning_rate="0.1"),  # pyright: ignore
        "learning_rate: expected a finite number",
    ),  # pyright: ignore
    "a word for a flag": (lambda c, s: descend(c, s, reduced="no"), "reduced: expected True or False, got 'no'"),  # pyright: ignore
    "a path for a checkpoint": (lambda c, s: descend(c, s, checkpoint="x.npz"), "checkpoint: expected a Checkpoint"),  # pyright: ignore
    "a list for judges": (lambda c, s: descend(c, s, evaluate_on=[c]), "evaluate_on: expected a mapping"),  # pyright: ignore
    "a word for words": (lambda c, s: descend(c, s, follow="w1"), "follow: expected a collection of words"),
    "no corpus": (lambda c, s: descend([["a"]], s), "corpus: expected a Corpus, got .*list"),  # pyright: ignore
    "one start for many": (lambda c, s: descend_many(c, s), "parameters: expected a list of Parameters"),
    "infinite time": (lambda c, s: flow(c, s, time=float("inf")), "time: expected a finite number above 0, got inf"),
    "classes by halves": (lambda c, s: Corpus.from_sentences([["a"], ["b"]], [0, 1], n_classes=2.5), "n_classes: "),  # pyright: ignore
    "tokens by halves": (lambda c, s: WindowOptions(window=1.5), "window: expected an integer"),  # pyright: ignore
    "complex numbers": (lambda c, s: as_floats("keys", np.ones(2) * 1j), "keys: expected an array of numbers"),
    "masked numbers": (lambda c, s: as_floats("keys", np.ma.masked_equal([1.0, 2.0], 2.0)), "keys: .*masked"),
    "numbers as texts": (lambda c, s: as_floats("keys", ["0.1"]), "keys: expected an array of numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_kind_is_refused_by_the_name_of_its_argument(name: str, corpus: Corpus, start: Parameters) -> None:
    act, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        act(corpus, start)


def test_numbers_of_numpy_and_generators_are_taken(corpus: Corpus, start: Parameters) -> None:
    given: Any = {"epochs": np.int64(3), "learning_rate": np.float32(0.5), "reduced": np.True_}
    (many,) = descend_many(corpus, (each for each in [start]), follow=(word for word in ["t1.1"]), **given)  # pyright: ignore
    one = descend(corpus, start, follow=(word for word in ["t1.1"]), **given)  # pyright: ignore
    for run in (one, many):
        assert run.trajectory.sizes["epoch"] == 4
        assert run.trajectory.word.values.tolist() == ["t1.1"]


def test_checks_answer_plain_numbers() -> None:
    assert type(integer("n", np.uint8(3), 0)) is int
    assert type(number("x", np.float32(0.5), above=0)) is float
    assert flag("f", np.False_) is False
    assert words("w", iter("ab")) == ("a", "b")
    assert some_of("t", ["keys"], ("keys", "head")) == {"keys"}
    for wrong in (2**63, -1, True, "3", 3.0, None):
        with pytest.raises(InputError):
            integer("n", wrong, 0)


def test_messages_hold_what_a_terminal_shows() -> None:
    error = InputError("file", expected="größe", given="type: \x0e\x1b[2J", fix="Remove it.")
    assert str(error) == r"file: expected größe, got type: \x0e\x1b[2J. Remove it."
    assert "\x1b" not in str(StorageError("a\x1b[2Jb", "full"))


@pytest.mark.parametrize(
    ("given", "shown"), [("..", ".."), ("Could not open it.", "Could not open it"), ("abc…", "abc…")]
)
def test_only_the_full_stop_of_a_sentence_is_taken_off(given: str, shown: str) -> None:
    assert (
        str(InputError("--out", expected="a folder", given=given, fix="F."))
        == f"--out: expected a folder, got {shown}. F."
    )


def test_snapshots_are_counted_without_a_look_at_each_epoch(corpus: Corpus) -> None:
    for epochs in (0, 1, 9, 10, 99, 12_345):
        assert snapshots_due(epochs) == [epoch for epoch in range(epochs + 1) if snapshot_due(epoch)]
    layout = Layout(corpus)
    assert layout.bytes(0, len(snapshots_due(10**20))) == len(snapshots_due(10**20)) * 3 * corpus.n_words * 8


def test_a_fork_and_a_second_thread_under_workqueue_train_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numba's threads would be missing or abort the process."""
    from concurrent.futures import ThreadPoolExecutor

    assert threads_are_usable(), "negative control"
    with ThreadPoolExecutor(1) as other:
        monkeypatch.setattr(threads, "threading_layer", lambda: "omp")
        assert other.submit(threads_are_usable).result(), "negative control: this layer serves several"
        monkeypatch.setattr(threads, "threading_layer", lambda: "workqueue")
        assert threads_are_usable()
        assert not other.submit(threads_are_usable).result()
    with context().Pool(1) as forked:
        assert not forked.apply(threads_are_usable)
