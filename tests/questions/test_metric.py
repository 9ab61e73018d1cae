"""Marks are those of the official rules of v1.1: by hand, and by the rules written once more."""

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.questions import Answers, Question, mark

BY_HAND = [
    ("Denver Broncos", ["Denver Broncos"], 1, 1),
    ("the DENVER  Broncos!", ["Denver Broncos."], 1, 1),
    ("Denver", ["Denver Broncos"], 0, 2 / 3),
    ("Carolina", ["Denver Broncos"], 0, 0),
    # The best answer counts, for each measure by itself.
    ("Broncos", ["Denver Broncos", "The Broncos", "Denver"], 1, 1),
    ("new york city", ["new york", "york city hall west"], 0, 4 / 5),
    ("new york city", ["york city hall west", "new york"], 0, 4 / 5),
    # Words are counted as often as both have them: two in common, of three each.
    ("dog dog cat", ["dog cat cat"], 0, 2 / 3),
    ("cat dog", ["dog cat"], 0, 1),
    # Articles are words of their own, in any case.
    ("theory", ["ory"], 0, 0),
    ("An apple a day", ["apple day"], 1, 1),
    # Punctuation is deleted and joins what it parted.
    ("U.S.", ["us"], 1, 1),
    ("co-operation", ["co operation"], 0, 0),
    ("$10,000", ["10000"], 1, 1),
    # An article is looked for after that: a.m. is one word.
    ("3 a.m.", ["3 am"], 1, 1),
    # Beyond ASCII: letters have a lower case, other white space parts words, other punctuation stays.
    ("ÉCOLE", ["école"], 1, 1),
    ("10\u00a0km", ["10 km"], 1, 1),
    ("“Hello”", ["Hello"], 0, 0),
    ("日本 語", ["日本"], 0, 2 / 3),
    # Without words, nothing is in common with anything; but two such texts are the same.
    ("", ["word"], 0, 0),
    ("the", ["word"], 0, 0),
    ("the", ["An", "word"], 1, 0),
    ("", ["..."], 1, 0),
]


def question(id: str, *answers: str) -> Question:
    return Question(id, "?", "", Answers(answers, (0,) * len(answers)))


@pytest.mark.parametrize(("prediction", "answers", "exact", "overlap"), BY_HAND)
def test_marks_by_hand(prediction: str, answers: list[str], exact: float, overlap: float) -> None:
    found = mark([question("one", *answers)], {"one": prediction})
    assert found.exact_match == 100.0 * exact
    assert found.f1 == pytest.approx(100.0 * overlap, rel=1e-6)


def test_marks_are_means_over_questions_in_per_cent() -> None:
    questions = [question("one", "Denver Broncos"), question("two", "Denver Broncos"), question("three", "sea")]
    predictions = {"three": "brook", "two": "Denver", "one": "Broncos, Denver", "four": "of another file"}
    found = mark(questions, predictions)
    assert found.exact.tolist() == [0.0, 0.0, 0.0]
    assert found.overlap.tolist() == pytest.approx([1.0, 2 / 3, 0.0])
    assert found.f1 == pytest.approx(100.0 * (5 / 3) / 3)
    assert mark(questions, {**predictions, "one": "Denver Broncos"}).exact_match == pytest.approx(100.0 / 3)


def test_a_missing_prediction_is_an_error() -> None:
    questions = [question("one", "sea"), question("two", "sea"), question("three", "sea")]
    with pytest.raises(InputError, match="question two: expected a prediction, got none, and 2 such questions in all"):
        mark(questions, {"one": "sea"})
    # Negative control: an empty one is none the less there.
    assert mark(questions, dict.fromkeys(["one", "two", "three"], "")).f1 == 0.0
    with pytest.raises(InputError, match="questions: expected at least one to mark"):
        mark([], {})


# --- the rules once more


def plain(text: str) -> list[str]:
    kept = "".join(each for each in text.lower() if each not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def rules(prediction: str, answers: list[str]) -> tuple[float, float]:
    """Exact match and F1: 2 PR / (P + R), which is twice the words in common over the words of both."""
    given, best = plain(prediction), (0.0, 0.0)
    for wanted in map(plain, answers):
        common = (Counter(given) & Counter(wanted)).total()
        one = (float(given == wanted), 2 * common / (len(given) + len(wanted)) if common else 0.0)
        best = max(best[0], one[0]), max(best[1], one[1])
    return best


TEXTS = st.lists(
    st.sampled_from(["the", "A", "an", "sea", "Sea", "runs", "s.e.a.", "É", "é", "-", "...", "sea-the", "\u00a0", ""]),
    max_size=4,
).map(" ".join) | st.text(max_size=6)


@given(prediction=TEXTS, answers=st.lists(TEXTS, min_size=1, max_size=4))
def test_marks_are_the_rules(prediction: str, answers: list[str]) -> None:
    found = mark([question("one", *answers)], {"one": prediction})
    assert (found.exact[0], found.overlap[0]) == pytest.approx(rules(prediction, answers), rel=1e-6)
