"""Claims C2, C9, C10: real runs of the synthetic task, predicted with nothing fitted."""

from collections.abc import Sequence

import numpy as np
import pytest
import xarray as xr

from attn_dynamics import descend, draw
from attn_dynamics.tasks import Synthetic
from attn_dynamics.theory.mean_field import MeanField, Trajectory
from attn_dynamics.theory.unequal_topics import TopicTrajectory, UnequalTopics
from tests.support import Array

RATE, SENTENCES = 0.1, 800


def simulated(model: str, epochs: int, dictionary: int, seed: int = 0) -> tuple[xr.Dataset, Array]:
    """A run from the start of the theory, and ρ of each topic word."""
    task = Synthetic(dictionary=dictionary).draw(seed)
    words = [word for topic in task.topic_words for word in topic]
    corpus = task.train
    parameters = draw(
        "mean-field", model, n_words=corpus.n_words, n_classes=4, embedding_dim=10, rng=np.random.default_rng(seed)
    )
    run = descend(corpus, parameters, learning_rate=RATE, epochs=epochs, follow=words)
    return run.trajectory, corpus.counts.toarray()[:, corpus.columns(words)].mean(axis=0)


def predicted(
    model: str, times: Array, frequency: Array, *, learning_rate: float = RATE, sentences: float = SENTENCES
) -> Trajectory | TopicTrajectory:
    if model == "attn-fc":
        words = MeanField(frequency=frequency, classes=4, others=20, sentences=sentences)
        return words.flow(times, learning_rate=learning_rate)
    topics = UnequalTopics(
        frequency=frequency, topic=np.repeat(np.arange(4), 2), head=np.eye(4), others=20, sentences=sentences
    )
    return topics.flow(times, learning_rate=learning_rate)


def off(run: xr.Dataset, theory: Trajectory | TopicTrajectory, epochs: slice) -> float:
    """Largest relative error of the scores and norms of all topic words at these epochs."""
    pairs: Sequence[tuple[Array, Array]] = (
        (theory.score, run.score.values),
        (theory.norm, run.embedding_norm.values),
    )
    return max(float(np.abs(ours[epochs] / seen[epochs] - 1).max()) for ours, seen in pairs)


@pytest.mark.parametrize("model", ["attn-fc", "attn-tc"])
def test_c9_c10_from_the_second_epoch_on(model: str) -> None:
    """What is left is that each other word stands in three sentences (dictionary 5,000): 0.2 % in 600 epochs."""
    run, frequency = simulated(model, 600, 5000)
    times, epochs = run.time.values, slice(2, None)
    assert off(run, predicted(model, times, frequency), epochs) <= 0.005
    # Descent's own 1/e at epoch e, which the flow lacks; what sentences memorise; whose word it is.
    assert off(run, predicted(model, times, frequency, learning_rate=0.0), epochs) > 0.5
    assert off(run, predicted(model, times, frequency, learning_rate=-RATE), epochs) > 0.5
    assert off(run, predicted(model, times, frequency, sentences=np.inf), epochs) > 0.01
    assert off(run, predicted(model, times, frequency[::-1]), epochs) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("model", ["attn-fc", "attn-tc"])
@pytest.mark.parametrize("seed", [0, 1])
def test_c2_c9_c10_over_the_whole_training(model: str, seed: int) -> None:
    """5,000 epochs: within 1 % at any time, and within 0.2 % where hardly any word stands in two sentences."""
    for dictionary, allowed in ((5000, 0.01), (50_000, 0.002)):
        run, frequency = simulated(model, 5000, dictionary, seed)
        times, late = run.time.values, slice(250, None)
        assert off(run, predicted(model, times, frequency), slice(2, None)) <= allowed
        assert off(run, predicted(model, times, frequency, learning_rate=0.0), late) <= 0.01
        assert off(run, predicted(model, times, frequency, learning_rate=0.0), slice(2, None)) > 0.5
        forgetful = off(run, predicted(model, times, frequency, learning_rate=0.0, sentences=np.inf), late)
        # C1 is good to 4 %; without memorisation C10 is not a prediction on 800 sentences.
        assert (0.01 < forgetful <= 0.04) if model == "attn-fc" else forgetful > 0.1
        if model == "attn-tc":
            # Each topic as if all were like it: a trained head couples them.
            alike = MeanField(
                frequency=frequency,
                classes=4,
                others=20,
                sentences=800,
                topic_words=2,
                train=("keys", "embeddings", "head"),
            )
            assert off(run, alike.flow(times, learning_rate=RATE), late) > 0.05
