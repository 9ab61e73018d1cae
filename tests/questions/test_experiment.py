"""`simulations.squad` with an encoder of two layers and questions made up: what it leaves, and how it goes on."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from matplotlib.image import imread
from safetensors.torch import load_file, save_file
from transformers import AlbertConfig, AlbertModel

from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.results.figures import style
from simulations import squad, squad_experiment
from simulations.squad_rows import COMPARED, ROWS

FIGURES = {"scores", "differences", "widths", "loss", "learning", "cost"}
SOME = ("fixed", "product", "narrow", "narrow-log", "two-stages", "sliced-10")
SIZE = (
    "--seeds",
    "2",
    "--questions",
    "12",
    "--judged",
    "6",
    "--length",
    "40",
    "--window",
    "33",
    "--batch-size",
    "4",
    "--workers",
    "1",
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def asked_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of questions in the official layout."""
    folder = tmp_path_factory.mktemp("squad")
    for part, number in (("train", 20), ("dev", 10)):
        paragraphs = [paragraph(part, k) for k in range(number)]
        content = {"version": "1.1", "data": [{"title": "houses", "paragraphs": paragraphs}]}
        (folder / f"{part}.json").write_text(json.dumps(content))
    return folder


def paragraph(part: str, k: int) -> dict[str, Any]:
    """A passage with its question."""
    word = ("red", "green", "blue", "black")[k % 4]
    context = f"{'so ' * (k % 5)}the house is {word} and old"
    answer = {"text": word, "answer_start": context.index(word)}
    return {"context": context, "qas": [{"id": f"{part}-{k}", "question": "the house?", "answers": [answer]}]}


def run(folder: Path, data: Path, encoder: Path, *arguments: str) -> int:
    given = ("--data-dir", str(data), "--encoder", str(encoder), "--out", str(folder))
    try:
        return squad.main([*given, *SIZE, *arguments])
    except SystemExit as end:  # what options alone tell
        return int(end.code or 0)


def test_what_it_leaves(tmp_path: Path, asked_of: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some rows; then again, taken over but for one."""
    given = ("--epochs", "2", "--learning-rate", "1e-2", "--row", *SOME)
    assert run(tmp_path, asked_of, tiny, *given) == 0
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    assert rows.groupby("row", sort=False).size().to_dict() == dict.fromkeys(SOME, 2)
    assert rows.f1.between(0, 100).all()
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == FIGURES
    for path in (tmp_path / "figures").iterdir():
        assert imread(path)[..., :3].std() > 0.03, path
    by_row = rows.groupby("row")
    # Where no bell is trained its width stays; what is trained moves about as far as steps that all go one way lead it,
    # at most: Adam's are longer than the rate where gradients grow, by a tenth here.
    assert by_row.width.first()["fixed"] == by_row.width.last()["fixed"] == ROWS["fixed"].start_width
    assert by_row.reach.first()["fixed"] == 0.0
    cells = {path.stem: xr.load_dataset(path) for path in (tmp_path / "cells").glob("*.nc")}
    assert len(cells) == 2 * len(SOME)
    for name in ("product", "narrow", "narrow-log"):
        row, cell = ROWS[name], cells[f"{name}-0"]
        bell = Bell(row.placement, row.scale)
        path = bell.of.parameter(cell.width.values)
        assert 0.0 < np.abs(path - path[0]).max() <= 1.1 * cell.attrs["reach"], name
    two = cells["two-stages-1"]
    assert two.attrs["stage_2"] == 3
    assert np.isnan(two.slope[3:]).all()
    assert np.isfinite(two.slope[:3]).all()
    assert (two.half_width[:3] == 16).all()
    assert (cells["sliced-10-0"].half_width == 16).all()
    assert cells["sliced-10-0"].slope.isnull().all(), "its σ is never trained"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["differences_in_f1"]) == {title for title, pair in COMPARED.items() if set(pair) <= set(SOME)}
    gap = rows.pivot(index="seed", columns="row", values="f1")
    told = summary["differences_in_f1"]["no bell, less narrow product"]["mean"]
    assert told == pytest.approx((gap["fixed"] - gap["product"]).mean())

    (tmp_path / "cells/narrow-1.nc").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    del config["shortest"]  # as in folders that were made before it was an option
    (tmp_path / "config.json").write_text(json.dumps(config))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    monkeypatch.setattr(style, "draw_all", lambda figures: [*figures])  # they were looked at above
    assert run(tmp_path, asked_of, tiny, *given, "--resume") == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    again = pd.read_parquet(tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(again.drop(columns="stage_2_time"), rows.drop(columns="stage_2_time"))


def test_an_encoder_that_shares_its_layers(
    tmp_path: Path, asked_of: Path, word_pieces: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has one bell for all of them; a row that it cannot train is left out, and the others stay."""
    encoder, usual = tmp_path / "encoder", squad_experiment.train
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    AlbertModel(AlbertConfig(vocab_size=len(word_pieces), embedding_size=8, **shape)).save_pretrained(encoder)
    word_pieces.save_pretrained(encoder)

    def refusing(model: Any, features: Any, plan: Any, **others: Any) -> xr.Dataset:
        if plan.bell_rule == "descent":
            raise InputError("encoder", expected="another", given="this", fix="Take another.")
        return usual(model, features, plan, **others)

    monkeypatch.setattr(squad_experiment, "train", refusing)
    monkeypatch.setattr(style, "draw_all", lambda figures: [*figures])
    few = ("--row", "two-stages", "narrow-heads", "narrow-descent")
    assert run(tmp_path / "out", asked_of, encoder, *few) == 1
    rows = pd.read_parquet(tmp_path / "out/rows.parquet")
    assert set(rows.row) == {"two-stages", "narrow-heads"}
    # What is there can be told without training.
    monkeypatch.setattr(squad_experiment, "train", lambda *given, **others: pytest.fail("nothing is trained"))
    assert run(tmp_path / "out", asked_of, encoder, *few, "--resume", "--no-trained") == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out/rows.parquet"), rows)


@pytest.mark.slow
def test_other_weights_are_another_experiment(tmp_path: Path, asked_of: Path, tiny: Path) -> None:
    encoder, few = tmp_path / "encoder", ("--row", "fixed")
    shutil.copytree(tiny, encoder)
    assert run(tmp_path / "out", asked_of, encoder, *few) == 0
    files = list((tmp_path / "out/cells").iterdir())
    before = [file.read_bytes() for file in files]
    assert run(tmp_path / "out", asked_of, encoder, *few, "--resume") == 0
    assert [file.read_bytes() for file in files] == before
    weights = encoder / "model.safetensors"
    save_file({name: 1.01 * each for name, each in load_file(weights).items()}, weights, metadata={"format": "pt"})
    assert run(tmp_path / "out", asked_of, encoder, *few, "--resume") == 2
    assert [file.read_bytes() for file in files] == before
    assert run(tmp_path / "out", asked_of, encoder, *few, "--overwrite") == 0
    assert all(file.read_bytes() != each for file, each in zip(files, before, strict=True))


@pytest.mark.slow
def test_a_row_that_diverges_is_told_and_the_others_are_there(
    tmp_path: Path,
    asked_of: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    usual = squad_experiment.train

    def diverging(model: Any, features: Any, plan: Any, **others: Any) -> xr.Dataset:
        if plan.bell_rate == 1.0 and plan.seed == 1:
            raise ArithmeticError("the loss is nan at step 3")
        return usual(model, features, plan, **others)

    monkeypatch.setattr(squad_experiment, "train", diverging)
    assert run(tmp_path / "out", asked_of, tiny, "--row", "fixed", "narrow", "narrow-100") == 1
    assert "narrow-1: the loss is nan at step 3" in capfd.readouterr().out
    assert set(pd.read_parquet(tmp_path / "out/rows.parquet").row) == {"fixed", "narrow-100"}
    assert run(tmp_path / "alone", asked_of, tiny, "--row", "narrow") == 1
    assert capfd.readouterr().err.endswith("error: narrow-1: the loss is nan at step 3\n")


def test_ctrl_c_keeps_what_was_trained(
    tmp_path: Path,
    asked_of: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    few = ("--row", "narrow-100", "--epochs", "4")
    assert run(tmp_path / "whole", asked_of, tiny, *few) == 0
    usual = squad_experiment.train

    def cut_off(*given: Any, show: Any, **others: Any) -> xr.Dataset:
        def stop(step: int, loss: float) -> None:
            show(step, loss)
            if step == 7:
                signal.raise_signal(signal.SIGINT)

        return usual(*given, show=stop, **others)

    monkeypatch.setattr(squad_experiment, "train", cut_off)
    assert run(tmp_path / "cut", asked_of, tiny, *few) == 130
    assert "--resume" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "cut/cells").iterdir()] == ["narrow-100-0.npz"]
    monkeypatch.setattr(squad_experiment, "train", usual)
    assert run(tmp_path / "cut", asked_of, tiny, *few, "--resume") == 0
    one, other = (xr.load_dataset(tmp_path / each / "cells/narrow-100-0.nc") for each in ("whole", "cut"))
    assert one.drop_vars("seconds").identical(other.drop_vars("seconds"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--row", "broad"), "--row"),
        (("--questions", "0"), "--questions"),
        (("--window", "32"), "--window: expected an odd number"),
        (("--window", "385"), "at most 383 tokens"),
        (("--length", "193"), "--length"),
        (("--length", "64", "--shortest", "65"), "--shortest: expected at most 64"),
        (("--passages", "all", "--shortest", "2"), "--passages short"),
        (("--questions", "21"), "questions"),
        (("--learning-rate", "-1"), "--learning-rate"),
        (("--error", "0"), "--error"),
        (("--encoder", str(Path(__file__).parent)), "encoder"),
        (("--no-trained",), "--out: expected a folder with runs"),
        (("--no-trained", "--overwrite"), "--overwrite: expected either this or --no-trained"),
    ],
)
def test_what_cannot_be_used(
    tmp_path: Path,
    asked_of: Path,
    tiny: Path,
    given: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(squad_experiment, "train", lambda *given, **others: pytest.fail("nothing is trained before"))
    assert run(tmp_path / "new", asked_of, tiny, *given) == 2
    error = capfd.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "new").exists()


def test_a_malformed_file_names_the_question(
    tmp_path: Path,
    asked_of: Path,
    tiny: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for file in asked_of.iterdir():
        (folder / file.name).write_text(file.read_text().replace('"answer_start": 13', '"answer_start": 14'))
    assert run(tmp_path / "out", folder, tiny) == 2
    assert "question train-0" in capfd.readouterr().err


def test_a_device_that_is_not_there_is_told_before_any_data_are_read(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run(tmp_path, tmp_path / "nowhere", tiny, "--device", "cuda") == 2
    assert "--device: expected a GPU for cuda, got none" in capfd.readouterr().err
