"""Drawn layers of every kind on ragged sequences, for the tests of this room."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attn_dynamics.model.bell import PLACEMENTS, SCALES, Bell
from attn_dynamics.model.heads import HEADS
from attn_dynamics.window.layer import Layer, attention, contexts
from attn_dynamics.window.readout import CrossEntropy, Likelihood, Readout, Reward
from attn_dynamics.window.windows import Windows

READOUTS = (*HEADS, "likelihood", "reward")
KINDS = [(placement, scale) for placement in PLACEMENTS for scale in SCALES]


@dataclass(frozen=True)
class Setting:
    """Sequences, queries and a layer; `cut` is the half-width, `exempt` says which tokens have no bell."""

    sequences: list[list[int]]
    queries: list[tuple[int, int]]
    labels: list[int]
    cut: int | None
    layer: Layer
    exempt: list[list[bool]] | None = None

    @property
    def windows(self) -> Windows:
        return Windows.of(
            self.sequences,
            self.queries,
            self.labels,
            n_words=self.layer.scores.size,
            half_width=self.cut,
            exempt=self.exempt,
        )

    def free(self, sequence: int, *places: int) -> bool:
        """Whether one of these tokens is exempt."""
        return self.exempt is not None and any(self.exempt[sequence][place] for place in places)


def setting(placement: str, scale: str, readout: str, seed: int) -> Setting:
    """One case of a seed, for what is shown at a few: sequences of 1 to 9 tokens, several queries in each, some cut."""
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


SPREADS = (0.0, 1.0, 30.0, 700.0)
"""Largest scores to draw: none, usual ones, and two at which attention is saturated."""


@st.composite
def cases(
    draw: st.DrawFn,
    placement: str,
    scale: str = "deviation",
    readout: str | None = None,
    *,
    exempt: bool = False,
) -> Setting:
    """Any case, which hypothesis can make smaller: sequences, queries, cut, scores, values, width and readout.

    Widths reach from where a bell holds one token to where it is flat in every window.
    """
    named = readout or draw(st.sampled_from(READOUTS), label="readout")
    words, d, classes = (draw(st.integers(low, high)) for low, high in ((1, 5), (2, 4), (2, 3)))
    sentence = st.lists(st.integers(0, words - 1), min_size=1, max_size=9)
    sequences = draw(st.lists(sentence, min_size=1, max_size=4), label="sequences")
    places = [(k, place) for k, each in enumerate(sequences) for place in range(len(each))]
    queries = draw(st.lists(st.sampled_from(places), min_size=1, max_size=6), label="queries")
    chances = named in ("likelihood", "reward")
    answers = st.integers(0, (d if chances else classes) - 1)
    labels = draw(st.lists(answers, min_size=len(queries), max_size=len(queries)), label="labels")
    spread = draw(st.sampled_from(SPREADS), label="spread")
    bell, head = Bell(placement, scale), np.random.default_rng(draw(st.integers(0, 99), label="seed of the head"))
    layer = Layer(
        scores=spread * draw(arrays(float, words, elements=_floats(-1.0, 1.0)), label="scores"),
        values=draw(arrays(float, (words, d), elements=_floats(0.1 if chances else -2.0, 2.0)), label="values"),
        parameter=bell.parameter(draw(st.floats(0.3, 20.0), label="width")),
        bell=bell,
        readout=_readout(named, head, d, classes),
    )
    masks = st.tuples(*(st.lists(st.booleans(), min_size=len(each), max_size=len(each)) for each in sequences))
    free = draw(masks.map(list), label="exempt") if exempt and draw(st.booleans()) else None
    return Setting(sequences, queries, labels, draw(st.none() | st.integers(0, 4), label="cut"), layer, free)


def _floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


def round_off(case: Setting) -> dict[str, float]:
    """What a gradient may lose: 64 ε of its terms by their absolute values, which saturated attention cancels.

    As in `loss_and_gradient`: pairs of ∂L/∂s and of ∂L/∂p are Σ B h less a share of the same sum.
    """
    windows, layer = case.windows, case.layer
    shares, weights = attention(windows, layer)
    slopes = layer.readout.read(contexts(windows, layer, weights), windows.labels).slopes
    sizes = weights * windows.products(np.abs(slopes), np.abs(layer.values))
    pairs = sizes + shares * windows.spread(windows.sums(sizes))
    bell = np.abs(windows.where_bells(layer.bell.log_slope(layer.parameter, windows.distances)))
    values = (windows.matrix(weights).T @ np.abs(slopes).T).max()
    terms = {"scores": windows.by_word(pairs).max(), "values": values, "parameter": pairs @ bell}
    return {name: 64 * float(np.finfo(float).eps) * float(size) for name, size in terms.items()}
