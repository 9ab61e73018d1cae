"""Questions of SQuAD v1.1 with their passages and answers, from the official files or the hub."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attn_dynamics.errors import InputError
from attn_dynamics.questions.layout import Node, parsed
from attn_dynamics.tasks.data_folders import named_folder
from attn_dynamics.tasks.hub import hub_rows

HUB_NAME = "rajpurkar/squad"
VARIABLE = "SQUAD_DIR"
"""Environment variable that names the folder of train*.json and dev*.json."""
ABSENT = f"not SQuAD, because {VARIABLE} is not set"
"""Reason why SQuAD is skipped if the variable is not set."""

_FILES = {"train": "train*.json", "dev": "dev*.json"}
_HUB_SPLITS = {"train": "train", "dev": "validation"}


class Answers(NamedTuple):
    """Answers that people gave to a question, at least one."""

    texts: tuple[str, ...]
    starts: tuple[int, ...]
    """Index of each answer's first character in the passage."""


class Question(NamedTuple):
    """A question with its passage and answers."""

    id: str
    question: str
    context: str
    """Passage of the question."""
    answers: Answers


class Splits(NamedTuple):
    """Training and development questions, in the order of their files."""

    train: tuple[Question, ...]
    dev: tuple[Question, ...]


def load_squad(data_dir: str | Path | None = None) -> Splits:
    """Load SQuAD v1.1 from a folder with one train*.json and one dev*.json; without a folder, from the hub.

    Raises:
        InputError: a file is missing or malformed, the hub is not available, or train and dev share questions.
    """
    found = _from_hub() if data_dir is None else _from_folder(Path(data_dir))
    shared = {each.id for each in found.train} & {each.id for each in found.dev}
    if shared:
        given, fix = f"{len(shared):,} in both, {min(shared)} among them", "Remove them from one."
        raise InputError(str(data_dir or HUB_NAME), expected="questions of train and dev apart", given=given, fix=fix)
    return found


def read_questions(path: str | Path) -> tuple[Question, ...]:
    """Return the questions of one file in the official layout, in its order.

    Raises:
        InputError: the file cannot be read or is malformed; the message names the question if there is one.
    """
    return _distinct(str(path), _of_file(Path(path)))


def subset(questions: Sequence[Question], number: int, seed: int) -> tuple[Question, ...]:
    """Return the first `number` questions in an order shuffled by the random seed; larger subsets extend smaller ones.

    Raises:
        InputError: the number exceeds the questions, or is below 1.
    """
    if not 1 <= number <= len(questions):
        expected, fix = f"1 to {len(questions):,}, the number of all questions", "Ask for fewer."
        raise InputError("questions", expected=expected, given=number, fix=fix if number > 1 else "Ask for more.")
    order = np.random.default_rng(seed).permutation(len(questions))
    return tuple(questions[k] for k in order[:number])


def squad_folder() -> Path | None:
    """Return the folder that `SQUAD_DIR` names; None if it is not set.

    Raises:
        InputError: the variable does not name a folder.
    """
    return named_folder(VARIABLE, files="train*.json and dev*.json", data="SQuAD")


def _from_folder(folder: Path) -> Splits:
    if not folder.is_dir():
        given, fix = "no such folder", "Check the spelling, or name no folder to load from the hub."
        raise InputError(str(folder), expected="a folder with train*.json and dev*.json", given=given, fix=fix)
    return Splits(**{part: read_questions(_only(folder, pattern)) for part, pattern in _FILES.items()})


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        given = " and ".join(file.name for file in found) or "none"
        fix = "Move the others elsewhere." if found else "Add it, or name another folder."
        raise InputError(str(folder), expected=f"one file {pattern}", given=given, fix=fix)
    return found[0]


def _from_hub() -> Splits:
    found = hub_rows(HUB_NAME, _HUB_SPLITS)
    files = {part: f"{HUB_NAME}, {split}" for part, split in _HUB_SPLITS.items()}
    return Splits(**{part: _distinct(file, _of_rows(file, found[part])) for part, file in files.items()})


def _of_rows(file: str, rows: Any) -> Iterator[Question]:
    for number, row in enumerate(rows):
        question = Node(row, file, f"row {number}").question()
        answers = question._replace(value=question.get("answers", dict))
        columns = [answers.get(key, list) for key in ("text", "answer_start")]
        # zip_longest fills the shorter list with None, which the check of values reports.
        pairs = [{"text": answer, "answer_start": start} for answer, start in zip_longest(*columns)]
        yield _question(question, question.text("context"), [question._replace(value=each) for each in pairs])


def _of_file(path: Path) -> Iterator[Question]:
    for article in parsed(path).members("data"):
        for paragraph in article.members("paragraphs"):
            context = paragraph.text("context")
            for question in map(Node.question, paragraph.members("qas")):
                yield _question(question, context, [*question.members("answers")])


def _question(question: Node, context: str, answers: Sequence[Node]) -> Question:
    if not answers:
        fix = "Remove it: in SQuAD v1.1, unlike v2.0, every question has an answer."
        raise question.error(expected="at least one answer", given="none", fix=fix)
    found = [(each.get("text", str), each.get("answer_start", int)) for each in answers]
    for answer, start in found:
        # A negative start would count from the end, and an empty answer would match everywhere.
        if not answer or start < 0 or not context.startswith(answer, start):
            given, fix = f"{answer[:40]!r} at {start}", "Correct answer_start, which counts characters from 0."
            raise question.error(expected="answers at their place in the context", given=given, fix=fix)
    texts, starts = zip(*found, strict=True)
    return Question(question.id, question.text("question"), context, Answers(texts, starts))


def _distinct(file: str, questions: Iterator[Question]) -> tuple[Question, ...]:
    """Return all questions of a file, after a check that their ids are distinct."""
    found: dict[str, Question] = {}
    for each in questions:
        if each.id in found:
            fix = "Remove one of them, or give it another id."
            where = f"{file}, question {each.id}"
            raise InputError(where, expected="a unique id", given="one that occurs before", fix=fix)
        found[each.id] = each
    if not found:
        raise InputError(file, expected="at least one question", given="none", fix="Name another file.")
    return tuple(found.values())
