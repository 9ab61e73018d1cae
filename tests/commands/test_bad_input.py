"""Whatever cannot be used is refused before anything is written, in one message with what helps."""

import sys
from pathlib import Path

import pytest

from attn_dynamics.commands import corpus_run
from tests.commands.driving import TINY, Call, contents, ended, film_folder, started, trajectory


def one_message(err: str) -> str:
    """The only line on standard error, without its mark."""
    assert err.startswith("error: "), err
    assert err.endswith("\n")
    message = err.removesuffix("\n").removeprefix("error: ")
    assert "\n" not in message
    assert "\r" not in message
    assert message.count(": expected ") == 1
    return message


# --- values of the command line

RANGES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("--learning-rate", "0"): ("a finite number above 0", "got 0.0", "0.1"),
    ("--learning-rate", "-0.1"): ("a finite number above 0", "got -0.1", "0.1"),
    ("--learning-rate", "nan"): ("a finite number above 0", "got nan", "0.1"),
    ("--learning-rate", "inf"): ("a finite number above 0", "got inf", "0.1"),
    ("--start-scale", "-1"): ("a finite number from 0", "got -1.0", "1 is"),
    ("--start-scale", "nan"): ("a finite number from 0", "got nan", "1 is"),
    ("--epochs", "-1"): ("0 or more", "got -1", "larger"),
    ("--patience", "-1"): ("0 or more", "got -1", "larger"),
    ("--seed", "-1"): ("0 or more", "got -1", "larger"),
    ("--replicates", "0"): ("1 or more", "got 0", "larger"),
    ("--embedding-dim", "0"): ("1 or more", "got 0", "larger"),
    ("--hidden-dim", "0"): ("1 or more", "got 0", "larger"),
    ("--key-dim", "0"): ("1 or more", "got 0", "larger"),
    ("--precision", "float32"): ("'float64' on the device 'numpy'", "got 'float32'", "'cuda'"),
    ("--resume", "--overwrite"): ("either this or --overwrite", "got both", "Leave one out"),
}


@pytest.mark.parametrize("arguments", RANGES)
def test_a_value_out_of_range_is_refused(arguments: tuple[str, ...], call: Call, place: Path) -> None:
    done = call(*TINY, *arguments, "--out", "here")
    assert done.code == 2
    assert done.out == ""
    assert done.said.count("expected") == 1
    assert arguments[0] in done.said
    for part in RANGES[arguments]:
        assert part in done.said
    assert "Traceback" not in done.err
    assert contents(place) == {}


def test_a_device_that_is_not_there_is_refused(call: Call, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyTorch, and (negative control) the device that needs none."""
    monkeypatch.delitem(sys.modules, "attn_dynamics.training.replicates.tensors", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    for device in ("cpu", "cuda"):
        done = call(*TINY, "--device", device, "--out", "here")
        assert done.code == 2
        assert done.said.startswith("error: --device: expected 'numpy', or PyTorch to be installed, got ")
        assert contents(place) == {}
    assert call(*TINY, "--device", "numpy", "--out", "here").code == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--learning-rate", "fast"), ("--learning-rate", "'fast'")),
        (("--epochs", "many"), ("--epochs", "'many'")),
        (("--epochs", "2.5"), ("--epochs", "'2.5'")),
        (("--seed", "x"), ("--seed", "'x'")),
        (("--model", "attn"), ("--model", "'attn'", "attn-fc", "attn-tc", "attn-tl")),
        (("--start", "warm"), ("--start", "'warm'", "published", "mean-field")),
        (("--train", "keys", "values"), ("--train", "'values'", "embeddings")),
        (("--split", "0.5", "0.5"), ("--split", "3")),
        (("--lerning-rate", "0.1"), ("--lerning-rate", "--learning-rate")),
    ],
)
def test_an_argument_that_cannot_be_read_is_refused(
    arguments: tuple[str, ...], named: tuple[str, ...], call: Call, place: Path
) -> None:
    done = call(*TINY, *arguments, "--out", "here")
    assert done.code == 2
    assert done.out == ""
    for part in named:
        assert part in done.said
    assert "Traceback" not in done.err
    assert contents(place) == {}


LATER = {
    ("--task", "sst3"): ("--task", "synthetic, sst2, sst5", "'sst3'", "spelling"),
    ("--task", "nowhere/films.txt"): ("--task", "a path", "'nowhere/films.txt'", "spelling"),
    ("--task", "./films.txt"): ("films.txt", "a file", "no such file", "spelling"),
    ("--task", "sst2", "--data-dir", "nowhere"): ("nowhere", "a folder", "no such", "spelling"),
    ("--patience", "5"): ("--patience", "dev", "test", "leave"),
    ("--follow", "unheard"): ("", "vocabulary", "'unheard'", "Leave that word out"),
    ("--follow", "t1.1", "unheard", "w1"): ("", "vocabulary", "'unheard'", "Leave that word out"),
    ("--start", "lmn21", "--embedding-dim", "2"): ("--embedding-dim", "at least the 4", "got 2", "paper"),
    ("--sentences", "0"): ("--sentences", "1 or more", "got 0", "larger"),
    ("--dictionary", "0"): ("--dictionary", "1 or more", "got 0", "larger"),
    ("--topics", "1"): ("--topics", "2 or more", "got 1", "larger"),
    ("--topic-distribution", "0.5", "0.6"): (
        "--topic-distribution",
        "4 probabilities",
        "got 0.5 0.6. ",
        "one for each",
    ),
}


@pytest.mark.parametrize("arguments", LATER)
def test_what_the_task_cannot_use_is_refused_before_anything_is_written(
    arguments: tuple[str, ...], call: Call, place: Path
) -> None:
    done = call(*TINY, *arguments, "--out", "here")
    assert done.code == 2
    assert contents(place) == {}
    assert done.out == ""
    message = one_message(done.err).lower().replace("_", "-")
    subject, expected, given, fix = (part.lower() for part in LATER[arguments])
    assert subject.removeprefix("--") in message.split(":")[0]
    before, after = message.split(", got ", 1)
    assert expected in before
    assert given.removeprefix("got ") in after
    assert fix in after
    assert "evaluate_on=" not in message, "what helps is an option of the command, not of the library"


# --- data

DATA = {
    "an empty file": (b"", ("films.txt", "an empty file")),
    "blank lines alone": (b"\n  \n\n", ("films.txt", "an empty file")),
    "a line without a label": (b"1 good film\nbad film\n", ("films.txt, line 2", "'bad film'", "integer label")),
    "a label alone": (b"1 good film\n0 bad film\n1\n", ("films.txt, line 3", "'1'", "LABEL text")),
    "a name among integers": (b"1.5 good film\n0 bad\n", ("films.txt, line 2", "'0 bad'", "all labels are integers")),
    "a label too large": (b"1 good\n99999999999999999999 bad\n", ("films.txt, line 2", "9999", "integer")),
    "bytes that are not UTF-8": (
        b"1 good\n\n0 bad\n1 na\xefve\n",
        ("films.txt, line 4", "utf-8", "0xef", "--encoding latin-1"),
    ),
    "a single class": (b"1 good film\n1 fine film\n" * 10, ("films.txt", "two different labels", "only the label 1")),
    "too few lines for three parts": (b"1 good\n0 bad\n", ("films.txt", "at least one sentence", "none")),
    "punctuation alone": (b"1 !\n0 ?\n" * 10, ("films.txt", "at least one sentence", "none")),
}


@pytest.mark.parametrize("kind", DATA)
def test_data_that_cannot_be_used_are_refused_by_file_and_line(
    kind: str, call: Call, place: Path, tmp_path: Path
) -> None:
    content, parts = DATA[kind]
    (tmp_path / "films.txt").write_bytes(content)
    done = call("--task", tmp_path / "films.txt", "--epochs", "5", "--out", "here")
    assert done.code == 2
    message = one_message(done.err)
    for part in parts:
        assert part in message
    assert message.endswith(".")
    assert contents(place) == {}


OPTIONS = {
    ("--preparation", "bpe"): ("--preparation:", "lmn21, unicode, whitespace", "'bpe'"),
    ("--vocabulary", "dev"): ("--vocabulary:", "all, train", "'dev'"),
    ("--split", "1", "1", "1"): ("--split:", "sum to 1", "(1.0, 1.0, 1.0)"),
    ("--split", "0", "0.5", "0.5"): ("--split:", "train (above 0)", "(0.0, 0.5, 0.5)"),
    ("--split", "1.2", "-0.1", "-0.1"): ("--split:", "sum to 1", "(1.2, -0.1, -0.1)"),
    ("--split", "nan", "0.5", "0.5"): ("--split:", "sum to 1", "nan"),
    ("--encoding", "latin-99"): ("--encoding:", "latin-99", "unknown encoding"),
    ("--label-column", "kind"): ("--label-column:", "'kind', which", "holds the columns '1 good'"),
}


@pytest.mark.parametrize("arguments", OPTIONS)
def test_options_of_text_that_cannot_be_used_are_refused(
    arguments: tuple[str, ...], call: Call, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "films.txt").write_text("1 good\n0 bad\n" * 20, encoding="utf-8")
    done = call("--task", tmp_path / "films.txt", *arguments, "--epochs", "5", "--out", "here")
    assert done.code == 2
    message = one_message(done.err)
    for part in OPTIONS[arguments]:
        assert part in message
    assert contents(place) == {}


def test_patience_without_dev_data_is_refused_for_text_too(call: Call, place: Path, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films", dev=False)
    done = call("--task", folder, "--patience", "5", "--out", "here")
    assert done.code == 2
    assert "dev" in one_message(done.err)
    assert contents(place) == {}


def test_a_folder_without_test_data_is_refused(call: Call, place: Path, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films", dev=False)
    (folder / "test.txt").unlink()
    done = call("--task", folder, "--out", "here")
    assert done.code == 2
    assert "both a train and a test file, got only train.txt" in one_message(done.err)
    assert contents(place) == {}


def test_sentences_without_words_are_counted_and_the_run_goes_on(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    for part, lines in (("train", "1 ...\n0 !\n1 ?!\n"), ("test", "0 --\n")):
        with (folder / f"{part}.txt").open("a", encoding="utf-8") as file:
            file.write(lines)
    done = call("--task", folder, "--epochs", "5", "--out", "here")
    assert done.code == 0
    assert 'Of 43 train sentences, dropped 3 without words after the preparation "lmn21".' in done.said
    assert 'Of 13 test sentences, dropped 1 without words after the preparation "lmn21".' in done.said
    assert "dev" not in done.said
    assert trajectory(Path("here")).sizes["epoch"] == 6


def test_sentences_without_known_words_are_counted_and_the_run_goes_on(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    with (folder / "test.txt").open("a", encoding="utf-8") as file:
        file.write("0 unheard of\n")
    done = call("--task", folder, "--epochs", "5", "--vocabulary", "train", "--out", "here")
    assert done.code == 0
    assert "Of 13 test sentences, dropped 1 without words of the training vocabulary." in done.said


# --- places


def test_a_file_is_no_folder_for_results(call: Call, place: Path) -> None:
    (place / "here").write_text("mine")
    for flag in ((), ("--overwrite",), ("--resume",)):
        done = call(*TINY, "--out", "here", *flag)
        assert done.code == 2
        message = one_message(done.err)
        assert message.startswith("--out: expected a folder, got the file here.")
        assert "another folder" in message
        assert contents(place) == {"here": b"mine"}


@pytest.mark.parametrize("out", ["taken/below", "x" * 300, "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_refused(out: str, call: Call, place: Path) -> None:
    (place / "taken").write_text("mine")
    done = call(*TINY, "--out", out)
    assert done.code == 2
    message = one_message(done.err)
    assert out in message
    assert contents(place) == {"taken": b"mine"}


def test_ctrl_c_while_the_data_are_read_ends_without_a_trace(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus_run, "load_task", cut_off)
    done = call(*TINY, "--out", "here")
    assert done.code == 130
    assert done.err == "interrupted before anything was computed\n"
    assert contents(place) == {}


def test_the_program_says_the_same_and_ends_with_the_exit_code(place: Path) -> None:
    done = ended(started("--task", "sst3", "--out", "here", cwd=place))
    assert done.code == 2
    assert "got 'sst3'" in one_message(done.err)
    assert contents(place) == {}


def test_help_names_every_option_with_its_default(call: Call) -> None:
    done = call("--help")
    assert done.code == 0
    options = ("--model", "--task", "--data-dir", "--epochs", "--learning-rate", "--embedding-dim", "--hidden-dim")
    options += ("--start", "--train", "--patience", "--seed", "--replicates", "--follow", "--out", "--resume")
    options += ("--overwrite", "--preparation", "--vocabulary", "--split", "--encoding", "--dictionary", "--sentences")
    for option in options:
        assert option in done.out
    assert "--text." not in done.out
    assert "--synthetic." not in done.out
