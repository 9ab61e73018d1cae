"""Claim: loss and slopes are right relative to themselves at margins to 700 nats and scores spread over ±2000.

Judged by mpmath; automatic differentiation loses them as 1 - p and as A (g·P - g·v).
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from attn_dynamics import Corpus, Parameters, loss_and_gradient
from attn_dynamics.claims._support.exact_task import ExactTask, exact_flow
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.training.coordinates import Coordinates
from attn_dynamics.training.recording import Layout
from attn_dynamics.training.replicates.engine import engine_for
from attn_dynamics.training.settings import Training
from tests.exact import exact
from tests.support import MODELS, Array, attention_of, dense, named, numbered, own_logits, trained_names

TOLERANCE = 1e-12
"""Error in shares of the sum of absolute terms: some units of 2⁻⁵² times margin or spread, up to 4000."""
STARTS = 5
"""Models for each corpus."""
SPREADS = (1.0, 8.0, 40.0, 300.0, 2000.0)
MARGINS = (1e-2, 3.0, 40.0, 300.0, 700.0)

Answer = dict[str, Array]
Engine = Callable[[Corpus, list[Parameters]], list[Answer]]


def single(corpus: Corpus, starts: list[Parameters]) -> list[Answer]:
    """Loss and gradients of models one by one."""
    answers = []
    for start in starts:
        loss, gradient = loss_and_gradient(corpus, start)
        kept = trained_names(start.head)
        answers.append({"loss": np.array(loss)} | {n: a for n, a in named(gradient).items() if n in kept})
    return answers


def together(device: str) -> Engine:
    """Loss and gradients of models as replicates on a device."""

    def answer(corpus: Corpus, starts: list[Parameters]) -> list[Answer]:
        equations = pytest.importorskip("attn_dynamics.training.replicates.equations", reason="needs PyTorch")
        engine, none = engine_for(device, "float64"), np.empty(0, np.int64)
        training = Training(train=TRAINABLE, reduced=False)
        coordinates = [Coordinates(start, training) for start in starts]
        models = equations.Replicates(engine, coordinates, training, none, Layout(corpus))
        (fit,), gradient = models.evaluate()
        losses, values, scores = (each.numpy() for each in (fit, gradient.values, gradient.scores))
        if gradient.readout_matrix is not None:
            values = gradient.readout_matrix.numpy() @ values
        head = {f"head.{name}": array.numpy() for name, array in gradient.head.items()}
        return [
            {"loss": losses[r, 0], "scores": scores[r], "embeddings": values[r].T}
            | {name: array[r] for name, array in head.items() if name in trained_names(start.head)}
            for r, start in enumerate(starts)
        ]

    return answer


ENGINES: dict[str, Engine] = {"single": single, "cpu": together("cpu")}


class Drawn(NamedTuple):
    """A corpus and models for it."""

    corpus: Corpus
    starts: list[Parameters]


def drawn(model: str, seed: int) -> Drawn:
    """Ragged sentences with repeats, labels that lead and labels that do not, scores that float64 holds exactly."""
    rng = np.random.default_rng(seed)
    n_words, n, d, hidden = (int(rng.integers(low, high)) for low, high in ((3, 7), (2, 5), (1, 4), (1, 4)))
    sentences = [rng.integers(n_words, size=rng.integers(2, 6)).tolist() for _ in range(rng.integers(1, 4))]
    # A sentence of one word sends nothing to the scores: torch answers with round-off where scores are near.
    sentences = [[*sentence, (sentence[0] + 1) % n_words] for sentence in sentences]
    corpus = numbered(sentences, [0] * len(sentences), n_words, n)
    starts = []
    for spread, margin in zip(SPREADS, rng.permutation(MARGINS), strict=True):
        scores = np.round(rng.uniform(-spread, spread, n_words) * 1024) / 1024
        beside = np.round(rng.standard_normal(n_words) * 1024) / 1024
        head = HEADS[model].draw(rng, d, n, hidden)
        embeddings = rng.standard_normal((n_words, d))
        shares = attention_of(corpus, scores)
        reached = float(np.ptp(own_logits(head, shares @ embeddings), axis=1).max())
        # A logit of which large terms cancel is no better than its terms.
        terms = float((shares @ abs(embeddings) @ abs(head.first_layer)).max())
        scale = min(margin / max(reached, 1e-3), 2 * max(MARGINS) / terms)
        keys = np.column_stack([scores + 0.5 * beside, beside])
        starts.append(Parameters(query=np.array([1.0, -0.5]), keys=keys, embeddings=scale * embeddings, head=head))
    last = starts[int(rng.integers(STARTS))]
    best = own_logits(last.head, attention_of(corpus, last.scores) @ last.embeddings).argmax(axis=1)
    labels = np.where(rng.random(len(best)) < 0.7, best, rng.integers(n, size=len(best)))
    return Drawn(replace(corpus, labels=labels), starts)


def largest_errors(model: str, seeds: range, engines: dict[str, Engine]) -> dict[str, float]:
    """Largest error of each engine over all that it answers, over the cases of some seeds."""
    worst, judged = dict.fromkeys(engines, 0.0), 0
    for corpus, starts in (drawn(model, seed) for seed in seeds):
        answers = {name: engine(corpus, starts) for name, engine in engines.items()}
        for place, start in enumerate(starts):
            reference = exact(corpus, start)
            if reference.margin < 1e-9:  # a relu at its kink
                continue
            judged += 1
            for name, answer in answers.items():
                worst[name] = max(worst[name], *reference.errors(answer[place]).values())
    assert judged > 0.9 * len(seeds) * STARTS
    return worst


@pytest.mark.parametrize("model", MODELS)
def test_loss_and_slopes_are_right_relative_to_themselves(model: str) -> None:
    assert max(largest_errors(model, range(3), ENGINES).values()) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_so_they_are_in_hundreds_of_cases(model: str) -> None:
    assert max(largest_errors(model, range(3, 33), ENGINES).values()) <= TOLERANCE


def test_automatic_differentiation_would_not_pass() -> None:
    """Negative control: what is judged is lost by the ordinary way."""

    def by_torch(corpus: Corpus, starts: list[Parameters]) -> list[Answer]:
        return [{"scores": dense(corpus, start).gradient["scores"]} for start in starts]

    assert largest_errors("attn-fc", range(3), {"torch": by_torch})["torch"] > 1e3 * TOLERANCE


def late_errors(times: Array, **options: float) -> dict[str, float]:
    """How far flow in log time is from the mean field where that is exact: two classes, each sentence its own words."""
    task = ExactTask((2, 2), others=3, private=True)
    trajectory = exact_flow(task, tuple(times), **options)
    theory = MeanField(**task.setting).flow(times)
    return {
        "loss": float(np.abs(trajectory.train_loss.values[1:] / theory.loss[:, 0] - 1).max()),
        "norm": float(np.abs(trajectory.embedding_norm.values[1:, 0] - theory.norm[:, 0]).max()),
        "score": float(np.abs(trajectory.score.values[1:, 0] - theory.score[:, 0]).max()),
    }


def test_flow_stays_on_the_mean_field_to_1e30() -> None:
    """At the default tolerances, although the loss falls to 1e-30."""
    assert max(late_errors(np.logspace(2, 30, 15), rtol=1e-9).values()) <= 1e-6
    losses = exact_flow(ExactTask((2, 2), others=3, private=True), (1e13, 1e15, 1e30)).train_loss.values
    assert losses[1:] == pytest.approx([9.9991e-14, 9.9995e-16, 9.999956e-31], rel=1e-5)


def test_longer_steps_in_log_time_would_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    module = sys.modules["attn_dynamics.training.flow"]
    monkeypatch.setattr(module, "LOG_TIME", module.LOG_TIME._replace(longest=np.inf))
    assert late_errors(np.logspace(2, 30, 29), rtol=1.01e-9)["loss"] > 1e-6
