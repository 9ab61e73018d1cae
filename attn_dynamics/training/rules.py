"""Update rules: how a step follows from the gradient.

A new rule is one class and one line in `RULES`. It steps named arrays in place and keeps what it remembers in named
buffers, so that checkpoints and early stopping treat these like the parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, final, runtime_checkable

import numpy as np

from attn_dynamics.check import flag, number
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array

Arrays = dict[str, Array]
"""Arrays by name, those that a rule steps or those that it keeps between steps."""


@runtime_checkable
class Rule(Protocol):
    """An update rule; its `repr` must tell all of its settings, because a checkpoint belongs to one rule."""

    linear: ClassVar[bool]
    """Whether the rule steps by sums of past gradients, so that it may run in reduced coordinates."""

    def start(self, state: Mapping[str, Array]) -> Arrays:
        """Return the buffers before the first step."""
        ...

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        """Step every array that has a slope, in place, and update the buffers in place."""
        ...


@final
@dataclass(frozen=True)
class Descent:
    """Gradient descent: θ -= η g."""

    linear: ClassVar[bool] = True

    def start(self, state: Mapping[str, Array]) -> Arrays:
        return {}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        for name, slope in slopes.items():
            state[name][...] -= rate * slope


DESCENT = Descent()
"""The rule of plain descent, which has no settings."""


@final
@dataclass(frozen=True)
class Momentum:
    """Momentum as in torch's SGD: b = β b + g, then θ -= η b; with Nesterov's variant θ -= η (g + β b).

    Raises:
        InputError: β outside of 0 … 1, or 1.
    """

    beta: float = 0.9
    """Share β of the last step's buffer that is kept."""
    nesterov: bool = False
    """Whether to look one step ahead."""
    linear: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", share("beta", self.beta))
        object.__setattr__(self, "nesterov", flag("nesterov", self.nesterov))

    def start(self, state: Mapping[str, Array]) -> Arrays:
        return {name: np.zeros_like(array) for name, array in state.items()}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        for name, slope in slopes.items():
            buffers[name] *= self.beta
            buffers[name] += slope
            state[name][...] -= rate * (slope + self.beta * buffers[name] if self.nesterov else buffers[name])


@final
@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015): θ -= η m̂ / (√v̂ + ε), m̂ and v̂ the bias-corrected means of g and of g².

    Raises:
        InputError: β₁ or β₂ outside of 0 … 1, or 1; ε not above 0.
    """

    beta1: float = 0.9
    """Share β₁ of the mean of gradients that is kept."""
    beta2: float = 0.999
    """Share β₂ of the mean of squares that is kept."""
    epsilon: float = 1e-8
    """Summand ε of the divisor."""
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            object.__setattr__(self, name, share(name, getattr(self, name)))
        object.__setattr__(self, "epsilon", number("epsilon", self.epsilon, above=0, fix="1e-8 is usual."))

    def start(self, state: Mapping[str, Array]) -> Arrays:
        zeros = {f"{kind}.{name}": np.zeros_like(a) for kind in ("mean", "square") for name, a in state.items()}
        return zeros | {"steps": np.zeros(())}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        buffers["steps"] += 1.0
        steps = float(buffers["steps"])
        for name, slope in slopes.items():
            mean, square = buffers[f"mean.{name}"], buffers[f"square.{name}"]
            mean += (1.0 - self.beta1) * (slope - mean)
            square += (1.0 - self.beta2) * (slope * slope - square)
            divisor = np.sqrt(square / (1.0 - self.beta2**steps)) + self.epsilon
            state[name][...] -= rate / (1.0 - self.beta1**steps) * mean / divisor


@final
@dataclass(frozen=True)
class SignDescent:
    """Sign descent: θ -= η sign(g), entry by entry; an entry of slope 0 stays."""

    linear: ClassVar[bool] = False

    def start(self, state: Mapping[str, Array]) -> Arrays:
        return {}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        for name, slope in slopes.items():
            state[name][...] -= rate * np.sign(slope)


RULES: dict[str, Callable[..., Rule]] = {
    "descent": Descent,
    "momentum": Momentum,
    "adam": Adam,
    "sign": SignDescent,
}
"""Rules by the name that the command gives them."""


def share(name: str, value: object) -> float:
    """Return a share that a rule keeps of the past, from 0 to below 1.

    Raises:
        InputError: the number is out of range.
    """
    found = number(name, value, least=0, most=1, fix="Usual are 0.9 and 0.999.")
    if found == 1.0:
        raise InputError(name, expected="a number below 1", given=found, fix="At 1 nothing would be forgotten.")
    return found
