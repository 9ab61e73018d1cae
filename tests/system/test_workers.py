"""Claim: a pool has no more than it was to have at once, and what was handed over comes back, whatever came of it."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import pytest

from attn_dynamics.system.workers import error_of, finished, in_line


class Slow(Executor):
    """A pool that works on what it has only when asked to; it notes how much it had then."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.most = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, partial(fn, *args, **kwargs)))
        self.most = max(self.most, len(self.waiting))
        return future

    def work(self) -> None:
        future, work = self.waiting.pop(0)
        try:
            future.set_result(work())
        except ZeroDivisionError as error:
            future.set_exception(error)


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (3, 3), (99, 10)])
def test_no_more_is_handed_over_than_is_done_at_once(at_once: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Slow()

    def wait(running: set[Future[Any]], return_when: str) -> tuple[set[Future[Any]], set[Future[Any]]]:
        pool.work()
        return {each for each in running if each.done()}, {each for each in running if not each.done()}

    monkeypatch.setattr("attn_dynamics.system.workers.wait", wait)
    found = [each for done in finished(pool, lambda number: 12 // number, range(10), at_once=at_once) for each in done]
    assert pool.most == most
    told = [in_line(error) for each in found if (error := error_of(each)) is not None]
    assert told == ["ZeroDivisionError: integer division or modulo by zero"]
    assert sorted(each.result() for each in found if error_of(each) is None) == [1, 1, 1, 1, 2, 2, 3, 4, 6, 12][1:]


def test_what_a_scheduler_gave_up_is_an_error() -> None:
    """Negative control: work that returned has none."""
    lost, done = Future[int](), Future[int]()
    lost.cancel()
    done.set_result(3)
    assert [error is None for error in map(error_of, (lost, done))] == [False, True]
    assert "gave it up" in in_line(error_of(lost) or ValueError())


@pytest.mark.parametrize(("end", "leaks"), [("pass", False), ("raise SystemExit", True)], ids=["end", "left early"])
def test_processes_give_back_their_locks(end: str, leaks: bool) -> None:
    """Negative control: those of a block that is left early are killed, and lose theirs."""
    program = f"""
from attn_dynamics.system.workers import spawned
keep_a_lock = "import builtins, multiprocessing; builtins.kept = multiprocessing.get_context('spawn').Lock()"
with spawned(1) as pool:
    pool.submit(exec, keep_a_lock).result()
    {end}
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert ("leaked semaphore" in told, bool(told)) == (leaks, leaks)
