"""Claim: runs are drawn on common axes as they were recorded, each beside its own theory and named by what differs."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from analysis.compare import __main__ as compare
from analysis.compare.figures import FIGURES, WINDOW_FIGURES, leaders, loss_figure, sen_figure, signals_figure
from analysis.compare.runs import Compared, names_of, read_run, read_runs
from attn_dynamics.commands import simulate, window_run
from attn_dynamics.commands.shell import BAD_INPUT
from attn_dynamics.files.storage import read_netcdf, write_netcdf
from attn_dynamics.results.figures import replicates as spread
from attn_dynamics.results.figures import run as run_figures
from attn_dynamics.results.figures import style
from tests.commands.driving import TINY, without_figures

Trained = Callable[..., Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A function that trains a tiny run and returns its folder; equal arguments share it."""
    place, known = tmp_path_factory.mktemp("runs"), dict[tuple[str, ...], Path]()

    def train(*arguments: str) -> Path:
        if arguments not in known:
            folder = known[arguments] = place / f"run-{len(known)}"
            tiny = ("--epochs", "40") if "attn-window" in arguments else TINY
            assert simulate.main([*tiny, *arguments, "--out", str(folder)]) == 0
        return known[arguments]

    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (run_figures, "save_figures"),
            (spread, "save_replicates"),
            (window_run, "save_window_figures"),
        ):
            patch.setattr(module, name, without_figures)
        yield train


@pytest.fixture
def heads(trained: Trained) -> list[Path]:
    return [trained("--model", f"attn-{head}") for head in ("fc", "tc", "tl")]


def lines(figure: Figure, panel: int) -> list[Line2D]:
    return [*figure.axes[panel].lines]


def same(line: Line2D, x: ArrayLike, y: ArrayLike) -> bool:
    return np.array_equal(line.get_xydata(), np.column_stack([x, y]))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_command_draws_and_tells_three_heads(
    heads: Sequence[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LMN21's own comparison; a second call is refused, and --overwrite replaces what is the command's alone."""
    call, out = [*map(str, heads), "--out", str(tmp_path / "out")], tmp_path / "out"
    assert compare.main(call) == 0
    told = capsys.readouterr().out
    assert {path.stem for path in out.glob("*.png")} == set(FIGURES)
    for path in out.glob("*.png"):
        assert imread(path)[..., :3].std() > 0.03, path
    rows = pd.read_csv(out / "table.csv")
    assert rows.model.tolist() == ["attn-fc", "attn-tc", "attn-tl"]
    assert "seed" not in rows, "what is the same in all is left out"
    assert f"{rows.train_loss[2]:.4g}" in told
    (out / "mine.txt").touch()
    assert compare.main(call) == BAD_INPUT
    assert "--overwrite" in capsys.readouterr().err
    assert compare.main([*call, "--overwrite"]) == 0
    assert (out / "mine.txt").exists()


def test_signals_losses_and_the_sen_plane_are_those_of_the_runs(heads: Sequence[Path]) -> None:
    runs = read_runs(heads)
    signals, loss, sen = (draw(runs) for draw in (signals_figure, loss_figure, sen_figure))
    assert legend(signals) == ["attn-fc", "attn-tc", "attn-tl"]
    for k, each in enumerate(runs):
        for panel, name in enumerate(("score_signal", "embedding_signal")):
            drawn = lines(signals, panel)[k]
            assert same(drawn, each.run.time, each.run[name])
            assert not same(drawn, each.run.time, runs[k - 1].run[name]), "negative control: another run's"
            assert (drawn.get_color(), drawn.get_marker()) == (style.COLOURS[k], style.MARKERS[k])
        assert any(same(line, each.run.time, each.run.train_loss) for line in lines(loss, 0))
        curve = leaders(runs)[k]
        marks, theory = lines(sen, 0)[2 * k : 2 * k + 2]
        assert (marks.get_linestyle(), theory.get_marker()) == ("None", ""), "told apart in grey"
        x, y = np.transpose(theory.get_xydata())
        np.testing.assert_array_equal(y, curve.sen_norm(each.run.attrs["query_norm"], x))
        assert np.isin(marks.get_xdata(), curve.score).all()
    assert len({line.get_linestyle() for line in lines(signals, 0)}) == len(runs)


def test_runs_are_named_by_what_differs_alone(trained: Trained, heads: Sequence[Path]) -> None:
    slow, fast = trained("--model", "attn-fc"), trained("--model", "attn-fc", "--learning-rate", "0.5")
    other = trained("--model", "attn-tc", "--seed", "3")
    assert names_of(read_runs([slow, fast])) == ["η = 0.1", "η = 0.5"]
    assert names_of(read_runs([heads[1], other])) == ["seed 0", "seed 3"]
    assert names_of(read_runs([heads[0], other])) == ["attn-fc, seed 0", "attn-tc, seed 3"]
    twin = slow.with_name("twin")
    if not twin.exists():
        shutil.copytree(slow, twin)
    assert names_of(read_runs([slow, twin])) == [str(slow), str(twin)]


def test_a_replicate_is_a_run_and_several_are_none(trained: Trained) -> None:
    folder = trained("--model", "attn-fc", "--replicates", "2")
    alone, second = read_runs([trained("--model", "attn-fc"), folder / "replicate-1"])
    assert names_of([alone, second]) == ["replicate 0", "replicate 1"]
    first = read_run(folder / "replicate-0")
    assert first.config == alone.config
    assert first.run.score_signal.equals(alone.run.score_signal)
    with pytest.raises(ValueError, match=r"expected one run, got 2 replicates. Name those to compare, such as .*-0"):
        read_run(folder)


def test_momentum_has_its_effective_time(trained: Trained, heads: Sequence[Path]) -> None:
    """Time is η/(1 - β) × epoch (G2): there the losses of momentum and descent agree, and in plain time they do not."""
    pushed = trained("--model", "attn-fc", "--rule", "momentum", "--momentum", "0.9", "--learning-rate", "0.01")
    plain, momentum = read_runs([heads[0], pushed])
    np.testing.assert_allclose(momentum.time, plain.time, rtol=1e-12)
    figure = signals_figure([plain, momentum])
    assert figure.axes[0].get_xlabel() == "time, effective learning rate × step"
    assert "G2" in figure.get_suptitle()
    assert "G2" not in signals_figure([plain, plain]).get_suptitle()


def test_steps_are_counted_where_an_epoch_has_several_and_compared_where_a_rule_has_no_rate(
    trained: Trained, heads: Sequence[Path]
) -> None:
    batches = trained("--model", "attn-fc", "--batch-size", "20")
    adam = trained("--model", "attn-fc", "--rule", "adam", "--batch-size", "20")
    plain, mini = read_runs([heads[0], batches])
    steps = mini.run.attrs["steps_per_epoch"]
    assert steps > 1 == plain.run.attrs["steps_per_epoch"]
    np.testing.assert_allclose(mini.time, steps * mini.run.time.values)
    plain, mini, fast = read_runs([heads[0], batches, adam])
    for each, count in ((plain, 1), (mini, steps), (fast, steps)):
        np.testing.assert_allclose(each.time, count * each.run.epoch.values)
    figure = signals_figure([plain, mini, fast])
    assert figure.axes[0].get_xlabel() == "steps"
    assert "not every rule has a rate of flow" in figure.get_suptitle()
    table = compare.table_of([plain, fast])
    assert "∫ Tₛ dτ" not in table
    assert "∫ Tₛ dτ" in compare.table_of(read_runs(heads)), "negative control"


def test_windows_are_compared_with_windows(
    trained: Trained, tmp_path: Path, heads: Sequence[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [trained("--model", "attn-window", "--start-width", width) for width in ("3", "8")]
    assert names_of(read_runs(folders)) == ["σ₀ = 3", "σ₀ = 8"]
    assert compare.main([*map(str, folders), "--out", str(tmp_path / "out")]) == 0
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == set(WINDOW_FIGURES)
    capsys.readouterr()
    assert compare.main([str(folders[0]), str(heads[0]), "--out", str(tmp_path / "mixed")]) == BAD_INPUT
    assert "Compare windows with windows" in capsys.readouterr().err


def older(folder: Path) -> None:
    kept = json.loads((folder / "config.json").read_text())
    del kept["momentum"]
    (folder / "config.json").write_text(json.dumps(kept))


def newer(folder: Path) -> None:
    kept = json.loads((folder / "config.json").read_text()) | {"warmth": 1}
    (folder / "config.json").write_text(json.dumps(kept))


def broken(folder: Path) -> None:
    (folder / "trajectory.nc").write_bytes((folder / "trajectory.nc").read_bytes()[:-100])


def started(folder: Path) -> None:
    write_netcdf(folder / "trajectory.nc", read_netcdf(folder / "trajectory.nc").isel(epoch=[0]))


def unended(folder: Path) -> None:
    (folder / "summary.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (older, "a run of this version, got one without momentum"),
        (newer, "a run of this version, got one with warmth"),
        (broken, "the results of a run, got .*trajectory.nc, which cannot be read"),
        (unended, "the results of a run, got .*summary.json, which cannot be read"),
        (started, "a run with a step or more"),
        (shutil.rmtree, "the results of a run, got .*config.json, which cannot be read"),
    ],
)
def test_what_is_no_run_is_one_line(
    spoil: Callable[[Path], object],
    told: str,
    heads: Sequence[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad, out = tmp_path / "bad", tmp_path / "out"
    shutil.copytree(heads[0], bad)
    spoil(bad)
    assert compare.main([str(heads[1]), str(bad), "--out", str(out)]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == error.count(": expected ") == 1
    assert pd.Series([error]).str.contains(told).all(), error
    assert not out.exists()


def test_a_folder_that_is_named_like_a_replicate_is_refused_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"replicate-two/config\.json, which cannot be read"):
        read_run(tmp_path / "replicate-two")


@pytest.mark.parametrize("number", [0, 1, 9])
def test_a_comparison_takes_two_runs_to_eight(number: int, heads: Sequence[Path]) -> None:
    with pytest.raises(ValueError, match="two to 8 folders"):
        read_runs([heads[0]] * number)
    with pytest.raises(ValueError, match="twice"):
        read_runs([heads[0]] * 2)


def test_words_that_are_not_shared_are_each_runs_own(heads: Sequence[Path]) -> None:
    first, second = read_runs(heads[:2])
    theirs = second.run.assign_coords(word=np.char.add("x", second.run.word.values.astype(str)))
    theirs = theirs.assign_coords(vocabulary=np.char.add("x", theirs.vocabulary.values.astype(str)))
    apart = Compared(folder=second.folder, config=second.config, run=theirs, summary=second.summary)
    one, other = leaders([first, apart])
    assert other.word.startswith("x")
    assert other.score[-1] == pytest.approx(theirs.score.values[-1].max())
    assert [each.word for each in leaders([first, second])] == [one.word] * 2, "negative control"
