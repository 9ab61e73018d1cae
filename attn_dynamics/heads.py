"""The classifiers on top of the attention block: fixed linear, trained linear, two-layer (theory §1).

Every head reads the context v (N, d) through a linear first layer W (d, r), u = v W, so that the sparse products may run in
the smaller of d and r columns. A new head is one class and one line in `HEADS`: simulators, tests and benchmarks take it up.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
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
    """Name of the first layer W (d, r)."""
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
    def logits(self, projected: Array) -> Array:
        """z (N, n) from u = v W (N, r)."""

    @abstractmethod
    def backward(self, projected: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        """(∂L/∂u (N, r), gradients of all arrays but the first) from u and ∂L/∂z (N, n)."""

    @classmethod
    @abstractmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int) -> Self:
        """Initial values of LMN21's published configuration (theory §1)."""


class _Linear(Head):
    first = "weight"

    @property
    def n_classes(self) -> int:
        return self.first_layer.shape[1]

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        return {"weight": (d, r)}

    def logits(self, projected: Array) -> Array:
        return projected.copy()

    def backward(self, projected: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        return slopes, {}


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
        """Uniform within ±1/√d, the usual start of a linear layer."""
        return cls(weight=_uniform(rng, d, d, n_classes))


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

    def logits(self, projected: Array) -> Array:
        return np.maximum(projected + self.bias_in, 0.0) @ self.weight_out + self.bias_out

    def backward(self, projected: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        hidden = projected + self.bias_in
        slopes_in = (slopes @ self.weight_out.T) * (hidden > 0.0)
        np.maximum(hidden, 0.0, out=hidden)
        gradients = {
            "bias_in": slopes_in.sum(axis=0),
            "weight_out": hidden.T @ slopes,
            "bias_out": slopes.sum(axis=0),
        }
        return slopes_in, gradients

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int) -> Self:
        """Uniform within ±1/√(inputs), the usual start of a linear layer."""
        return cls(
            weight_in=_uniform(rng, d, d, hidden),
            bias_in=_uniform(rng, d, hidden),
            weight_out=_uniform(rng, hidden, hidden, n_classes),
            bias_out=_uniform(rng, hidden, n_classes),
        )


HEADS: dict[str, type[Head]] = {"attn-fc": FixedLinear, "attn-tc": TrainedLinear, "attn-tl": TwoLayer}
"""The models of the command by name."""


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


def _uniform(rng: np.random.Generator, inputs: int, *shape: int) -> Array:
    bound = inputs**-0.5
    return rng.uniform(-bound, bound, shape)
