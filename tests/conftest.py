"""Hypothesis profiles (`--hypothesis-profile=thorough` draws many more cases), and one thread for numba.

Results do not depend on the number of threads (tests/kernels), and several test processes would only fight for cores.
SST-2 and SQuAD are found beside the checkout, unless SST_DIR and SQUAD_DIR say where they are.
Ctrl-C counts, also where the shell that started the tests has it ignored, as for a job in the background.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before numba is first imported

import pytest
from hypothesis import HealthCheck, settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=100, suppress_health_check=SLOW_TO_DRAW)
settings.register_profile("thorough", deadline=None, max_examples=2_000, suppress_health_check=SLOW_TO_DRAW)
settings.load_profile("ci")

HALVES = ("loop", "head")
"""Halves of the compiled code, each compiled in a process of its own."""
ROOT = Path(__file__).resolve().parents[1]
BESIDE = ROOT.parent / "shared/data"
for variable, folder in {"SST_DIR": BESIDE / "sst", "SQUAD_DIR": BESIDE / "squad"}.items():
    if folder.is_dir():
        os.environ.setdefault(variable, str(folder))


@pytest.fixture
def epoch_by_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs look up after every epoch instead of some times a second, and replicates report as often."""
    monkeypatch.setattr("attn_dynamics.system.threads.TURN", 0.0)
    monkeypatch.setattr("attn_dynamics.training.replicates.threads.POLL", 1e-4)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels before the workers start; where that fails, the tests compile what they need."""
    if session.config.getoption("numprocesses", None) and not hasattr(session.config, "workerinput"):
        started = [subprocess.Popen([sys.executable, "-m", "tests.compiling", half], cwd=ROOT) for half in HALVES]
        for process in started:
            process.wait()
