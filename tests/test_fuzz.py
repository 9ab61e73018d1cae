"""A slice of the fuzz campaign, and that the campaign itself tells what is mishandled."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from attn_dynamics.commands.shell import exit_code_of
from attn_dynamics.errors import InputError
from fuzz import case
from fuzz.__main__ import selected, told
from fuzz.case import OK, REFUSED, SILENT, SLOW, TRACEBACK, UNCLEAR, Case, Seen, judged

SLICE = [each for each in selected(seed=1, every=97) if not each.family.startswith(("machine", "bits"))]
"""At least one case of every family, but for those that take seconds."""


@pytest.mark.parametrize("tried", SLICE, ids=lambda each: ascii(f"{each.family}: {each.name}")[1:60])
def test_bad_input_is_refused_in_one_line(tried: Case) -> None:
    verdict = judged(tried)
    assert not verdict.mishandled, told(verdict)


def test_the_campaign_has_more_than_a_thousand_cases() -> None:
    assert sum(1 for _ in selected(seed=0, every=1)) > 4000


def _raises(_: Path) -> Seen:
    raise TypeError("unsupported operand")


MISHANDLED: dict[str, tuple[Callable[[Path], Seen], str]] = {
    "an exception": (_raises, TRACEBACK),
    "accepted": (lambda _: Seen(0), SILENT),
    "wrong numbers": (lambda _: Seen(0, wrong="other numbers"), SILENT),
    "two lines": (lambda _: Seen(2, "error: a: expected b, got c.\nerror: d: expected e, got f.\n"), UNCLEAR),
    "no cause": (lambda _: Seen(2, "error: it failed\n"), UNCLEAR),
    "another option": (lambda _: Seen(2, "error: --seed: expected an integer, got 'x'. Give one.\n"), UNCLEAR),
}


def test_a_command_without_an_end_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands tell errors of the system in one line, as which no limit of time may pass."""
    monkeypatch.setattr(case, "SECONDS", 0.05)
    command = Case("control", "slow", lambda _: Seen(exit_code_of(lambda: time.sleep(9.0) or 0, interrupted="")))
    verdict = judged(command)
    assert (verdict.ended, verdict.mishandled) == (SLOW, True)


@pytest.mark.parametrize("name", MISHANDLED)
def test_what_is_mishandled_is_found(name: str) -> None:
    """Negative controls, beside a refusal as it should be."""
    act, ended = MISHANDLED[name]
    verdict = judged(Case("control", name, act, frozenset({REFUSED}), "--epochs"))
    assert verdict.mishandled
    assert verdict.ended == ended
    error = InputError("--epochs", expected="an integer", given="'x'", fix="Give one.")
    refused = judged(Case("control", name, lambda _: Seen(2, f"error: {error}\n"), frozenset({REFUSED}), "--epochs"))
    assert not refused.mishandled
    assert judged(Case("control", name, lambda _: Seen(0), frozenset({OK}))).ended == OK
