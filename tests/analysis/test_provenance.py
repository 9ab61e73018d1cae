"""Claim: a page names the commit of the sources, never that of a repository around an installed package."""

import subprocess
from pathlib import Path

import pytest

from analysis import provenance


def test_the_commit_of_a_repository_around_an_environment_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    for command in (["init"], [*identity, "commit", "--allow-empty", "--message", "theirs"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True, capture_output=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert "commit" not in provenance.provenance()
    (tmp_path / "pyproject.toml").touch()
    assert "commit" in provenance.provenance(), "negative control"
