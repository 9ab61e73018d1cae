"""Update rules: how a step follows from the gradient, with weight decay and mini-batches.

A new rule is one class and one line in `RULES`. It steps named arrays in place and keeps what it remembers in named
buffers, so that checkpoints and early stopping treat these like the parameters.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import flag, instance, integer, number, some_of
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import TRAINABLE

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
        object.__setattr__(self, "beta", _share("beta", self.beta))
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
            object.__setattr__(self, name, _share(name, getattr(self, name)))
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


@final
@dataclass(frozen=True)
class Update:
    """Everything between a gradient and a step: rule, weight decay, mini-batches. By default plain descent.

    Raises:
        InputError: a value out of range, or of the wrong type.
    """

    rule: Rule = DESCENT
    """Update rule."""
    _: KW_ONLY
    decay: float | Mapping[str, float] = 0.0
    """Weight decay λ, at least 0: one number for all trained parts, or one each by the name of the part."""
    decoupled: bool = False
    """Whether decay shrinks parameters by η λ at each step, as in AdamW, or adds λ θ to the gradient."""
    batch_size: int | None = None
    """Sentences a step; None for all of them."""
    batch_seed: int = 0
    """Random seed of the order of sentences."""

    def __post_init__(self) -> None:
        fix = f"Take one of {', '.join(each.__name__ for each in RULES.values())}, such as Momentum(0.9)."
        instance("rule", self.rule, Rule, fix=fix)
        if isinstance(self.rule, type):
            raise InputError("rule", expected="a rule", given=f"the class {self.rule.__name__}", fix=fix)
        object.__setattr__(self, "decay", _decay(self.decay))
        object.__setattr__(self, "decoupled", flag("decoupled", self.decoupled))
        if self.batch_size is not None:
            size = integer("batch_size", self.batch_size, 1, fix="Leave it out for all sentences.")
            object.__setattr__(self, "batch_size", size)
        object.__setattr__(self, "batch_seed", integer("batch_seed", self.batch_seed, 0, most=None))

    @property
    def plain(self) -> bool:
        """Return whether this is gradient descent on all sentences without decay."""
        return type(self.rule) is Descent and not self.decays and self.batch_size is None

    @property
    def decays(self) -> bool:
        """Return whether any parameter decays."""
        return any(map(self.decay_of, TRAINABLE))

    @property
    def reduces(self) -> bool:
        """Return whether reduced coordinates give the same run: decay also shrinks what these do not hold."""
        return self.rule.linear and not self.decays

    @property
    def buffers(self) -> int:
        """Return how many arrays the rule keeps for each that it steps."""
        many = 1000
        return sum(array.size for array in self.rule.start({"one": np.zeros(many)}).values()) // many

    def check_trained(self, train: Collection[str]) -> None:
        """Refuse the decay of a part that is not trained.

        Raises:
            InputError: there is one.
        """
        by_part = self.decay if isinstance(self.decay, Mapping) else {}
        still = [name for name, rate in by_part.items() if rate and name not in train]
        if still:
            fix = "Train it, or leave its decay out."
            raise InputError("decay", expected="trained parts alone", given=", ".join(still), fix=fix)

    def decay_of(self, part: str) -> float:
        """Return the weight decay λ of a trained part: query, keys, embeddings or head."""
        return self.decay.get(part, 0.0) if isinstance(self.decay, Mapping) else self.decay

    def batches(self, sentences: int, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of each mini-batch of an epoch; together they are all sentences, in an order of the seed."""
        order = np.random.default_rng([self.batch_seed, epoch]).permutation(sentences)
        size = self.batch_size or sentences
        for first in range(0, sentences, size):
            yield order[first : first + size]


def _share(name: str, value: object) -> float:
    found = number(name, value, least=0, most=1, fix="Usual are 0.9 and 0.999.")
    if found == 1.0:
        raise InputError(name, expected="a number below 1", given=found, fix="At 1 nothing would be forgotten.")
    return found


def _decay(decay: object) -> float | dict[str, float]:
    fix = 'Give one number, or one a part: {"keys": 1e-3}.'
    if not isinstance(decay, Mapping):
        return number("decay", decay, least=0, fix=fix)
    names = some_of("decay", [*decay], TRAINABLE)
    return {name: number(f"decay[{name!r}]", decay[name], least=0, fix=fix) for name in sorted(names)}


PLAIN = Update()
"""Plain descent."""
