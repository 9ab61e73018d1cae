"""Useful token far beyond the bell, found through tokens that are exempt from the bell (theory D14)."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.claims._support.distances import EPS, RTOL, farthest
from attn_dynamics.claims._support.window_drawn import needle_layer
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, together
from attn_dynamics.model.bell import PLACEMENTS, Bell
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.exempt_tokens import finding_time, local_share, relayed_share
from attn_dynamics.window.dynamics import flow
from attn_dynamics.window.layer import Layer, attention
from attn_dynamics.window.readout import Reward
from attn_dynamics.window.windows import Windows

LENGTH, QUERY = 401, 200
"""Number of tokens, and index of the query in the middle of them."""
WIDTHS = (2.0, 3.0)
"""Widths σ, in tokens."""
FAR = (100, 130, 170)
"""Distances δ of a useful token beyond the bell; above 30 σ, a path from neighbour to neighbour carries nothing."""
NEAR = (0, 3, 12, 25)
"""Distances δ at which a path from neighbour to neighbour is measured."""
RELAYS = (1, 16)
"""Numbers E of exempt tokens, which stand at the start of the sequence."""
SEARCHED = (60, 10)
"""Number of tokens of the sequence on which a query's scores are trained, and index of the query."""


@claims(
    "D14",
    control("the query is not exempt", exempt=False),
    control("one exempt token more", relayed=lambda length, exempt, width: relayed_share(length, exempt + 1, width)),
    control("the relay sees through the bell", relays=False),
    control(
        "the variance of one layer in the place of their sum",
        local=lambda far, width, layers: local_share(far, width, 1),
    ),
    control("one token less in the sequence", time=lambda length, words: finding_time(length - 1, words)),
    control("all other tokens one word", time=lambda length, words: finding_time(length)),
    name="exempt tokens",
    statement=r"\mathrm{exempt\ query:}\ \frac{\partial\alpha_\delta}{\partial\sigma} = 0,\ \tau_{1/2} = "
    r"\frac{k}{k+1}\left(2\ln(L - 1) + L - 1 - \frac{1}{L - 1}\right); \quad "
    r"\mathrm{two\ layers:}\ (A^2)_{i,i+\delta} = \frac{E}{L\,(\sigma\sqrt{2\pi} + E)}, \quad "
    r"\mathrm{without:}\ (A^k)_{i,i+\delta} = \frac{e^{-\delta^2/2k\sigma^2}}{\sigma\sqrt{2\pi k}}",
    assumptions="renormalised placement; for an exempt query any. Scores start even, and the other tokens are k "
    "equally frequent words. Bells are whole, with σ of some 0.7 of a token or more. Query, useful token and the E "
    "exempt tokens are farther apart than bells reach",
    quantity="one layer: distance from 1/2 of an exempt query's attention on its useful token at τ_1/2 under the loss "
    "-α, for δ = 3 and 45, σ = 2 and 3, every placement, k = 1 and L - 1. Relayed: relative distance from the law of "
    "A² through E = 1 and 16 exempt tokens, δ = 100 to 170. Direct: the same for A^k without exempt tokens, k = 1, 2, "
    "3 layers, δ = 0 to 25",
    tolerance="one layer: 10 rtol, where rtol = 1e-11 is the solver's tolerance per step. Relayed, direct: 32 ε with ε "
    "= 2⁻⁵², because a pairwise sum of L terms loses log₂ L ε, some 9 ε, and a path has up to three sums",
)
def through_exempt_tokens(
    *,
    quick: bool,
    exempt: bool = True,
    relays: bool = True,
    relayed: Callable[[int, int, float], Array] = relayed_share,
    local: Callable[[Array, float, int], Array] = local_share,
    time: Callable[[int, int], Array] = finding_time,
) -> Measured:
    """Train the scores of a query, and multiply the attention of layers with even scores."""
    length, _ = SEARCHED
    settings = list(product((3, 45), WIDTHS[quick:], tuple(PLACEMENTS)[: 1 if quick else None], (1, length - 1)))
    found = [_attended(*setting, float(time(length, setting[-1])), exempt) - 0.5 for setting in settings]
    paths = [
        _paths(width, number, 2, relays)[np.array(FAR)] / relayed(LENGTH, number, width) - 1.0
        for width in WIDTHS
        for number in RELAYS
    ]
    near = np.array(NEAR)
    direct = [
        _paths(width, 0, layers, True)[near] / local(near, width, layers) - 1.0
        for width in WIDTHS
        for layers in (1, 2, 3)
    ]
    return together(
        one_layer=farthest(found, 10 * RTOL, within=SCATTER),
        relayed=farthest(paths, 32 * EPS, within=SCATTER),
        direct=farthest(direct, 32 * EPS, within=SCATTER),
    )


@cache
def _attended(distance: int, width: float, placement: str, others: int, time: float, exempt: bool) -> float:
    """Return the attention of a query on its useful token after training under -α, among `others` other words."""
    length, place = SEARCHED
    tokens, mask = np.arange(length) % others, np.zeros(length, bool)
    tokens[place + distance], mask[place] = others, exempt
    if others == length - 1:
        tokens[-1] = place + distance  # the word that the useful token replaced
    windows = Windows.of([tokens], [(0, place)], [0], n_words=others + 1, exempt=[mask])
    useful = (np.arange(others + 1) == others)[:, None].astype(float)
    start = replace(needle_layer(Bell(placement), width, "reward"), scores=np.zeros(others + 1), values=useful)
    end = flow(windows, start, times=[time], train=("scores",), rtol=RTOL).layers[-1]
    return float(attention(windows, end).weights @ (windows.words == others))


@cache
def _paths(width: float, exempt: int, layers: int, relays: bool) -> Array:
    """Return the share of each token after the query in the query's context, by distance, after some layers."""
    mask = np.arange(LENGTH) < exempt
    attend = _attention(width, mask)
    if not relays:
        attend[mask] = _attention(width, np.zeros_like(mask))[mask]
    return np.linalg.matrix_power(attend, layers)[QUERY, QUERY:]


def _attention(width: float, exempt: NDArray[np.bool_]) -> Array:
    """Return the attention of every token on every other at even scores."""
    layer = Layer(scores=np.zeros(LENGTH), values=np.zeros((LENGTH, 1)), parameter=width, bell=Bell(), readout=Reward())
    queries = np.stack([np.zeros(LENGTH, np.int64), np.arange(LENGTH)], axis=1)
    sight = Windows.of([np.arange(LENGTH)], queries, np.zeros(LENGTH, np.int64), n_words=LENGTH, exempt=[exempt])
    return np.asarray(sight.matrix(attention(sight, layer).weights).todense())
