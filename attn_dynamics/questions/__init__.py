"""Extractive questions: SQuAD read, cut into windows of tokens, answered from logits, marked by the official rules.

It needs the extra `window`; nothing else of the library imports it.
"""

from attn_dynamics.encoder.needs import require

require("torchmetrics")

from attn_dynamics.questions.answers import LONGEST, Spans, answers, best_spans  # noqa: E402
from attn_dynamics.questions.features import Features, cut  # noqa: E402
from attn_dynamics.questions.metric import Marks, mark  # noqa: E402
from attn_dynamics.questions.squad import (  # noqa: E402
    ABSENT,
    VARIABLE,
    Answers,
    Question,
    Splits,
    load_squad,
    read_questions,
    squad_folder,
    subset,
)

__all__ = [
    "ABSENT",
    "LONGEST",
    "VARIABLE",
    "Answers",
    "Features",
    "Marks",
    "Question",
    "Spans",
    "Splits",
    "answers",
    "best_spans",
    "cut",
    "load_squad",
    "mark",
    "read_questions",
    "squad_folder",
    "subset",
]
