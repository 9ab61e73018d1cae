"""Drawn layers with windows, for claims about any layer, and needles, for claims about one or two useful tokens."""

from functools import cache

import numpy as np

from attn_dynamics.claims._support.distances import RTOL
from attn_dynamics.model.bell import Bell
from attn_dynamics.model.heads import Array, FixedLinear
from attn_dynamics.theory.bell_width import Loss
from attn_dynamics.window.dynamics import flow
from attn_dynamics.window.layer import Layer
from attn_dynamics.window.readout import CrossEntropy, Likelihood, Reward
from attn_dynamics.window.windows import Windows

WHOLE = 5
"""Half-width w of a whole window, in units of δ."""


def drawn_layer(
    seed: int, *, placement: str = "renormalised", scale: str = "deviation", cut: int | None = None
) -> tuple[Windows, Windows, Layer]:
    """Draw ragged windows, the same windows cut to half-width `cut`, and a layer with a linear head and no zeros."""
    rng, words, d, classes = np.random.default_rng(seed), 8, 3, 4
    sequences = [rng.integers(words, size=rng.integers(3, 20)) for _ in range(6)]
    queries = [(k, int(rng.integers(each.size))) for k, each in enumerate(sequences) for _ in range(2)]
    labels = rng.integers(classes, size=len(queries))
    bell = Bell(placement, scale)
    layer = Layer(
        scores=rng.standard_normal(words),
        values=rng.standard_normal((words, d)),
        parameter=bell.parameter(float(rng.uniform(0.8, 6.0))),
        bell=bell,
        readout=CrossEntropy(FixedLinear(weight=rng.standard_normal((d, classes)))),
    )
    whole, narrow = (Windows.of(sequences, queries, labels, n_words=words, half_width=each) for each in (None, cut))
    return whole, narrow, layer


@cache
def needle(distance: int, half_width: int) -> Windows:
    """Return one query with its whole window, which holds one useful token, word 1, among others, word 0."""
    tokens = np.zeros(2 * half_width + 1, np.int64)
    tokens[half_width + distance] = 1
    return Windows.of([tokens], [(0, half_width)], [0], n_words=2, half_width=half_width)


def needle_layer(bell: Bell, width: float, loss: Loss = "likelihood") -> Layer:
    """Return a layer with even scores, whose context is the attention on the useful token."""
    return Layer(
        scores=np.zeros(2),
        values=np.array([[0.0], [1.0]]),
        parameter=bell.parameter(width),
        bell=bell,
        readout=Likelihood() if loss == "likelihood" else Reward(),
    )


@cache
def widths(
    distance: int,
    half_width: int,
    times: tuple[float, ...],
    *,
    start: float = 1.0,
    loss: Loss = "likelihood",
    bell: Bell = Bell(),
    rate: float = 1.0,
) -> Array:
    """Return the width σ (times,) of a needle's bell along gradient flow, from a start σ₀."""
    layer, log = needle_layer(bell, start, loss), max(times) > 100.0
    windows = needle(distance, half_width)
    return flow(windows, layer, times=times, log_time=log, bell_rate=rate, rtol=RTOL).widths


def covariance(share: Array, square: Array, work: Array) -> float:
    """Return Cov_α(Δ², g·ν) of a query."""
    return float(share @ ((square - share @ square) * (work - share @ work)))


@cache
def two_useful(near: int, far: int, half_width: int) -> Windows:
    """Return one query with its whole window, which holds two useful tokens, words 1 and 2, at two distances."""
    tokens = np.zeros(2 * half_width + 1, np.int64)
    tokens[[half_width + near, half_width - far]] = 1, 2
    return Windows.of([tokens], [(0, half_width)], [0], n_words=3, half_width=half_width)


def two_useful_layer(odds: float, width: float) -> Layer:
    """Return a layer with even scores, whose context is α_near + r α_far, r = `odds`; ln σ is trained."""
    values, bell = np.array([[0.0], [1.0], [odds]]), Bell(scale="log")
    return Layer(scores=np.zeros(3), values=values, parameter=bell.parameter(width), bell=bell, readout=Likelihood())
