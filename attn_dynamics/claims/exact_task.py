"""Tasks that make the assumptions of the mean field true by construction, and gradient flow and theory on them."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.model.heads import TrainedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.flow import flow

KEYS_FIXED = ("embeddings",)
FIXED_HEAD = ("keys", "embeddings")
TRAINED_HEAD = ("keys", "embeddings", "head")
"""What is trained."""


class ExactTask(NamedTuple):
    """One topic word for each class, a head of orthogonal columns, zero start of all else."""

    repeats: tuple[int, ...]
    """Sentences of each topic word."""
    others: int
    """m."""
    query_norm: float = 1.0
    """‖q‖."""
    head_norm: float = 1.0
    """u."""
    private: bool = False
    """Whether each sentence has m words of its own; otherwise all share m that are held at zero."""

    @property
    def setting(self) -> dict[str, Any]:
        """The same in the arguments of `MeanField`."""
        sentences = sum(self.repeats)
        return {
            "frequency": np.array(self.repeats) / sentences,
            "classes": len(self.repeats),
            "others": self.others,
            "query_norm": self.query_norm,
            "head_norm": self.head_norm,
        } | ({"sentences": sentences} if self.private else {})

    def sentences(self) -> Iterator[tuple[int, list[str]]]:
        """Class and words of each."""
        for topic, count in enumerate(self.repeats):
            for repeat in range(count):
                mark = f"{topic}.{repeat}." if self.private else ""
                yield topic, [f"t{topic}", *(f"w{mark}{other}" for other in range(self.others))]


def drawn_tasks(count: int, seed: int = 0) -> Iterator[ExactTask]:
    """n from 2 to 6, m from 1 to 30, ‖q‖ and u from 0.5 to 2, topic words up to four times as frequent as others."""
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
    rtol: float = 1e-11,
) -> xr.Dataset:
    """Gradient flow in log time of the exact gradient, every topic word followed; `free` holds no word."""
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
        corpus, start, times=times, log_time=True, train=train, follow=words, hold=rest, rtol=rtol, atol=1e-3 * rtol
    ).trajectory


def altered(theory: Callable[..., Any], **changes: Callable[[Any], Any]) -> Callable[..., Any]:
    """The theory with some of its arguments replaced by a function of what they are: how a control breaks it."""

    def broken(*given: Any, **setting: Any) -> Any:
        return theory(*given, **setting | {name: change(setting[name]) for name, change in changes.items()})

    return broken
