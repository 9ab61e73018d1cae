"""How far a reader must walk: file borders that an epoch crosses, and how often the command enters its own module."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import attn_dynamics
from attn_dynamics import Synthetic, descend, draw
from attn_dynamics.commands import corpus_run, simulate
from tests.commands.driving import TINY

ROOT = str(Path(attn_dynamics.__file__).parent)


def walk(work: Callable[[], object]) -> list[tuple[str, str]]:
    """Return the border crossings (from, to) between files of the package, in their order, calls and returns alike."""
    crossings: list[tuple[str, str]] = []
    place = [""]

    def note(frame, event: str, argument: object) -> None:
        if event not in ("call", "return"):
            return
        inner = frame if event == "call" else frame.f_back
        file = inner.f_code.co_filename if inner is not None else ""
        if file.startswith(ROOT) and file != place[0]:
            if place[0]:
                crossings.append((Path(place[0]).name, Path(file).name))
            place[0] = file

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return crossings


def test_an_epoch_crosses_few_borders_in_few_files() -> None:
    task = Synthetic(dictionary=50, sentences=40, test_sentences=10, other_words=5).draw(0)
    start = draw(
        "paper", "attn-tc", n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=np.random.default_rng(0)
    )
    options = {"evaluate_on": {"test": task.test}, "follow": ["t1.1"]}
    descend(task.train, start, epochs=1, **options)

    def crossings(epochs: int) -> list[tuple[str, str]]:
        return walk(lambda: descend(task.train, start, epochs=epochs, **options))

    # Epochs 403 to 498, between two snapshots of all words.
    longer, shorter = crossings(498), crossings(402)
    assert (len(longer) - len(shorter)) / 96 <= 12
    assert len({file for crossing in Counter(longer) - Counter(shorter) for file in crossing}) <= 7


def test_the_command_enters_its_module_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entered = 0

    def note(frame, event: str, argument: object) -> None:
        nonlocal entered
        if event == "call" and frame.f_code.co_filename == corpus_run.__file__:
            entered += frame.f_back is None or frame.f_back.f_code.co_filename != corpus_run.__file__

    sys.setprofile(note)
    try:
        simulate.main([*map(str, TINY), "--out", "here"])
    finally:
        sys.setprofile(None)
    assert entered <= 6
