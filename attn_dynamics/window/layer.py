"""One windowed attention layer: its loss and its exact gradient (theory M1, D2, D3)."""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import as_floats, instance, number
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import NARROWEST, Bell
from attn_dynamics.model.heads import Array, Head
from attn_dynamics.window.readout import CrossEntropy, Readout
from attn_dynamics.window.windows import Windows


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """Scores and values of V words, a bell, and a readout of the contexts.

    Raises:
        InputError: the arrays do not fit each other or are not finite, or no bell has this parameter.
    """

    scores: Array
    """Scores s (V,), in nats."""
    values: Array
    """Values (V, d)."""
    parameter: float
    """Parameter p, of which the bell's width is a function (`Bell.scale`)."""
    bell: Bell
    readout: Readout

    def __post_init__(self) -> None:
        for name in ("scores", "values"):
            object.__setattr__(self, name, as_floats(name, getattr(self, name)))
        if self.scores.ndim != 1 or self.values.ndim != 2 or len(self.values) != self.scores.size:
            shapes = f"{self.scores.shape} and {self.values.shape}"
            fix = "Give a score and a value for each word."
            raise InputError("scores", expected="shapes (V,) of scores, (V, d) of values", given=shapes, fix=fix)
        instance("bell", self.bell, Bell, fix="Bell() is one.")
        symbol, fix = self.bell.of.symbol, "Give another width to start from."
        number(symbol, self.parameter, above=0 if self.bell.of.positive else None, fix=fix)
        if not self.bell.admits(self.parameter):
            least = self.bell.of.parameter(NARROWEST)
            raise InputError(symbol, expected=f"{least:g} or more", given=self.parameter, fix=fix)

    @property
    def width(self) -> float:
        """Return the width σ, in tokens."""
        return float(self.bell.of.width(self.parameter))

    @property
    def head(self) -> Head | None:
        """Return the head of the readout; None if it has none."""
        return self.readout.head if isinstance(self.readout, CrossEntropy) else None


class LayerGradient(NamedTuple):
    """Gradient of the loss in each part of a layer."""

    scores: Array
    """Gradient (V,) of the scores."""
    values: Array
    """Gradient (V, d) of the values."""
    parameter: float
    """Derivative ∂L/∂p in the bell's parameter."""
    head: dict[str, Array]
    """Gradients of the trained arrays of a head; empty if there is none."""


class Fit(NamedTuple):
    """Loss and accuracy of a layer."""

    loss: float
    """Mean loss over queries, in nats."""
    accuracy: float | None
    """Share of queries answered correctly; None if there are no answers."""


class Attention(NamedTuple):
    """Attention of queries to the tokens of their windows, by pair (P,)."""

    shares: NDArray
    """Shares A, which sum to 1 in each window."""
    weights: NDArray
    """Weights B of the tokens in the context: A, or A U if the bell multiplies after the softmax."""


def attention(windows: Windows, layer: Layer, parameter: complex | None = None) -> Attention:
    """Return the attention within the windows, at the layer's parameter or at another."""
    log_bell = windows.where_bells(
        layer.bell.log(layer.parameter if parameter is None else parameter, windows.distances)
    )
    scores = layer.scores[windows.words]
    exponents = scores + log_bell if layer.bell.renormalises else scores
    shares = np.exp(exponents - windows.spread(windows.largest(exponents.real)))
    shares /= windows.spread(windows.sums(shares))
    return Attention(shares, shares if layer.bell.renormalises else shares * np.exp(log_bell))


def contexts(windows: Windows, layer: Layer, weights: NDArray) -> NDArray:
    """Return the contexts v_i = Σ_j B_ij ν_j (d, R)."""
    return (windows.matrix(weights) @ layer.values).T


def loss_at(windows: Windows, layer: Layer, parameter: complex) -> Any:
    """Return the loss at another parameter of the bell, which may be complex: a complex step gives the derivative."""
    seen = contexts(windows, layer, attention(windows, layer, parameter).weights)
    return layer.readout.loss(seen, windows.labels)


def evaluate(windows: Windows, layer: Layer) -> Fit:
    """Return loss and accuracy of a layer on windows."""
    read = layer.readout.read(contexts(windows, layer, attention(windows, layer).weights), windows.labels)
    return Fit(read.loss, read.accuracy)


def loss_and_gradient(windows: Windows, layer: Layer) -> tuple[Fit, LayerGradient]:
    """Return the loss and its exact gradient in every part of the layer.

    Let h_ij = g_i·ν_j, with weights B and shares A. Then ∂L/∂ν_w = Σ B_ij g_i over the pairs of w,
    ∂L/∂s_w = Σ (B_ij h_ij - A_ij Σ_k B_ik h_ik), and ∂L/∂p = Σ B_ij h_ij ∂ln U_ij/∂p. Under renormalised placement h_ij
    is taken less its mean under A_i, so that ∂L/∂p is a covariance (theory M1, D2, D3).
    """
    shares, weights = attention(windows, layer)
    matrix = windows.matrix(weights)
    read = layer.readout.read((matrix @ layer.values).T, windows.labels)
    products = windows.products(read.slopes, layer.values)
    if layer.bell.renormalises:
        # Shares sum to 1, so a constant may be subtracted. The product of the leading token avoids cancellation.
        products -= windows.spread(products[windows.leads(shares)])
    work = weights * products
    centred = work - shares * windows.spread(windows.sums(work))
    slope = windows.where_bells(layer.bell.log_slope(layer.parameter, windows.distances))
    gradient = LayerGradient(
        scores=windows.by_word(centred),
        values=matrix.T @ read.slopes.T,
        parameter=float((centred if layer.bell.renormalises else work) @ slope),
        head=read.gradient,
    )
    return Fit(read.loss, read.accuracy), gradient
