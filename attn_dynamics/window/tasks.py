"""Tasks with a known distance to the useful token: a needle, copying, and topic words (theory D4 to D7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, final

import numpy as np

from attn_dynamics.check import integer, one_of
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.model.heads import Array, FixedLinear
from attn_dynamics.system.memory import check_room
from attn_dynamics.theory.bell_width import Loss, Needles, Topics, settled_width
from attn_dynamics.theory.ode import Velocity
from attn_dynamics.training.recording import snapshots_due
from attn_dynamics.window.layer import Layer
from attn_dynamics.window.readout import CrossEntropy, Likelihood, Reward
from attn_dynamics.window.windows import Integers, Windows, half_width_of

DIMENSION = 10
"""Dimension d of the embeddings of the topic task, as in LMN21's task."""
TOPIC_WORDS = 2
"""Number of topic words of each class, as in LMN21's task."""
STATES = 40
"""Number of recorded states per decade of epochs, each with all attention and all trained arrays."""
SIZES = {"needle": (50, 1), "copying": (4, 10_000), "topics": (400, 1000)}
"""Default numbers of sequences and words, by task."""
Distances = Literal["fixed", "uniform", "geometric"]
"""Type of the names in `DISTANCES`."""


@final
@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """Options of a window task.

    Raises:
        InputError: a number is out of range, or a useful token lies beyond the window.
    """

    distance: int = 10
    """Distance δ from the query to the useful token, in tokens; if distances are drawn, their mean."""
    distances: Distances = "fixed"
    """Distribution of δ: fixed, uniform from 1 to 2δ - 1, or geometric from 1 to the half-width."""
    window: int = 101
    """Number of tokens that a query may see, 2w + 1: an odd number."""
    length: int = 151
    """Number of tokens of a sequence."""
    sequences: int | None = None
    """Number of sequences, each with one query, but many for copying (default: needle 50, copying 4, topics 400)."""
    words: int | None = None
    """Number of words of the dictionary (default: copying 10,000, so that few copies are accidents; topics 1,000)."""
    classes: int = 4
    """Number of classes of the topic task."""

    def __post_init__(self) -> None:
        least = {"distance": 1, "length": 1, "sequences": 1, "words": 1, "classes": 2}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None or name not in ("sequences", "words"):
                integer(name, value, bound)
        one_of("distances", self.distances, DISTANCES)
        farthest = 2 * self.distance - 1 if self.distances == "uniform" else self.distance
        if farthest > self.half_width:
            raise InputError(
                "distance",
                expected=f"useful tokens within the half-width {self.half_width} of the window",
                given=farthest,
                fix="Make the window longer, or the distance shorter.",
            )

    @property
    def half_width(self) -> int:
        """Return the half-width w."""
        return half_width_of(self.window, self.length)

    def sizes(self, task: str) -> tuple[int, int]:
        """Return the numbers of sequences and words."""
        sequences, words = SIZES[task]
        return self.sequences or sequences, self.words or words

    def check_room(self, task: str, epochs: int) -> None:
        """Check that sequences, attention within windows and recorded states fit into memory.

        Raises:
            InputError: one of the sizes is too large.
        """
        (sequences, words), window = self.sizes(task), 2 * self.half_width + 1
        pairs = sequences * window * (self.length - window + 1 if task == "copying" else 1)
        trained = (words + TOPIC_WORDS * self.classes + self.classes) * max(DIMENSION, self.classes)
        sizes = {"sequences": sequences, "length": self.length, "window": window}
        if task == "topics":
            sizes |= {"words": words, "classes": self.classes}
        kept = len(snapshots_due(epochs, STATES)) * (pairs + (trained if task == "topics" else 0))
        check_room(8 * (2 * sequences * self.length + kept), sizes)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class WindowTask:
    """A task: its data, its initial layer, and the theory's prediction."""

    name: str
    windows: Windows
    layer: Layer
    train: tuple[str, ...]
    velocity: Velocity
    """Velocity of the state in theory; the last coordinate of the state is the bell's parameter."""
    begin: Array
    """Predicted state at the start."""
    layer_at: Callable[[Array], Layer]
    """Function that returns a layer with the attention of a predicted state."""
    followed: Integers
    """Words whose mean score is recorded."""
    settles: float | None = None
    """Width σ that the bell approaches, if it is known (theory D4)."""
    dev: Windows | None = None
    """Further windows, for early stopping."""

    @property
    def others(self) -> dict[str, Windows]:
        """Return the windows beside the training data, by name."""
        return {} if self.dev is None else {"dev": self.dev}


class _Drawn(NamedTuple):
    """Drawn sequences with the positions of queries and useful tokens."""

    tokens: Integers
    """Words (sequences, length)."""
    position: Integers
    """Position of the query (sequences,)."""
    distance: Integers
    """Distance δ ≥ 1 of the useful token (sequences,)."""
    useful: Integers
    """Position of the useful token (sequences,)."""


def needle(options: WindowOptions, bell: Bell, width: float, loss: Loss, rng: np.random.Generator) -> WindowTask:
    """Return a task with one useful token, at some distance, among useless tokens; scores and values are frozen."""
    drawn = _draw(options, rng, *options.sizes("needle"))
    rows = np.arange(len(drawn.tokens))
    tokens = np.zeros_like(drawn.tokens)
    tokens[rows, drawn.useful] = 1
    queries = np.stack([rows, drawn.position], axis=1)
    answers = np.zeros_like(rows)
    windows = Windows.of(list(tokens), queries, answers, n_words=2, half_width=options.half_width)
    return _frozen("needle", windows, drawn.distance, options, bell, width, loss, chance=0.0)


def copying(options: WindowOptions, bell: Bell, width: float, loss: Loss, rng: np.random.Generator) -> WindowTask:
    """Return the copying task: at each position with a whole window, the answer is the word δ tokens before."""
    half = options.half_width
    size, n_words = options.sizes("copying")
    tokens = rng.integers(n_words, size=(size, options.length))
    rows, positions = np.meshgrid(np.arange(len(tokens)), np.arange(half, options.length - half), indexing="ij")
    rows, positions = rows.ravel(), positions.ravel()
    distance = DISTANCES[options.distances](options, rng, rows.size)
    answers = tokens[rows, positions - distance]
    windows = Windows.of(list(tokens), np.stack([rows, positions], axis=1), answers, n_words=n_words, half_width=half)
    # If values distinguish words, v_y is the attention on all copies of y. So they become word 1, all others word 0.
    copies = (windows.words == windows.spread(answers)).astype(np.int64)
    windows = replace(windows, words=copies, labels=np.zeros_like(answers), n_words=2)
    return _frozen("copying", windows, distance, options, bell, width, loss, chance=1.0 / n_words)


def topics(options: WindowOptions, bell: Bell, width: float, loss: Loss, rng: np.random.Generator) -> WindowTask:
    """Return LMN21's task with the topic word δ from the query; all parts but the head are trained."""
    size, others = options.sizes("topics")
    drawn, named = _draw(options, rng, size, others), options.classes * TOPIC_WORDS
    tokens, rows = drawn.tokens + named, np.arange(len(drawn.tokens))
    labels = rng.integers(options.classes, size=rows.size)
    tokens[rows, drawn.useful] = labels * TOPIC_WORDS + rng.integers(TOPIC_WORDS, size=rows.size)
    queries = np.stack([rows, drawn.position], axis=1)
    n_words = named + others
    windows = Windows.of(list(tokens), queries, labels, n_words=n_words, half_width=options.half_width)
    columns = np.linalg.qr(rng.standard_normal((max(DIMENSION, options.classes), options.classes)))[0]
    layer = Layer(
        scores=np.zeros(n_words),
        values=np.zeros((n_words, len(columns))),
        parameter=bell.parameter(width),
        bell=bell,
        readout=CrossEntropy(FixedLinear(weight=columns)),
    )
    theory = Topics(
        distances=tuple(map(float, drawn.distance)),
        half_width=options.half_width,
        bell=bell,
        classes=options.classes,
        frequency=1.0 / named,
    )

    def layer_at(state: Array) -> Layer:
        return replace(layer, scores=state[0] * (np.arange(n_words) < named), parameter=float(state[-1]))

    return WindowTask(
        name="topics",
        windows=windows,
        layer=layer,
        train=("scores", "values", "bell"),
        velocity=theory.velocity,
        begin=np.array([0.0, 0.0, layer.parameter]),
        layer_at=layer_at,
        followed=np.arange(named),
    )


TASKS: Mapping[str, Callable[[WindowOptions, Bell, float, Loss, np.random.Generator], WindowTask]] = {
    "needle": needle,
    "copying": copying,
    "topics": topics,
}
"""Functions that draw a task from options, bell, initial width, loss and a random generator, by name."""


def load_window_task(
    name: str, options: WindowOptions, bell: Bell, width: float, loss: Loss, seed: int, *, dev: bool
) -> WindowTask:
    """Return a task drawn by its random seed; `dev` adds as many windows, drawn after the training data."""
    rng = np.random.default_rng(seed)
    task = TASKS[name](options, bell, width, loss, rng)
    return replace(task, dev=TASKS[name](options, bell, width, loss, rng).windows) if dev else task


def _uniform(options: WindowOptions, rng: np.random.Generator, size: int) -> Integers:
    return rng.integers(1, 2 * options.distance, size)


def _geometric(options: WindowOptions, rng: np.random.Generator, size: int) -> Integers:
    places = np.arange(1, options.half_width + 1)
    chances = (1.0 - 1.0 / options.distance) ** (places - 1.0)
    return rng.choice(places, size, p=chances / chances.sum())


DISTANCES: Mapping[Distances, Callable[[WindowOptions, np.random.Generator, int], Integers]] = {
    "fixed": lambda options, rng, size: np.full(size, options.distance),
    "uniform": _uniform,
    "geometric": _geometric,
}
"""Functions that draw useful distances, by name."""


def _draw(options: WindowOptions, rng: np.random.Generator, size: int, words: int) -> _Drawn:
    """Draw sequences of words, each with a query in a whole window and a useful token on either side of the query."""
    half = options.half_width
    tokens = rng.integers(words, size=(size, options.length))
    position = rng.integers(half, options.length - half, size)
    distance = DISTANCES[options.distances](options, rng, size)
    return _Drawn(tokens, position, distance, position + distance * rng.choice((-1, 1), size))


def _frozen(
    name: str,
    windows: Windows,
    distance: Integers,
    options: WindowOptions,
    bell: Bell,
    width: float,
    loss: Loss,
    *,
    chance: float,
) -> WindowTask:
    """Return a task with equal scores in which only the bell moves."""
    layer = Layer(
        scores=np.zeros(2),
        values=np.array([[0.0], [1.0]]),
        parameter=bell.parameter(width),
        bell=bell,
        readout=Likelihood() if loss == "likelihood" else Reward(),
    )
    theory = Needles(
        distances=tuple(map(float, distance)), half_width=options.half_width, bell=bell, loss=loss, chance=chance
    )
    square = float(np.mean(distance**2.0))
    known = bell.renormalises and chance == 0.0 and (loss == "likelihood" or options.distances == "fixed")
    return WindowTask(
        name=name,
        windows=windows,
        layer=layer,
        train=("bell",),
        velocity=theory.velocity,
        begin=np.array([layer.parameter]),
        layer_at=lambda state: replace(layer, parameter=float(state[-1])),
        followed=np.array([1]),
        settles=settled_width(square**0.5, options.half_width) if known else None,
    )
