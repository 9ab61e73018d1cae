"""What is missing is told with what to install, before any work; no command ends in a traceback for it."""

from pathlib import Path
from types import ModuleType

import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.system import extras
from simulations import query, squad


def test_a_library_that_is_missing_is_told_with_its_extra() -> None:
    extras.require("test", "pytest")
    with pytest.raises(InputError, match=r'no_such_library: .* pip install -e "\.\[window\]"'):
        extras.require("window", "pytest", "no_such_library")


def test_an_installed_wheel_has_no_folder_to_go_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "ROOT", tmp_path)
    assert extras.how_to_get("torch") == 'Run pip install "attn-dynamics[torch]".'


@pytest.mark.parametrize("command", [query, squad])
def test_an_experiment_begins_only_where_it_can_be_written(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "pyarrow" else name)
    assert command.main(["--quick", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "error: pyarrow: expected this library to be installed, got No module named 'pyarrow'. "
        f"{extras.how_to_get('analysis')}\n"
    )
    assert not list(tmp_path.iterdir())
