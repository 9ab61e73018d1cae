"""Claim: no command overwrites results unasked, and none writes where another is at work."""

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import pytest

from analysis import report, verdicts, window_counts, window_figures
from analysis.theory_figures import __main__ as theory_figures
from attn_dynamics.commands import simulate
from attn_dynamics.commands.shell import BAD_INPUT, record_command
from attn_dynamics.commands.sweep import command as sweep
from attn_dynamics.errors import InputError
from attn_dynamics.files import output
from attn_dynamics.files.output import clear, default_file, of_command, results_file, results_folder
from attn_dynamics.files.storage import HOST
from proofs import __main__ as proofs
from simulations import ablation, capacity, query, squad, sst, suppression, synthetic, text
from tests.commands.driving import contents, hold
from tests.forking import context

CALLED = ("python -m some.command", "a measurement", "numbers.txt", "figures/*.png")
KIND = of_command(*CALLED)
DEFAULT = Path("runs/some")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def leave(folder: Path) -> None:
    """What a command leaves that ended."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    record_command(folder, "python -m some.command --seed 1")
    (folder / "numbers.txt").write_text("1")
    (folder / "figures" / "one.png").write_bytes(b"one")


def measured(out: Path | None = None, *, resume: bool = False, overwrite: bool = False) -> Path:
    """A command from beginning to end."""
    with results_folder(KIND, out, DEFAULT, resume=resume, overwrite=overwrite) as folder:
        if overwrite:
            clear(folder, KIND)
        if not (folder / "numbers.txt").exists():
            leave(folder)
        return folder


def test_without_a_name_results_go_to_a_new_place_and_the_last_is_gone_on_with() -> None:
    assert [measured() for _ in range(3)] == [DEFAULT, Path("runs/some-2"), Path("runs/some-3")]
    assert measured(resume=True) == measured(overwrite=True) == Path("runs/some-3")
    assert measured() == Path("runs/some-4")


@pytest.mark.parametrize(("fitting", "taken"), [("some-2", "some-2"), ("some", "some"), ("none", "some-3")])
def test_without_a_name_the_last_that_fits_is_gone_on_with_and_else_the_last_refused(fitting: str, taken: str) -> None:
    folders = [measured() for _ in range(3)]
    Path("runs/some-4").mkdir()  # as a command leaves it that was killed before its first results
    tried = []

    def fits(folder: Path) -> None:
        tried.append(folder)
        if folder.name != fitting:
            raise InputError("--resume", expected="another run", given=folder, fix="Name it.")

    with pytest.raises(InputError, match="some-3") if fitting == "none" else nullcontext():
        with results_folder(KIND, None, DEFAULT, resume=True, fits=fits) as folder:
            assert folder.name == taken
    assert tried[-1].name == taken
    assert all(folder.exists() for folder in folders)


@pytest.mark.parametrize("flag", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_results_are_kept_and_other_files_are_never_touched(flag: dict[str, bool], place: Path) -> None:
    leave(place / "ours")
    (place / "theirs").mkdir()
    (place / "theirs" / "numbers.txt").write_text("not ours")
    before = contents(place)
    with pytest.raises(InputError, match=r"theirs, which holds other files and no command\.txt of"):
        measured(Path("theirs"), **flag)
    if not flag:
        with pytest.raises(InputError, match=r"ours, which holds the results of a measurement\. Replace it by --ov"):
            measured(Path("ours"))
    assert contents(place) == before
    (place / "ours" / "figures" / "mine.txt").write_text("mine")
    if flag:
        measured(Path("ours"), **flag)
        assert (place / "ours/figures/mine.txt").read_text() == "mine"


def test_what_ended_before_it_had_results_blocks_no_folder(place: Path) -> None:
    with results_folder(KIND, None, DEFAULT) as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with results_folder(KIND, None, DEFAULT) as folder:
        record_command(folder, "python -m some.command --seed 2")
        (folder / f".numbers.txt.{HOST}-{2**22 + 1}-0123abcd.partial").touch()
    assert folder.exists()
    assert measured() == measured(resume=True) == DEFAULT
    assert sorted(contents(DEFAULT)) == ["command.txt", "figures", "figures/one.png", "numbers.txt"]


# --- two at once


def test_two_commands_at_once_get_two_folders(held: ExitStack) -> None:
    folders = [held.enter_context(results_folder(KIND, None, DEFAULT)) for _ in range(3)]
    assert folders == [DEFAULT, Path("runs/some-2"), Path("runs/some-3")]


@pytest.mark.parametrize("flag", [{}, {"resume": True}, {"overwrite": True}], ids=str)
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_in_use_is_refused(there: bool, flag: dict[str, bool], held: ExitStack, place: Path) -> None:
    if there:
        leave(place / "ours")
    held.enter_context(results_folder(KIND, Path("ours"), DEFAULT, resume=there))
    before = contents(place)
    with pytest.raises(InputError, match="expected a folder that no other command uses, got ours, which"):
        measured(Path("ours"), **flag)
    assert contents(place) == before
    held.close()
    assert measured(Path("ours"), **flag or {"resume": there}) == Path("ours")


def test_a_killed_command_holds_no_folder(place: Path) -> None:
    ours, theirs = context().Pipe()
    child = context().Process(target=hold, args=(CALLED, place / "ours", theirs))
    child.start()
    assert ours.recv() == "held"
    with pytest.raises(InputError, match="no other command"):
        measured(place / "ours")
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert measured(place / "ours") == place / "ours"


def test_where_folders_cannot_be_locked_new_ones_are_still_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems; a folder that is there already may then be another's."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(output.fcntl, "flock", refuse)
    DEFAULT.mkdir(parents=True)
    assert measured() == Path("runs/some-2")
    assert measured(Path("named")) == Path("named")


# --- files


def test_a_file_is_replaced_only_when_asked(place: Path) -> None:
    file = place / "kept.csv"
    assert results_file("--csv", file, overwrite=False) == file
    file.write_text("kept")
    with pytest.raises(InputError, match=r"--csv: expected a new file, got .*kept\.csv, which exists\. Replace it by"):
        results_file("--csv", file, overwrite=False)
    assert results_file("--csv", file, overwrite=True) == file
    assert file.read_text() == "kept"


def test_only_regular_files_in_folders_that_exist_are_written(place: Path) -> None:
    os.mkfifo(place / "pipe")
    for path in (place, place / "pipe", Path("/dev/full"), place / "missing" / "x.csv"):
        with pytest.raises(InputError, match="--csv: expected a "):
            results_file("--csv", path, overwrite=True)
    assert results_file("--csv", place / "made" / "x.csv", overwrite=False, make=True).parent.is_dir()


def test_a_page_without_a_name_gets_a_new_one(place: Path) -> None:
    path = Path("runs/page.html")
    with suppress(LookupError), default_file(path, overwrite=True):
        raise LookupError
    with default_file(path, overwrite=False) as first, default_file(path, overwrite=False) as second:
        assert (first, second) == (path, Path("runs/page-2.html"))  # though nothing is written yet
        second.write_text("a page")
    assert [each.name for each in Path("runs").iterdir()] == ["page-2.html"]
    with default_file(path, overwrite=False) as again:
        again.write_text("a page")
    assert again == path
    with default_file(path, overwrite=True) as last:
        assert last == second
    assert second.read_text() == "a page"


def test_a_home_is_put_in_the_place_of_its_sign(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place / "home"))
    assert measured(Path("~/x")) == place / "home/x"
    assert not Path("~").exists()
    with pytest.raises(InputError, match="--csv: expected ~ or ~USER of a user with a home, got ~no-such-user/x"):
        results_file("--csv", Path("~no-such-user/x"), overwrite=False)


# --- every command

COMMANDS: dict[str, tuple[Callable[[list[str]], int], list[str], str]] = {
    "simulate": (simulate.main, [], "summary.json"),
    "window": (simulate.main, ["--model", "attn-window"], "summary.json"),
    "sweep": (sweep.main, [], "results.parquet"),
    "verdicts": (verdicts.main, [], "verdicts.parquet"),
    "theory-figures": (theory_figures.main, [], "regimes.png"),
    "capacity": (capacity.main, [], "rows.parquet"),
    "ablation": (ablation.main, [], "cells/KF-attn-fc-0.nc"),
    "query": (query.main, [], "table.csv"),
    "suppression": (suppression.main, [], "summary.json"),
    "synthetic": (synthetic.main, [], "figures/sen.png"),
    "sst": (sst.main, [], "rows.parquet"),
    "squad": (squad.main, [], "rows.parquet"),
    "text": (text.main, ["--task", "films.txt"], "rows.parquet"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_overwrites_a_folder_unasked(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main, arguments, result = COMMANDS[name]
    (place / "here" / result).parent.mkdir(parents=True)
    (place / "here" / result).write_bytes(b"kept")
    settings = {"experiment": name, "figures": ["sen"], "model": "attn-tc", "task": "synthetic", "epochs": 5}
    (place / "here" / "config.json").write_text(json.dumps(settings))
    line = {"sweep": "attn_dynamics.sweep", "verdicts": "analysis.verdicts"}.get(name, "analysis.theory_figures")
    (place / "here" / "command.txt").write_text(f"python -m {line}\n")
    before = contents(place)
    assert main([*arguments, "--out", "here"]) == BAD_INPUT
    assert (
        "error: --out: expected a new or empty folder, got here, which holds the results of" in capsys.readouterr().err
    )
    assert contents(place) == before


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (window_counts.main, ["--csv"]),
        (proofs.main, ["--claim", "A5", "--latex"]),
        (report.main, ["--out"]),
        (window_figures.main, ["--rows", "here", "--out"]),
    ],
    ids=["window_counts", "proofs", "report", "window_figures"],
)
def test_no_command_overwrites_a_file_unasked(
    main: Callable[[list[str]], int], arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "here").write_text("kept")
    assert main([*arguments, "here"]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("error: --")
    assert contents(place) == {"here": b"kept"}
