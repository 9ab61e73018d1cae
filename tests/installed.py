"""Try an installed distribution in an empty folder, in an environment of its own; `make dist` runs this.

A command either works, or is refused in one line that names the extra it needs. With the argument `analysis` the extra
is installed, and the proofs, experiments and verdicts that the distribution carries must work.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TOP_LEVEL = "import importlib.util as u; print([u.find_spec(x) for x in ('proofs', 'simulations', 'analysis')])"
CORE = {
    ("--version",): (0, "attn-dynamics"),
    ("simulate", "--epochs", "200", "--out", "run"): (0, "SEN"),
    ("simulate", "--model", "attn-window", "--out", "window"): (0, "needle"),
    ("simulate", "--help"): (0, "usage: attn-dynamics simulate"),
    ("simulate", "--epochs", "10", "--device", "cpu", "--out", "torch"): (2, 'pip install "attn-dynamics[torch]"'),
    ("sweep", "--epochs", "10", "--out", "sweep"): (2, 'pip install "attn-dynamics[distributed]"'),
    ("prove",): (2, 'pip install "attn-dynamics[proofs]"'),
    ("experiment", "zipf"): (2, 'pip install "attn-dynamics[analysis]"'),
}
"""By the arguments of the console script, the exit code and a part of what is printed."""
ANALYSIS = {
    ("prove", "--claim", "M3"): (0, "proved"),
    ("experiment",): (0, "attn-dynamics experiment zipf --help"),
    ("experiment", "heads", "--quick", "--out", "heads"): (0, "heads"),
    ("verify", "--claim", "A1", "B1", "--quick", "--workers", "2", "--out", "verdicts"): (0, "B1"),
    ("verify", "--claim", "A1", "--quick", "--workers", "1", "--out", "verdicts", "--overwrite"): (0, "A1"),
    ("report", "--under", ".", "--out", "report.html"): (0, "report.html"),
}
FILES = {
    "core": ("run/figures/sen.png", "window/figures/width.png"),
    "analysis": ("heads/summary.json", "verdicts/verdicts.html"),
}


def tried(folder: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def expect(done: subprocess.CompletedProcess[str], code: int, said: str) -> None:
    """Stop where the exit code or what was said is another one."""
    text = done.stdout + done.stderr
    if done.returncode != code or said.lower() not in text.lower() or "Traceback" in text:
        raise SystemExit(f"{done.args}: expected exit code {code} and {said!r}, got {done.returncode} and\n{text}")
    print("as expected:", *done.args[1:])


def main(part: str) -> None:
    """Try the commands that need the core alone, or those that need the extra."""
    script = Path(sys.executable).parent / "attn-dynamics"
    with tempfile.TemporaryDirectory() as folder:
        expect(tried(folder, sys.executable, "-c", TOP_LEVEL), 0, "[None, None, None]")
        for arguments, (code, said) in {"core": CORE, "analysis": ANALYSIS}[part].items():
            expect(tried(folder, script, *arguments), code, said)
        if missing := [each for each in FILES[part] if not Path(folder, each).is_file()]:
            raise SystemExit(f"expected files {missing}")


if __name__ == "__main__":
    main(*sys.argv[1:])
