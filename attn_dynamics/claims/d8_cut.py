"""Change of a context by a cut of the bell (theory D8)."""

from collections.abc import Callable
from itertools import product

import numpy as np

from attn_dynamics.claims._support.window_drawn import drawn_layer
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.window.layer import attention, contexts
from attn_dynamics.window.reach import half_width, tail_mass

Bound = Callable[[float], float]
"""Function from the attention beyond the cut to the bound on a context's change, in units of the longest value."""


@claims(
    "D8",
    control("once the tail in the place of twice", bound=lambda tail: tail),
    control("scores apart are taken for even", spread=0.0),
    name="where a bell is cut",
    statement=r"\|v_i' - v_i\| \leq 2\, \alpha_i(|\Delta| > w)\, \max_j \|v_j\|",
    assumptions="renormalised placement, cut at w and renormalised again; any scores and values",
    quantity="largest change of a context as a share of its bound. Attended tail: the bound from the attention beyond "
    "the cut. Chosen cut: the bound ε, where the cut is at w(σ, ε) and scores are up to 2 apart",
    tolerance="1, plus 1e-9 for round-off. Values of one sign within the cut and of the other beyond it reach the "
    "bound",
)
def truncation(*, quick: bool, bound: Bound = lambda tail: 2.0 * tail, spread: float = 2.0) -> Measured:
    """Measure drawn and worst-case values, with drawn scores and scores that are highest beyond the cut."""
    tails, chosen = [], []
    for width, error in product((0.7, 3.0) if quick else (0.5, 1.0, 3.0, 10.0), (0.3, 1e-2, 1e-4)):
        places, cut = np.arange(-int(12 * width) - 8, int(12 * width) + 9), half_width(width, error, spread)
        inside = np.abs(places) <= cut
        for scores in (np.where(inside, 0.0, 2.0), np.random.default_rng(0).uniform(0.0, 2.0, places.size)):
            weights = np.exp(scores - 0.5 * (places / width) ** 2)
            weights /= weights.sum()
            kept = np.where(inside, weights, 0.0) / weights[inside].sum()
            for values in (np.where(inside, 1.0, -1.0), np.random.default_rng(1).uniform(-1.0, 1.0, places.size)):
                change = abs(((kept - weights) * values).sum()) / np.abs(values).max()
                beyond = weights[~inside].sum()
                tails.append(change / bound(beyond))
                chosen.append(change / error)
        assert tail_mass(width, cut) <= error
    return together(
        attended_tail=Measured(largest(tails, _of_layers(bound)), 1.0 + 1e-9),
        chosen_cut=Measured(largest(chosen), 1.0 + 1e-9),
    )


def _of_layers(bound: Bound) -> list[float]:
    """Return the ratios of change to bound for drawn layers with ragged windows."""
    found = []
    for seed in range(20):
        whole, cut, layer = drawn_layer(seed, cut=2)
        weights = attention(whole, layer).weights
        beyond = whole.sums(np.where(np.abs(whole.distances) > 2, weights, 0.0))
        moved = contexts(cut, layer, attention(cut, layer).weights) - contexts(whole, layer, weights)
        longest = np.linalg.norm(layer.values, axis=1).max()
        away = beyond > 1e-9
        found += (
            np.linalg.norm(moved, axis=0)[away] / longest / [bound(float(each)) for each in beyond[away]]
        ).tolist()
    return found
