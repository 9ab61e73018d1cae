"""What is typed is refused by its name in one line, sizes before anything is built; help, version, Ctrl-C."""

import re
import time
from pathlib import Path

import pytest

from attn_dynamics.commands import simulate
from attn_dynamics.commands.listing import commands, list_commands
from attn_dynamics.commands.sweep import command as sweep
from attn_dynamics.commands.sweep.command import Sweep
from attn_dynamics.commands.window_config import WindowConfig
from attn_dynamics.system.options import read_options
from attn_dynamics.training.corpus_config import Config
from fuzz.processes import interrupted
from tests.commands.driving import TINY, Call, contents

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN = "expected an option of this command, got an unknown one."
REFUSALS = {
    ("--learning-rate", "fast"): "--learning-rate: expected a number, got 'fast'. ",
    ("--split", "a", "b", "c"): "--split: expected a number each, got 'a', 'b', 'c'. ",
    ("--topics", "1"): "--topics: expected 2 or more, got 1. ",
    ("--model", "attn"): "--model: expected one of attn-fc, attn-tc, attn-tl, attn-window, got 'attn'. ",
    ("--lerning-rate", "1"): f"--lerning-rate: {UNKNOWN} Perhaps you meant --learning-rate. See ",
    ("--output", "here"): f"--output: {UNKNOWN} Perhaps you meant --out. See ",
    ("--output=here",): f"--output=here: {UNKNOWN} Perhaps you meant --out. See ",
    ("--rate", "1"): f"--rate: {UNKNOWN} Perhaps you meant --learning-rate. See ",
    ("--quiet",): f"--quiet: {UNKNOWN} See ",
    ("--rule", "adamw"): "--rule: expected one of descent, momentum, adam, sign, got 'adamw'. Give --rule adam --dec",
    ("--decay", "-1"): "--decay: expected a finite number from 0, got -1.0. 0 is none, and 0.001 a usual one.",
    ("--out",): "--out: expected a value, got none. ",
    ("--follow",): "--follow: expected at least one value, got none. ",
    ("--train", "--seed", "1"): "--train: expected at least one value, got none. ",
    ("--train", "keys", "--train", "head"): "--train: expected one such option, got several. ",
    ("--follow", "nowhere"): "--follow: expected words of the vocabulary",
    ("--follow", "a\x00b"): "--follow: expected text in UTF-8 without NUL",
    ("--embedding-dim", "4294967296"): "--embedding-dim: expected a size that fits into the ",
    ("--sentences", "1000000000000"): "--sentences: expected a size that fits into the ",
    ("--dictionary", "1000000000000"): "--dictionary: expected a size that fits into the ",
    ("--topics", "10000000000"): "--topics: expected a size that fits into the ",
    ("--epochs", "1000000000000000"): "--epochs: expected a size that fits into the ",
    ("--epochs", "1" + "0" * 20): "--epochs: expected at most 9223372036854775807, got 1",
    ("--replicates", "1000000000000000"): "--replicates: expected a size that fits into the ",
    ("--model", "attn-window", "--length", "1000000000000"): "--length: expected a size that fits into the ",
    ("--model", "attn-window", "--start-width", "1e-150"): "--start-width: expected a bell that reaches a useful token",
}


@pytest.mark.parametrize("arguments", REFUSALS)
def test_what_was_typed_is_refused_by_its_name_and_at_once(arguments: tuple[str, ...], call: Call, place: Path) -> None:
    begun = time.process_time()
    done = call(*([] if "attn-window" in arguments else TINY), *arguments)
    assert done.code == 2
    assert done.err.startswith(f"error: {REFUSALS[arguments]}"), done.err
    assert done.err.count("\n") == 1
    assert "Config" not in done.err
    assert contents(place) == {}
    assert time.process_time() - begun < 5.0


def test_a_loss_that_is_infinite_at_the_start_is_no_matter_of_the_rate(call: Call) -> None:
    done = call(*TINY, "--start-scale", "1e200")
    assert done.code == 1
    assert "Start from smaller numbers" in done.err
    assert "learning rate" not in done.err
    assert "A learning rate below" in call(*TINY, "--learning-rate", "1e160").err  # negative control


def test_a_run_that_diverged_shows_no_table(call: Call) -> None:
    done = call(*TINY, "--learning-rate", "1e160")
    assert done.code == 1
    assert "quantity" not in done.out
    assert "quantity" in call(*TINY, "--out", "fine").out  # negative control


HELP = {
    Config: (
        "its text says 100)",
        "--topic-distribution [FLOAT [FLOAT ...]]",
        "--preparation {lmn21,unicode,whitespace}",
    ),
    Sweep: ("--key-dim [INT [INT ...]]", "--vocabulary {all,train}"),
    WindowConfig: ("--distances {fixed,uniform,geometric}", "--sequences INT"),
}


@pytest.mark.parametrize("options", HELP)
def test_help_tells_each_default_once_and_what_can_be_given(
    options: type, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # groups stand one below the other
    with pytest.raises(SystemExit) as stop:
        read_options(options, ["--help"], "prog")
    assert stop.value.code == 0
    told = " ".join(line.strip("│| ") for line in capsys.readouterr().out.splitlines())
    assert "None" not in told
    for option in re.split(r" (?=--[a-z-]+[ ,])", told):
        assert option.count("(default") <= 1, option
    for part in (*HELP[options], "--version", "Example: prog --"):
        assert part in told


def test_help_is_in_groups(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for options in HELP:
        with pytest.raises(SystemExit):
            read_options(options, ["--help"], "prog")
        groups = re.split(r"(?m)^ (\w+) options  ", capsys.readouterr().out)
        assert groups[1::2] == ["model", "data", "training", "output"], options
        assert ["--learning-rate" in group for group in groups[2::2]] == [False, False, True, False]
        assert ["--out " in group for group in groups[2::2]] == [False, False, False, True]


def test_a_former_name_of_an_option_still_works_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_options(Config, ["--full"], "prog") == Config(reduction=False) != Config()
    assert capsys.readouterr().err == "--full is called --no-reduction now\n"


def test_a_sweep_says_that_it_has_no_windows(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(["--model", "attn-tc", "attn-window"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: --model: expected one of attn-fc, attn-tc, attn-tl, got attn-window. ")
    assert "A window runs by itself, without a sweep" in told


@pytest.mark.parametrize(
    ("options", "arguments", "told"),
    [
        (Config, "--hidden-dim 5 --model attn-fc", ["Without effect on attn-fc from the start paper: --hidden-dim."]),
        (Config, "--hidden-dim 5 --model attn-tl --start-scale 3", []),
        (
            Config,
            "--hidden-dim 5 --start-scale 3 --start mean-field",
            ["Without effect on attn-tc from the start mean-field: --hidden-dim, --start-scale."],
        ),
        (
            Config,
            "--beta1 0.8 --decoupled",
            ["Without effect on the rule descent: --beta1.", "Without effect on a run without --decay: --decoupled."],
        ),
        (Config, "--rule adam --beta1 0.8 --decoupled --decay 0.01", []),
        (WindowConfig, "--words 9 --classes 3", ["Without effect on the task needle: --words, --classes."]),
        (WindowConfig, "--words 9 --classes 3 --task topics", []),
        (WindowConfig, "--task topics --loss reward", ["Without effect on the task topics: --loss."]),
    ],
)
def test_an_option_that_a_run_does_not_read_is_told(options: type, arguments: str, told: list[str]) -> None:
    assert read_options(options, arguments.split(), "prog").notes == told


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        simulate.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("attn-dynamics ")


def test_a_command_without_its_dot_is_told_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_commands(ROOT / "attn_dynamics", ["simulate"]) == 2
    assert "Run python -m attn_dynamics.simulate." in capsys.readouterr().err
    assert list_commands(ROOT / "attn_dynamics", ["train"]) == 2
    assert "Run python -m attn_dynamics to see them." in capsys.readouterr().err


def test_a_package_lists_its_commands() -> None:
    assert [*commands(ROOT / "attn_dynamics")] == ["attn_dynamics.simulate", "attn_dynamics.sweep"]
    listed = commands(ROOT / "simulations")
    assert {"simulations.text", "simulations.synthetic"} <= listed.keys()
    assert "simulations.experiment" not in listed
    assert {"analysis.verdicts", "analysis.pages"} <= commands(ROOT / "analysis").keys()
    assert all(len(purpose) > 20 for purpose in listed.values())


@pytest.mark.parametrize("command", ["attn_dynamics.simulate", pytest.param("proofs", marks=pytest.mark.slow)])
@pytest.mark.parametrize("delay", [0.4, pytest.param(1.0, marks=pytest.mark.slow)])
def test_control_c_during_imports_ends_in_one_line(command: str, delay: float) -> None:
    code, out, err = interrupted(command, delay)
    if out:  # so quick a machine is done already
        return
    assert (code, err) == (130, "interrupted before anything was computed\n")
