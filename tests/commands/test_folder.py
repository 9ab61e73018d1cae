"""The folder of a run: nothing that somebody may want is overwritten or removed without being asked to."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from attn_dynamics.commands import simulate
from attn_dynamics.results.figures import run as run_figures
from tests.commands.driving import TASK, TINY, Call, contents, differences, films, read_json, without_figures


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_figures, "save_figures", without_figures)
        assert simulate.main([*TINY, "--seed", "7", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(kept: Path, place: Path) -> Path:
    """The results of a tiny run, seed 7."""
    shutil.copytree(kept, place / "here")
    return Path("here")


def test_results_of_another_run_are_not_overwritten(run: Path, call: Call) -> None:
    before = contents(run)
    for seed in ("7", "8"):
        done = call(*TINY, "--seed", seed, "--out", "here")
        assert done.code == 2
        assert done.said.startswith("error: --out: expected a new or empty folder, got here")
        assert "--resume" in done.said
        assert "--overwrite" in done.said
        assert contents(run) == before


def test_results_are_replaced_when_asked(run: Path, call: Call) -> None:
    assert call(*TINY, "--seed", "8", "--out", "here", "--overwrite").code == 0
    assert call(*TINY, "--seed", "8", "--out", "fresh").code == 0
    assert differences(run, Path("fresh")) == []


def test_replicates_are_replaced_too(call: Call) -> None:
    assert call(*TINY, "--replicates", "2", "--out", "here").code == 0
    assert call(*TINY, "--out", "here", "--overwrite").code == 0
    assert call(*TINY, "--out", "fresh").code == 0
    assert contents(Path("here")).keys() == contents(Path("fresh")).keys()


@pytest.mark.parametrize("name", ["notes.txt", "mine/notes.txt", "figures/mine.png", "replicate-notes.txt"])
def test_what_others_put_beside_the_results_is_kept(name: str, run: Path, call: Call) -> None:
    note = run / name
    note.parent.mkdir(exist_ok=True)
    note.write_bytes(b"mine")
    call(*TINY, "--out", "here", "--overwrite")
    assert note.read_bytes() == b"mine"


FOREIGN = {
    "notes": {"notes.txt": b"mine"},
    "another program's configuration": {"config.json": b'{"layers": 12}', "figures/mine.png": b"mine"},
    "a list as configuration": {"config.json": b"[1, 2]", "summary.json": b"mine"},
    "a text as configuration": {"config.json": b'"x"', "summary.json": b"mine"},
    "a configuration that is no JSON": {"config.json": b"layers: 12", "checkpoint.npz": b"mine"},
    "a configuration that is no text": {"config.json": b"\xff\xfe\x00", "trajectory.nc": b"mine"},
    "a folder alone": {"figures/mine.png": b"mine"},
}


@pytest.mark.parametrize("flag", [(), ("--overwrite",), ("--resume",)])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_folder_of_other_files_is_refused_and_left_alone(kind: str, flag: tuple[str, ...], call: Call) -> None:
    for name, content in FOREIGN[kind].items():
        path = Path("here") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    before = contents(Path("here"))
    done = call(*TINY, "--out", "here", *flag)
    assert contents(Path("here")) == before
    assert done.code == 2
    assert "expected" in done.said
    assert "here" in done.said


@pytest.fixture(params=[("epochs",), ("device", "precision")], ids=" and ".join)
def missing(request: pytest.FixtureRequest, run: Path) -> str:
    """What the configuration of the run lacks, as that of an earlier version does."""
    config = read_json(run / "config.json")
    for name in request.param:
        del config[name]
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return ", ".join(request.param)


def test_a_run_of_an_earlier_version_is_not_gone_on_with(missing: str, run: Path, call: Call) -> None:
    before = contents(run)
    done = call(*TINY, "--seed", "7", "--out", "here", "--resume")
    assert done.code == 2
    assert f"--resume: expected a run of this version in here, got one whose config.json has no {missing}" in done.said
    assert "--overwrite" in done.said
    assert contents(run) == before


def test_a_run_of_an_earlier_version_is_replaced_only_when_asked(missing: str, run: Path, call: Call) -> None:
    before = contents(run)
    refused = call(*TINY, "--seed", "8", "--out", "here")
    assert (refused.code, contents(run)) == (2, before)
    assert "which holds the results of a run" in refused.said
    assert call(*TINY, "--seed", "8", "--out", "here", "--overwrite").code == 0
    assert call(*TINY, "--seed", "8", "--out", "fresh").code == 0
    assert differences(run, Path("fresh")) == []


def test_a_configuration_without_a_task_is_of_no_run(missing: str, run: Path, call: Call) -> None:
    """Negative control of the test above: the folder may be anybody's."""
    config = read_json(run / "config.json")
    del config["task"]
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    before = contents(run)
    done = call(*TINY, "--out", "here", "--overwrite")
    assert done.code == 2
    assert "which holds other files and no config.json of a run" in done.said
    assert contents(run) == before


def test_without_a_name_every_run_gets_a_folder_of_its_own(call: Call, tmp_path: Path) -> None:
    said = [call(*TINY).out for _ in range(3)]
    first = Path("runs/attn-tc-synthetic-seed0")
    assert sorted(map(str, Path("runs").iterdir())) == [str(first), f"{first}-2", f"{first}-3"]
    assert f"{first}-3" in said[-1]
    assert differences(first, Path(f"{first}-3")) == []
    call(*TINY, "--model", "attn-fc", "--seed", "4")
    assert Path("runs/attn-fc-synthetic-seed4/summary.json").exists()
    call("--task", films(tmp_path / "films.txt"), "--epochs", "3")
    assert Path("runs/attn-tc-films.txt-seed0/summary.json").exists()


def test_without_a_name_the_last_run_is_resumed(call: Call) -> None:
    call(*TINY)
    call(*TINY)
    before = contents(Path("runs/attn-tc-synthetic-seed0"))
    assert call("--epochs", "75", *TASK, "--resume").code == 0
    assert read_json(Path("runs/attn-tc-synthetic-seed0-2/summary.json"))["epochs"] == 75
    assert contents(Path("runs/attn-tc-synthetic-seed0")) == before
    assert len(list(Path("runs").iterdir())) == 2


def test_a_folder_deep_below_is_made(call: Call) -> None:
    assert call(*TINY, "--out", "a/b/c").code == 0
    assert Path("a/b/c/summary.json").exists()


# --- resumed by what it is not


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("learning_rate", ("--learning-rate", "0.2")),
        ("model", ("--model", "attn-tl")),
        ("train", ("--train", "keys", "head")),
        ("follow", ("--follow", "w1")),
        ("embedding_dim", ("--embedding-dim", "7")),
        ("replicates", ("--replicates", "2")),
        ("dictionary", ("--dictionary", "51")),
        ("reduction", ("--no-reduction",)),
    ],
)
def test_another_configuration_is_refused_by_name(name: str, changed: tuple[str, ...], run: Path, call: Call) -> None:
    before = contents(run)
    done = call(*TINY, "--seed", "7", "--out", "here", "--resume", *changed)
    assert done.code == 2
    assert name in done.said
    assert changed[-1].removeprefix("--").removeprefix("no-") in done.said
    assert "expected the settings of the run in here" in done.said
    assert contents(run) == before


def test_only_the_settings_that_differ_are_named(run: Path, call: Call) -> None:
    done = call(*TINY, "--seed", "9", "--dictionary", "51", "--out", "here", "--resume")
    assert "seed = 9 instead of 7" in done.said
    assert "51" in done.said
    assert "sentences" not in done.said
    assert "learning_rate" not in done.said


def test_the_checkpoint_of_another_run_is_refused(run: Path, call: Call) -> None:
    call(*TINY, "--seed", "8", "--out", "other")
    (run / "checkpoint.npz").write_bytes(Path("other/checkpoint.npz").read_bytes())
    before = contents(run)
    done = call(*TINY, "--seed", "7", "--out", "here", "--resume")
    assert done.code == 2
    assert "checkpoint.npz: expected a checkpoint of this run" in done.said
    assert contents(run) == before


def test_a_checkpoint_of_data_that_changed_is_refused(call: Call, tmp_path: Path) -> None:
    path = films(tmp_path / "films.txt")
    arguments = ("--task", path, "--epochs", "20", "--out", "here")
    call(*arguments)
    films(path, seed=1)
    before = contents(Path("here"))
    done = call(*arguments, "--resume")
    assert done.code == 2
    assert "corpus" in done.said
    assert contents(Path("here")) == before


def damaged(good: bytes, kind: str) -> bytes:
    if kind == "a single array":
        np.save("single.npy", np.zeros(3))
        return Path("single.npy").read_bytes()
    if kind == "another archive":
        np.savez("other.npz", weight=np.zeros(3))
        return Path("other.npz").read_bytes()
    return {"empty": b"", "cut short": good[: len(good) // 2], "no archive": b"anything", "zeros": bytes(len(good))}[
        kind
    ]


@pytest.mark.parametrize("kind", ["empty", "cut short", "no archive", "zeros", "a single array", "another archive"])
def test_a_damaged_checkpoint_is_refused_and_nothing_is_touched(kind: str, run: Path, call: Call) -> None:
    path = run / "checkpoint.npz"
    path.write_bytes(damaged(path.read_bytes(), kind))
    before = contents(run)
    done = call(*TINY, "--seed", "7", "--out", "here", "--resume")
    assert done.code == 2
    assert "checkpoint.npz: expected a checkpoint" in done.said
    assert contents(run) == before


def test_a_run_that_could_not_be_lengthened_is_not_said_to_be_longer(run: Path, call: Call) -> None:
    (run / "checkpoint.npz").write_bytes(b"anything")
    before = contents(run)
    assert call("--epochs", "80", *TASK, "--seed", "7", "--out", "here", "--resume").code == 2
    assert contents(run) == before


# --- asked for something that cannot be done


LATE = {
    "a word that is not there": ("--follow", "unheard"),
    "patience without dev data": ("--patience", "5"),
    "too few dimensions": ("--start", "lmn21", "--embedding-dim", "2"),
    "no such task": ("--task", "nothing"),
}


@pytest.mark.parametrize("kind", LATE)
def test_what_cannot_be_done_does_not_cost_the_results_it_was_to_replace(kind: str, run: Path, call: Call) -> None:
    before = contents(run)
    assert call(*TINY, *LATE[kind], "--out", "here", "--overwrite").code == 2
    assert contents(run) == before
