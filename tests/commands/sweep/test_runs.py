"""One run of a sweep: what the command for one run says of it, in a row; a pure function of its settings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import attn_dynamics.commands.sweep.command as command
from attn_dynamics import Run
from attn_dynamics.commands import corpus_run
from attn_dynamics.commands.sweep.runner import outcome
from attn_dynamics.commands.sweep.table import RESULTS, Row, settings
from attn_dynamics.errors import InputError
from attn_dynamics.results.figures import run as run_figures
from attn_dynamics.results.summary import versions
from attn_dynamics.system.workers import in_line
from attn_dynamics.tasks import Synthetic, TextOptions
from attn_dynamics.training import configured_run
from attn_dynamics.training.corpus_config import Config
from tests.commands.driving import Call, film_folder, read_json, without_figures
from tests.commands.sweep.driving import TINY, differences, rows

SMALL = Synthetic(dictionary=50, sentences=40, test_sentences=10, other_words=5)


@pytest.mark.parametrize("text", [False, True])
def test_a_row_says_what_the_summary_of_the_same_run_says(
    text: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_figures, "save_figures", without_figures)
    task = str(film_folder(tmp_path / "films")) if text else "synthetic"
    config = Config(task=task, model="attn-tl", epochs=60, seed=3, synthetic=SMALL, out=tmp_path / "one")
    corpus_run.simulate(config, "python")
    summary = read_json(tmp_path / "one" / "summary.json")
    found = outcome(config)
    assert found["broken_assumptions"] != ""
    for name in RESULTS.keys() - {"broken_assumptions", "seconds", "message", "last_epoch", "versions", "data"}:
        expected = found[name] if not isinstance(found[name], float) or np.isfinite(found[name]) else None
        assert summary[name] == expected, name
    assert found["last_epoch"] == summary["epochs"]
    assert found["versions"] == " ".join(summary["versions"])
    assert (found["dev_loss"] is None) != text
    assert (found["data"] is None) != text


def test_a_run_is_a_pure_function_of_its_settings() -> None:
    config = Config(epochs=60, synthetic=SMALL)
    first = outcome(config)
    outcome(Config(epochs=30, model="attn-fc", seed=1, synthetic=SMALL))
    assert differences([first], [outcome(config)]) == []


def test_a_row_names_the_assumptions_that_its_run_breaks() -> None:
    few, usual = (Config(epochs=1, synthetic=Synthetic(dictionary=size)) for size in (10, 5000))
    assert outcome(few)["broken_assumptions"] == "rare other words (B1, C10)"
    assert outcome(usual)["broken_assumptions"] == ""


def test_a_run_that_diverges_has_a_row_that_says_so(call: Call) -> None:
    done = call(*TINY, "--learning-rate", "0.1", "1e6", "1e300", "--out", "here")
    assert done.code == 0
    assert "3 of 3 runs are in here/results.parquet, 2 diverged" in done.out
    fine, late, at_once = rows(Path("here"))
    assert (fine["ended"], fine["message"]) == ("epochs", None)
    for each in (late, at_once):
        assert each["ended"] == "diverged"
        assert "expected a finite number" in each["message"]
    assert {each["versions"] for each in (fine, late, at_once)} == {" ".join(versions())}
    assert late["last_epoch"] > 0
    assert np.isfinite(late["train_loss"])


def test_settings_that_the_synthetic_task_refuses_have_a_row_that_says_so() -> None:
    found = outcome(Config(start="lmn21", embedding_dim=2, synthetic=SMALL))
    assert found["ended"] == "refused"
    assert "embedding_dim: expected at least the 4 columns" in found["message"]
    assert found["train_loss"] is None


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_what_the_machine_lacks_is_no_result_and_is_tried_again(
    device: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when the command looked. Negative control: what the task refuses is a row, and not tried again."""
    if device == "cpu":
        pytest.importorskip("torch", reason="needs PyTorch")
    arguments = (*TINY, "--device", device, "--seed", 0, 1, "--out", "here")

    def failing(client: None, configs: Sequence[Config]) -> Iterator[tuple[list[Row], list[str]]]:
        for config in configs:
            if config.seed:
                yield [outcome(replace(config, start="lmn21", embedding_dim=2)) | settings(config)], []
                continue
            with pytest.raises(InputError, match="device: expected enough memory") as caught:
                outcome(config)
            yield [], [in_line(caught.value)]

    def short_of_memory(*_: object, **__: object) -> Run:
        raise InputError("device", expected="enough memory", given=device, fix="Train fewer at once.")

    with monkeypatch.context() as patch:
        patch.setattr(command, "stream", failing)
        patch.setattr(configured_run, "descend" if device == "numpy" else "descend_many", short_of_memory)
        done = call(*arguments)
    assert done.code == 1
    assert "error: 1 runs failed, the first by InputError: device: expected enough memory" in done.said
    assert [(each["seed"], each["ended"]) for each in rows(Path("here"))] == [(1, "refused")]
    assert call(*arguments, "--resume").code == 0
    assert [(each["seed"], each["ended"]) for each in rows(Path("here"))] == [(0, "epochs"), (1, "refused")]


@pytest.mark.parametrize("task", ["sst2", "films.txt"])
def test_data_that_cannot_be_loaded_are_no_result(task: str, place: Path) -> None:
    """They may be there the next time. Negative control: the test above, whose error is of the same class."""
    with pytest.raises(InputError, match="nowhere" if task == "sst2" else task):
        outcome(Config(task=task, data_dir=Path("/nowhere"), start="lmn21", embedding_dim=2))


def test_a_split_that_cannot_be_used_is_no_result(place: Path) -> None:
    """Two sentences of training data know two words of four at most: few sentences are left, perhaps of one class."""
    (place / "films.txt").write_text("".join(f"{number % 2} word{number % 4}\n" for number in range(20)))
    text = TextOptions(vocabulary="train", split=(0.1, 0.1, 0.8))

    def ending(seed: int) -> str:
        try:
            return outcome(Config(task="films.txt", epochs=3, seed=seed, text=text))["ended"]
        except InputError as error:
            return str(error).split(":")[0]

    assert {ending(seed) for seed in range(12)} == {"epochs", "films.txt", "films.txt, dev data"}


def test_the_start_scale_moves_the_embeddings_alone() -> None:
    found = [outcome(Config(epochs=0, start_scale=scale, synthetic=SMALL)) for scale in (1.0, 100.0)]
    assert found[0]["query_norm"] == found[1]["query_norm"]
    off = [abs(each["train_loss"] - np.log(4)) for each in found]
    assert off[1] > 10 * off[0] > 0
