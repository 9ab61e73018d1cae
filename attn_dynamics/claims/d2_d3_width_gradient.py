"""Gradient of a bell's width, and its use in any attention kernel (theory D2, D3, D9, D10)."""

from collections.abc import Callable, Iterator

import numpy as np

from attn_dynamics.claims._support.window_drawn import drawn_layer, needle
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.bell import Bell
from attn_dynamics.model.heads import Array
from attn_dynamics.window.layer import Layer, attention, contexts, loss_and_gradient, loss_at
from attn_dynamics.window.low_rank import features, width_gradient
from attn_dynamics.window.support import tail_mass
from attn_dynamics.window.windows import Windows

STEP = 1e-60
"""Size of a complex step, which takes no difference and cancels nothing."""
ROUND_OFF = 16 * float(np.finfo(float).eps)
TOLERANCE = "16 ε, ε = 2⁻⁵²: round-off of sums of some dozen terms"


def stepped(windows: Windows, layer: Layer) -> float:
    """Return ∂L/∂p from the loss alone."""
    return float(loss_at(windows, layer, layer.parameter + STEP * 1j).imag) / STEP


def queries(windows: Windows, layer: Layer) -> Iterator[tuple[Array, Array, Array]]:
    """Yield shares A_ij, Δ²_ij and h_ij = g_i·v_j of each query."""
    shares, weights = attention(windows, layer)
    sent = layer.readout.read(contexts(windows, layer, weights), windows.labels).slopes
    for row, (first, last) in enumerate(zip(windows.offsets[:-1], windows.offsets[1:], strict=True)):
        work = layer.values[windows.words[first:last]] @ sent[:, row]
        square = windows.distances[first:last].astype(float) ** 2
        yield shares[first:last], square, work


def covariance(share: Array, square: Array, work: Array) -> float:
    """Return Cov_α(Δ², g·v)."""
    return float(share @ ((square - share @ square) * (work - share @ work)))


def distance_of_law(placement: str, law: Callable[[Windows, Layer], float], *, quick: bool) -> float:
    """Return the largest distance of law and exact gradient from the loss's slope, relative to the largest slope."""
    off, sizes = [], []
    for seed in range(10 if quick else 100):
        windows, _, layer = drawn_layer(seed, placement=placement)
        exact = stepped(windows, layer)
        off += [law(windows, layer) - exact, loss_and_gradient(windows, layer)[1].parameter - exact]
        sizes.append(exact)
    return largest(np.abs(off)) / largest(np.abs(sizes))


Covariance = Callable[[Array, Array, Array], float]


@claims(
    "D2",
    control("E[Δ² h] without the product of the means", of=lambda a, square, work: float(a @ (square * work))),
    control("the distance for its square", of=lambda a, square, work: covariance(a, square**0.5, work)),
    control("the other sign", of=lambda a, square, work: -covariance(a, square, work)),
    control("σ⁻² for σ⁻³", power=-2),
    statement=r"\partial L/\partial\sigma = \sigma^{-3} \sum_i \mathrm{Cov}_{\alpha_i}(\Delta_{ij}^2, g_i \cdot v_j)",
    assumptions="renormalised placement; any scores, values, loss and windows",
    quantity="largest distance of both sides, and of the exact gradient, from the loss's slope by a complex step, over "
    "drawn layers, in shares of the largest slope",
    tolerance=TOLERANCE,
)
def widening(*, quick: bool, of: Covariance = covariance, power: int = -3) -> Measured:
    """Measure query by query, ragged."""

    def law(windows: Windows, layer: Layer) -> float:
        return layer.parameter**power * sum(of(*each) for each in queries(windows, layer))

    return Measured(distance_of_law("renormalised", law, quick=quick), ROUND_OFF, within=SCATTER)


@claims(
    "D3",
    control("a covariance, as if attention were renormalised", centred=True),
    control("the product without its reward for height", narrowed=0.0),
    control("the reward for height with the other sign", narrowed=-1.0),
    control("twice the width's own term", widened=2.0),
    statement=r"\mathrm{peak:}\ \partial L/\partial\sigma = \sigma^{-3} \sum_{ij} A_{ij} b_{ij} \Delta_{ij}^2\, g_i "
    r"\cdot v_j; \quad \mathrm{product:}\ \sigma^{-3} \sum_{ij} A_{ij} U_{ij} \Delta_{ij}^2\, g_i \cdot v_j - "
    r"\sigma^{-1} \sum_{ij} A_{ij} U_{ij}\, g_i \cdot v_j",
    assumptions="the bell is put on after the softmax; any scores, values, loss and windows",
    quantity="as D2, for the two placements",
    tolerance=TOLERANCE,
)
def after_the_softmax(*, quick: bool, centred: bool = False, narrowed: float = 1.0, widened: float = 1.0) -> Measured:
    """Measure query by query, ragged."""

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


LONG, WIDTH, BLOCK = 16_384, 5.0, 128
"""Number of tokens of a long sequence, σ in it, and number of queries taken together."""


@claims(
    "D9",
    control("positions are not centred", centred=False),
    control("the square of the key's place is left out", keep=(1.0, 0.0)),
    control("the product of the places is taken off", keep=(-1.0, 1.0)),
    statement=r"-\frac{(i-j)^2}{2\sigma^2} = -\frac{i^2}{2\sigma^2} + \frac{i\,j}{\sigma^2} - \frac{j^2}{2\sigma^2}",
    assumptions="renormalised placement; in float32 positions are counted from near the block of queries",
    quantity="largest distance of attention weights with two further dimensions from those with the bell: in float64 "
    "over 64 tokens, in float32 there, in float32 for the last 128 queries of 16,384 at σ = 5; and that of ∂L/∂σ "
    "through the dimensions from the exact one",
    tolerance="1e-13, 1e-12 for the gradient: round-off of the largest product, 64²/2σ²; 1e-5 in float32, where it is "
    "2⁻²⁴ of that, and of what cancels for tokens within some σ of a query in the long sequence",
)
def further_dimensions(*, quick: bool, centred: bool = True, keep: tuple[float, float] = (1.0, 1.0)) -> Measured:
    """Measure drawn scores; the bell's dimensions extend eight dimensions of queries and keys."""
    short = np.arange(64.0)
    far = np.arange(float(LONG - BLOCK), LONG)
    near = np.arange(float(LONG - 8 * BLOCK) if quick else 0.0, LONG)
    centre = float(far.mean()) if centred else 0.0
    return together(
        float64=Measured(_apart(short, short, np.float64, 0.0, keep), 1e-13, within=SCATTER),
        gradient=Measured(_gradient_apart(short, keep), 1e-12, within=SCATTER),
        float32=Measured(_apart(short, short, np.float32, 0.0, keep), 1e-5, within=SCATTER),
        long_float32=Measured(_apart(far, near, np.float32, centre, keep), 1e-5, within=SCATTER),
    )


def _scores(i: Array, j: Array, kind: type) -> tuple[Array, Array]:
    """Draw queries (i, 8) and keys (j, 8) whose scores have a spread near one."""
    rng = np.random.default_rng(0)
    return tuple((rng.standard_normal((each.size, 8)) / 8**0.5).astype(kind) for each in (i, j))  # pyright: ignore


def _softmax(scores: Array) -> Array:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _apart(i: Array, j: Array, kind: type, centre: float, keep: tuple[float, float]) -> float:
    query, key = _scores(i, j, kind)
    more = features(i, j, WIDTH, centre=centre, kind=kind)
    ours = _softmax(np.hstack([query, more.queries * np.array(keep, kind)]) @ np.hstack([key, more.keys]).T)
    bell = -0.5 * ((i[:, None] - j) / WIDTH) ** 2
    return float(np.abs(ours - _softmax(query.astype(float) @ key.astype(float).T + bell)).max())


def _gradient_apart(i: Array, keep: tuple[float, float]) -> float:
    """Return the relative distance of ∂L/∂σ for L = Σ_ij α_ij h_ij, drawn h, through the dimensions from D2."""
    query, key = _scores(i, i, np.float64)
    more = features(i, i, WIDTH)
    alpha = _softmax(query @ key.T + (more.queries * np.array(keep)) @ more.keys.T)
    work, square = np.random.default_rng(2).standard_normal(alpha.shape), (i[:, None] - i) ** 2.0
    slopes = alpha * (work - (alpha * work).sum(axis=1, keepdims=True))
    exact = _softmax(query @ key.T - 0.5 * square / WIDTH**2)
    theirs = WIDTH**-3 * sum(map(covariance, exact, square, work))
    return abs(width_gradient(i, i, WIDTH, slopes) / theirs - 1.0)


@claims(
    "D10",
    control("the bell without its prefactor", placement="peak"),
    control("one token less in the window", tokens=lambda half: 2 * half),
    statement=r"\|v_i\| \leq \frac{\max_j \|v_j\|}{\sigma\sqrt{2\pi}}, \qquad "
    r"A\ \mathrm{even:}\ \frac{v^{\mathrm{product}}}{v^{\mathrm{renormalised}}} = "
    r"\frac{1 - \mathrm{tail}(\sigma, w)}{2w+1}",
    assumptions="product placement; σ of a token or more, so that the bell's sum is its integral",
    quantity="largest length of a context in shares of the bound, over drawn layers; largest relative distance of the "
    "ratio of both outputs from the law, w = 128 and σ from 1 to 60, drawn values",
    tolerance="1, and 1e-9 for round-off; 1e-8, Poisson summation's 2 e^{-2π²σ²} at σ = 1, 5.4e-9, and round-off",
)
def switched_off(
    *, quick: bool, placement: str = "product", tokens: Callable[[int], int] = lambda half: 2 * half + 1
) -> Measured:
    """Measure drawn layers, and even attention over W22's window."""
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
    return together(height=Measured(largest(high), 1.0 + 1e-9), ratio=Measured(largest(np.abs(ratios)), 1e-8))


def _even(windows: Windows, bell: Bell, width: float) -> Array:
    """Return the weight of every token of a window at even scores."""
    weights = np.exp(bell.log(bell.parameter(width), windows.distances))
    return weights / (weights.sum() if bell.renormalises else weights.size)
