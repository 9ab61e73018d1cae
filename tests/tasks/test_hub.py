"""Data of the hub become tasks, and without library or network the message says what to do."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.tasks.hub import hub_task
from attn_dynamics.tasks.task import Task

Split = list[dict[str, Any]]
DATA: dict[str, Split] = {
    "train": [
        {"text": "a fine film !", "label": 1, "label_text": "positive"},
        {"text": "a bad , bad film", "label": 0, "label_text": "negative"},
    ],
    "validation": [{"text": "fine", "label": 1, "label_text": "positive"}],
    "test": [
        {"text": "bad novel", "label": 0, "label_text": "negative"},
        {"text": "...", "label": 0, "label_text": "negative"},
    ],
}


def install(monkeypatch: pytest.MonkeyPatch, load_dataset: Callable[[str], Any]) -> None:
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))


def check_data(task: Task) -> None:
    assert task.train.vocabulary == ("a", "fine", "film", "bad", "novel")
    assert task.train.counts.toarray().tolist() == [[1, 1, 1, 0, 0], [1, 0, 1, 2, 0]]
    assert [corpus.labels.tolist() for corpus in task.splits.values()] == [[1, 0], [1], [0]]
    assert task.notes == ('Of 2 test sentences, dropped 1 without words after the preparation "lmn21".',)


@pytest.mark.parametrize("name", ["sst2", "sst5"])
def test_the_sentences_of_a_hub_data_set_become_a_task(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    asked: list[str] = []
    install(monkeypatch, lambda hub_name: asked.append(hub_name) or DATA)
    task = hub_task(name)
    assert asked == [f"SetFit/{name}"]
    assert task.name == name
    check_data(task)


def test_preparation_and_vocabulary_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lambda _: DATA)
    task = hub_task("sst2", preparation="whitespace", vocabulary="train")
    assert task.train.vocabulary == ("a", "fine", "film", "!", "bad", ",")


def test_another_name_is_refused_without_asking_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lambda _: pytest.fail("the hub was asked"))
    with pytest.raises(InputError, match="task: expected one of sst2, sst5, got 'sst3'"):
        hub_task("sst3")


def test_without_the_library_the_message_names_the_extra_and_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r'pip install -e "\.\[data\]".*--data-dir'):
        hub_task("sst2")


@pytest.mark.parametrize("error", [ConnectionError("no route"), OSError("disk full"), RuntimeError("HTTP client")])
def test_a_failed_download_is_refused_with_its_reason_and_the_folder(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: str) -> None:
        raise error

    install(monkeypatch, fail)
    with pytest.raises(InputError, match=rf"SetFit/sst2: .*got {type(error).__name__}: {error}\..*--data-dir"):
        hub_task("sst2")


def test_a_data_set_that_lacks_a_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lambda _: {"train": DATA["train"]})
    with pytest.raises(InputError, match=r"KeyError: 'validation'.*--data-dir"):
        hub_task("sst2")


def test_an_interrupted_download_stays_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    install(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        hub_task("sst2")


def test_the_library_itself_hands_over_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the optional datasets library is not installed")
    tables = datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in DATA.items()})
    monkeypatch.setattr(datasets, "load_dataset", lambda _: tables)
    check_data(hub_task("sst2"))
