"""Structure of a claim: a statement, a measured number with its bound, and controls that must fail.

A measurement is a function whose keyword arguments are what the theory says: a predicted curve, a law, an equation. A
control is the same measurement with one of them broken on purpose, and it must exceed its bound. A check that cannot
fail shows nothing.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, final

import numpy as np

from attn_dynamics.check import did_you_mean
from attn_dynamics.errors import InputError

FEW = 10.0
"""Largest ratio of a bound to its value, unless a measurement gives another."""
SCATTER = 100.0
"""Largest ratio of a bound to its value for round-off, which depends on the order in which a machine sums."""


class Measured(NamedTuple):
    """A number, and the bound that it must not exceed."""

    value: float
    bound: float
    detail: str = ""
    """Further findings: rates, intervals, sizes."""
    parts: Mapping[str, "Measured"] = MappingProxyType({})
    """Measurements that this one combines, by name; some control must fail each of them."""
    within: float = FEW
    """Largest ratio of the bound to the value. It is infinite if the bound does not estimate the value, as for the
    level of a test, a count, or a sign."""

    @property
    def holds(self) -> bool:
        """Return whether the number is at most its bound; NaN does not hold."""
        return self.value <= self.bound

    @property
    def slack(self) -> float:
        """Return the ratio of the bound to the value; NaN if the bound is 0, which cannot be widened."""
        if not self.bound > 0.0:
            return float("nan")
        return self.bound / self.value if self.value > 0.0 else float("inf")

    @property
    def loose(self) -> bool:
        """Return whether the bound is so far above the number that a much larger number would pass."""
        return self.slack > self.within

    def each(self) -> Mapping[str, "Measured"]:
        """Return the parts by name, or the whole under an empty name if there are none."""
        return self.parts or {"": self}


def together(detail: str = "", **parts: Measured) -> Measured:
    """Combine several measurements into one, whose number is the largest ratio of a number to its bound."""
    seen = "; ".join(f"{name.replace('_', ' ')} {each.value:.2g} of {each.bound:.2g}" for name, each in parts.items())
    value = largest(each.value / each.bound for each in parts.values())
    return Measured(value, 1.0, "; ".join(filter(None, (seen, detail))), parts, within=float("inf"))


def largest(*values: float | Iterable[float]) -> float:
    """Return the largest number; NaN if one is NaN, which the built-in `max` may ignore.

    Raises:
        ValueError: there is no number.
    """
    flat = [number for each in values for number in (each if isinstance(each, Iterable) else (each,))]
    return float(np.max(flat))


@final
@dataclass(frozen=True)
class Control:
    """A measurement with one argument broken on purpose."""

    text: str
    """Description of the mistake."""
    broken: Mapping[str, Any]
    """Replacement of each broken argument, by name."""


def control(text: str, **broken: Any) -> Control:
    """Return a control that replaces arguments of the measurement, given by name, by wrong ones."""
    return Control(text, broken)


@final
@dataclass(frozen=True)
class Verdict:
    """Result of a judged claim."""

    claim: "Claim"
    measured: Measured
    controls: Mapping[str, Measured]
    """Measurement of each control, by its text."""
    seconds: float

    @property
    def rejected(self) -> int:
        """Return the number of controls that failed, as they must."""
        return sum(not each.holds for each in self.controls.values())

    @property
    def unguarded(self) -> list[str]:
        """Return the parts of the measurement that no control fails, so that nothing shows they could fail."""
        broken = [each.parts for each in self.controls.values()]
        return [name for name in self.measured.parts if all(parts[name].holds for parts in broken if name in parts)]

    @property
    def loose(self) -> list[str]:
        """Return the parts of the measurement whose bound is farther above them than they allow."""
        return [name for name, each in self.measured.each().items() if each.loose]

    @property
    def holds(self) -> bool:
        """Return whether the claim holds, every control fails, some control fails each part, and no bound is loose."""
        guarded = self.rejected == len(self.controls) and not self.unguarded
        return self.measured.holds and guarded and not self.loose


@final
@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement of the theory, with its measurement and controls."""

    id: str
    """Theory id, as in docs/theory.md."""
    name: str
    """Short name for tables."""
    statement: str
    """Statement in LaTeX."""
    source: str
    """Origin of the statement: LMN21, or "here"."""
    assumptions: str
    """Conditions of the statement, in words."""
    quantity: str
    """Meaning of the number; words before a colon name the part of the measurement."""
    tolerance: str
    """Origin of the bound, as a formula of step size, sample size or round-off; parts are named as in `quantity`."""
    observed: bool
    """Whether the bound, or a part of it, was chosen after the observation and follows from no formula."""
    controls: tuple[Control, ...]
    measurement: Callable[..., Measured]
    """Function of `quick` and of the theory's parts, which controls replace."""
    foundations: tuple[str, ...] = ()
    """Ids of the claims directly beneath this one, without those that lie beneath another of them."""

    def measure(self, *, quick: bool = False) -> Measured:
        """Return the number and its bound; `quick` takes smaller samples and shorter times, never a wider tolerance."""
        return self.measurement(quick=quick)

    def judge(self, *, quick: bool = False) -> Verdict:
        """Measure the claim and run every control."""
        begun = time.perf_counter()
        measured = self.measure(quick=quick)
        controls = {each.text: self.measurement(quick=quick, **each.broken) for each in self.controls}
        return Verdict(self, measured, controls, time.perf_counter() - begun)


CLAIMS: dict[str, Claim] = {}
"""Every claim by its id; the decorator `claims` in a file of this package adds one."""


def claims(
    id: str,
    *controls: Control,
    name: str,
    foundations: tuple[str, ...] = (),
    statement: str,
    quantity: str,
    tolerance: str,
    assumptions: str = "none",
    source: str = "here",
    observed: bool = False,
) -> Callable[[Callable[..., Measured]], Callable[..., Measured]]:
    """Add a measurement to `CLAIMS`; the other arguments are fields of its `Claim`."""

    def enter(measurement: Callable[..., Measured]) -> Callable[..., Measured]:
        if id in CLAIMS:
            raise ValueError(f"{id} is claimed twice")
        if not controls:
            raise ValueError(f"{id} has no control that must fail")
        CLAIMS[id] = Claim(
            id=id,
            name=name,
            statement=statement,
            source=source,
            assumptions=assumptions,
            quantity=quantity,
            tolerance=tolerance,
            observed=observed,
            controls=controls,
            measurement=measurement,
            foundations=foundations,
        )
        return measurement

    return enter


def in_theory_order(ids: Iterable[str]) -> tuple[str, ...]:
    """Sort ids of claims as docs/theory.md has them: A9 before A10, and that before B1."""
    return tuple(sorted(ids, key=lambda id: (id[:1], len(id), id)))


def find(id: str) -> Claim:
    """Return the claim of an id.

    Raises:
        InputError: the id is unknown.
    """
    if id not in CLAIMS:
        raise InputError("claim", expected=f"one of {', '.join(CLAIMS)}", given=repr(id), fix=did_you_mean(id, CLAIMS))
    return CLAIMS[id]
