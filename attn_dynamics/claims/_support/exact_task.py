"""Tasks that meet the mean-field assumptions by construction, with gradient flow and theory on them."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.claims._support.distances import RTOL, apart
from attn_dynamics.claims.claim import Control, control
from attn_dynamics.model.heads import TrainedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.mean_field import MeanField, Trajectory
from attn_dynamics.training.flow import flow

Theory = Callable[..., Any]
"""Function of `MeanField`'s arguments that returns an object whose method `flow` gives a trajectory."""
TIMES = tuple(np.logspace(-1, 3, 13).tolist())
"""Times at which runs and theory are compared."""
KEYS_FIXED = ("embeddings",)
FIXED_HEAD = ("keys", "embeddings")
TRAINED_HEAD = ("keys", "embeddings", "head")
"""Trained parts: with keys fixed at zero, with a fixed head, and with a trained head."""


class ExactTask(NamedTuple):
    """Task with one topic word for each class and a head of orthogonal columns; all else starts at zero."""

    repeats: tuple[int, ...]
    """Number of sentences of each topic word."""
    others: int
    """Number m of other words in a sentence."""
    query_norm: float = 1.0
    """Query norm ‖q‖."""
    head_norm: float = 1.0
    """Norm u of the head's columns."""
    private: bool = False
    """Whether each sentence has m words of its own; otherwise all share m words that are frozen at zero."""
    wrong: tuple[int, ...] = ()
    """Number of further sentences of each topic word that have each of the other classes as their label."""

    @property
    def setting(self) -> dict[str, Any]:
        """Return the sizes of the task as arguments of `MeanField`."""
        held, classes = np.array(self.repeats), len(self.repeats)
        noisy = (classes - 1) * np.array(self.wrong or (0,) * classes)
        sentences = int((held + noisy).sum())
        setting: dict[str, Any] = {
            "frequency": (held + noisy) / sentences,
            "classes": classes,
            "others": self.others,
            "query_norm": self.query_norm,
            "head_norm": self.head_norm,
        }
        if self.wrong:
            setting["label_noise"] = noisy / (held + noisy)
        return setting | ({"sentences": sentences} if self.private else {})

    def sentences(self) -> Iterator[tuple[int, list[str]]]:
        """Yield class and words of each sentence."""
        for topic, count in enumerate(self.repeats):
            for repeat in range(count):
                mark = f"{topic}.{repeat}." if self.private else ""
                yield topic, [f"t{topic}", *(f"w{mark}{other}" for other in range(self.others))]
        for (topic, count), label in product(enumerate(self.wrong), range(len(self.repeats))):
            if label != topic:
                yield from [(label, [f"t{topic}", *(f"w{other}" for other in range(self.others))])] * count


def drawn_tasks(count: int, seed: int = 0) -> Iterator[ExactTask]:
    """Draw n from 2 to 6, m from 1 to 30, ‖q‖ and u from 0.5 to 2, and topic frequencies in ratios up to 4."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        repeats = rng.integers(1, 5, rng.integers(2, 7)).tolist()
        yield ExactTask(tuple(repeats), int(rng.integers(1, 31)), *np.exp2(rng.uniform(-1, 1, 2)).tolist())


@cache
def exact_flow(
    task: ExactTask,
    times: tuple[float, ...],
    *,
    train: tuple[str, ...] = FIXED_HEAD,
    free: bool = False,
    rtol: float = RTOL,
) -> xr.Dataset:
    """Return gradient flow of the exact gradient in log time, with every topic word followed.

    Shared other words are frozen, unless `free`.
    """
    topics, sentences = zip(*task.sentences(), strict=True)
    corpus, n = Corpus.from_sentences(sentences, topics), len(task.repeats)
    words = [f"t{topic}" for topic in range(n)]
    rest = [] if task.private or free else [word for word in corpus.vocabulary if word not in words]
    columns = np.linalg.qr(np.random.default_rng(0).standard_normal((n + 1, n)))[0]
    start = Parameters(
        query=np.array([task.query_norm]),
        keys=np.zeros((corpus.n_words, 1)),
        embeddings=np.zeros((corpus.n_words, n + 1)),
        head=TrainedLinear(weight=task.head_norm * columns),
    )
    return flow(
        corpus,
        start,
        times=times,
        log_time=True,
        train=train,
        follow=words,
        frozen_words=rest,
        rtol=rtol,
        atol=1e-3 * rtol,
    ).trajectory


def altered(theory: Callable[..., Any], **changes: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a theory for a control: functions of their values replace some of its arguments."""

    def broken(*given: Any, **setting: Any) -> Any:
        return theory(*given, **setting | {name: change(setting[name]) for name, change in changes.items()})

    return broken


def forgetful(theory: Theory) -> Theory:
    """Return the theory with N = ∞, so that nothing is memorised."""
    return altered(theory, sentences=lambda _: np.inf)


def of_wrong_sizes(theory: Theory) -> tuple[Control, Control]:
    """Return controls that give the theory another m and another ρ."""
    return (
        control("m + 1 other words", theory=altered(theory, others=lambda m: m + 1)),
        control("ρ of another word", theory=altered(theory, frequency=np.flip)),
    )


def distance(
    task: ExactTask, theory: Theory = MeanField, *, train: tuple[str, ...] = FIXED_HEAD, free: bool = False
) -> float:
    """Return the largest relative distance of s, ‖ν‖ and a along the exact flow of a task from a theory."""
    run, solution = exact_flow(task, TIMES, train=train, free=free, rtol=RTOL), _exact_theory(theory, task)
    pairs = ((solution.score, run.score), (solution.norm, run.embedding_norm), (solution.attention, run.attention))
    return apart(*((predicted, seen.values[1:]) for predicted, seen in pairs))


@cache
def _exact_theory(theory: Theory, task: ExactTask) -> Trajectory:
    """Return the trajectory that the theory predicts for a task."""
    return theory(**task.setting).flow(TIMES, tolerance=0.1 * RTOL)
