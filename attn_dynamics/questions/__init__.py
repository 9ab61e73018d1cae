"""Extractive questions of SQuAD: to load, cut into windows of tokens, answer, and mark by the official rules.

This package needs the extra `window`; nothing else of the library imports it.
"""

from attn_dynamics.system.extras import require

require("window", "torch", "torchmetrics", "transformers")

from attn_dynamics.questions.answers import LONGEST, Spans, answers, best_spans  # noqa: E402
from attn_dynamics.questions.features import Features, cut, fitting  # noqa: E402
from attn_dynamics.questions.metric import Marks, mark  # noqa: E402
from attn_dynamics.questions.reader import (  # noqa: E402
    Device,
    Precision,
    attended_pairs,
    attention_by_distance,
    fingerprint,
    one_thread,
    read,
    reader,
    tokens_held,
)
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
from attn_dynamics.questions.training import NARROWEST, WIDEST, Plan, tokens_reached, train  # noqa: E402

__all__ = [
    "ABSENT",
    "LONGEST",
    "NARROWEST",
    "VARIABLE",
    "WIDEST",
    "Answers",
    "Device",
    "Features",
    "Marks",
    "Plan",
    "Precision",
    "Question",
    "Spans",
    "Splits",
    "answers",
    "attended_pairs",
    "attention_by_distance",
    "best_spans",
    "cut",
    "fingerprint",
    "fitting",
    "load_squad",
    "mark",
    "one_thread",
    "read",
    "read_questions",
    "reader",
    "squad_folder",
    "subset",
    "tokens_held",
    "tokens_reached",
    "train",
]
