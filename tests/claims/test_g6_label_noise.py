"""Claim G6: frequent words lead early and pure ones at the end, which no frequency moves."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from attn_dynamics.claims._support.exact_task import ExactTask, exact_flow
from attn_dynamics.theory.label_noise import noise_score

TASK = ExactTask((80, 30, 16, 10), 20, 2**0.5, 1.3, wrong=(20, 5, 2, 1))
"""The more frequent a word, the less pure it is."""


def test_g6_the_order_turns_round() -> None:
    setting, times = TASK.setting, (0.1, 30.0, 3000.0)
    assert spearmanr(setting["frequency"], setting["label_noise"])[0] == pytest.approx(1.0)
    scores = exact_flow(TASK, times).score.values[1:]
    assert spearmanr(scores[0], setting["frequency"])[0] == pytest.approx(1.0)
    assert spearmanr(scores[-1], setting["frequency"])[0] == pytest.approx(-1.0)


def test_g6_words_of_one_purity_end_alike_and_on_one_path() -> None:
    """Of two words of ε = 0.25, one three times as frequent: it is at its end three times as early."""
    task = ExactTask((27, 9), 3, 1.4, 1.2, wrong=(9, 3))
    frequent, rare = (
        exact_flow(task, times).score.values[1:, word] for times, word in (((2.0, 9.0), 0), ((6.0, 27.0), 1))
    )
    np.testing.assert_allclose(frequent, rare, rtol=1e-8)
    end = exact_flow(task, (3000.0,)).score.values[-1]
    np.testing.assert_allclose(end, noise_score(0.25, classes=2, others=3, query_norm=1.4, head_norm=1.2), rtol=1e-9)


def test_the_task_holds_its_labels_in_exact_proportions() -> None:
    labels = {(words[0], label) for label, words in TASK.sentences()}
    assert len(labels) == 16
    for topic in range(4):
        own = [label for label, words in TASK.sentences() if words[0] == f"t{topic}"]
        assert own.count(topic) == TASK.repeats[topic]
        assert 1 - own.count(topic) / len(own) == pytest.approx(TASK.setting["label_noise"][topic], rel=1e-15)
        assert len(own) / 220 == pytest.approx(TASK.setting["frequency"][topic], rel=1e-15)
