"""One case: an action, its allowed outcomes, and the judgement of its outcome."""

import contextlib
import io
import os
import re
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from attn_dynamics.commands import window_run
from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.results.figures import replicates as spread
from attn_dynamics.results.figures import run as run_figures

OK, REFUSED, FAILED, NOTED = "ok", "refused", "failed", "noted"
"""Good outcomes: results, a one-line refusal with exit code 2 or failure with 1, or results with a note."""
TRACEBACK, SILENT, UNCLEAR, WARNED, SLOW = "TRACEBACK", "SILENT", "UNCLEAR", "WARNED", "SLOW"
"""Bad outcomes of a case.

They are an uncaught Python exception, accepted bad input, a message without cause or expectation or of several lines,
a raw warning, and no end.
"""
PROGRESS = re.compile(r"epochs/s|s/ epochs|runs/s|s/ runs|proofs/s|it/s")
"""Pattern of a progress bar's line."""
SECONDS = 150.0
"""Seconds after which a case counts as endless."""


class _Endless(BaseException):
    """Error of a case that takes too long. A TimeoutError would pass for a refusal, as commands report any OSError."""


class Seen(NamedTuple):
    """Outcome of a case as its user sees it."""

    code: int
    err: str = ""
    wrong: str = ""
    """Error in the results, if they are wrong."""


Act = Callable[[Path], Seen]
"""Action of a case in an empty folder, which is the current one."""


@dataclass(frozen=True)
class Case:
    """An action that a user may take."""

    family: str
    name: str
    act: Act
    allowed: frozenset[str] = frozenset({OK, REFUSED, FAILED, NOTED})
    """Allowed outcomes."""
    names: str = ""
    """Text that a refusal must name."""


class Verdict(NamedTuple):
    """Judged outcome of a case."""

    case: Case
    ended: str
    said: str

    @property
    def mishandled(self) -> bool:
        """Return whether the outcome is not allowed."""
        return self.ended not in self.case.allowed


def judged(case: Case) -> Verdict:
    """Run a case in its own folder and judge it."""
    with tempfile.TemporaryDirectory() as name, _within(Path(name)), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        try:
            with _limited():
                seen = case.act(Path(name))
        except _Endless:
            return Verdict(case, SLOW, f"no end within {SECONDS:g} s")
        except Exception:
            return Verdict(case, TRACEBACK, " / ".join(traceback.format_exc().splitlines()[-3:]))
    return Verdict(case, *_ending(case, seen, [str(each.message) for each in raised if _is_raw(each)]))


def _ending(case: Case, seen: Seen, raised: list[str]) -> tuple[str, str]:
    lines = [line for line in re.split(r"[\r\n]+", seen.err) if line.strip() and not PROGRESS.search(line)]
    said = " / ".join(lines)
    if "Traceback" in seen.err:
        return TRACEBACK, said
    if seen.wrong:
        return SILENT, seen.wrong
    if raised:
        return WARNED, raised[0]
    if seen.code == 0:
        ended = NOTED if lines else OK
        accepted = case.allowed & {OK, NOTED}
        return (ended if ended in accepted else SILENT), said or "accepted"
    errors = [line for line in lines if line.startswith("error: ")]
    if seen.code == 2 and (len(errors) != 1 or not errors[0].isprintable() or " expected " not in errors[0]):
        return UNCLEAR, said
    if seen.code == 2 and case.names not in errors[0].partition(" expected ")[0]:
        return UNCLEAR, f"does not name {case.names}: {said}"
    return {1: FAILED, 2: REFUSED}.get(seen.code, f"code {seen.code}"), said


def _is_raw(warning: warnings.WarningMessage) -> bool:
    return issubclass(warning.category, RuntimeWarning | UserWarning)


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise _Endless

    usual = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, usual)


# --- actions of cases


def calling(main: Callable[[list[str]], int], *arguments: str) -> Act:
    """Return the action of calling a command in this process."""
    return lambda _: called(main, *arguments)


def called(main: Callable[[list[str]], int], *arguments: str) -> Seen:
    """Call a command in this process without figures, which take a hundred times as long as a tiny run."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), without_figures():
        try:
            code = main([*arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    return Seen(code or 0, err.getvalue())


def trying(function: Callable[..., object], *arguments: object, **named: object) -> Act:
    """Return the action of calling a function, whose refusal is an InputError."""

    def act(_: Path) -> Seen:
        try:
            function(*arguments, **named)
        except (InputError, StorageError) as error:
            return Seen(2, f"error: {error}")
        except ArithmeticError as error:
            return Seen(1, f"error: {error}")
        return Seen(0)

    return act


@contextlib.contextmanager
def without_figures() -> Iterator[None]:
    """Disable figures within the block."""
    places = ((run_figures, "save_figures"), (spread, "save_replicates"), (window_run, "save_window_figures"))
    usual = [(module, name, getattr(module, name)) for module, name in places]
    for module, name, _ in usual:
        setattr(module, name, lambda *given: [])
    try:
        yield
    finally:
        for module, name, function in usual:
            setattr(module, name, function)
