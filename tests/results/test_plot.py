"""Claim: `plot` draws from Python what the command draws of the same run, and nothing loads matplotlib before."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from attn_dynamics import Corpus, InputError, Run, Synthetic, descend, draw, flow, plot
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.figures.run import FIGURES, draw_figure
from attn_dynamics.results.summary import annotate
from attn_dynamics.tasks import Task
from attn_dynamics.training.corpus_config import Config

TASK = Synthetic(dictionary=50, sentences=40, test_sentences=10, other_words=5).draw(seed=0)
WORDS = [word for topic in TASK.topic_words for word in topic]
SETTINGS: Any = {"learning_rate": 0.5, "epochs": 60}


@pytest.fixture(scope="module")
def start() -> Parameters:
    rng = np.random.default_rng(0)
    return draw("paper", "attn-tc", n_words=TASK.train.n_words, n_classes=4, embedding_dim=6, rng=rng)


@pytest.fixture(scope="module")
def run(start: Parameters) -> Run:
    return descend(TASK.train, start, follow=WORDS, evaluate_on={"test": TASK.splits["test"]}, **SETTINGS)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_holds_the_curves_of_the_command(name: str, run: Run, start: Parameters) -> None:
    config = Config(model="attn-tc", learning_rate=0.5, epochs=60)
    ours, theirs = plot(run, TASK, start, name), draw_figure(annotate(run, config, TASK, start), name)
    assert len(ours.axes) == len(theirs.axes) > 0
    for one, other in zip(ours.axes, theirs.axes, strict=True):
        assert len(one.lines) == len(other.lines) > 0
        for drawn, due in zip(one.lines, other.lines, strict=True):
            np.testing.assert_array_equal(np.asarray(drawn.get_xydata()), np.asarray(due.get_xydata()))
    assert ours.get_suptitle() == "attn-tc on synthetic"


def test_of_a_corpus_alone_nothing_is_predicted(run: Run, start: Parameters) -> None:
    """Negative control: the task names its topic words, and mean field predicts each of them."""
    words = [len(plot(run, given, start, "words").axes[0].lines) for given in (TASK.train, TASK)]
    assert words == [8, 16]


def test_without_a_trained_key_there_is_no_relation(run: Run, start: Parameters) -> None:
    without = descend(TASK.train, start, follow=WORDS, **SETTINGS | {"train": ("embeddings",)})
    assert [len(plot(each, TASK, start).axes) for each in (without, run)] == [1, 2]


def test_what_cannot_be_drawn_is_told(run: Run, start: Parameters) -> None:
    other = Task(name="other", train=Corpus.from_sentences([["a", "b"], ["b"]], [0, 1]))
    still = descend(TASK.train, start, **SETTINGS | {"epochs": 0})
    smooth = flow(TASK.train, start, time=1.0, follow=WORDS)
    for given, told in {
        (run, TASK, "losses"): "figure: expected one of sen, loss, words, distributions, signals, got 'losses'",
        (run, other, "sen"): "task: expected the task of the run, got one with other words",
        (still, TASK, "sen"): "got one without a step",
        (smooth, TASK, "sen"): "got a run of `flow`",
    }.items():
        with pytest.raises(InputError, match=told):
            plot(given[0], given[1], start, given[2])


def test_matplotlib_is_loaded_when_something_is_drawn() -> None:
    check = "import sys; from attn_dynamics import descend, plot; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, env={"PYTHONPATH": ":".join(sys.path), "PATH": ""})
