"""Provenance of a page: date, commit, machine and versions."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from attn_dynamics.results.summary import versions

ROOT = Path(__file__).parents[1]
CHANGED = " and changes"
"""End of the name of a commit from which files differ."""


def provenance() -> dict[str, str]:
    """Return date, commit (if the sources are a checkout), machine and versions."""
    facts = {"date": moment(datetime.now(UTC).timestamp()), "commit": _commit()}
    return {name: value for name, value in facts.items() if value} | {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "versions": ", ".join(versions()),
    }


def moment(seconds: float) -> str:
    """Write a Unix time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _commit() -> str:
    """Return the commit from git, with a remark if files differ from it; "" if the sources are no checkout."""
    if not (ROOT / "pyproject.toml").is_file():  # an environment may lie in a repository of its user
        return ""
    commit = _git("rev-parse", "--short", "HEAD")
    return f"{commit}{CHANGED}" if commit and _git("status", "--porcelain", "--untracked-files=no") else commit


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    """Return the processor's name on Linux, or else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
