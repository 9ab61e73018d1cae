"""The classifiers on top of the attention block: fixed linear, trained linear, two-layer (theory §1).

Every head reads a context v through its first layer W (d, r), as u = Wᵀ v, so that the sparse products may run in
fewer than d columns. As in the formulas, a sentence is a column: u is (r, N), logits are (n, N). A new head is one
class and one line in `HEADS`, which simulators and tests read; the test against autograd also needs its formula.

`forward` and `backward` serve one model and many at once. They count axes from the last (`mT`, `[..., None]`), because
arrays of numpy or torch may have a leading axis of replicates.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import as_floats
from attn_dynamics.errors import InputError

Array = NDArray[np.float64]
DrawLayer = Callable[[np.random.Generator, int, int], tuple[Array, Array]]
"""Function that draws a trained layer: its weight (inputs, outputs) and its bias (outputs,)."""


def glorot(rng: np.random.Generator, inputs: int, outputs: int) -> tuple[Array, Array]:
    """Draw a layer as Glorot and Bengio do: weights U(±√(6 / (inputs + outputs))), biases 0."""
    bound = (6.0 / (inputs + outputs)) ** 0.5
    return rng.uniform(-bound, bound, (inputs, outputs)), np.zeros(outputs)


def torch_linear(rng: np.random.Generator, inputs: int, outputs: int) -> tuple[Array, Array]:
    """Draw a layer as torch initialises `Linear`: weights and biases U(±1/√inputs)."""
    bound = inputs**-0.5
    return rng.uniform(-bound, bound, (inputs, outputs)), rng.uniform(-bound, bound, outputs)


class Head(ABC):
    """A classifier whose fields are its parameter arrays.

    Raises:
        InputError: an array has the wrong rank or shape, or entries that are not finite.
    """

    first: ClassVar[str]
    """Name of the first layer W (d, r)."""
    trained: ClassVar[tuple[str, ...]]
    """Names of the arrays that are trained if `train` contains "head"."""
    compiled: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays in the order of `kernels.epochs.Layers` if the compiled loops know the head; () otherwise."""
    smooth: ClassVar[bool] = True
    """Whether the gradient is continuous; otherwise gradient flow may slide along a jump (see `flow`)."""

    def __post_init__(self) -> None:
        for name, value in self.arrays().items():
            object.__setattr__(self, name, as_floats(f"{type(self).__name__}.{name}", value))
        wanted = self.shapes(*self.first_layer.shape) if self.first_layer.ndim == 2 else {self.first: ("d", "r")}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{type(self).__name__}.{name}",
                    expected=f"shape {shape}",
                    given=f"shape {getattr(self, name).shape}",
                    fix="Make the layers of the head fit each other.",
                )

    def arrays(self) -> dict[str, Array]:
        """Return all parameter arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # pyright: ignore[reportArgumentType]

    def replace(self, **arrays: Array) -> Self:
        """Return a copy of the head with some arrays replaced."""
        return replace(self, **arrays)  # pyright: ignore[reportArgumentType]

    @classmethod
    def stacked(cls, arrays: Mapping[str, Any]) -> Self:
        """Return one head that stands for many: its arrays, of numpy or torch, have a leading axis of replicates."""
        head = object.__new__(cls)
        for name, array in arrays.items():
            object.__setattr__(head, name, array)
        return head

    @property
    def first_layer(self) -> Array:
        """Return the first layer W (d, r)."""
        return getattr(self, self.first)

    @property
    @abstractmethod
    def n_classes(self) -> int:
        """Return the number n of classes."""

    @abstractmethod
    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every array, given that of the first layer."""

    @abstractmethod
    def forward(self, projected: Array) -> tuple[Array, Array]:
        """Return logits z (n, N) and an array that `backward` needs, from u = Wᵀ v (r, N); may overwrite u."""

    @abstractmethod
    def backward(self, kept: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        """Return ∂L/∂u (r, N) and the gradients of all arrays but the first layer.

        Args:
            kept: second array that `forward` returned.
            slopes: gradient ∂L/∂z (n, N).
        """

    @property
    def contrasts(self) -> Array:
        """Return the contrasts H (r, k): orthonormal columns that span every ∂L/∂u, so the loss depends on Hᵀ u alone.

        They depend on shapes only, so that replicates share them.
        """
        return np.eye(self.first_layer.shape[-1])

    @property
    def readout_matrix(self) -> Array:
        """Return the readout matrix W H (d, k), through which the loss sees a context."""
        return self.first_layer @ self.contrasts

    def balances(self) -> dict[str, Array]:
        """Return the quantities that gradient flow conserves if all arrays of the head are trained (theory A4, A7)."""
        return {}

    @classmethod
    @abstractmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int, layer: DrawLayer = glorot) -> Self:
        """Draw initial values, those of trained layers by `layer`; LMN21 states values for the fixed head only."""


class _Linear(Head):
    """The linear head z = Uᵀ v; a constant added to the logits changes no loss, so n - 1 contrasts suffice."""

    first = "weight"
    compiled = ("weight",)

    @property
    def n_classes(self) -> int:
        return self.first_layer.shape[-1]

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        return {"weight": (d, r)}

    def forward(self, projected: Array) -> tuple[Array, Array]:
        return projected, projected

    def backward(self, kept: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        return slopes, {}

    @property
    def contrasts(self) -> Array:
        return _contrasts(self.n_classes)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class FixedLinear(_Linear):
    """Attn-FC: z = Uᵀ v with U fixed.

    Example:
        >>> FixedLinear(weight=np.eye(2)).forward(np.array([[3.0], [1.0]]))[0].tolist()
        [[3.0], [1.0]]
    """

    weight: Array
    """Weight U (d, n)."""
    trained = ()

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int, layer: DrawLayer = glorot) -> Self:
        """Draw standard normal entries, with ones on the diagonal so that no two classes share a direction."""
        weight = rng.standard_normal((d, n_classes))
        np.fill_diagonal(weight, 1.0)
        return cls(weight=weight)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedLinear(_Linear):
    """Attn-TC: z = Uᵀ v with U trained.

    Example:
        >>> head = TrainedLinear(weight=np.ones((3, 2)))
        >>> head.trained, head.n_classes
        (('weight',), 2)
    """

    weight: Array
    """Weight U (d, n)."""
    trained = ("weight",)

    def balances(self) -> dict[str, Array]:
        """Return the sum of the columns, Σ_c U[:, c] (d,)."""
        return {"class_sum": self.weight.sum(axis=1)}

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int, layer: DrawLayer = glorot) -> Self:
        """Draw the weight as that of a trained layer, without a bias."""
        return cls(weight=layer(rng, d, n_classes)[0])


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TwoLayer(Head):
    """Attn-TL: z = U₂ᵀ relu(U₁ᵀ v + b₁) + b₂, all trained.

    Example:
        >>> head = TwoLayer.draw(np.random.default_rng(0), d=3, n_classes=2, hidden=4)
        >>> {name: array.shape for name, array in head.arrays().items()}
        {'weight_in': (3, 4), 'bias_in': (4,), 'weight_out': (4, 2), 'bias_out': (2,)}
    """

    weight_in: Array
    """First weight U₁ (d, h)."""
    bias_in: Array
    """First bias b₁ (h,)."""
    weight_out: Array
    """Second weight U₂ (h, n)."""
    bias_out: Array
    """Second bias b₂ (n,)."""
    first = "weight_in"
    trained = compiled = ("weight_in", "bias_in", "weight_out", "bias_out")
    smooth = False

    @property
    def n_classes(self) -> int:
        return self.bias_out.shape[-1]

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        n = self.n_classes
        return {"weight_in": (d, r), "bias_in": (r,), "weight_out": (r, n), "bias_out": (n,)}

    def forward(self, projected: Array) -> tuple[Array, Array]:
        projected += self.bias_in[..., None]
        hidden = projected.clip(0.0)
        logits = self.weight_out.mT @ hidden
        logits += self.bias_out[..., None]
        return logits, hidden

    def backward(self, kept: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        slopes_in = self.weight_out @ slopes
        slopes_in *= kept > 0.0
        gradients = {"bias_in": slopes_in.sum(axis=-1), "weight_out": kept @ slopes.mT, "bias_out": slopes.sum(axis=-1)}
        return slopes_in, gradients

    def balances(self) -> dict[str, Array]:
        """Return ‖U₁[:, h]‖² + b₁[h]² - ‖U₂[h, :]‖² (h,), and the sums of U₂ and b₂ over classes (h + 1,)."""
        inward = (self.weight_in**2).sum(axis=0) + self.bias_in**2
        return {
            "hidden_units": inward - (self.weight_out**2).sum(axis=1),
            "class_sum": np.append(self.weight_out.sum(axis=1), self.bias_out.sum()),
        }

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int, layer: DrawLayer = glorot) -> Self:
        """Draw both layers with their biases."""
        weight_in, bias_in = layer(rng, d, hidden)
        weight_out, bias_out = layer(rng, hidden, n_classes)
        return cls(weight_in=weight_in, bias_in=bias_in, weight_out=weight_out, bias_out=bias_out)


HEADS: dict[str, type[Head]] = {"attn-fc": FixedLinear, "attn-tc": TrainedLinear, "attn-tl": TwoLayer}
"""Heads of the command's models, by model name."""


@cache
def _contrasts(n: int) -> Array:
    """Return H (n, n - 1): orthonormal columns, each of which sums to 0."""
    return np.linalg.qr(np.eye(n, n - 1) - 1.0 / n)[0]
