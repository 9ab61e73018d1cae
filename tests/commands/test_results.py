"""A run of the command leaves its configuration, numbers, figures and a table, and they agree with each other."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread
from rich.console import Console
from scipy import stats

from attn_dynamics.results import summary as results
from attn_dynamics.results.assumptions import BESIDE, LABELS, MANY, RARE, SHORT, percent
from attn_dynamics.results.figures.run import draw_figure
from tests.commands.driving import (
    FIGURES,
    TASK,
    TINY,
    Call,
    differences,
    ended,
    film_folder,
    films,
    read_json,
    started,
    trajectory,
    unfinished,
)

MODELS = ("attn-fc", "attn-tc", "attn-tl")
PROMISED = {
    "model",
    "task",
    "seed",
    "epochs",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "sen_residual",
    "score_sum_drift",
    "seconds",
}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


LEFT = {"command.txt", "config.json", "summary.json", "trajectory.nc", "checkpoint.npz"}
DRAWN = {f"figures/{name}.png" for name in FIGURES}


def sen_by_hand(run: xr.Dataset, word: str) -> np.ndarray:
    """‖ν‖ as theory B1 has it, from the scores: ‖ν‖² = ‖ν₀‖² + (2/‖q‖²)[(s - s₀) + (e^s - e^{s₀})/m].

    Not a number where the score is lower than the curve reaches.
    """
    one = run.sel(word=word)
    s, m = one.score.values, float(run.others.sel(vocabulary=word))
    risen = (s - s[0]) + (np.exp(s) - np.exp(s[0])) / m
    with np.errstate(invalid="ignore"):
        return np.sqrt(one.embedding_norm.values[0] ** 2 + 2 * risen / run.attrs["query_norm"] ** 2)


# --- one run


@pytest.mark.parametrize("model", [pytest.param("attn-fc", marks=pytest.mark.slow), "attn-tl"])
def test_a_run_leaves_all_its_files_and_ends_with_success(model: str, call_drawing: Call) -> None:
    done = call_drawing(*TINY, "--model", model, "--out", "here")
    assert done.code == 0
    here = Path("here")
    assert files(here) == LEFT | DRAWN
    assert unfinished(here) == []
    for figure in DRAWN:
        assert np.ptp(imread(here / figure)) > 0.5, f"{figure} is blank"
    summary = read_json(here / "summary.json")
    assert summary.keys() >= PROMISED
    assert (summary["model"], summary["task"], summary["seed"], summary["epochs"]) == (model, "synthetic", 0, 60)
    assert 0 < summary["seconds"] < 60


def test_the_command_is_a_program_whose_exit_code_and_output_stay_apart(place: Path) -> None:
    done = ended(started(*TINY, "--out", "here", cwd=place))
    assert done.code == 0
    assert files(place / "here") == LEFT | DRAWN
    assert "measured" in done.out
    assert "epochs" in done.err
    assert "epochs/s" not in done.out
    assert "Traceback" not in done.err
    assert "Warning" not in done.err


@pytest.mark.parametrize("model", MODELS)
def test_the_summary_says_what_the_trajectory_holds(model: str, call: Call) -> None:
    assert call(*TINY, "--model", model, "--out", "here", "--seed", "3").code == 0
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    assert run.sizes["epoch"] == 61
    assert run.epoch.values.tolist() == list(range(61))
    np.testing.assert_allclose(run.time, 0.1 * run.epoch)
    last = run.isel(epoch=-1)
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert summary[name] == last[name].item()
    assert summary["dev_loss"] is None
    assert summary["score_sum_drift"] == np.abs(run.score_sum - run.score_sum[0]).max().item()
    words = [f"t{topic}.{word}" for topic in (1, 2, 3, 4) for word in (1, 2)]
    assert run.word.values.tolist() == words
    assert list(summary["words"]) == words
    theory = {word: sen_by_hand(run, word)[-1] for word in words}
    off = np.array([last.embedding_norm.sel(word=word).item() / theory[word] - 1 for word in words])
    # One word that the curve does not reach is no smaller a deviation than any other.
    wanted = None if np.isnan(off).any() else pytest.approx(abs(off).max(), rel=1e-9)
    assert summary["sen_residual"] == wanted
    for word, final in summary["words"].items():
        assert final["score"] == last.score.sel(word=word).item()
        assert final["embedding_norm"] == last.embedding_norm.sel(word=word).item()
        assert final["sen_norm"] == (None if np.isnan(theory[word]) else pytest.approx(theory[word], rel=1e-9))
        assert final["others"] == 5.0
    assert run.attrs["model"] == model
    assert run.attrs["ended"] == "epochs"


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ((), None),
        (("--rule", "adam", "--batch-size", "20"), "Adam, η = 0.1, batches of 20"),
        (("--decay", "1e-3", "--decoupled"), "gradient descent, η = 0.1, decoupled decay 0.001"),
    ],
)
def test_a_run_says_how_it_was_trained(update: tuple[str, ...], said: str | None, call: Call) -> None:
    """In its trajectory, summary and table, and unless by plain descent in the titles of its figures."""
    done, here = call(*TINY, *update, "--out", "here"), Path("here")
    attributes, summary = trajectory(here).attrs, read_json(here / "summary.json")
    assert attributes["training"] == summary["training"] == (said or "gradient descent, η = 0.1")
    steps = 2 if "--batch-size" in update else 1
    told = ([said] if said else []) + ["2 steps an epoch"] * (steps > 1)  # because time is learning rate × epoch
    title = ", ".join(["attn-tc on synthetic", *told, "seed 0"])
    assert attributes["title"] == summary["title"] == title
    assert title in " ".join(done.out.split())
    assert attributes["steps_per_epoch"] == steps


def test_the_configuration_says_how_to_do_it_again(call: Call) -> None:
    call(*TINY, "--out", "here", "--seed", "5", "--learning-rate", "0.2")
    config = read_json(Path("here/config.json"))
    chosen = {"model": "attn-tc", "task": "synthetic", "seed": 5, "learning_rate": 0.2, "epochs": 60}
    assert config.items() >= chosen.items()
    assert config["synthetic"].items() >= {"dictionary": 50, "sentences": 40, "other_words": 5}.items()
    assert config["train"] == ["keys", "embeddings", "head"]


def cells(out: str, first: str) -> list[str]:
    """The one line of a table that begins with this cell."""
    rows = [[cell.strip() for cell in line.strip(" │").split("│")] for line in out.splitlines() if "│" in line]
    (found,) = (row for row in rows if row[0] == first)
    return found


def test_the_table_has_the_measured_value_beside_the_theory(call: Call) -> None:
    done = call(*TINY, "--out", "here")
    summary = read_json(Path("here/summary.json"))
    for heading in ("quantity", "measured", "theory", "difference", "SEN, B1"):
        assert heading in done.out
    off = {}
    for word, final in summary["words"].items():
        norm, theory = final["embedding_norm"], final["sen_norm"]
        off[word] = f"{100 * (norm / theory - 1):+.2f} %"
        assert cells(done.out, word) == [word, f"{final['score']:.4g}", f"{norm:.4g}", f"{theory:.4g}", off[word]]
        assert float(cells(done.out, word)[1]) != 0.0
    largest = max(off.values(), key=lambda each: abs(float(each[:-2])))
    assert cells(done.out, "largest") == ["largest", "", "", "", largest]
    # Sentences below the table are wrapped by the terminal itself.
    assert max(len(line) for line in done.out.splitlines() if line[:1] in " │┃┏┡└") <= 80
    assert f"{summary['train_loss']:.4g}" in done.out
    assert "here" in done.out.splitlines()[-1]


def test_a_long_run_follows_the_theory_and_the_table_says_so(call: Call) -> None:
    done = call("--epochs", "3000", *TASK, "--out", "here", "--model", "attn-fc", "--start", "mean-field")
    summary = read_json(Path("here/summary.json"))
    assert done.code == 0
    assert summary["train_accuracy"] == 1.0
    assert summary["train_loss"] < 0.5
    assert summary["score_sum_drift"] < 1e-12
    assert summary["sen_residual"] < 0.3


def test_the_same_command_gives_the_same_bits_and_another_seed_others(call: Call) -> None:
    for out in ("one", "two"):
        call(*TINY, "--out", out)
    call(*TINY, "--out", "three", "--seed", "1")
    assert differences(Path("one"), Path("two")) == []
    assert set(differences(Path("one"), Path("three"))) == LEFT - {"command.txt"}


@pytest.mark.parametrize("replicates", ["1", "2"])
def test_no_epochs_at_all_leave_the_start_and_no_distance(replicates: str, call: Call) -> None:
    """The task breaks an assumption of each law, which is told without a distance."""
    broken = ("--dictionary", "10", "--replicates", replicates)
    done = call(*TASK, *broken, "--epochs", "0", "--out", "here")
    assert done.code == 0
    assert trajectory(Path("here")).sizes["epoch"] == 1
    summary = read_json(Path("here/summary.json"))
    assert summary["epochs"] in (0, [0, 0])
    assert summary["sen_residual"] is None
    assert "Nothing was trained" in done.out
    assert "SEN (B1) and mean field (C10) assume rare other words" in done.out
    trained = call(*TASK, *broken, "--epochs", "1", "--out", "there").out
    for distance in ("here up to", "drift", "SEN, B1" if replicates == "1" else "sen residual"):
        assert distance in trained
        assert distance not in done.out
    assert "Nothing was trained" not in trained


def test_without_test_sentences_the_test_loss_is_null(call: Call) -> None:
    assert call(*TINY, "--test-sentences", "0", "--out", "here").code == 0
    assert read_json(Path("here/summary.json"))["test_loss"] is None


# --- what moves


def test_without_trained_embeddings_there_is_no_relation_to_be_off_from(call: Call) -> None:
    done = call(*TINY, "--train", "keys", "head", "--out", "here")
    assert done.code == 0
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    assert summary["sen_residual"] is None
    assert all(final["sen_norm"] is None for final in summary["words"].values())
    np.testing.assert_array_equal(run.embedding_norm, np.broadcast_to(run.embedding_norm[0], run.embedding_norm.shape))
    assert abs(run.score[-1] - run.score[0]).max() > 0
    assert "SEN, B1" not in done.out
    assert "no SEN curve" in done.out
    assert "nan" not in done.out.lower()


@pytest.mark.parametrize("moving", [("query", "keys", "embeddings", "head"), ("embeddings", "head")])
def test_any_part_may_move_and_the_relation_is_kept_for_where_it_holds(moving: tuple[str, ...], call: Call) -> None:
    done = call(*TINY, "--train", *moving, "--out", "here")
    assert done.code == 0
    assert read_json(Path("here/summary.json"))["sen_residual"] is None
    run = trajectory(Path("here"))
    assert (abs(run.score[-1] - run.score[0]).max() > 0) == ("keys" in moving)
    assert (abs(run.embedding_norm[-1] - run.embedding_norm[0]).max() > 0) == ("embeddings" in moving)


def test_words_that_never_leave_zero_have_no_relative_distance(call: Call) -> None:
    done = call(*TINY, "--model", "attn-tl", "--start", "mean-field", "--out", "here")
    assert done.code == 0
    (final,) = (words for word, words in read_json(Path("here/summary.json"))["words"].items() if word == "t1.1")
    row = cells(done.out, "t1.1")
    assert (final["embedding_norm"], final["sen_norm"]) == (0.0, 0.0), "the word moves: this test shows nothing"
    assert not any("%" in cell for cell in row)


# --- the assumptions of the theory beside a run


def failing(summary: dict) -> list[tuple[str, str]]:
    return [(each["law"], each["assumption"]) for each in summary["assumptions"] if not each["holds"]]


def test_the_default_task_meets_every_assumption_and_nothing_is_said(call: Call) -> None:
    done = call("--epochs", "30", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert {each["law"] for each in summary["assumptions"]} == {"A1", "B1", "C10"}
    assert all(each.keys() == {"law", "assumption", "holds", "detail"} for each in summary["assumptions"])
    assert failing(summary) == []
    assert summary["not_predicted"] is None
    assert "assume" not in done.out
    assert "not met" not in drawn_names(trajectory(Path("here")))


def drawn_names(run: xr.Dataset) -> str:
    """All that the legends of the figures with theory say."""
    figures = [draw_figure(run, name) for name in ("sen", "loss", "words")]
    found = [legend for figure in figures for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes))]
    return "\n".join(text.get_text() for legend in found if legend is not None for text in legend.get_texts())


@pytest.mark.parametrize("replicates", [1, 2])
def test_an_assumption_that_fails_is_a_sentence_below_the_table(replicates: int, call: Call) -> None:
    done = call("--epochs", "30", "--dictionary", "10", "--replicates", str(replicates), "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert failing(summary) == [("B1", RARE), ("C10", RARE)]
    (told,) = (line for line in done.out.splitlines() if "assume" in line)
    (detail,) = {each["detail"] for each in summary["assumptions"] if not each["holds"]}
    assert told.startswith("SEN (B1, here up to ")
    assert f") assume {RARE}: {detail}." in told
    assert "80 %" in detail
    if replicates == 1:
        assert drawn_names(trajectory(Path("here"))).count(f"not met: {RARE}") == 3
        off = {word: abs(each["embedding_norm"] / each["sen_norm"] - 1) for word, each in summary["words"].items()}
        farthest = max(off, key=lambda word: off[word])
        assert f"B1, here up to {percent(off[farthest])} off at the end, for “{farthest}”)" in told
    else:
        assert [failing(run) for run in summary["runs"]] == [failing(summary)] * 2


def test_words_without_others_beside_them_have_no_curve_to_be_off_from(call: Call) -> None:
    done = call(*TINY, "--other-words", "0", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert failing(summary) == [("B1", BESIDE), ("B1", MANY), ("C10", BESIDE)]
    assert (
        "SEN (B1, no curve) and mean field (C10, no prediction) assume other words beside topic words: 40 of 40"
        in done.out
    )
    assert summary["sen_residual"] is None
    assert all(final["sen_norm"] is None for final in summary["words"].values())


def test_topic_words_of_no_sentence_are_named_and_leave_the_others_theirs(call: Call) -> None:
    done = call(*TINY, "--topic-distribution", "0.5", "0.5", "0", "0", "--out", "here")
    assert "No training sentence of synthetic holds the topic words t3.1, t3.2, t4.1, t4.2" in done.said
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    ends = [
        abs(each["embedding_norm"] / each["sen_norm"] - 1) for each in summary["words"].values() if each["sen_norm"]
    ]
    assert len(ends) == 4
    assert summary["sen_residual"] == pytest.approx(max(ends))
    titles = [axes.get_title() for axes in draw_figure(run, "sen").axes]
    assert titles[3:5] == ["“t2.2”, m = 5.0", "“t3.1”, in no training sentence"]


def test_a_head_that_mean_field_does_not_know_is_the_reason_for_no_prediction(call: Call) -> None:
    done = call("--epochs", "5", "--model", "attn-tl", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert failing(summary) == []
    assert summary["prediction_residual"] is None
    assert f"No prediction: {summary['not_predicted']}." in done.out.splitlines()
    assert "attn-tl" in summary["not_predicted"]


def test_a_diverged_run_had_no_short_steps(call: Call) -> None:
    assert call(*TINY, "--model", "attn-tl", "--learning-rate", "1e6", "--out", "here").code == 1
    summary = read_json(Path("here/summary.json"))
    assert ("B1", SHORT) in failing(summary)
    assert "diverged after epoch" in summary["assumptions"][-1]["detail"]


@pytest.mark.parametrize(("contrary", "named"), [(0, []), (20, [("B1", LABELS)])])
def test_followed_words_of_a_text_are_checked(contrary: int, named: list, call: Call, tmp_path: Path) -> None:
    """Every line holds good or bad and two words of its own."""
    path, labels = tmp_path / "notes.txt", np.arange(200) % 2
    labels[np.arange(0, 2 * contrary, 2)] = 1
    lines = [f"{label} {('bad', 'good')[k % 2]} w{2 * k} w{2 * k + 1}\n" for k, label in enumerate(labels)]
    path.write_text("".join(lines), encoding="utf-8")
    done = call("--task", path, "--follow", "good", "bad", "--epochs", "30", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert failing(summary) == named
    assert done.out.count("another label than their followed word stands for") == len(named)
    assert "the task names none" in summary["not_predicted"]


# --- text


@pytest.mark.parametrize("model", MODELS)
def test_text_from_one_file_is_split_and_learned(model: str, call: Call, tmp_path: Path) -> None:
    path = films(tmp_path / "films.txt")
    done = call("--task", path, "--epochs", "60", "--model", model, "--out", "here")
    assert done.code == 0
    summary = read_json(Path("here/summary.json"))
    assert summary["task"] == str(path)
    assert summary["sen_residual"] is None
    assert all(summary[f"{split}_loss"] > 0 for split in ("train", "dev", "test"))
    assert trajectory(Path("here")).sizes["word"] == 0
    assert "good" in summary["words"]


def test_dev_data_stop_the_run_early_and_the_best_epoch_is_reported(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    wanted = ("--task", folder, "--epochs", "3000", "--patience", "25", "--out", "here")
    done = call(*wanted)
    assert done.code == 0
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    assert summary["ended"] == "patience"
    best = int(run.dev_loss.values.argmin())
    assert summary["best_epoch"] == best
    assert summary["epochs"] == best + 25 < 3000
    for name in ("train_loss", "dev_loss", "test_loss", "train_accuracy", "dev_accuracy", "test_accuracy"):
        assert summary[name] == run[name][best].item()
    assert "stopped early" in done.out


def test_a_run_that_is_best_at_its_start_is_told_to_have_learned_nothing(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    done = call("--task", folder, "--epochs", "50", "--patience", "5", "--learning-rate", "1e-12", "--out", "here")
    assert done.code == 0
    assert read_json(Path("here/summary.json"))["best_epoch"] == 0, "the rate is too small for the dev loss to fall"
    assert "nothing was learned" in " ".join(done.out.split())


def test_patience_zero_never_stops(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    call("--task", folder, "--epochs", "300", "--patience", "0", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert (summary["ended"], summary["epochs"], summary["best_epoch"]) == ("epochs", 300, 300)


def test_without_dev_data_a_run_takes_all_its_epochs(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films", dev=False)
    call("--task", folder, "--epochs", "60", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert (summary["ended"], summary["epochs"], summary["dev_loss"]) == ("epochs", 60, None)
    assert summary["test_loss"] is not None


def test_a_named_data_set_is_found_in_the_folder_that_is_given(call: Call, tmp_path: Path) -> None:
    for part, sentences in (("train", 40), ("dev", 12), ("test", 12)):
        films(tmp_path / f"stsa.binary.{part}", sentences=sentences)
        films(tmp_path / f"stsa.fine.{part}", sentences=sentences)
    assert call("--task", "sst2", "--data-dir", tmp_path, "--epochs", "5").code == 0
    assert read_json(Path("runs/attn-tc-sst2-seed0/summary.json"))["task"] == "sst2"


def test_followed_words_are_recorded_at_every_epoch(call: Call, tmp_path: Path) -> None:
    films(tmp_path / "films.txt")
    done = call("--task", tmp_path / "films.txt", "--epochs", "60", "--follow", "good", "bad", "--out", "here")
    assert done.code == 0
    run = trajectory(Path("here"))
    assert run.word.values.tolist() == ["good", "bad"]
    assert run.score.dims == ("epoch", "word")
    assert run.score.shape == (61, 2)
    assert list(read_json(Path("here/summary.json"))["words"]) == ["good", "bad"]
    assert cells(done.out, "good")


def test_a_followed_word_of_the_test_data_alone_keeps_its_start(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films", dev=False)
    with (folder / "test.txt").open("a") as file:
        file.write("1 unheard\n")
    done = call("--task", folder, "--epochs", "30", "--follow", "unheard", "good", "--out", "here")
    assert done.code == 0
    run = trajectory(Path("here"))
    assert (run.score.sel(word="unheard") == 0).all()
    assert read_json(Path("here/summary.json"))["words"]["unheard"]["sen_norm"] is None
    assert not any("nan" in cell for cell in cells(done.out, "unheard"))


@pytest.mark.parametrize("word", ["[/b]", "[bold]", "$x$", "_it"])
def test_words_that_mean_something_to_a_printer_are_words(word: str, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "films.txt"
    path.write_text("".join(f"{number % 2} {word} word{number % 3} $ \n" for number in range(30)), encoding="utf-8")
    arguments = ("--task", path, "--preparation", "whitespace", "--epochs", "5", "--follow", word, "--out", "here")
    done = call(*arguments)
    assert done.code == 0
    assert cells(done.out, word)[0] == word


def test_a_folder_whose_name_means_something_to_a_printer_is_named_as_it_is(call: Call) -> None:
    for out in ("run[1]", "run[bold]", "run[", "[/b]"):
        done = call(*TINY, "--out", out)
        assert done.code == 0
        assert done.out.rstrip().endswith(f" {out}")


# --- replicates


def half_width(values: list[float]) -> float:
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return (high - low) / 2


@pytest.fixture
def three(call: Call) -> Path:
    assert call(*TINY, "--replicates", "3", "--out", "here").code == 0
    return Path("here")


def test_replicates_leave_a_folder_each_and_a_joined_trajectory(three: Path) -> None:
    joined = trajectory(three)
    assert joined.sizes["replicate"] == 3
    single = LEFT - {"command.txt", "config.json", "checkpoint.npz"}
    for replicate in range(3):
        folder = three / f"replicate-{replicate}"
        assert files(folder) == single
        one = trajectory(folder)
        for name in one.data_vars:
            if "replicate" in joined[name].dims:
                np.testing.assert_array_equal(joined[name].isel(replicate=replicate), one[name])
    assert {"train_loss", "score", "embedding_norm", "all_score", "score_sum"} <= {
        str(name) for name in joined.data_vars if "replicate" in joined[name].dims
    }
    assert joined.time.dims == ("epoch",)
    losses = joined.train_loss.isel(epoch=-1).values
    assert len(set(losses.tolist())) == 3


def test_replicates_are_summed_up_by_mean_and_interval(three: Path) -> None:
    summary = read_json(three / "summary.json")
    runs = [read_json(three / f"replicate-{replicate}" / "summary.json") for replicate in range(3)]
    assert summary.keys() >= PROMISED
    assert summary["replicates"] == 3
    assert summary["runs"] == runs
    averaged = {"train_loss", "test_loss", "train_accuracy", "test_accuracy", "sen_residual", "prediction_residual"}
    assert summary["confidence_95"].keys() == averaged
    five = results.summarise_replicates([*runs, *runs[:2]])
    for name in averaged:
        values = [run[name] for run in runs]
        assert summary[name] == pytest.approx(sum(values) / 3, rel=1e-12), name
        assert summary["confidence_95"][name] is None, "three are too few for an interval"
        assert five["confidence_95"][name] == pytest.approx(half_width([*values, *values[:2]]), rel=1e-9), name


def test_round_off_and_time_are_not_averaged_over_replicates(call: Call) -> None:
    done = call(*TINY, "--replicates", "3", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    runs = [read_json(Path(f"here/replicate-{replicate}/summary.json")) for replicate in range(3)]
    assert summary["score_sum_drift"] == max(run["score_sum_drift"] for run in runs) > 0
    assert summary["seconds"] == pytest.approx(sum(run["seconds"] for run in runs))
    assert "seconds" not in done.out
    assert "query norm" not in done.out
    (row,) = (line for line in done.out.splitlines() if "drift" in line)
    assert f"{summary['score_sum_drift']:.1e}" in row
    assert "±" not in row


def test_the_first_replicate_is_the_run_without_replicates(three: Path, call: Call) -> None:
    call(*TINY, "--out", "single")
    one, many = trajectory(Path("single")), trajectory(three / "replicate-0")
    assert one.attrs["title"] == many.attrs["title"]
    # To round-off: in one pass sums are taken in another order.
    xr.testing.assert_allclose(one, many, rtol=1e-9, atol=1e-13)


def test_on_another_device_the_run_is_the_same_to_round_off(call: Call) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    for device in ("numpy", "cpu"):
        assert call(*TINY, "--device", device, "--out", device).code == 0
    xr.testing.assert_allclose(trajectory(Path("numpy")), trajectory(Path("cpu")), rtol=1e-9, atol=1e-13)
    assert call(*TINY, "--device", "cpu", "--precision", "float32", "--out", "short").code == 0
    with pytest.raises(AssertionError):
        xr.testing.assert_allclose(trajectory(Path("cpu")), trajectory(Path("short")), rtol=1e-9, atol=1e-13)


def test_the_table_of_replicates_shows_the_mean_with_its_range_or_from_five_on_its_interval(call: Call) -> None:
    done = call(*TINY, "--replicates", "2", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    runs = summary["runs"]
    losses = [run["train_loss"] for run in runs]
    assert "2 replicates, mean (least to largest)" in done.out
    assert cells(done.out, "train loss")[1] == f"{summary['train_loss']:.4g} ({min(losses):.3g} to {max(losses):.3g})"
    five = results.summarise_replicates([*runs, *runs, runs[0]])
    console = Console(file=StringIO(), width=80)
    console.print(results.replicates_table(five))
    said = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert "5 replicates, mean ± 95 % interval" in said
    assert cells(said, "train loss")[1] == f"{five['train_loss']:.4g} ± {five['confidence_95']['train_loss']:.2g}"


def test_replicates_that_stop_at_different_epochs_are_joined_with_gaps(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    films(folder / "dev.txt", sentences=24, seed=2)
    with (folder / "dev.txt").open("a", encoding="utf-8") as file:
        file.write(films(tmp_path / "wrong.txt", sentences=8, flipped=True, seed=3).read_text(encoding="utf-8"))
    arguments = ("--task", folder, "--epochs", "3000", "--patience", "25", "--replicates", "3", "--out", "here")
    assert call(*arguments).code == 0
    joined, alone = trajectory(Path("here")), [trajectory(Path(f"here/replicate-{k}")) for k in range(3)]
    lengths = [one.sizes["epoch"] for one in alone]
    assert len(set(lengths)) > 1, "the replicates stop together: this test shows nothing"
    assert joined.sizes["epoch"] == max(lengths)
    for replicate, one in enumerate(alone):
        values = joined.train_loss.isel(replicate=replicate).values
        np.testing.assert_array_equal(values[: lengths[replicate]], one.train_loss)
        assert np.isnan(values[lengths[replicate] :]).all()
    assert np.isfinite(joined.time).all()
    summary = read_json(Path("here/summary.json"))
    assert summary["train_loss"] == pytest.approx(np.mean([run["train_loss"] for run in summary["runs"]]))


def test_one_replicate_is_no_ground_for_an_interval(call: Call) -> None:
    call(*TINY, "--out", "here")
    summary = results.summarise_replicates([read_json(Path("here/summary.json"))])
    assert summary["replicates"] == 1
    assert np.isnan(summary["confidence_95"]["train_loss"])
