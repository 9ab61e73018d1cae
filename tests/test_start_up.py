"""What loads at the start: public names when they are used, slow libraries when a command runs."""

import subprocess
import sys

import pytest

import attn_dynamics

SLOW = {"coverage", "dask", "h5py", "matplotlib", "numba", "pandas", "pyarrow", "scipy.integrate", "xarray"}
UNUSED = {"coverage", "dask", "pyarrow"}
"""Libraries that numba, xarray and pandas load where they are installed, and a run does without."""


def loaded(command: str) -> set[str]:
    """Return which slow libraries a fresh process has loaded after the command."""
    listing = "print(*[name for name, module in sys.modules.items() if module])"
    then = f"import sys\ntry:\n    {command}\nexcept SystemExit:\n    pass\nprint()\n{listing}"
    done = subprocess.run([sys.executable, "-c", then], capture_output=True, text=True, check=True)
    return SLOW & {*done.stdout.splitlines()[-1].split()}


def command_with(*arguments: object) -> str:
    argv = ["simulate", *map(str, arguments)]
    return f"import runpy; sys.argv = {argv}; runpy.run_module('attn_dynamics.simulate', run_name='__main__')"


@pytest.mark.parametrize("name", attn_dynamics.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(attn_dynamics, name) is getattr(attn_dynamics, name)
    assert name in dir(attn_dynamics)


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'descent_of_man'"):
        attn_dynamics.descent_of_man  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_the_package_loads_no_slow_library_until_a_name_is_used() -> None:
    assert loaded("import attn_dynamics; attn_dynamics.InputError") == set()
    assert "numba" in loaded("from attn_dynamics import descend")


def test_training_waits_for_no_library_of_results_or_figures() -> None:
    """A thread loads them while the compiled loop trains."""
    assert loaded("import attn_dynamics.commands.corpus_run") - UNUSED == {"numba"}
    assert loaded("import attn_dynamics.results.summary") >= {"scipy.integrate", "xarray"}


def test_help_and_a_bad_option_load_no_slow_library(tmp_path) -> None:
    assert loaded(command_with("--help")) == set()
    assert loaded(command_with("--epochs", "many")) == set()
    assert loaded(command_with("--epochs", 2, "--out", tmp_path / "run")) == SLOW - UNUSED
