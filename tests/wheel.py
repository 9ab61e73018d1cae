"""Try every command of an installed wheel in an empty folder; run by `make test-wheel` in an environment of its own.

A command either works, or is refused in one line that names the extra it needs. The commands of the checkout (proofs,
analysis, simulations) are not in the wheel, and `python -m attn_dynamics` says so.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

RUN = ["attn_dynamics.simulate", "--epochs", "200", "--out", "run"]
WINDOW = ["attn_dynamics.simulate", "--model", "attn-window", "--out", "window"]
SWEEP = ["attn_dynamics.sweep", "--seed", "0", "1", "--epochs", "10", "--out", "sweep"]
TORCH = ["attn_dynamics.simulate", "--epochs", "10", "--device", "cpu", "--out", "torch"]


def tried(folder: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command with this interpreter, which knows of the wheel alone."""
    return subprocess.run([sys.executable, "-I", "-m", *command], cwd=folder, capture_output=True, text=True)


def expect(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """Stop where the exit code or what was said is another one."""
    text = done.stdout + done.stderr
    missing = [each for each in said if each not in text]
    if done.returncode != code or missing or "Traceback" in text:
        raise SystemExit(f"{done.args}: expected exit code {code} and {said}, got {done.returncode} and\n{text}")
    print("as expected:", *done.args[3:])


def main() -> None:
    """Try them all."""
    with tempfile.TemporaryDirectory() as folder:
        expect(tried(folder, ["attn_dynamics"]), 0, "python -m attn_dynamics.simulate", "checkout")
        expect(tried(folder, RUN), 0, "SEN")
        expect(tried(folder, WINDOW), 0)
        expect(tried(folder, SWEEP), 2, 'pip install "attn-dynamics[distributed]"')
        expect(tried(folder, TORCH), 2, 'pip install "attn-dynamics[torch]"')
        figures = [Path(folder, run, "figures") for run in ("run", "window")]
        if not all(any(each.glob("*.png")) for each in figures):
            raise SystemExit(f"expected figures in {figures}")


if __name__ == "__main__":
    main()
