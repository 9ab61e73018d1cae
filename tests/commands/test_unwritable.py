"""What cannot be written is refused before training; what cannot be drawn costs no number and no other figure."""

from pathlib import Path

import matplotlib as mpl
import pytest
import xarray as xr

from attn_dynamics import Corpus
from attn_dynamics.commands.sweep import command as sweep
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import read_netcdf
from attn_dynamics.results.figures import run as plot
from attn_dynamics.results.figures.run import draw_figure
from attn_dynamics.results.figures.style import draw_all
from attn_dynamics.tasks import Task
from attn_dynamics.training.configured_run import check_words
from tests.commands.driving import TINY, Call, films, read_json

WIDE = 2**128 - 1
"""A seed as numpy advises to draw it."""


def test_a_seed_of_128_bits_is_kept(call: Call) -> None:
    assert call(*TINY, "--seed", WIDE, "--out", "here").code == 0
    assert read_json(Path("here/summary.json"))["seed"] == WIDE
    assert read_netcdf(Path("here/trajectory.nc")).attrs["seed"] == str(WIDE)
    assert call(*TINY, "--seed", WIDE, "--out", "here", "--resume").code == 0
    assert call(*TINY, "--seed", 2**63 - 1, "--out", "there").code == 0
    assert read_netcdf(Path("there/trajectory.nc")).attrs["seed"] == 2**63 - 1
    window = ("--model", "attn-window", "--epochs", "3", "--length", "21", "--window", "11", "--distance", "2")
    assert call(*window, "--seed", WIDE, "--out", "window").code == 0
    assert read_json(Path("window/summary.json"))["seed"] == WIDE


def test_what_the_table_of_a_sweep_cannot_hold_is_refused_first(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main([*TINY, "--seed", "0", str(2**63)]) == 2
    error = capsys.readouterr().err
    assert f"--seed: expected integers up to {2**63 - 1}, got {2**63}" in error
    assert "with attn_dynamics.simulate." in error
    assert not any(place.iterdir())


def test_a_word_that_no_file_can_hold_is_refused_first(call: Call, place: Path) -> None:
    path = films(place / "films.txt")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("good", "go\0od"), encoding="utf-8")
    arguments = ("--task", path, "--preparation", "whitespace", "--epochs", "3", "--out", "here")
    done = call(*arguments)
    assert done.code == 2
    assert "films.txt: expected text, got binary data (it holds NUL bytes)" in done.said
    assert not (place / "here").exists()
    path.write_text(text, encoding="utf-8")
    assert call(*arguments).code == 0


@pytest.mark.parametrize("word", ["go\0od", "go\udc80od"], ids=ascii)
def test_such_a_word_of_a_task_of_ones_own_is_refused_first(word: str) -> None:
    ours, theirs = (
        Task(name="own", train=Corpus.from_sentences([["film", each], ["film"]], [0, 1])) for each in (word, "good")
    )
    with pytest.raises(InputError, match="--task: expected words that can be written to a file"):
        check_words(ours)
    check_words(theirs)


def test_a_figure_that_cannot_be_drawn_costs_nothing_else(
    call_drawing: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(run: xr.Dataset) -> None:
        raise OverflowError("no such axis\nat all")

    monkeypatch.setattr(plot, "FIGURES", {name: plot.FIGURES[name] for name in ("sen", "loss", "signals")})
    with monkeypatch.context() as patched:  # to undo all would leave the place, too
        patched.setitem(plot.FIGURES, "loss", fails)
        done = call_drawing(*TINY, "--out", "here")
    assert done.code == 2
    assert (
        "error: here/figures/loss.png: expected to draw this figure, got: no such axis. "
        "The numbers are kept, and so is every figure that could be drawn." in done.said
    )
    assert "Traceback" not in done.err
    assert "train loss" in done.out
    assert {path.stem for path in (place / "here/figures").iterdir()} == {"sen", "signals"}
    assert {path.name for path in (place / "here").iterdir()} >= {"summary.json", "trajectory.nc", "command.txt"}
    assert call_drawing(*TINY, "--out", "here", "--resume").code == 0
    assert (place / "here/figures/loss.png").exists()


@pytest.mark.parametrize(
    "more",
    [("--model", "attn-fc"), ("--model", "attn-tl"), pytest.param(("--replicates", "2"), marks=pytest.mark.slow)],
    ids=str,
)
def test_infinite_values_are_drawn_or_told_in_one_line(more: tuple[str, ...], call_drawing: Call, place: Path) -> None:
    done = call_drawing(*TINY, *more, "--learning-rate", "1e160", "--start-scale", "1e3", "--out", "here")
    assert done.code in (0, 1, 2)
    assert "Traceback" not in done.err
    assert read_json(place / "here/summary.json")


def test_figures_are_the_same_under_any_matplotlibrc(call: Call, place: Path) -> None:
    assert call(*TINY, "--out", "here").code == 0
    run = read_netcdf(place / "here/trajectory.nc")
    drawn = {}
    for name, settings in {"plain": {}, "odd": {"text.usetex": True, "font.size": 40.0, "savefig.dpi": 10}}.items():
        with mpl.rc_context(settings):
            (path,) = draw_all({place / f"{name}.png": lambda: draw_figure(run, "words")})
        drawn[name] = path.read_bytes()
    assert drawn["plain"] == drawn["odd"]
