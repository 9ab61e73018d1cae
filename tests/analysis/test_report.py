"""Claim: the report holds all that commands left, names the command of each part, and asks nothing of the network."""

import base64
import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis import judge, links, report, verdicts
from analysis.provenance import provenance
from attn_dynamics.commands import simulate
from attn_dynamics.commands.shell import BAD_INPUT, record_command
from attn_dynamics.files.storage import make_folder, write_json
from attn_dynamics.results.figures.style import COLOURS, write_figure

COLUMNS = ("score", "embedding_norm", "sen_norm")
TINY = ["--epochs", "30", "--dictionary", "60", "--sentences", "24"]


class Found(HTMLParser):
    """Everything that a browser would fetch, every anchor, every link, and the order of what is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.anchors: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if tag == "a" and name == "href" and value and not value.startswith("#"):
                self.links.append(value)
            elif name in ("src", "href") and value and value.startswith("#"):
                self.anchors.append(value[1:])
            elif name in ("src", "href", "srcset", "data", "action") and value:
                self.fetched.append(value)
            elif name == "id" and value:
                self.ids.append(value)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert simulate.main([*TINY, "--out", str(folder / "one & two")]) == 0
    verdicts.write([judge.judge("M4", quick=True)], make_folder(folder / "verdicts"))
    record_command(folder / "verdicts", "python -m analysis.verdicts --claim M4")
    record_command(make_folder(folder / "one & two" / "within"), "python")
    return folder


@pytest.fixture(scope="module")
def text(runs: Path) -> str:
    assert report.main(["--under", str(runs), "--out", str(runs / "report.html")]) == 0
    return (runs / "report.html").read_text()


@pytest.mark.slow
def test_every_figure_is_there_and_nothing_is_fetched(text: str, runs: Path) -> None:
    seen = Found()
    seen.feed(text)
    assert all(each.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,")) for each in seen.fetched)
    drawn = list(runs.rglob("*.png"))
    assert sum(each.startswith("data:image/png") for each in seen.fetched) == len(drawn) == 5
    assert "http" not in text
    assert set(seen.anchors) == set(seen.ids)


@pytest.mark.slow
def test_figures_come_before_tables_and_verdicts_are_folded(text: str, runs: Path) -> None:
    seen = Found()
    seen.feed(text)
    assert seen.tags.index("img") < seen.tags.index("table") < seen.tags.index("details")
    drawn = [line.split('alt="')[1].split(" of ")[0] for line in text.splitlines() if line.startswith("<img")]
    assert drawn == ["sen", "words", "loss", "distributions", "signals"]
    assert '<details class="claim"><summary><b>M4</b> gradient of Attn-TC <span class="verdict">holds</span>' in text
    (link,) = seen.links
    assert (runs / link.split("#")[0]).resolve() == links.THEORY


@pytest.mark.slow
def test_the_page_says_when_from_what_and_where_it_was_made(text: str) -> None:
    for name, value in provenance().items():
        assert f"{name}: " in text
        assert name == "date" or value in text
    assert f"ended {datetime.now(UTC):%Y-}" in text


@pytest.mark.slow
def test_every_word_is_a_row_beside_its_theory(runs: Path) -> None:
    summary = json.loads((runs / "one & two" / "summary.json").read_text())
    words, rest = report.part(runs / "one & two", runs).tables
    for word, final in summary["words"].items():
        told = (word, *(f"{final[name]:.4g}" for name in COLUMNS))
        assert "\n".join(f"      <td>{each}</td>" for each in told) in words
        assert word not in rest
    assert "<td>largest</td>" in words


@pytest.mark.slow
def test_every_part_has_its_command_and_claims_come_last(text: str, runs: Path) -> None:
    for command in ("attn_dynamics.simulate", "analysis.verdicts"):
        assert f"<pre>python -m {command} " in text
    assert "one &amp; two" in text
    assert "one & two" not in text
    assert [folder.name for folder in report.found(runs)] == ["one & two", "verdicts"]


@pytest.mark.slow
def test_the_verdicts_and_the_numbers_are_in_it(text: str) -> None:
    assert "1 of 1 claims hold" in text
    assert "<td>train_loss</td>" in text


def test_of_a_sweep_its_runs_are_there_by_what_tells_them_apart(tmp_path: Path) -> None:
    results = pd.DataFrame({"model": ["attn-fc"] * 2, "seed": [0, 1], "train_loss": [0.25, 0.5]})
    results.to_parquet(tmp_path / "results.parquet")
    record_command(tmp_path, "python -m attn_dynamics.sweep --seed 0 1")
    (table,) = report.part(tmp_path, tmp_path).tables
    assert all(f"<td>{each}</td>" in table for each in ("0", "1", "0.25", "0.5"))
    assert "attn-fc" not in table


@pytest.mark.parametrize(("broken", "named"), [("rare other words (B1)", True), ("", False)])
def test_what_all_runs_of_a_sweep_break_is_told_with_each(broken: str, named: bool, tmp_path: Path) -> None:
    results = pd.DataFrame({"seed": [0, 1], "broken_assumptions": [broken] * 2})
    results.to_parquet(tmp_path / "results.parquet")
    record_command(tmp_path, "python -m attn_dynamics.sweep --seed 0 1")
    (table,) = report.part(tmp_path, tmp_path).tables
    assert ("broken_assumptions" in table) == named
    assert table.count(f"<td>{broken}</td>") == 2 * named


def test_a_run_says_which_assumptions_it_breaks(tmp_path: Path) -> None:
    word = {"score": 1.0, "embedding_norm": 1.1, "sen_norm": 1.0}
    found = {"law": "B1", "assumption": "rare other words", "holds": False, "detail": "there are 10"}
    summary = {"words": {"a": word}, "assumptions": [found], "prediction_residual": None, "not_predicted": None}
    summary |= {"epochs": 1, "loss_rises": 0, "largest_loss_step": 0.0}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    record_command(tmp_path, "python -m attn_dynamics.simulate")
    part = report.part(tmp_path, tmp_path)
    told = "SEN (B1, here up to 10 % off at the end, for “a”) assumes rare other words: there are 10."
    assert part.remarks == [told]
    window = {"model": "attn-window", "prediction_residual": 0.1, "assumptions": [found | {"law": "D2"}]}
    (tmp_path / "summary.json").write_text(json.dumps(window))
    (of_window,) = report.part(tmp_path, tmp_path).remarks
    assert of_window == "The prediction of σ (D2, here up to 10 % off) assumes rare other words: there are 10."
    assert f"<p>{told}</p>" in report.page([part])


@pytest.mark.slow
def test_the_command_that_is_told_makes_the_same(runs: Path, tmp_path: Path) -> None:
    line = (runs / "one & two" / "command.txt").read_text()
    assert line == f"python -m attn_dynamics.simulate {' '.join(TINY)} --out '{runs / 'one & two'}'\n"


def test_what_cannot_be_gathered_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "command.txt").write_text("python")
    torn = tmp_path / "torn" / "summary.json"
    for content, place in (("{", torn.parent), ("[1]", torn.parent), ("{", tmp_path), ("{", tmp_path / "none")):
        torn.write_text(content)
        where = [str(place)] if place != tmp_path / "none" else ["--under", str(place)]
        assert report.main([*where, "--out", str(tmp_path / "report.html")]) == BAD_INPUT
        error = capsys.readouterr().err
        assert error.startswith(f"error: {torn}: expected " if place == torn.parent else "error: ")
        assert error.count("\n") == error.count(": expected ") == 1
        assert ".." not in error
    assert not (tmp_path / "report.html").exists()


def test_parts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ["seed", "seed-2", "seed-10", "seed-11", "seed-11-2", "seed0", "seed10"]
    for name in reversed(names):
        record_command(make_folder(tmp_path / name), "python")
    assert [folder.name for folder in report.found(tmp_path)] == ["seed", "seed0", "seed10", *names[1:5]]


def test_figures_are_kept_in_fewer_bytes_that_look_alike(tmp_path: Path) -> None:
    path = tmp_path / "sen.png"
    drawn = Figure(figsize=(4.0, 3.0), layout="constrained")
    axes = drawn.subplots()
    for k, colour in enumerate(COLOURS):
        axes.plot(np.sin(np.arange(200) / 30 + k), color=colour)
    write_figure(lambda: drawn, path)
    record_command(tmp_path, "python")
    (figure,) = report.part(tmp_path, tmp_path).figures
    data = base64.b64decode(figure.data.removeprefix("data:image/png;base64,"))
    assert len(data) < path.stat().st_size / 2
    ours, theirs = (np.asarray(Image.open(each).convert("RGB"), float) for each in (BytesIO(data), path))
    assert np.abs(ours - theirs).mean() < 1.0  # of 255


def test_many_classes_are_counted_and_few_are_named(tmp_path: Path) -> None:
    record_command(tmp_path, "python")
    for count, told in ((2, "class 0 = 0, class 1 = 1<"), (40, "class 11 = 11 and 28 more; summary.json lists all")):
        write_json(tmp_path / "summary.json", {"classes": {f"class {k}": k for k in range(count)}})
        (table,) = report.part(tmp_path, tmp_path).tables
        assert told in table
        assert table.count("<tr>") == 1


def test_nested_numbers_are_named_by_where_they_are() -> None:
    assert list(report.flat({"a": {"b": 0.12345, "c": [1]}, "d": None, "e": "x"})) == [
        ("a · b", "0.1235"),
        ("e", "x"),
    ]
