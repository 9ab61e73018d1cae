"""Figures of a run for Python programs and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attn_dynamics.check import instance, one_of, renamed
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.summary import beside_theory
from attn_dynamics.tasks import Task
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.task import as_task
from attn_dynamics.training.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@renamed(train=None, update=None)
def plot(
    run: Run,
    task: Task | Corpus,
    start: Parameters,
    figure: str = "sen",
) -> Figure:
    """Draw one figure of a run of `descend` or `descend_many`, beside the theory.

    Args:
        run: the run.
        task: the task of the run, or its corpus alone; mean field is predicted only if a task names its topic words.
        start: the initial values.
        figure: name of the figure: sen, loss, words, distributions or signals.

    Returns:
        A matplotlib figure: a notebook shows it, `savefig` writes it.

    Raises:
        InputError: no figure has that name, the run is one of `flow` or has no step, or it was trained on other words.

    Example:
        >>> from attn_dynamics import Synthetic, descend, draw
        >>> task = Synthetic(sentences=50, dictionary=50).draw(seed=0)
        >>> start = draw("paper", "attn-fc", n_words=58, n_classes=4, embedding_dim=4, rng=np.random.default_rng(0))
        >>> run = descend(task.train, start, epochs=10, follow=["t1.1", "t2.1"])
        >>> plot(run, task, start, "sen").axes[0].get_xlabel()
        'score s'
    """
    # Matplotlib loads slowly, and most programs that import this package draw nothing.
    from attn_dynamics.results.figures.run import FIGURES, draw_figure

    one_of("figure", figure, FIGURES)
    if run.trajectory.sizes.get("epoch", 0) < 2:
        given = "a run of `flow`" if "epoch" not in run.trajectory.dims else "one without a step"
        expected = "a run of `descend` with at least one step"
        raise InputError("run", expected=expected, given=given, fix="Train by descent.")
    whole = as_task(task)
    instance("start", start, Parameters, fix="Give the initial values of the run.")
    if run.trajectory.vocabulary.values.tolist() != [*map(str, whole.train.vocabulary)]:
        fix = "Give the task on which the run was trained."
        raise InputError("task", expected="the task of the run", given="one with other words", fix=fix)
    model = next((name for name, head in HEADS.items() if type(start.head) is head), type(start.head).__name__)
    return draw_figure(beside_theory(run, whole, start, model=model), figure)
