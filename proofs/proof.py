"""Structure of a proof: steps that follow from given equations, a verdict on each, and mutants that must fail.

A proof is a generator of steps. Its keyword arguments are the given equations, with those of the theory as defaults. A
mutant is the same proof from a wrong equation. It counts as rejected only if a step of it is refuted, by a number or by
a limit that differs. A step that merely resists, or an exception, rejects nothing.
"""

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from typing import Literal, final

import sympy as sp

from attn_dynamics.claims import CLAIMS
from proofs import sampling
from proofs.sums import Expr, Flow, Rate, along, index, normal

SAMPLES = 5
"""Number of random samples on which a step is tested before it is proved."""
TOLERANCE = 1e-15
"""Largest value, with `sampling.DIGITS` digits, that counts as zero."""
INFINITE = (sp.oo, -sp.oo, sp.zoo)
Equation = object
"""Given of a proof: an expression, or a function from indices to one."""


class Verdict(Enum):
    """Verdict on a step."""

    PROVED = "proved"
    REFUTED = "refuted"
    OPEN = "open"
    AGREES = "agrees numerically"


# --- steps


@dataclass(frozen=True)
class Step(ABC):
    """One line of a proof; its verdict depends on its expressions alone."""

    name: str
    by: str = field(default="", kw_only=True)
    """Theorem of analysis that the step uses, if sympy does not know it."""
    concludes: bool = field(default=False, kw_only=True)
    """Whether the step is part of the statement."""

    @property
    @abstractmethod
    def statement(self) -> sp.Basic:
        """Return the claimed relation."""

    @abstractmethod
    def verdict(self) -> Verdict:
        """Return whether the relation holds."""


@final
@dataclass(frozen=True)
class Equal(Step):
    """Step that proves left = right for all values of all symbols."""

    left: Expr
    right: Expr

    @property
    def statement(self) -> sp.Basic:
        return sp.Eq(self.left, self.right, evaluate=False)

    def verdict(self) -> Verdict:
        return vanishes(sp.sympify(self.left) - self.right)


@final
@dataclass(frozen=True)
class Moves(Step):
    """Step that proves the rate of change of an expression along a flow."""

    expression: Expr
    flow: Flow
    rate: Expr

    @property
    def statement(self) -> sp.Basic:
        return sp.Eq(Rate(self.expression), self.rate, evaluate=False)

    def verdict(self) -> Verdict:
        return vanishes(along(self.expression, self.flow) - self.rate)


@final
@dataclass(frozen=True)
class Tends(Step):
    """Step that proves the limit of an expression as its variables, one after the other, tend to their limits."""

    expression: Expr
    towards: Mapping[sp.Symbol, Expr]
    value: Expr

    @property
    def statement(self) -> sp.Basic:
        limit = self.expression
        for variable, point in self.towards.items():
            limit = sp.Limit(limit, variable, point)
        return sp.Eq(limit, self.value, evaluate=False)

    def verdict(self) -> Verdict:
        limit = self.expression
        for variable, point in self.towards.items():
            limit = _limit(limit, variable, point)
        if limit.has(sp.Limit):
            return Verdict.OPEN
        if limit.has(*INFINITE) or self.value in INFINITE:
            return Verdict.PROVED if limit == self.value else Verdict.REFUTED
        return vanishes(limit - self.value)


@final
@dataclass(frozen=True)
class Positive(Step):
    """Step that proves an expression positive, or nonnegative, for all values that its symbols' assumptions allow."""

    expression: Expr
    strict: bool = field(default=True, kw_only=True)

    @property
    def statement(self) -> sp.Basic:
        return (sp.StrictGreaterThan if self.strict else sp.GreaterThan)(self.expression, 0, evaluate=False)

    def verdict(self) -> Verdict:
        for form in (self.expression, sp.factor(self.expression)):
            if form.is_positive or (form.is_nonnegative and not self.strict):
                return Verdict.PROVED
        values = [sampling.value(self.expression, seed) for seed in range(SAMPLES)]
        return Verdict.REFUTED if any(value < -TOLERANCE for value in values) else Verdict.OPEN


@final
@dataclass(frozen=True)
class Agrees(Step):
    """Step that compares numbers with expected ones; it is a check, and `reason` says why there is no proof."""

    found: tuple[float, ...]
    expected: tuple[float, ...]
    tolerance: float
    reason: str

    @property
    def statement(self) -> sp.Basic:
        return sp.Eq(sp.Tuple(*self.found), sp.Tuple(*self.expected), evaluate=False)

    def verdict(self) -> Verdict:
        errors = (abs(a - b) / max(1.0, abs(b)) for a, b in zip(self.found, self.expected, strict=True))
        return Verdict.AGREES if all(error <= self.tolerance for error in errors) else Verdict.REFUTED


def vanishes(expression: Expr) -> Verdict:
    """Return whether an expression is identically 0."""
    reduced = normal(sp.sympify(expression))
    if reduced == 0:
        return Verdict.PROVED
    if any(abs(sampling.value(reduced, seed)) > TOLERANCE for seed in range(SAMPLES)):
        return Verdict.REFUTED
    # Equal sums now have equal forms, so what remains is algebra with each of them as one unknown.
    for kind in (sp.Sum, sp.Indexed):
        reduced = reduced.xreplace({each: sp.Dummy(real=True) for each in reduced.atoms(kind)})
    above = sp.powsimp(sp.expand(sp.fraction(sp.together(reduced))[0]))
    above = sp.expand(above.replace(sp.exp, lambda exponent: sp.exp(sp.cancel(exponent))))
    return Verdict.PROVED if above == 0 or sp.simplify(reduced) == 0 else Verdict.OPEN


@cache
def _limit(expression: Expr, variable: sp.Symbol, point: Expr) -> Expr:
    """Return a limit, taken once: a mutant has most limits of its proof."""
    return sp.limit(expression, variable, point)


# --- mutants


@final
@dataclass(frozen=True, eq=False)
class Mutant:
    """A proof with wrong equations."""

    kind: Literal["sign", "factor", "assumption"]
    """Kind of the change: a reversed sign, a lost factor, a dropped assumption."""
    text: str
    """Description of the change."""
    equations: Mapping[str, Equation]
    """Replacement of each changed equation, by name."""


def sign(text: str, **equations: Equation) -> Mutant:
    """Return a mutant with a reversed sign."""
    return Mutant("sign", text, equations)


def factor(text: str, **equations: Equation) -> Mutant:
    """Return a mutant with a lost factor."""
    return Mutant("factor", text, equations)


def assumption(text: str, **equations: Equation) -> Mutant:
    """Return a mutant with a dropped assumption."""
    return Mutant("assumption", text, equations)


# --- proofs


@final
@dataclass(frozen=True)
class Result:
    """Result of a proof that was run."""

    claim: str
    """Theory id of the claim."""
    title: str
    """Statement in words."""
    given: tuple[sp.Basic, ...]
    """Given equations of the proof."""
    steps: tuple[tuple[Step, Verdict], ...]
    mutants: Mapping[Mutant, bool]
    """Whether each mutant was rejected."""
    seconds: float
    case: str = ""
    """Case of the claim that the proof covers, if not all."""
    name: str = ""
    """Short name of the claim."""

    @property
    def statement(self) -> tuple[sp.Basic, ...]:
        """Return the proved relations."""
        return tuple(step.statement for step, _ in self.steps if step.concludes)

    @property
    def proved(self) -> bool:
        """Return whether some step concludes and every step holds; numeric steps must agree."""
        held = all(verdict in (Verdict.PROVED, Verdict.AGREES) for _, verdict in self.steps)
        return held and bool(self.statement)

    @property
    def numeric(self) -> tuple[Agrees, ...]:
        """Return the steps that are checked but not proved."""
        return tuple(step for step, _ in self.steps if isinstance(step, Agrees))

    @property
    def holds(self) -> bool:
        """Return whether the claim is proved and every mutant rejected."""
        return self.proved and all(self.mutants.values())

    @property
    def taken(self) -> tuple[str, ...]:
        """Return the theorems of analysis that the proof uses."""
        return tuple(dict.fromkeys(step.by for step, _ in self.steps if step.by))


@final
@dataclass(frozen=True)
class Proof:
    """Proof of one statement of the theory."""

    claim: str
    derivation: Callable[..., Iterator[Step]]
    mutants: tuple[Mutant, ...]
    case: str = ""
    """Case of the claim that the proof covers, if not all."""
    name: str = ""
    """Short name of the claim."""

    @cached_property
    def title(self) -> str:
        """Return the statement in words, the first paragraph of the derivation's docstring."""
        return " ".join((inspect.getdoc(self.derivation) or "").split("\n\n")[0].split())

    @property
    def given(self) -> tuple[sp.Basic, ...]:
        """Return the given equations, by the names of the derivation's arguments."""
        parameters = inspect.signature(self.derivation).parameters.values()
        return tuple(_equation(each.name, each.default) for each in parameters)

    def check(self, **equations: Equation) -> Iterator[tuple[Step, Verdict]]:
        """Return the steps and their verdicts in order, with some equations replaced."""
        return ((step, step.verdict()) for step in self.derivation(**equations))

    def rejects(self, mutant: Mutant) -> bool:
        """Return whether a step of the mutant is refuted."""
        return any(verdict is Verdict.REFUTED for _, verdict in self.check(**mutant.equations))

    def prove(self) -> Result:
        """Judge every step and every mutant."""
        begun = time.perf_counter()
        steps = tuple(self.check())
        mutants = {mutant: self.rejects(mutant) for mutant in self.mutants}
        seconds = time.perf_counter() - begun
        return Result(self.claim, self.title, self.given, steps, mutants, seconds, self.case, self.name)


PROOFS: dict[str, Proof] = {}
"""Every proof by the id of its claim."""


def proves(
    claim: str, *mutants: Mutant, case: str = "", name: str = ""
) -> Callable[[Callable[..., Iterator[Step]]], Callable[..., Iterator[Step]]]:
    """Add a derivation to `PROOFS`; its arguments are equations, with those of the theory as defaults.

    Args:
        claim: theory id.
        mutants: changes that must fail.
        case: case of the claim that the proof covers, if not all.
        name: short name of the claim; by default that of its measurement.
    """
    called = name or (CLAIMS[claim].name if claim in CLAIMS else "")

    def enter(derivation: Callable[..., Iterator[Step]]) -> Callable[..., Iterator[Step]]:
        if claim in PROOFS:
            raise ValueError(f"{claim} is proved twice")
        if not mutants:
            raise ValueError(f"{claim} has no mutant that must fail")
        if not called:
            raise ValueError(f"{claim} has no name: give name=…, because no measurement names it")
        PROOFS[claim] = Proof(claim, derivation, mutants, case, called)
        return derivation

    return enter


def _equation(name: str, given: Equation) -> sp.Basic:
    """Return the equation name(indices) = given."""
    if not callable(given):
        return sp.Eq(sp.Symbol(name), sp.sympify(given), evaluate=False)
    indices = [index(each) for each in inspect.signature(given).parameters]
    return sp.Eq(sp.Function(name)(*indices), sp.sympify(given(*indices)), evaluate=False)
