"""Claim C4: 1/(1 - a) = Λ²/B + 3 + 1/m - ln(m Λ²/B) + o(1) from zero, in the exact gradient's flow as well."""

import numpy as np
from hypothesis import given, settings

from attn_dynamics.claims._support.exact_task import ExactTask, altered
from attn_dynamics.claims._support.long_run import MODEL_LONG, end_in_model
from attn_dynamics.theory.asymptotics import late
from tests.claims.test_c1_mean_field import tasks
from tests.support import examples


@settings(max_examples=examples(3))
@given(tasks)
def test_c4_in_the_model(task: ExactTask) -> None:
    # B ≤ 4, so that 1e8 is late.
    task = task._replace(query_norm=1.0, head_norm=min(task.head_norm, 1.0))
    gap = 1 - end_in_model(task).attention.values
    allowed = (gap * (3 + 1 / task.others + np.log(task.others / gap))) ** 2
    assert (np.abs(late(MODEL_LONG, **task.setting).gap / gap - 1) <= allowed).all()
    wrong = altered(late, query_norm=lambda q: q / 2**0.5)
    assert (np.abs(wrong(MODEL_LONG, **task.setting).gap / gap - 1) > allowed).all()
