"""Questions are what their file says, whatever it holds; what is malformed is told with the question's id."""

import json
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.questions import (
    ABSENT,
    VARIABLE,
    Answers,
    Question,
    load_squad,
    read_questions,
    squad_folder,
    subset,
)
from tests.questions.conftest import asked, needs_squad

BROOK = "The brook runs to the sea, the sea to the brook."
QUESTIONS = (
    asked(BROOK, "the sea", "sea", question="Where to?", id="one"),
    asked(BROOK, "The brook", question="What runs?", id="two"),
    asked("Über 7 Brücken.", "7", question="Wie viele?", id="drei"),
)


def layout(*paragraphs: tuple[Question, ...]) -> dict[str, Any]:
    """The official layout, an article a paragraph."""
    return {"version": "1.1", "data": [{"title": "-", "paragraphs": [_paragraph(each)]} for each in paragraphs]}


def _paragraph(questions: tuple[Question, ...]) -> dict[str, Any]:
    qas = [
        {
            "id": each.id,
            "question": each.question,
            "answers": [{"text": t, "answer_start": s} for t, s in zip(*each.answers, strict=True)],
        }
        for each in questions
    ]
    return {"context": questions[0].context, "qas": qas}


FILE = layout(QUESTIONS[:2], QUESTIONS[2:])


def written(folder: Path, content: object, name: str = "train.json", **options: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(content, **options), encoding="utf-8")
    return path


@st.composite
def paragraphs(draw: st.DrawFn) -> list[tuple[Question, ...]]:
    """Of any characters, answers anywhere, ids all different."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        context = draw(st.text(min_size=1, max_size=20))
        questions = []
        for k in range(draw(st.integers(1, 3))):
            starts = draw(st.lists(st.integers(0, len(context) - 1), min_size=1, max_size=3))
            ends = [draw(st.integers(start + 1, len(context))) for start in starts]
            texts = tuple(context[start:end] for start, end in zip(starts, ends, strict=True))
            id = f"{number}-{k}{draw(st.text(max_size=3))}"
            questions.append(Question(id, draw(st.text(max_size=8)), context, Answers(texts, tuple(starts))))
        found.append(tuple(questions))
    return found


@given(drawn=paragraphs(), escaped=st.booleans(), mark=st.booleans())
def test_a_file_is_read_as_it_was_written(drawn: list[tuple[Question, ...]], escaped: bool, mark: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "any.json"
        path.write_text(json.dumps(layout(*drawn), ensure_ascii=escaped), encoding="utf-8-sig" if mark else "utf-8")
        assert read_questions(path) == tuple(each for paragraph in drawn for each in paragraph)


def changed(*steps: Any, value: Any = None, drop: bool = False) -> dict[str, Any]:
    """The file with something else, or nothing, at a place."""
    found: Any = deepcopy(FILE)
    holder = found
    for step in steps[:-1]:
        holder = holder[step]
    if drop:
        del holder[steps[-1]]
    else:
        holder[steps[-1]] = value
    return found


ARTICLE = ("data", 0, "paragraphs", 0)
TWO = (*ARTICLE, "qas", 1)
ANSWER = (*TWO, "answers", 0)
MALFORMED = {
    "a list": ([], "train.json: expected an object, got list"),
    "no data": ({}, "train.json: expected data, a list, got none"),
    "no articles": ({"data": []}, "train.json: expected at least one question, got none"),
    "data no list": (changed("data", value={}), "train.json: expected data, a list, got dict"),
    "no paragraphs": (changed("data", 0, "paragraphs", drop=True), r"data\[0\]: expected paragraphs, a list, got none"),
    "article no object": (changed("data", 1, value=3), r"train.json, data\[1\]: expected an object, got int"),
    "no context": (changed(*ARTICLE, "context", drop=True), r"data\[0\].paragraphs\[0\]: expected context, a text"),
    "no qas": (changed(*ARTICLE, "qas", drop=True), r"paragraphs\[0\]: expected qas, a list, got none"),
    "no id": (changed(*TWO, "id", drop=True), r"data\[0\].paragraphs\[0\].qas\[1\]: expected id, a text, got none"),
    "id no text": (changed(*TWO, "id", value=2), r"qas\[1\]: expected id, a text, got int"),
    "no question": (changed(*TWO, "question", drop=True), "question two: expected question, a text, got none"),
    "question no text": (changed(*TWO, "question", value=None), "question two: expected question, .* got NoneType"),
    "half a character": (changed(*TWO, "question", value="\ud800?"), "question two: .* whole characters, got surrog"),
    "no answers": (changed(*TWO, "answers", drop=True), "question two: expected answers, a list, got none"),
    "not one answer": (changed(*TWO, "answers", value=[]), r"question two: .* one answer, got none\. .*v2\.0"),
    "answer no object": (changed(*ANSWER, value="The brook"), "question two: expected an object, got str"),
    "no text": (changed(*ANSWER, "text", drop=True), "question two: expected text, a text, got none"),
    "empty text": (changed(*ANSWER, "text", value=""), "question two: expected answers at their place .* got '' at 0"),
    "no start": (changed(*ANSWER, "answer_start", drop=True), "question two: expected answer_start, a whole number"),
    "half a start": (changed(*ANSWER, "answer_start", value=0.5), "question two: .* a whole number, got float"),
    "start true": (changed(*ANSWER, "answer_start", value=True), "question two: .* a whole number, got bool"),
    "another start": (changed(*ANSWER, "answer_start", value=1), "question two: .* place in the context, got 'The br"),
    "start below 0": (changed(*ANSWER, "answer_start", value=-len(BROOK)), "question two: .* got 'The brook' at -48"),
    "start beyond": (changed(*ANSWER, "answer_start", value=10**30), "question two: .* got 'The brook' at 1000"),
    "id twice": (changed(*TWO, "id", value="drei"), "question drei: expected a unique id"),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=list(MALFORMED))
def test_what_is_malformed_is_told_with_its_place(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}.*{message}"):
        read_questions(written(tmp_path, content))


def test_unchanged_it_is_read(tmp_path: Path) -> None:
    """Negative control of what is malformed."""
    assert read_questions(written(tmp_path, FILE)) == QUESTIONS


NO_JSON = {
    "empty": (b"", "expected JSON, got an empty file"),
    "blank": (b" \n", "expected JSON, got an empty file"),
    "cut off": (json.dumps(FILE).encode()[:-40], r"expected JSON, got .*line 1 column"),
    "Latin-1": (json.dumps(FILE, ensure_ascii=False).encode("latin-1"), "expected text encoded in UTF-8"),
    "too deep": (b"[" * 200_000, "expected JSON, got .*recursion"),
    "too long a number": (b'{"data": ' + b"1" * 5000 + b"}", "expected JSON, got .*4300 digits"),
}


@pytest.mark.parametrize(("content", "message"), NO_JSON.values(), ids=list(NO_JSON))
def test_what_is_no_json_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "dev.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path}: {message}"):
        read_questions(path)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: expected to read this file, got No such file"):
        read_questions(tmp_path / "gone.json")


def test_a_folder_has_one_file_to_train_on_and_one_to_judge_by(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one file train\*.json, got none"):
        load_squad(tmp_path)
    written(tmp_path, layout(QUESTIONS[:2]), "train-v1.1.json")
    with pytest.raises(InputError, match=r"expected one file dev\*.json, got none"):
        load_squad(tmp_path)
    written(tmp_path, layout(QUESTIONS[2:]), "dev.json")
    assert load_squad(tmp_path) == (QUESTIONS[:2], QUESTIONS[2:])
    written(tmp_path, FILE, "dev-v1.1.json")
    with pytest.raises(InputError, match=r"got dev-v1.1.json and dev.json\. Move"):
        load_squad(tmp_path)
    (tmp_path / "dev.json").unlink()
    with pytest.raises(InputError, match="expected questions of train and dev apart, got 2 in both, one among them"):
        load_squad(tmp_path)
    with pytest.raises(InputError, match="nowhere: expected a folder with train"):
        load_squad(tmp_path / "nowhere")


def test_a_subset_begins_any_larger_one_and_is_of_the_whole_file() -> None:
    many = tuple(asked(BROOK, "sea", id=str(k)) for k in range(300))
    some = subset(many, 40, 7)
    assert some == subset(many, 40, 7)
    assert some == subset(many, 90, 7)[:40]
    assert set(subset(many, 300, 7)) == set(many)
    numbers = [int(each.id) for each in some]
    assert min(numbers) < 60
    assert max(numbers) > 240
    # Negative controls: another seed has others, and no seed leaves the order of the file.
    assert set(subset(many, 40, 8)) != set(some)
    assert numbers != sorted(numbers)


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_subset_is_of_what_there_is(number: int) -> None:
    with pytest.raises(InputError, match=f"questions: expected 1 to 3, the number of all questions, got {number}"):
        subset(QUESTIONS, number, 0)


# --- the hub


def rows(questions: tuple[Question, ...]) -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "title": "-",
            "context": each.context,
            "question": each.question,
            "answers": {"text": list(each.answers.texts), "answer_start": list(each.answers.starts)},
        }
        for each in questions
    ]


def install(monkeypatch: pytest.MonkeyPatch, load_dataset: Callable[[str], Any]) -> None:
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))


def test_questions_of_the_hub_are_those_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    data = {"train": rows(QUESTIONS[:2]), "validation": rows(QUESTIONS[2:])}
    install(monkeypatch, lambda name: names.append(name) or data)
    assert load_squad() == (QUESTIONS[:2], QUESTIONS[2:])
    assert names == ["rajpurkar/squad"]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"text": ["sea"], "answer_start": [0]}, "place in the context, got 'sea' at 0"),
        ({"text": ["sea", "The"], "answer_start": [22]}, "expected answer_start, a whole number, got NoneType"),
        ({"text": ["sea"]}, "expected answer_start, a list, got none"),
    ],
)
def test_what_the_hub_has_malformed_is_told(monkeypatch: pytest.MonkeyPatch, answers: Any, message: str) -> None:
    data = {"train": [{**rows(QUESTIONS)[0], "answers": answers}], "validation": []}
    install(monkeypatch, lambda _: data)
    with pytest.raises(InputError, match=f"rajpurkar/squad, train, question one: .*{message}"):
        load_squad()


def test_without_the_library_the_message_names_the_extra_and_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r'pip install -e "\.\[data\]".*--data-dir'):
        load_squad()


@pytest.mark.parametrize("error", [ConnectionError("no route"), RuntimeError("HTTP client")])
def test_a_failed_download_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: str) -> None:
        raise error

    install(monkeypatch, fail)
    with pytest.raises(InputError, match=rf"rajpurkar/squad: .*got {type(error).__name__}: {error}\..*--data-dir"):
        load_squad()


# --- the files themselves


def test_the_folder_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert squad_folder() == tmp_path
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=f"{VARIABLE}: expected a folder, got .*nowhere.* without SQuAD"):
        squad_folder()
    monkeypatch.delenv(VARIABLE)
    assert squad_folder() is None
    assert VARIABLE in ABSENT


@needs_squad
def test_dev_is_whole() -> None:
    train, dev = load_squad(squad_folder())
    assert len(dev) == 10_570
    assert dev[0].id == "56be4db0acb8001400a502ec"
    assert dev[0].answers == Answers(("Denver Broncos",) * 3, (177,) * 3)
    assert {len(each.answers.texts) for each in train} == {1}
