"""Update rules, which turn a gradient into a step.

A new rule is one class and one line in `RULES`. A rule steps named arrays in place. It keeps its memory in named
buffers, which checkpoints and early stopping save like the parameters. It takes its functions from the namespace of
the arrays, which are numpy's or torch's, and always those of one model (`training/replicates/steps.py`).
"""

import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import ClassVar, Protocol, cast, final

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from attn_dynamics.check import flag, number, shown
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array

Arrays = dict[str, Array]
"""Arrays by name: those that a rule steps, or the buffers that it keeps between steps."""


class Rule(Protocol):
    """An update rule; its `repr` must show all of its settings, because a checkpoint belongs to one rule."""

    linear: ClassVar[bool]
    """Whether steps are linear in past gradients, so that the rule may run in reduced coordinates."""

    def start(self, state: Mapping[str, Array]) -> Arrays:
        """Return the buffers before the first step."""
        ...

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        """Step every array that has a slope, in place, and update the buffers in place."""
        ...


@final
@dataclass(frozen=True)
class Descent:
    """Gradient descent: θ -= η g.

    Example:
        >>> rule, state = Descent(), {"x": np.zeros(1)}
        >>> rule.step(state, {"x": np.ones(1)}, rule.start(state), rate=0.5)
        >>> state["x"].tolist()
        [-0.5]
    """

    linear: ClassVar[bool] = True

    def start(self, state: Mapping[str, Array]) -> Arrays:
        return {}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        for name, slope in slopes.items():
            array = state[name]
            array -= rate * slope


DESCENT = Descent()
"""The rule of plain descent, which has no settings."""


@final
@dataclass(frozen=True)
class Momentum:
    """Momentum as in torch's SGD: b = β b + g, then θ -= η b; with Nesterov's variant θ -= η (g + β b).

    Raises:
        InputError: β is not from 0 to below 1.

    Example:
        >>> rule, state = Momentum(0.5), {"x": np.zeros(1)}
        >>> buffers = rule.start(state)
        >>> for _ in range(2):
        ...     rule.step(state, {"x": np.ones(1)}, buffers, rate=1.0)
        >>> state["x"].tolist()
        [-2.5]
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
        return {name: _zeros_like(array) for name, array in state.items()}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        for name, slope in slopes.items():
            array, buffer = state[name], buffers[name]
            buffer *= self.beta
            buffer += slope
            array -= rate * (slope + self.beta * buffer if self.nesterov else buffer)


@final
@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015): θ -= η m̂ / (√v̂ + ε), where m̂ and v̂ are the bias-corrected means of g and g².

    Raises:
        InputError: β₁ or β₂ is not from 0 to below 1, or ε is not above 0.

    Example:
        >>> rule, state = Adam(), {"x": np.zeros(2)}
        >>> rule.step(state, {"x": np.array([1e-3, 1e3])}, rule.start(state), rate=0.1)
        >>> state["x"].round(4).tolist()  # the first step is of one length
        [-0.1, -0.1]
    """

    beta1: float = 0.9
    """Share β₁ of the mean of gradients that is kept."""
    beta2: float = 0.999
    """Share β₂ of the mean of squares that is kept."""
    epsilon: float = 1e-8
    """Number ε that is added to the divisor."""
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            object.__setattr__(self, name, share(name, getattr(self, name)))
        object.__setattr__(self, "epsilon", number("epsilon", self.epsilon, above=0, fix="1e-8 is usual."))

    def start(self, state: Mapping[str, Array]) -> Arrays:
        zeros = {f"{kind}.{name}": _zeros_like(a) for kind in ("mean", "square") for name, a in state.items()}
        return zeros | {"steps": _zero(state)}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        steps = buffers["steps"]
        steps += 1.0
        for name, slope in slopes.items():
            array, mean, square = state[name], buffers[f"mean.{name}"], buffers[f"square.{name}"]
            mean += (1.0 - self.beta1) * (slope - mean)
            square += (1.0 - self.beta2) * (slope * slope - square)
            divisor = array_namespace(square).sqrt(square / _share_seen(self.beta2, steps)) + self.epsilon
            array -= rate / _share_seen(self.beta1, steps) * mean / divisor


@final
@dataclass(frozen=True)
class SignDescent:
    """Sign descent: θ -= η sign(g), entry by entry; an entry of slope 0 stays.

    Example:
        >>> rule, state = SignDescent(), {"x": np.zeros(3)}
        >>> rule.step(state, {"x": np.array([0.2, 0.0, -7.0])}, rule.start(state), rate=0.1)
        >>> state["x"].tolist()
        [-0.1, 0.0, 0.1]
    """

    linear: ClassVar[bool] = False

    def start(self, state: Mapping[str, Array]) -> Arrays:
        return {}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        for name, slope in slopes.items():
            array = state[name]
            # The library's own function, because array_api_compat's masks NaN in a way that `vmap` refuses.
            array -= rate * array_namespace(slope, use_compat=False).sign(slope)


RULES: dict[str, Callable[..., Rule]] = {
    "descent": Descent,
    "momentum": Momentum,
    "adam": Adam,
    "sign": SignDescent,
}
"""Rules by the name that the command gives them."""
NEEDS = {
    "linear": "whether steps are sums of past gradients, True or False",
    "start": "a method from the arrays to the buffers before the first step",
    "step": "a method that steps arrays in place",
}
"""Attributes of every rule, each with its meaning."""


def checked_rule(rule: object) -> Rule:
    """Return a rule that has all that training needs.

    Raises:
        InputError: the object is a class, or lacks an attribute of a rule.
    """
    named = RULES.get(rule.lower()) if isinstance(rule, str) else None
    some = ", ".join(each.__name__ for each in RULES.values())
    fix = f"Give rule={named.__name__}()." if named else f"Take one of {some}, such as Momentum(0.9)."
    if rule == "adamw":
        fix = "Give rule=Adam(), decoupled=True, and a decay such as 0.01."
    if isinstance(rule, type):
        raise InputError("rule", expected="a rule", given=f"the class {rule.__name__}", fix=f"Give {rule.__name__}().")
    missing = [name for name in NEEDS if not hasattr(rule, name)]
    if len(missing) == len(NEEDS):
        raise InputError("rule", expected="a Rule", given=shown(rule), fix=fix)
    name = type(rule).__name__
    if missing:
        fix = "; ".join(f"{each} is {NEEDS[each]}" for each in missing)
        given = f"{name} without {' and '.join(missing)}"
        raise InputError("rule", expected=f"a rule with {', '.join(NEEDS)}", given=given, fix=f"In a rule {fix}.")
    return cast("Rule", rule)


def rule_in_words(rule: Rule) -> str:
    """Return the name of a rule with its settings that are not the usual ones, as in "Adam, beta1 0.5".

    Example:
        >>> rule_in_words(Momentum(0.9, nesterov=True))
        'Nesterov momentum 0.9'
    """
    if isinstance(rule, Momentum):
        return f"{'Nesterov ' * rule.nesterov}momentum {rule.beta:g}"
    known = {Descent: "gradient descent", SignDescent: "sign descent"}
    settings = fields(rule) if is_dataclass(rule) else ()
    told = [f"{each.name} {value}" for each in settings if (value := getattr(rule, each.name)) != each.default]
    return ", ".join([known.get(type(rule), type(rule).__name__), *told])


def simplest(rule: Rule) -> Rule:
    """Return plain descent for momentum that keeps nothing, whose steps are the same to the bit; else the rule."""
    return DESCENT if isinstance(rule, Momentum) and rule.beta == 0.0 else rule


def lasting(rule: Rule) -> Rule:
    """Return a rule whose `repr` is the same in another process, so that a checkpoint knows it again.

    Raises:
        InputError: the `repr` has the address of an object in memory.
    """
    if re.search(r" at 0x[0-9a-fA-F]+", repr(rule)):
        fix = f"Give {type(rule).__name__} a __repr__, or make it a frozen dataclass; or train without a checkpoint."
        raise InputError("rule", expected="a repr that tells a rule's settings", given=repr(rule), fix=fix)
    return rule


class Stepper:
    """A rule at work on the named arrays of a model: its buffers, and its steps, which are checked.

    Args:
        rule: the rule.
        state: arrays that it is to step.

    Raises:
        InputError: `start` of the rule returns no buffers.
    """

    def __init__(self, rule: Rule, state: Mapping[str, Array]) -> None:
        self._rule, self._new = rule, True
        self.buffers = self._start(state)

    def step(self, state: Arrays, slopes: Mapping[str, Array], rate: float) -> None:
        """Step arrays, check that the arrays themselves were stepped, and warn if the first step moves none.

        Raises:
            InputError: the rule returned arrays, or bound others to their names, so that the model keeps the old ones.
        """
        start = {name: 1.0 * state[name] for name in slopes} if self._new else {}
        self._take(state, slopes, rate)
        moved = any(bool((array != state[name]).any()) for name, array in start.items())
        # A step may be below round-off, and then descent moves nothing either.
        if not moved and any(bool((array != array - rate * slopes[name]).any()) for name, array in start.items()):
            warnings.warn(
                f"the first step of {type(self._rule).__name__} moves nothing, though slopes are not 0; "
                "a step changes arrays in place, as in state[name] -= …",
                stacklevel=2,
            )
        self._new = False

    def _start(self, state: Mapping[str, Array]) -> Arrays:
        return first_buffers(self._rule, state)

    def _take(self, state: Arrays, slopes: Mapping[str, Array], rate: float) -> None:
        step_in_place(self._rule, state, slopes, self.buffers, rate)


def step_in_place(rule: Rule, state: Arrays, slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
    """Take a step of a rule in the arrays of one model.

    Raises:
        InputError: the rule returned arrays, or bound others to their names, so that the model keeps the old ones.
    """
    before = {**state}, {**buffers}
    returned: object = rule.step(state, slopes, buffers, rate)
    pairs = zip(before, (state, buffers), strict=True)
    rebound = [name for then, now in pairs for name in then | now if now.get(name) is not then.get(name)]
    if rebound or returned is not None:
        mistake = f"puts another at {rebound[0]!r}" if rebound else "returns arrays"
        raise InputError(
            "rule",
            expected="a step that changes arrays in place",
            given=f"one of {type(rule).__name__} that {mistake}",
            fix="Write state[name] -= … or buffers[name][...] = …, and return nothing; `start` makes all buffers.",
        )


def first_buffers(rule: Rule, state: Mapping[str, Array]) -> Arrays:
    """Return the buffers of a rule before its first step.

    Raises:
        InputError: `start` of the rule returns something else.
    """
    buffers: object = rule.start(state)
    if isinstance(buffers, dict) and all(map(is_array_api_obj, buffers.values())):
        return cast("Arrays", buffers)
    raise InputError(
        "rule",
        expected="a `start` that returns a dict of arrays by name",
        given=f"one of {type(rule).__name__} that returns {shown(buffers)}",
        fix="Return {} if the rule remembers nothing, and np.zeros(()) for a number.",
    )


def _zeros_like(array: Array) -> Array:
    return array_namespace(array).zeros_like(array)


def _zero(state: Mapping[str, Array]) -> Array:
    """Return a buffer for one number, beside the arrays of a state."""
    beside = next(iter(state.values()), np.zeros(()))
    return array_namespace(beside).zeros((), dtype=beside.dtype, device=beside.device)


def _share_seen(beta: float, steps: Array) -> Array:
    """Return 1 - βᵗ, the share of a mean over gradients that t gradients make up, to round-off in float32 too."""
    return -array_namespace(steps).expm1(steps * (math.log(beta) if beta else -math.inf))


def share(name: str, value: object) -> float:
    """Return the share of the past that a rule keeps, from 0 to below 1.

    Raises:
        InputError: the number is out of range.
    """
    found = number(name, value, least=0, most=1, fix="0.9 and 0.999 are usual.")
    if found == 1.0:
        raise InputError(name, expected="a number below 1", given=found, fix="At 1 the rule would forget nothing.")
    return found
