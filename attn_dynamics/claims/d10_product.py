"""Bell as a factor with its prefactor after the softmax, which switches attention off (theory D10)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.window_drawn import drawn_layer, needle
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.model.bell import Bell
from attn_dynamics.model.heads import Array
from attn_dynamics.window.layer import attention, contexts
from attn_dynamics.window.reach import tail_mass
from attn_dynamics.window.windows import Windows


@claims(
    "D10",
    control("the bell without its prefactor", placement="peak"),
    control("one token less in the window", tokens=lambda half: 2 * half),
    name="bell as a product",
    statement=r"\|v_i\| \leq \frac{\max_j \|v_j\|}{\sigma\sqrt{2\pi}}, \qquad "
    r"A\ \mathrm{even:}\ \frac{v^{\mathrm{product}}}{v^{\mathrm{renormalised}}} = "
    r"\frac{1 - \mathrm{tail}(\sigma, w)}{2w+1}",
    assumptions="product placement. σ is a token or more, so that the bell's sum is its integral",
    quantity="height: largest length of a context as a share of the bound, over drawn layers. Ratio: largest relative "
    "distance of the ratio of both outputs from the law, for w = 128, σ from 1 to 60 and drawn values",
    tolerance="height: 1, plus 1e-9 for round-off. Ratio: 1e-8, for round-off and for the term 2 e^{-2π²σ²} of Poisson "
    "summation, 5.4e-9 at σ = 1",
)
def switched_off(
    *, quick: bool, placement: str = "product", tokens: Callable[[int], int] = lambda half: 2 * half + 1
) -> Measured:
    """Measure drawn layers, and even attention over a window of 257 tokens, as W22's (D1)."""
    high, ratios = [], []
    for seed in range(10 if quick else 100):
        windows, _, layer = drawn_layer(seed, placement=placement)
        seen = np.linalg.norm(contexts(windows, layer, attention(windows, layer).weights), axis=0)
        bound = np.linalg.norm(layer.values, axis=1).max() / (layer.parameter * np.sqrt(2.0 * np.pi))
        high.append(float((seen / bound).max()))
    windows, values = needle(1, 128), np.random.default_rng(0).standard_normal(257)
    for width in (1.0, 3.0, 9.5, 30.0, 60.0):
        outputs = [_even(windows, Bell(name), width) @ values for name in (placement, "renormalised")]
        law = (1.0 - tail_mass(width, 128)) / tokens(128)
        ratios.append(outputs[0] / outputs[1] / law - 1.0)
    return together(height=Measured(largest(high), 1.0 + 1e-9), ratio=farthest(ratios, 1e-8))


def _even(windows: Windows, bell: Bell, width: float) -> Array:
    """Return the weight of every token of a window at even scores."""
    weights = np.exp(bell.log(bell.parameter(width), windows.distances))
    return weights / (weights.sum() if bell.renormalises else weights.size)
