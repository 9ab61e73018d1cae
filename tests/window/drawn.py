"""Drawn layers of every kind on ragged sequences, for the tests of this room."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from attn_dynamics.heads import HEADS
from attn_dynamics.window.bell import PLACEMENTS, SCALES, Bell
from attn_dynamics.window.layer import Layer
from attn_dynamics.window.readout import CrossEntropy, Likelihood, Readout, Reward
from attn_dynamics.window.windows import Windows

READOUTS = (*HEADS, "likelihood", "reward")
KINDS = [(placement, scale) for placement in PLACEMENTS for scale in SCALES]


@dataclass(frozen=True)
class Setting:
    """Sequences, queries and a layer; `cut` is the half-width."""

    sequences: list[list[int]]
    queries: list[tuple[int, int]]
    labels: list[int]
    cut: int | None
    layer: Layer

    @property
    def windows(self) -> Windows:
        return Windows.of(
            self.sequences, self.queries, self.labels, n_words=self.layer.scores.size, half_width=self.cut
        )


def setting(placement: str, scale: str, readout: str, seed: int) -> Setting:
    """One drawn case: sequences of 1 to 9 tokens, several queries in each, cut half of the time."""
    rng = np.random.default_rng(seed)
    words, d, classes = int(rng.integers(1, 6)), int(rng.integers(2, 5)), int(rng.integers(2, 4))
    sequences = [rng.integers(words, size=rng.integers(1, 10)).tolist() for _ in range(rng.integers(1, 5))]
    queries = [(k, int(rng.integers(len(each)))) for k, each in enumerate(sequences) for _ in range(rng.integers(1, 4))]
    bell = Bell(placement, scale)
    chances = readout in ("likelihood", "reward")
    values = rng.uniform(0.1, 1.0, (words, d)) if chances else rng.standard_normal((words, d))
    layer = Layer(
        scores=rng.standard_normal(words),
        values=values,
        parameter=bell.parameter(float(np.exp(rng.uniform(-0.5, 2.0)))),
        bell=bell,
        readout=_readout(readout, rng, d, classes),
    )
    labels = rng.integers(d if chances else classes, size=len(queries)).tolist()
    cut = int(rng.integers(0, 5)) if rng.random() < 0.5 else None
    return Setting(sequences, queries, labels, cut, layer)


def _readout(name: str, rng: np.random.Generator, d: int, classes: int) -> Readout:
    if name not in HEADS:
        return Likelihood() if name == "likelihood" else Reward()
    head = HEADS[name].draw(rng, d, classes, 3)
    return CrossEntropy(head.replace(**{key: rng.standard_normal(each.shape) for key, each in head.arrays().items()}))


seeds = st.integers(0, 2**32 - 1)
