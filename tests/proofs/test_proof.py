"""The core: what is false cannot be proved, and what merely resists refutes nothing."""

from collections.abc import Iterator

import pytest
import sympy as sp

from attn_dynamics.claims import CLAIMS
from proofs import PROOFS, Proof, Step, Verdict
from proofs.proof import Agrees, Equal, Moves, Positive, Tends, factor, proves, sign, vanishes
from proofs.sums import array, size, total

x, y = sp.symbols("x y", real=True)
p = sp.Symbol("p", positive=True)
n, a = size("n"), array("a")
squares = total(lambda i: a[i] ** 2, n)

TRUE = (
    Equal("a square", (x + y) ** 2, x**2 + 2 * x * y + y**2),
    Equal("a sum", total(lambda i: a[i] + x, n), total(lambda k: a[k], n) + n * x),
    Moves("a flow", squares, {a: lambda i: -a[i]}, -2 * squares),
    Tends("a limit", sp.log(1 + p) / p, {p: sp.S.Zero}, sp.S.One),
    Tends("no bound", sp.exp(x), {x: sp.oo}, sp.oo),
    Tends("one after the other", x * p / (x + 1), {x: sp.oo, p: sp.S.One}, sp.S.One),
    Positive("above", p + 1),
    Positive("not below", x**2, strict=False),
)
FALSE = (
    Equal("a square", (x + y) ** 2, x**2 + y**2),
    Equal("almost", x, x + sp.Rational(1, 10**12)),
    Equal("a sum", total(lambda i: a[i] + x, n), total(lambda k: a[k], n) + x),
    Equal("square of a sum", total(lambda i: a[i], n) ** 2, squares),
    Moves("a flow", squares, {a: lambda i: -a[i]}, -squares),
    Tends("a limit", sp.log(1 + p) / p, {p: sp.S.Zero}, sp.Rational(1, 2)),
    Tends("no bound", sp.exp(x), {x: sp.oo}, sp.S.One),
    Tends("a bound", 1 / p, {p: sp.oo}, sp.oo),
    Positive("above", p - 1),
    Positive("not below", x**3, strict=False),
    Agrees("numbers", (1.0,), (1.1,), 1e-3, reason="none"),
)


@pytest.mark.parametrize("step", TRUE, ids=lambda step: step.name)
def test_what_is_true_is_proved(step: Step) -> None:
    assert step.verdict() is Verdict.PROVED


@pytest.mark.parametrize("step", FALSE, ids=lambda step: step.name)
def test_what_is_false_is_refuted(step: Step) -> None:
    assert step.verdict() is Verdict.REFUTED


UNSEEN = sp.sin(20 * sp.pi * x)
"""Not 0, but 0 at every number that is drawn, which are twentieths: no number refutes it, and nothing proves it."""


def test_what_is_zero_but_resists_stays_open() -> None:
    resists = sp.sqrt(x**2 * p) - sp.Abs(x) * sp.sqrt(p) + sp.Piecewise((0, p > -1), (x, True))
    assert vanishes(resists) is not Verdict.REFUTED
    assert vanishes(UNSEEN) is Verdict.OPEN
    never = Positive("not strictly", x**2 - 2 * x * y + y**2 + 0 * p)
    assert never.verdict() is Verdict.OPEN


def test_numbers_that_agree_are_no_proof() -> None:
    assert Agrees("numbers", (1.0,), (1.0,), 1e-12, reason="none").verdict() is Verdict.AGREES


def derivation(*, double: int = 2, broken: bool = False) -> Iterator[Step]:
    """Twice x is x + x.

    More words.
    """
    if broken:
        raise ZeroDivisionError
    yield Equal("a sum", double * x, x + x, concludes=True)


def test_a_result_says_what_was_proved_from_what() -> None:
    rejected, survives = sign("a sign", double=-2), factor("nothing", double=2)
    result = Proof("X1", derivation, (rejected, survives)).prove()
    assert result.proved
    assert not result.holds
    assert result.mutants == {rejected: True, survives: False}
    assert result.title == "Twice x is x + x."
    assert result.statement == (sp.Eq(2 * x, 2 * x, evaluate=False),)
    assert result.given[0] == sp.Eq(sp.Symbol("double"), 2, evaluate=False)


def test_an_exception_rejects_no_mutant() -> None:
    with pytest.raises(ZeroDivisionError):
        Proof("X1", derivation, (sign("an error", broken=True),)).prove()


def test_what_merely_resists_rejects_no_mutant() -> None:
    """A step of a mutant has to be refuted; one that is open shows nothing."""

    def zero(*, of: sp.Expr = sp.S.Zero) -> Iterator[Step]:
        """Zero is zero."""
        yield Equal("zero", of, sp.S.Zero, concludes=True)

    proof = Proof("X1", zero, (sign("open", of=UNSEEN), sign("refuted", of=sp.S.One)))
    assert [proof.rejects(mutant) for mutant in proof.mutants] == [False, True]
    assert not proof.prove().holds


def test_a_claim_is_proved_once() -> None:
    with pytest.raises(ValueError, match="A1 is proved twice"):
        proves("A1")(derivation)
    assert PROOFS["A1"].derivation is not derivation


def test_a_proof_is_named_by_its_measurement_or_by_itself() -> None:
    assert PROOFS["A1"].name == CLAIMS["A1"].name
    assert PROOFS["M1"].name == "gradient of attention"
    with pytest.raises(ValueError, match="Z1 has no name"):
        proves("Z1", sign("an error"))(derivation)
    assert "Z1" not in PROOFS


def test_a_proof_without_a_mutant_or_a_conclusion_is_none() -> None:
    with pytest.raises(ValueError, match="no mutant"):
        proves("Z1")(derivation)
    nothing = Proof("Z1", lambda: iter(()), ()).prove()
    assert not nothing.proved
    aside = Proof("Z1", lambda: iter([Equal("aside", sp.S(1), sp.S(1))]), ()).prove()
    assert not aside.proved
