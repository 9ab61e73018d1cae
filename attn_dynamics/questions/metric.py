"""Exact match and F1 of answers by the official rules of SQuAD v1.1, computed with torchmetrics.

Both compare words in lower case, without punctuation and the articles a, an and the. The best match among a question's
answers counts.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torchmetrics.functional.text import squad

from attn_dynamics.errors import InputError
from attn_dynamics.questions.squad import Question


class Marks(NamedTuple):
    """Marks of Q questions."""

    exact: NDArray[np.float64]
    """Exact match (Q,): 1 if all words are those of an answer, otherwise 0."""
    overlap: NDArray[np.float64]
    """F1 (Q,) of the words, from 0 to 1."""

    @property
    def exact_match(self) -> float:
        """Return the mean exact match (EM), in per cent."""
        return 100.0 * float(self.exact.mean())

    @property
    def f1(self) -> float:
        """Return the mean F1, in per cent."""
        return 100.0 * float(self.overlap.mean())


def mark(questions: Sequence[Question], predictions: Mapping[str, str]) -> Marks:
    """Mark the answers to questions.

    Args:
        questions: one or more questions.
        predictions: predicted texts by question id; other ids are ignored, as in the official script.

    Raises:
        InputError: there are no questions, or one has no prediction.
    """
    if not questions:
        raise InputError("questions", expected="at least one to mark", given="none", fix="Give a question.")
    missing = [each.id for each in questions if each.id not in predictions]
    if missing:
        given, fix = f"none, and {len(missing):,} such questions in all", "Give an empty text for no answer."
        raise InputError(f"question {missing[0]}", expected="a prediction", given=given, fix=fix)
    # One question at a time, because the library sums in float32, and without the many repeated answers.
    found = np.array([_marks(predictions[each.id], list(dict.fromkeys(each.answers.texts))) for each in questions])
    return Marks(*found.T)


def _marks(prediction: str, texts: list[str]) -> tuple[float, float]:
    """Return exact match and F1 of one answer, from 0 to 1."""
    exact, overlap = _scores(prediction, texts)
    # Without words the library scores F1 as in v2.0. In v1.1 an answer without words shares no word.
    if overlap == 1.0 and _scores(prediction, [""])[0] == 1.0:
        overlap = 0.0
    return exact, overlap


def _scores(prediction: str, texts: list[str]) -> tuple[float, float]:
    """Return exact match and F1 of one answer by the library, from 0 to 1."""
    target = {"id": "", "answers": {"text": texts, "answer_start": [0] * len(texts)}}
    found = squad({"id": "", "prediction_text": prediction}, target)
    return found["exact_match"].item() / 100.0, found["f1"].item() / 100.0
