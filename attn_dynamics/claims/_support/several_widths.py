"""Widths at which two heads, or one bell on two useful tokens, come to rest (theory D11, D12)."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from attn_dynamics.claims._support.window_drawn import two_useful, two_useful_layer
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.parting_heads import common_width, moments
from attn_dynamics.window.dynamics import flow
from attn_dynamics.window.several_heads import SeveralHeads

NEAR = 5.0
"""Smaller one of two useful distances, in tokens."""
ALIKE = 1e-3
"""Half difference of ln σ from which heads that are nearly alike start."""
SETTLED, RESTED = 1e4, 1e4
"""Times at which heads, and a bell on two useful tokens, have come to rest."""
APART = 0.1
"""Difference of ln σ above which heads count as apart."""


class Phase(NamedTuple):
    """Ends of two heads that attend to two useful distances."""

    ratio: float
    """Ratio δ₂/δ₁ of the useful distances."""
    share: float
    """Share f of sentences whose useful token is the far one."""
    from_alike: float
    """Final difference of ln σ, from heads that are nearly alike."""
    from_apart: float
    """Final difference of ln σ, from one head at each distance."""

    @property
    def kind(self) -> str:
        """Return the behaviour of the heads, one of `KINDS`."""
        return KINDS[int(self.from_alike > APART) + int(self.from_apart > APART)]


KINDS = ("end together", "part only if apart at the start", "part")
"""Behaviour of two heads, by the number of starts from which they end apart."""


def seekers(ratio: float, share: float, power: float = 2.0) -> SeveralHeads:
    """Return heads for two useful distances, 5 tokens and `ratio` times that, in a window that holds their kernels."""
    distances = NEAR * np.array([1.0, ratio])
    half_width = round((6.0 if power == 2.0 else 40.0) * distances[1])
    chances = np.array([1.0 - share, share])
    return SeveralHeads(distances=distances, chances=chances, half_width=half_width, power=power)


def alike(heads: SeveralHeads) -> Array:
    """Return two widths (2,) just above and below the common width."""
    width = common_width(heads.distances, heads.chances, heads.half_width, heads.power)
    return width * np.exp([ALIKE, -ALIKE])


def phases(ratios: Iterable[float], shares: Iterable[float], power: float = 2.0) -> list[Phase]:
    """Follow two heads from both starts, at each ratio of the distances and each share of the far one."""
    found = []
    for ratio, share in product(ratios, shares):
        heads = seekers(ratio, share, power)
        ends = [np.log(heads.flow(start, [SETTLED])[-1]) for start in (alike(heads), heads.distances[::-1])]
        found.append(Phase(ratio, share, *(float(end[0] - end[1]) for end in ends)))
    return found


def courses(ratio: float, shares: Sequence[float], power: float = 2.0) -> dict[str, tuple[Array, Array]]:
    """Return times and widths (times, 2) of two heads, by a label, for each share of the far distance.

    Heads start nearly alike; for the last share they also start apart.
    """
    times, found = np.geomspace(0.1, 3000.0, 120), {}
    for share, apart in (*((share, False) for share in shares), (shares[-1], True)):
        heads = seekers(ratio, share, power)
        scatter = moments(heads.distances, heads.chances, power)[1]
        name = f"kurtosis {1.0 + scatter:.2f}" if power == 2.0 else f"CV² = {scatter:.2f}"
        start = heads.distances[::-1] if apart else alike(heads)
        found[f"{name}, from {'apart' if apart else 'alike'}"] = times, heads.flow(start, times)
    return found


def reached(near: int, far: int, odds: float, start: float) -> float:
    """Return the width σ at which a bell on two useful tokens of one sentence rests, from a start."""
    windows, layer = two_useful(near, far, 6 * far), two_useful_layer(odds, start)
    return float(flow(windows, layer, times=[RESTED], log_time=True).widths[0])


def loop(near: int, far: int, odds: Array) -> tuple[Array, Array]:
    """Return the widths (odds,) as r₂/r₁ rises through ascending `odds` from a narrow bell, and as it falls back."""
    up, down = [float(near)], [float(far)]
    for each in odds:
        up.append(reached(near, far, float(each), up[-1]))
    for each in odds[::-1]:
        down.append(reached(near, far, float(each), down[-1]))
    return np.array(up[1:]), np.array(down[:0:-1])
