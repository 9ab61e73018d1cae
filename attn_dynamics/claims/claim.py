"""What a claim is: a statement, what is measured for it and how small that must be, and controls that must fail.

A measurement is a function whose keyword arguments are what the theory says: a predicted curve, a law, an equation. A
control is the same measurement with one of them broken on purpose, and it must exceed its bound; a check that nothing
could fail shows nothing.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, final

import numpy as np

from attn_dynamics.check import meant
from attn_dynamics.errors import InputError

FEW = 10.0
"""How many times its value a bound may be, unless a measurement says otherwise."""
SCATTER = 100.0
"""The same for what is round-off: it depends on the order in which a machine adds up."""


class Measured(NamedTuple):
    """A number, and the bound that it must not exceed."""

    value: float
    bound: float
    detail: str = ""
    """What else was seen: rates, intervals, sizes."""
    parts: Mapping[str, "Measured"] = MappingProxyType({})
    """What it was put together from, by name; each of them must be failed by some control."""
    within: float = FEW
    """How many times the value the bound may be. Infinite where the bound is no estimate of the value: the level of a
    test, a count, a sign."""

    @property
    def holds(self) -> bool:
        """Whether the number is no larger than its bound; not if it is no number."""
        return self.value <= self.bound

    @property
    def slack(self) -> float:
        """How many times the value the bound is; NaN where the bound is 0, which leaves no room to widen it."""
        if not self.bound > 0.0:
            return float("nan")
        return self.bound / self.value if self.value > 0.0 else float("inf")

    @property
    def loose(self) -> bool:
        """Whether the bound is so far above the number that it would not notice a number much larger."""
        return self.slack > self.within

    def each(self) -> Mapping[str, "Measured"]:
        """The parts by name, or the whole under an empty name where there are none."""
        return self.parts or {"": self}


def together(detail: str = "", **parts: Measured) -> Measured:
    """Several measurements as one: the largest in shares of its bound."""
    seen = "; ".join(f"{name.replace('_', ' ')} {each.value:.2g} of {each.bound:.2g}" for name, each in parts.items())
    value = largest(each.value / each.bound for each in parts.values())
    return Measured(value, 1.0, "; ".join(filter(None, (seen, detail))), parts, within=float("inf"))


def largest(*values: float | Iterable[float]) -> float:
    """The largest number; NaN if one is NaN, which the built-in `max` may drop: what broke must not hold.

    Raises:
        ValueError: there is none.
    """
    flat = [number for each in values for number in (each if isinstance(each, Iterable) else (each,))]
    return float(np.max(flat))


@final
@dataclass(frozen=True)
class Control:
    """A measurement with something broken on purpose."""

    text: str
    """What is broken, in words."""
    broken: Mapping[str, Any]
    """What stands in the place of which argument."""


def control(text: str, **broken: Any) -> Control:
    """Break what the theory says: the arguments of the measurement by name."""
    return Control(text, broken)


@final
@dataclass(frozen=True)
class Verdict:
    """A claim that was judged."""

    claim: "Claim"
    measured: Measured
    controls: Mapping[str, Measured]
    """What each broken variant gave, by what is broken."""
    seconds: float

    @property
    def rejected(self) -> int:
        """How many controls failed, as they must."""
        return sum(not each.holds for each in self.controls.values())

    @property
    def unguarded(self) -> list[str]:
        """Parts of the measurement that no control fails: nothing shows that they could."""
        broken = [each.parts for each in self.controls.values()]
        return [name for name in self.measured.parts if all(parts[name].holds for parts in broken if name in parts)]

    @property
    def loose(self) -> list[str]:
        """Parts of the measurement whose bound is farther above them than they say."""
        return [name for name, each in self.measured.each().items() if each.loose]

    @property
    def holds(self) -> bool:
        """Whether the claim holds, every control fails, every part is failed by one, and no bound is loose."""
        guarded = self.rejected == len(self.controls) and not self.unguarded
        return self.measured.holds and guarded and not self.loose


@final
@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement of the theory, with what it takes to believe it."""

    id: str
    """As in docs/theory.md."""
    statement: str
    """In LaTeX."""
    source: str
    """Who stated it: LMN21, or "here"."""
    assumptions: str
    quantity: str
    """What the number is."""
    tolerance: str
    """Where the bound comes from, as a formula of step size, sample size or round-off."""
    observed: bool
    """Whether the bound, or a part of it, was chosen after what was seen and follows from no formula."""
    controls: tuple[Control, ...]
    measurement: Callable[..., Measured]
    """Of `quick`, and of what the theory says."""

    def measure(self, *, quick: bool = False) -> Measured:
        """The number and its bound; `quick` takes smaller samples and shorter times, never a wider tolerance."""
        return self.measurement(quick=quick)

    def judge(self, *, quick: bool = False) -> Verdict:
        """Measure, and run every control."""
        begun = time.perf_counter()
        measured = self.measure(quick=quick)
        controls = {each.text: self.measurement(quick=quick, **each.broken) for each in self.controls}
        return Verdict(self, measured, controls, time.perf_counter() - begun)


CLAIMS: dict[str, Claim] = {}
"""Every claim by its id; a file of this package that uses `claims` enters it."""


def claims(
    id: str,
    *controls: Control,
    statement: str,
    quantity: str,
    tolerance: str,
    assumptions: str = "none",
    source: str = "here",
    observed: bool = False,
) -> Callable[[Callable[..., Measured]], Callable[..., Measured]]:
    """Enter a measurement in `CLAIMS`."""

    def enter(measurement: Callable[..., Measured]) -> Callable[..., Measured]:
        if id in CLAIMS:
            raise ValueError(f"{id} is claimed twice")
        if not controls:
            raise ValueError(f"{id} has no control that must fail")
        CLAIMS[id] = Claim(
            id=id,
            statement=statement,
            source=source,
            assumptions=assumptions,
            quantity=quantity,
            tolerance=tolerance,
            observed=observed,
            controls=controls,
            measurement=measurement,
        )
        return measurement

    return enter


def find(id: str) -> Claim:
    """The claim of this id.

    Raises:
        InputError: there is none.
    """
    if id not in CLAIMS:
        raise InputError("claim", expected=f"one of {', '.join(CLAIMS)}", given=repr(id), fix=meant(id, CLAIMS))
    return CLAIMS[id]
