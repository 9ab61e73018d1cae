"""The classifiers on top of the attention block: fixed linear, trained linear, two-layer (theory §1).

Every head reads the context v (N, d) through a matrix W (d, k), u = v W, so that the sparse products may run in the smaller of
d and k columns. A new head is one class and one line in `HEADS`: simulators, tests and benchmarks take it up.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.errors import InputError

Array = NDArray[np.float64]


class Head(ABC):
    """A classifier whose fields are its parameter arrays.

    Raises:
        InputError: an array of the wrong rank or shape, or with entries that are not finite.
    """

    first: ClassVar[str]
    """Name of the layer (d, r) that the context enters."""
    trained: ClassVar[tuple[str, ...]]
    """Names of the arrays that "head" in `train` sets free."""

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
        """All parameter arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # pyright: ignore[reportArgumentType]

    def replace(self, **arrays: Array) -> Self:
        """The same head with some arrays replaced."""
        return replace(self, **arrays)  # pyright: ignore[reportType]

    @property
    def first_layer(self) -> Array:
        """W (d, r)."""
        return getattr(self, self.first)

    @property
    @abstractmethod
    def n_classes(self) -> int:
        """n."""

    @abstractmethod
    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        """The shape of every array, given that of the first layer."""

    @abstractmethod
    def reading(self) -> Array:
        """W (d, k), all that the head sees of a context."""

    @abstractmethod
    def logits(self, read: Array) -> Array:
        """z (N, n) from u = v W (N, k), in a new array and up to a constant per sentence, which no loss sees."""

    @abstractmethod
    def backward(self, read: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        """(∂L/∂u (N, k), gradients of all arrays but the first) from u and ∂L/∂z (N, n)."""

    @abstractmethod
    def first_gradient(self, reading_gradient: Array) -> Array:
        """∂L/∂(first layer) (d, r) from ∂L/∂W (d, k)."""

    @classmethod
    @abstractmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int) -> Self:
        """Initial values of a published run. LMN21 states those of the fixed head; for trained ones the choice is ours."""


class _Linear(Head):
    """z = Uᵀ v. The loss sees logits up to a constant only, and ∂L/∂z sums to 0 over classes: n - 1 columns of U H say all,
    H (n, n - 1) an orthonormal basis of what sums to 0. It sharpens law A6 by one dimension.
    """

    first = "weight"

    @property
    def n_classes(self) -> int:
        return self.first_layer.shape[1]

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        return {"weight": (d, r)}

    def reading(self) -> Array:
        return self.first_layer @ contrasts(self.n_classes)

    def logits(self, read: Array) -> Array:
        return read @ contrasts(self.n_classes).T

    def backward(self, read: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        return slopes @ contrasts(self.n_classes), {}

    def first_gradient(self, reading_gradient: Array) -> Array:
        return reading_gradient @ contrasts(self.n_classes).T


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class FixedLinear(_Linear):
    """Attn-FC: z = Uᵀ v with U fixed."""

    weight: Array
    """U (d, n)."""
    trained = ()

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int) -> Self:
        """Standard normal entries, with ones on the diagonal so that no two classes share a direction."""
        weight = rng.standard_normal((d, n_classes))
        np.fill_diagonal(weight, 1.0)
        return cls(weight=weight)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedLinear(_Linear):
    """Attn-TC: z = Uᵀ v with U trained."""

    weight: Array
    """U (d, n)."""
    trained = ("weight",)

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int) -> Self:
        """Glorot's uniform draw."""
        return cls(weight=_glorot(rng, d, n_classes))


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TwoLayer(Head):
    """Attn-TL: z = U₂ᵀ relu(U₁ᵀ v + b₁) + b₂, all trained."""

    weight_in: Array
    """U₁ (d, h)."""
    bias_in: Array
    """b₁ (h,)."""
    weight_out: Array
    """U₂ (h, n)."""
    bias_out: Array
    """b₂ (n,)."""
    first = "weight_in"
    trained = ("weight_in", "bias_in", "weight_out", "bias_out")

    @property
    def n_classes(self) -> int:
        return self.bias_out.size

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        n = self.n_classes
        return {"weight_in": (d, r), "bias_in": (r,), "weight_out": (r, n), "bias_out": (n,)}

    def reading(self) -> Array:
        return self.weight_in

    def logits(self, read: Array) -> Array:
        return self._hidden(read) @ self.weight_out + self.bias_out

    def backward(self, read: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        hidden = self._hidden(read)
        slopes_in = slopes @ self.weight_out.T
        slopes_in *= hidden > 0.0
        # A product with ones is several times as fast as a sum over the long axis.
        ones = np.ones(len(slopes))
        gradients = {"bias_in": ones @ slopes_in, "weight_out": hidden.T @ slopes, "bias_out": ones @ slopes}
        return slopes_in, gradients

    def first_gradient(self, reading_gradient: Array) -> Array:
        return reading_gradient

    def _hidden(self, read: Array) -> Array:
        hidden = read + self.bias_in
        return np.maximum(hidden, 0.0, out=hidden)

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int) -> Self:
        """Glorot's uniform draw for both layers, biases zero."""
        return cls(
            weight_in=_glorot(rng, d, hidden),
            bias_in=np.zeros(hidden),
            weight_out=_glorot(rng, hidden, n_classes),
            bias_out=np.zeros(n_classes),
        )


HEADS: dict[str, type[Head]] = {"attn-fc": FixedLinear, "attn-tc": TrainedLinear, "attn-tl": TwoLayer}
"""The models of the command by name."""


@cache
def contrasts(n: int) -> Array:
    """H (n, n - 1): orthonormal columns, each of which sums to 0."""
    return np.linalg.qr(np.eye(n, n - 1) - 1.0 / n)[0]


def as_floats(name: str, values: object) -> Array:
    """A float64 array in C order.

    Raises:
        InputError: for what is no array of finite numbers.
    """
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(name, expected="an array of numbers", given=str(error), fix="Give a float64 array.") from None
    if not np.isfinite(array).all():
        raise InputError(
            name,
            expected="finite numbers",
            given=f"{np.count_nonzero(~np.isfinite(array))} that are not",
            fix="Look for overflow or missing values where it was made.",
        )
    return array


def _glorot(rng: np.random.Generator, inputs: int, outputs: int) -> Array:
    bound = (6.0 / (inputs + outputs)) ** 0.5
    return rng.uniform(-bound, bound, (inputs, outputs))
