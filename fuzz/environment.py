"""Cases of the machine: the environment of a process, tried in separate processes."""

import subprocess
import sys
from collections.abc import Iterator, Mapping

from fuzz.case import Case, Seen
from fuzz.commands import TINY
from fuzz.processes import environment, interrupted

SIMULATE = ("-m", "attn_dynamics.simulate", *TINY, "--out", "out")
COMMANDS = (
    "attn_dynamics.simulate",
    "attn_dynamics.sweep",
    "simulations.text",
    "analysis.report",
    "proofs",
    "benchmarks",
)
DELAYS = (0.3, 1.0)
"""Seconds until Ctrl-C, while libraries are imported."""
ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "a notebook's backend": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "no such backend": {"MPLBACKEND": "nothing"},
    "workqueue": {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"},
    "no home": {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
    "no cache": {"NUMBA_CACHE_DIR": "/proc/nothing"},
    "ascii": {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "a narrow terminal": {"COLUMNS": "1"},
    "a wide terminal": {"COLUMNS": "x"},
}
"""Environment variables that a shell may have set."""
FORKS = """
import multiprocessing, sys
from attn_dynamics import descend_many, draw
from attn_dynamics.tasks import Synthetic
import numpy as np
task = Synthetic(dictionary=6, sentences=6, test_sentences=3, other_words=2, topics=2).draw(0)
sizes = {"n_words": task.train.n_words, "n_classes": 2, "embedding_dim": 2}
start = draw("published", "attn-tc", **sizes, rng=np.random.default_rng(0))
from attn_dynamics import descend
descend(task.train, start, epochs=2)
def again(_):
    try:
        return descend(task.train, start, epochs=2).ended
    except Exception as error:
        return f"error: {error}"
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        told = pool.map_async(again, [0]).get(timeout=30)[0]
    print(told, file=sys.stderr if told.startswith("error") else sys.stdout)
    sys.exit(2 if told.startswith("error") else 0)
"""
"""Script with a pool that is forked after a kernel ran."""


def cases() -> Iterator[Case]:
    """Yield all cases of the machine."""
    for name, variables in ENVIRONMENTS.items():
        yield Case("machine: environment", name, lambda _, given=variables: _run(SIMULATE, given), frozenset({"ok"}))
    yield Case(
        "machine: fork", "a pool after a kernel", lambda _: _run(("-c", FORKS), {}), frozenset({"ok", "refused"})
    )
    for command in COMMANDS:
        for delay in DELAYS:
            name = f"{command} after {delay:g} s"
            yield Case(
                "machine: Ctrl-C", name, lambda _, given=(command, delay): _interrupted(*given), frozenset({"code 130"})
            )


def _run(arguments: tuple[str, ...], variables: Mapping[str, str]) -> Seen:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(variables), capture_output=True, timeout=120, check=False
    )
    return Seen(done.returncode, done.stderr.decode(errors="replace"))


def _interrupted(command: str, delay: float) -> Seen:
    code, _, err = interrupted(command, delay)
    ours = err.startswith("interrupted") and err.count("\n") == 1
    # On a fast machine the help may be printed before Ctrl-C, which is no fault.
    return Seen(130 if ours or code == 0 else code, err if not ours else "")
