"""Rate at which keys alone select a topic word whose embedding is fixed (theory F2)."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from attn_dynamics.claims._support.distances import RTOL, apart
from attn_dynamics.claims._support.exact_task import TIMES, ExactTask, altered
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array, FixedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.theory.selection import Selection
from attn_dynamics.training.flow import flow

Theory = Callable[..., Selection]
"""Function of `Selection`'s arguments that returns the predicted selection."""
Late = Callable[[Selection, float], Array]
"""Function that returns an order of 1/(1-a) from a selection and a time, as `Selection.late` does."""
LATE = 1e4
"""Time at which mean field shows what the three terms leave; much later, the solver's error exceeds it."""


class Held(NamedTuple):
    """Task with fixed embeddings, and the margin v that each topic word gives if it has all attention."""

    task: ExactTask
    margins: tuple[float, ...]

    @property
    def setting(self) -> dict[str, Any]:
        """Return the topic words as arguments of `Selection`."""
        left = {name: value for name, value in self.task.setting.items() if name != "head_norm"}
        return left | {"margin": np.array(self.margins)}


TASKS = (
    Held(ExactTask((1, 2), 1), (1.0, 3.0)),
    Held(ExactTask((3, 1, 2), 20, 1.5, 0.7), (0.5, 1.0, 5.0)),
    Held(ExactTask((1, 1, 2, 3), 5, 0.6, 2.0), (1.5, 4.0, 0.7, 1.0)),
)
"""Tasks of different sizes and margins."""


def by_logarithm_alone(theory: Selection, time: float) -> Array:
    """Return the next order b (b ln(cτ) + k)/(cτ), without its term g/(cτ)."""
    grown = theory.rate * time
    return theory.drift * (theory.late(time) / grown - 1.0)


@claims(
    "F2",
    control("v + 1 for v", theory=altered(Selection, margin=lambda v: v + 1.0)),
    control("‖q‖ for ‖q‖²", theory=altered(Selection, query_norm=np.sqrt)),
    control("m + 1 other words", theory=altered(Selection, others=lambda m: m + 1)),
    control("the logarithm lost", late=lambda theory, time: theory.rate * time),
    control("b without -2", late=lambda theory, time: theory.late(time) + 2.0 * np.log(theory.rate * time)),
    control("b (b ln(cτ) + k)/(cτ) alone after the three terms", beyond=by_logarithm_alone),
    name="rate of selection",
    foundations=("M1", "M2"),
    statement=r"\frac{1}{1-a} = c\,\tau + b \ln(c\,\tau) + k + o(1), \quad "
    r"c = \frac{(n-1)\, \|q\|^2 \rho\, v}{n-1+e^v}, \quad b = -2 + \frac{v\, e^v}{n-1+e^v}",
    assumptions="keys alone are trained, from 0. Query, head and embeddings are fixed; the other words stay at score "
    "and embedding 0. Each sentence has one topic word, which gives it the margin a v > 0 over every other class",
    quantity="path: largest relative distance of the time at which 1/(1-a) is reached from the integral, up to time "
    "1000. Left: relative distance of what the three terms leave of 1/(1-a) from (b (b ln(cτ) + k) + g)/(cτ), in mean "
    "field at time 1e4, as a share of its bound. Here g = 3 - 2pv + pv²/2 and p = e^v/(n-1+e^v)",
    tolerance="path: 50 rtol, where rtol = 1e-11 is the solver's tolerance per step, for some dozen steps. Left: |x| "
    "with x = (b ln(cτ) + k)/(cτ), twice the next order -x/2",
)
def rate_of_selection(
    *, quick: bool, theory: Theory = Selection, late: Late = Selection.late, beyond: Late = Selection.beyond
) -> Measured:
    """Measure the exact gradient's flow of keys alone, and the same equation in mean field at large times."""
    tasks = TASKS[:2] if quick else TASKS
    return together(
        path=Measured(largest(_off_path(held, theory) for held in tasks), 50 * RTOL),
        left=Measured(largest(_off_left(held, theory, late, beyond) for held in tasks), 1.0),
    )


def _off_path(held: Held, theory: Theory) -> float:
    """Return the largest relative distance of the predicted times from those at which 1/(1-a) is reached."""
    reached = 1.0 / (1.0 - selected(held))
    return apart((theory(**held.setting).time(reached), np.array(TIMES)[:, None]))


def _off_left(held: Held, theory: Theory, late: Late, beyond: Late) -> float:
    """Return the largest relative distance of what is left from the theory, over words, as a share of its bound."""
    said, true = theory(**held.setting), Selection(**held.setting)
    left = inverse_gap(held) - late(said, LATE)
    bound = np.abs(true.late(LATE) / (true.rate * LATE) - 1.0)
    return float((np.abs(left / beyond(said, LATE) - 1.0) / bound).max())


@cache
def selected(held: Held) -> Array:
    """Return the attention (times, words) of topic words along the exact gradient's flow of keys alone."""
    task = held.task
    topics, sentences = zip(*task.sentences(), strict=True)
    corpus, n = Corpus.from_sentences(sentences, topics), len(held.margins)
    words = [f"t{topic}" for topic in range(n)]
    embeddings = np.zeros((corpus.n_words, n))
    embeddings[corpus.columns(words)] = np.diag(held.margins) / task.head_norm
    start = Parameters(
        query=np.array([task.query_norm]),
        keys=np.zeros((corpus.n_words, 1)),
        embeddings=embeddings,
        head=FixedLinear(weight=task.head_norm * np.eye(n)),
    )
    rest = [word for word in corpus.vocabulary if word not in words]
    options = {"follow": words, "frozen_words": rest, "rtol": RTOL, "atol": 1e-3 * RTOL}
    run = flow(corpus, start, times=TIMES, log_time=True, train=("keys",), **options).trajectory
    return run.attention.values[1:]


@cache
def inverse_gap(held: Held) -> Array:
    """Return 1/(1 - a) of the topic words in mean field at time `LATE`."""
    setting = {name: value for name, value in held.setting.items() if name != "margin"}
    n, m = len(held.margins), held.task.others
    norm = np.array(held.margins) * np.sqrt((n - 1) / n)
    run = MeanField(**setting, train=("keys",)).flow([LATE], norm=norm, tolerance=1e-13)
    return 1.0 + np.exp(run.score[-1]) / m
