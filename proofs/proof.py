"""What a proof is: steps that follow from given equations, a verdict on each, and mutants that must fail.

A proof is a generator of steps; its keyword arguments are the equations that it takes as given, with what the theory
says as their defaults. A mutant is the same proof from an equation that is wrong. It counts as rejected only if a step
of it is refuted, by a number or by a limit that differs: one that merely resists, or an exception, rejects nothing.
"""

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Literal, final

import sympy as sp

from proofs import sampling
from proofs.sums import Expr, Flow, Rate, along, index, normal

SAMPLES = 5
"""Draws of random numbers at which a step is tried before it is proved."""
TOLERANCE = 1e-15
"""Beyond this, with `sampling.DIGITS` digits, a value is not zero."""
INFINITE = (sp.oo, -sp.oo, sp.zoo)
Equation = object
"""What a proof may take as given: an expression, or a function of indices to one."""


class Verdict(Enum):
    """What became of a step."""

    PROVED = "proved"
    REFUTED = "refuted"
    OPEN = "open"
    AGREES = "agrees numerically"


# --- steps


@dataclass(frozen=True)
class Step(ABC):
    """One line of a proof; the verdict is computed from its expressions alone."""

    name: str
    by: str = field(default="", kw_only=True)
    """The theorem of analysis that it rests on, where sympy knows none."""
    concludes: bool = field(default=False, kw_only=True)
    """Whether it is part of the statement."""

    @property
    @abstractmethod
    def statement(self) -> sp.Basic:
        """The relation that is claimed."""

    @abstractmethod
    def verdict(self) -> Verdict:
        """Whether it holds."""


@final
@dataclass(frozen=True)
class Equal(Step):
    """left = right for all values of all symbols."""

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
    """Along a flow the expression changes at a rate."""

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
    """The expression tends to a value as its variables, one after the other, tend to theirs."""

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
            limit = sp.limit(limit, variable, point)
        if limit.has(sp.Limit):
            return Verdict.OPEN
        if limit.has(*INFINITE) or self.value in INFINITE:
            return Verdict.PROVED if limit == self.value else Verdict.REFUTED
        return vanishes(limit - self.value)


@final
@dataclass(frozen=True)
class Positive(Step):
    """The expression is above 0, or not below it, for all values of its symbols that their assumptions allow."""

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
    """Numbers agree with what is expected; a check and no proof, and `reason` says why there is none."""

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
    """Whether an expression is 0 identically."""
    reduced = normal(sp.sympify(expression))
    if reduced == 0:
        return Verdict.PROVED
    if any(abs(sampling.value(reduced, seed)) > TOLERANCE for seed in range(SAMPLES)):
        return Verdict.REFUTED
    # Equal sums have equal forms now, so what is left is algebra in which each of them is one unknown.
    for kind in (sp.Sum, sp.Indexed):
        reduced = reduced.xreplace({each: sp.Dummy(real=True) for each in reduced.atoms(kind)})
    above = sp.powsimp(sp.expand(sp.fraction(sp.together(reduced))[0]))
    above = sp.expand(above.replace(sp.exp, lambda exponent: sp.exp(sp.cancel(exponent))))
    return Verdict.PROVED if above == 0 or sp.simplify(reduced) == 0 else Verdict.OPEN


# --- mutants


@final
@dataclass(frozen=True, eq=False)
class Mutant:
    """A proof with equations that are wrong."""

    kind: Literal["sign", "factor", "assumption"]
    """What is changed: a sign turned round, a factor lost, an assumption dropped."""
    text: str
    """What is changed, in words."""
    equations: Mapping[str, Equation]
    """What stands in the place of which equation."""


def sign(text: str, **equations: Equation) -> Mutant:
    """A sign turned round."""
    return Mutant("sign", text, equations)


def factor(text: str, **equations: Equation) -> Mutant:
    """A factor lost."""
    return Mutant("factor", text, equations)


def assumption(text: str, **equations: Equation) -> Mutant:
    """An assumption dropped."""
    return Mutant("assumption", text, equations)


# --- proofs


@final
@dataclass(frozen=True)
class Result:
    """A proof that was run."""

    claim: str
    """Its id in the theory."""
    title: str
    """The statement in words."""
    given: tuple[sp.Basic, ...]
    """The equations that it takes as given."""
    steps: tuple[tuple[Step, Verdict], ...]
    mutants: Mapping[Mutant, bool]
    """Whether each was rejected."""
    seconds: float
    case: str = ""
    """As of the proof."""

    @property
    def statement(self) -> tuple[sp.Basic, ...]:
        """The relations that are proved."""
        return tuple(step.statement for step, _ in self.steps if step.concludes)

    @property
    def proved(self) -> bool:
        """Whether some step concludes and every step holds; those that are numeric by their kind must agree."""
        held = all(verdict in (Verdict.PROVED, Verdict.AGREES) for _, verdict in self.steps)
        return held and bool(self.statement)

    @property
    def numeric(self) -> tuple[Agrees, ...]:
        """The steps that are checked and not proved."""
        return tuple(step for step, _ in self.steps if isinstance(step, Agrees))

    @property
    def holds(self) -> bool:
        """Proved, and every mutant rejected."""
        return self.proved and all(self.mutants.values())

    @property
    def taken(self) -> tuple[str, ...]:
        """The theorems of analysis that it rests on."""
        return tuple(dict.fromkeys(step.by for step, _ in self.steps if step.by))


@final
@dataclass(frozen=True)
class Proof:
    """One statement of the theory."""

    claim: str
    derivation: Callable[..., Iterator[Step]]
    mutants: tuple[Mutant, ...]
    case: str = ""
    """Of which case of the claim it is, where not of all."""

    @cached_property
    def title(self) -> str:
        """The statement in words, the first paragraph of the derivation's documentation."""
        return " ".join((inspect.getdoc(self.derivation) or "").split("\n\n")[0].split())

    @property
    def given(self) -> tuple[sp.Basic, ...]:
        """The equations that it takes as given, by the names of the derivation's arguments."""
        parameters = inspect.signature(self.derivation).parameters.values()
        return tuple(_equation(each.name, each.default) for each in parameters)

    def check(self, **equations: Equation) -> Iterator[tuple[Step, Verdict]]:
        """The steps and their verdicts, one after the other, with some equations replaced."""
        return ((step, step.verdict()) for step in self.derivation(**equations))

    def rejects(self, mutant: Mutant) -> bool:
        """Whether a step of the mutant is refuted."""
        return any(verdict is Verdict.REFUTED for _, verdict in self.check(**mutant.equations))

    def prove(self) -> Result:
        """The verdict on every step and every mutant."""
        begun = time.perf_counter()
        steps = tuple(self.check())
        mutants = {mutant: self.rejects(mutant) for mutant in self.mutants}
        return Result(self.claim, self.title, self.given, steps, mutants, time.perf_counter() - begun, self.case)


PROOFS: dict[str, Proof] = {}
"""Every proof by the id of its claim."""


def proves(
    claim: str, *mutants: Mutant, case: str = ""
) -> Callable[[Callable[..., Iterator[Step]]], Callable[..., Iterator[Step]]]:
    """Enter a derivation in `PROOFS`; its arguments are equations, and their defaults what the theory says.

    Args:
        claim: its id.
        mutants: what must fail.
        case: of which case of the claim it is, where not of all.
    """

    def enter(derivation: Callable[..., Iterator[Step]]) -> Callable[..., Iterator[Step]]:
        if claim in PROOFS:
            raise ValueError(f"{claim} is proved twice")
        if not mutants:
            raise ValueError(f"{claim} has no mutant that must fail")
        PROOFS[claim] = Proof(claim, derivation, mutants, case)
        return derivation

    return enter


def _equation(name: str, given: Equation) -> sp.Basic:
    """name(indices) = what is given."""
    if not callable(given):
        return sp.Eq(sp.Symbol(name), sp.sympify(given), evaluate=False)
    indices = [index(each) for each in inspect.signature(given).parameters]
    return sp.Eq(sp.Function(name)(*indices), sp.sympify(given(*indices)), evaluate=False)
