"""Gradient of a bell's width, where the bell is renormalised and where it follows the softmax (theory D2, D3)."""

from collections.abc import Callable, Iterator

import numpy as np

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.window_drawn import covariance, drawn_layer
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array
from attn_dynamics.window.layer import Layer, attention, contexts, loss_and_gradient, loss_at
from attn_dynamics.window.windows import Windows

STEP = 1e-60
"""Size of a complex step, whose slope needs no difference and so cancels nothing."""
ROUND_OFF = 16 * EPS
"""Largest allowed distance, relative to the largest slope."""
TOLERANCE = "16 ε, ε = 2⁻⁵²: round-off of sums of some dozen terms"


def stepped(windows: Windows, layer: Layer) -> float:
    """Return ∂L/∂p for the trained parameter p of the bell, from the loss alone, by a complex step."""
    return float(loss_at(windows, layer, layer.parameter + STEP * 1j).imag) / STEP


def queries(windows: Windows, layer: Layer) -> Iterator[tuple[Array, Array, Array]]:
    """Yield, for each query i, attention A_ij, squared distances Δ_ij² and effects on the loss h_ij = g_i·ν_j."""
    shares, weights = attention(windows, layer)
    sent = layer.readout.read(contexts(windows, layer, weights), windows.labels).slopes
    for row, (first, last) in enumerate(zip(windows.offsets[:-1], windows.offsets[1:], strict=True)):
        work = layer.values[windows.words[first:last]] @ sent[:, row]
        square = windows.distances[first:last].astype(float) ** 2
        yield shares[first:last], square, work


def distance_of_law(placement: str, law: Callable[[Windows, Layer], float], *, quick: bool) -> float:
    """Return the largest distance of a law and of the exact gradient from the loss's slope, over drawn layers.

    It is relative to the largest slope.
    """
    off, sizes = [], []
    for seed in range(10 if quick else 100):
        windows, _, layer = drawn_layer(seed, placement=placement)
        exact = stepped(windows, layer)
        off += [law(windows, layer) - exact, loss_and_gradient(windows, layer)[1].parameter - exact]
        sizes.append(exact)
    return largest(np.abs(off)) / largest(np.abs(sizes))


Covariance = Callable[[Array, Array, Array], float]
"""Function that returns Cov_α(Δ², h) of a query from α, Δ² and h."""


@claims(
    "D2",
    control("E[Δ² h] without the product of the means", of=lambda a, square, work: float(a @ (square * work))),
    control("the distance for its square", of=lambda a, square, work: covariance(a, square**0.5, work)),
    control("the other sign", of=lambda a, square, work: -covariance(a, square, work)),
    control("σ⁻² for σ⁻³", power=-2),
    name="what widens a bell",
    statement=r"\partial L/\partial\sigma = \sigma^{-3} \sum_i \mathrm{Cov}_{\alpha_i}(\Delta_{ij}^2, g_i \cdot v_j)",
    assumptions="renormalised placement; any scores, values, loss and windows",
    quantity="largest distance of the law, and of the layer's exact gradient, from the slope of the loss by a complex "
    "step. It is taken over drawn layers, relative to the largest slope",
    tolerance=TOLERANCE,
)
def widening(*, quick: bool, of: Covariance = covariance, power: int = -3) -> Measured:
    """Measure the sum of covariances over queries, in ragged windows."""

    def law(windows: Windows, layer: Layer) -> float:
        return layer.parameter**power * sum(of(*each) for each in queries(windows, layer))

    return Measured(distance_of_law("renormalised", law, quick=quick), ROUND_OFF, within=SCATTER)


@claims(
    "D3",
    control("a covariance, as if attention were renormalised", centred=True),
    control("the product without its reward for height", narrowed=0.0),
    control("the reward for height with the other sign", narrowed=-1.0),
    control("twice the width's own term", widened=2.0),
    name="bell after softmax",
    statement=r"\mathrm{peak:}\ \partial L/\partial\sigma = \sigma^{-3} \sum_{ij} A_{ij} b_{ij} \Delta_{ij}^2\, g_i "
    r"\cdot v_j; \quad \mathrm{product:}\ \sigma^{-3} \sum_{ij} A_{ij} U_{ij} \Delta_{ij}^2\, g_i \cdot v_j - "
    r"\sigma^{-1} \sum_{ij} A_{ij} U_{ij}\, g_i \cdot v_j",
    assumptions="the bell multiplies the weights after the softmax; any scores, values, loss and windows",
    quantity="as D2, for the placements peak and product",
    tolerance=TOLERANCE,
)
def after_the_softmax(*, quick: bool, centred: bool = False, narrowed: float = 1.0, widened: float = 1.0) -> Measured:
    """Measure the laws of peak and product, summed over queries, in ragged windows."""

    def law(height: bool) -> Callable[[Windows, Layer], float]:
        def slope(windows: Windows, layer: Layer) -> float:
            width, total = layer.parameter, 0.0
            for share, square, work in queries(windows, layer):
                bell = np.exp(-0.5 * square / width**2) / (width * np.sqrt(2.0 * np.pi) if height else 1.0)
                weight = share * bell
                mean = weight @ square if centred else 0.0
                total += widened * width**-3 * (weight * work) @ (square - mean)
                total -= height * narrowed / width * (weight @ work)
            return float(total)

        return slope

    return together(
        peak=Measured(distance_of_law("peak", law(height=False), quick=quick), ROUND_OFF, within=SCATTER),
        product=Measured(distance_of_law("product", law(height=True), quick=quick), ROUND_OFF, within=SCATTER),
    )
