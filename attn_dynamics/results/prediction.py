"""Mean-field prediction of a run before it starts, if its assumptions hold (theory C9, C10)."""

from typing import Any

import numpy as np
import xarray as xr

from attn_dynamics.check import instance
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.assumptions import HARD, mean_field_assumptions, mean_field_law
from attn_dynamics.tasks import Task
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.task import as_task
from attn_dynamics.theory.ode import TooManyEvaluations
from attn_dynamics.theory.unequal_topics import UnequalTopics
from attn_dynamics.training.settings import Training, training_with

POINTS = 200
"""Number of evenly spaced epochs, and of logarithmically spaced ones, at which the prediction is kept."""
TOLERANCE = 1e-5
"""Relative error of a step of the solver. Scores are then accurate to 10⁻⁶, while runs deviate by 10⁻³ at best."""
MOST = 3_000
"""Largest number of evaluations, which take 1 to 2 seconds; the published configuration needs about 400."""
SETTLED = 0.05
"""Share of the training after which the deviation counts; before it, scores are as small as at the start."""


def predict(
    task: Task | Corpus, start: Parameters, training: Training | None = None, **settings: Any
) -> xr.Dataset | str:
    """Predict scores and norms of the topic words, and the training loss, with no fitted parameter.

    The prediction needs a linear head, named topic words, and the assumptions in `HARD`. It includes memorisation as if
    each other word occurred in only one sentence. It follows descent to first order in the learning rate.

    Args:
        task: the task, or a corpus alone; its training sentences and topic words are read.
        start: the initial values.
        training: trained parts, learning rate and number of epochs, by default `Training()`.
        settings: fields of `Training` that replace those of `training`, such as learning_rate=0.1.

    Returns:
        Dataset with predicted_score, predicted_embedding_norm and predicted_attention (predicted, word) and
        predicted_loss (predicted,) at the epochs `predicted`; or the reason why there is no prediction.

    Example:
        >>> from attn_dynamics import Synthetic, draw
        >>> task = Synthetic(sentences=100).draw(seed=0)
        >>> sizes = {"n_words": task.train.n_words, "n_classes": 4, "embedding_dim": 10}
        >>> start = draw("mean-field", "attn-fc", rng=np.random.default_rng(0), **sizes)
        >>> dict(predict(task, start, epochs=100).sizes)
        {'predicted': 101, 'word': 8}
        >>> start = draw("paper", "attn-tl", rng=np.random.default_rng(0), **sizes)
        >>> predict(task, start, epochs=100)
        'mean field (C9, C10) is known for linear heads, not for the head of attn-tl'
    """
    task = as_task(task)
    training = training_with(training, settings).on(task.train.n_sentences)
    instance("start", start, Parameters, fix="draw(…) makes them.")
    if reason := _refusal(task, start, training):
        return reason
    learning_rate = training.learning_rate
    words = [word for topic in task.topic_words for word in topic]
    columns = task.train.columns(words)
    frequency = task.train.counts[:, columns].mean(axis=0)
    topics = UnequalTopics(
        frequency=frequency,
        topic=np.repeat(np.arange(len(task.topic_words)), [len(topic) for topic in task.topic_words]),
        head=start.head.first_layer,
        others=float(task.train.lengths[0] - 1),
        query_norm=float(np.linalg.norm(start.query)),
        sentences=task.train.n_sentences,
        train=[name for name in training.train if name != "head" or start.head.trained],
    )
    kept = _kept(training.epochs)
    with np.errstate(over="ignore"):
        times = learning_rate * kept
    if not np.isfinite(times).all():
        return "at this learning rate the times of the run exceed float64"
    try:
        path = topics.flow(
            times,
            score=start.scores[columns],
            embedding=start.embeddings[columns],
            learning_rate=learning_rate,
            tolerance=TOLERANCE,
            most=MOST,
        )
    except TooManyEvaluations:
        return f"{MOST:,} evaluations were too few to follow the equations of mean field at this learning rate"
    except ArithmeticError as error:
        return f"the equations of mean field could not be followed ({error})"
    by_word = {"score": path.score, "embedding_norm": path.norm, "attention": path.attention}
    variables: dict[str, Any] = {name: (("predicted", "word"), values) for name, values in by_word.items()}
    variables["loss"] = ("predicted", path.loss @ frequency)
    predicted = xr.Dataset(
        {f"predicted_{name}": variable for name, variable in variables.items()},
        {"predicted": kept, "word": np.array(words, str)},
    )
    for name in variables:
        predicted[f"predicted_{name}"].attrs["long_name"] = f"{name.replace('_', ' ')} in mean field (theory C9, C10)"
    predicted.predicted.attrs["long_name"] = "epochs of the prediction"
    return predicted


def deviation(run: xr.Dataset) -> float | None:
    """Return the largest distance of a topic word's score from its prediction, relative to the largest score then.

    Only times after the first 5 % of the training count. Return None without a prediction, or if no score moves.
    """
    if "predicted_score" not in run:
        return None
    late = run.predicted[run.predicted >= max(SETTLED * run.epoch.values[-1], 1)]
    if not late.size:
        return None
    topic = run.sel(word=run.predicted_score.notnull().all("predicted"), predicted=late)
    measured = topic.score.sel(epoch=late)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = abs(topic.predicted_score.values - measured.values).max(axis=1) / abs(measured.values).max(axis=1)
        largest = float(shares.max())
    return largest if np.isfinite(largest) else None


def _refusal(task: Task, start: Parameters, training: Training) -> str | None:
    """Return why the mean-field equations cannot be written down for a task; None if they can."""
    if not training.plain:
        return "mean field describes plain descent on all sentences"
    if training.frozen_words:
        return "mean field moves every word, but some are frozen"
    if not any(task.topic_words):
        return "mean field (C9, C10) needs topic words, and the task names none"
    law = mean_field_law(task, start, train=training.train)
    if law is None:
        name = next((name for name, head in HEADS.items() if isinstance(start.head, head)), type(start.head).__name__)
        return f"mean field (C9, C10) is known for linear heads, not for the head of {name}"
    found = mean_field_assumptions(task, start, train=training.train)
    broken = [f"{each.assumption} ({each.detail})" for each in found if each.assumption in HARD and not each.holds]
    return f"mean field ({law}) does not apply without {', nor without '.join(broken)}" if broken else None


def _kept(epochs: int) -> np.ndarray:
    evenly, by_decades = np.linspace(0, epochs, POINTS), np.geomspace(1, max(epochs, 1), POINTS)
    return np.unique(np.concatenate([evenly, by_decades]).round().astype(int).clip(max=epochs))
