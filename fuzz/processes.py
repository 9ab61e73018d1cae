"""Commands in processes of their own, without what the other cases import: tests use this as well."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def interrupted(command: str, delay: float) -> tuple[int, str, str]:
    """Call a command with --help and press Ctrl-C after a delay; return exit code, standard output and error."""
    arguments = [sys.executable, "-m", command, "--help"]
    process = subprocess.Popen(
        arguments, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that finds the checkout, with variables of its own."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | dict(variables)
