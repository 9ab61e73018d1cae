"""Claims: each experiment leaves what it says, and what it says is what the theory says; broken variants do not."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.image import imread
from scipy.integrate import trapezoid

from attn_dynamics import Corpus, descend, draw
from attn_dynamics.claims._support.several_widths import KINDS, phases
from attn_dynamics.commands.shell import BAD_INPUT
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import read_netcdf
from attn_dynamics.results.figures import style
from attn_dynamics.results.word_curves import sen_deviation, word_curves
from attn_dynamics.system.options import read_options
from attn_dynamics.tasks import TextOptions, text_task
from attn_dynamics.theory.parting_heads import far_shares
from attn_dynamics.theory.sen_trained_query import sen_norm_trained_query
from simulations import (
    ablation,
    capacity,
    heads,
    hysteresis,
    labelled,
    noise,
    optimisers,
    query,
    sst,
    suppression,
    synthetic,
    text,
    zipf,
)
from tests.commands.driving import films
from tests.support import needs_sst


def left_by(script, folder: Path, figures: set[str], *arguments: str, seen: bool = True) -> tuple[pd.DataFrame, dict]:
    """Run it, see that the files are there and the figures drawn; its rows and its summary.

    Figures that need not be seen are made without their pixels, which take most of the time.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not seen:
            patch.setattr(style, "draw_all", made)
        assert script.main(["--quick", "--out", str(folder), *arguments]) == 0
    assert {path.stem for path in (folder / "figures").iterdir()} == figures
    for path in (folder / "figures").iterdir():
        assert not seen or imread(path)[..., :3].std() > 0.03, path
    return pd.read_parquet(folder / "rows.parquet"), json.loads((folder / "summary.json").read_text())


def made(figures: Mapping[Path, Callable[[], Figure]]) -> list[Path]:
    """Make figures; a file of each is there and empty."""
    for path, make in figures.items():
        assert make().axes
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return [*figures]


def loaded(folder: Path) -> dict[str, xr.Dataset]:
    return {path.stem: read_netcdf(path) for path in (folder / "cells").iterdir()}


def test_synthetic(tmp_path: Path) -> None:
    figures = {"sen", "loss", "distributions"}
    rows, summary = left_by(synthetic, tmp_path, figures, "--seeds", "2", "--epochs", "500")
    assert sorted(rows.model.unique()) == ["attn-fc", "attn-tc", "attn-tl"]
    assert len(rows) == 6
    # Theory B2: 1/(ρN) = 8/800 at the end; what the other words learn shrinks with time.
    assert rows.sen_residual.max() <= 0.012
    assert rows.prediction_residual.dropna().max() < 0.05
    assert rows.prediction_residual.isna().groupby(rows.model).all().to_dict() == {
        "attn-fc": False,
        "attn-tc": False,
        "attn-tl": True,
    }
    for model in ("attn-fc", "attn-tc", "attn-tl"):
        of = summary[model]["train_loss"]
        assert of["mean"] == pytest.approx(rows.train_loss[rows.model == model].mean())
        assert of["low"] is of["high"] is None, "two seeds are too few for an interval"
    # Negative control: ‖q‖ off by 5 %.
    run = loaded(tmp_path)["attn-fc-0"]
    wrong = [abs(sen_deviation(track, 1.05 * run.attrs["query_norm"])[-1]) for track in word_curves(run)]
    assert min(wrong) > 0.03


def test_synthetic_drops_no_measure_that_one_seed_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes out as null instead; what no seed has, as the prediction of Attn-TL, is left out."""
    usual = synthetic._row
    monkeypatch.setattr(synthetic, "_row", lambda run: usual(run) | ({} if run.attrs["seed"] else {"score": np.nan}))
    given = ("--seeds", "2", "--epochs", "20")
    _, summary = left_by(synthetic, tmp_path, {"sen", "loss", "distributions"}, *given, seen=False)
    assert summary["attn-fc"]["score"] == {"mean": None, "low": None, "high": None}
    assert "prediction_residual" not in summary["attn-tl"]


@pytest.mark.slow
def test_noise(tmp_path: Path) -> None:
    """Scores are ordered by frequency × purity at first, as in mean field, and by purity at the end."""
    rows, summary = left_by(noise, tmp_path, {"order", "ends"}, "--seeds", "2")
    noisy, clean = rows[rows.arm == "noisy"], rows[rows.arm == "clean"]
    assert (noisy.signal_early > 0.85).all()
    assert (noisy.purity_late > 0.85).all()
    assert (noisy.signal_late < 0.85).all(), "the order of the start is gone"
    # Negative control: without noise it stays.
    assert min(clean.frequency_early.min(), clean.frequency_late.min()) > 0.85
    assert summary["noisy_change"]["purity"]["mean"] > 0
    for name, run in loaded(tmp_path).items():
        off = np.abs(run.score - run.mean_field_score).max() / run.mean_field_score.max()
        assert off < (0.2 if name.startswith("noisy") else 0.1), name


@pytest.mark.slow
def test_optimisers(tmp_path: Path) -> None:
    given = ("--seeds", "2", "--epochs", "400")
    rows, summary = left_by(optimisers, tmp_path, {"plane"}, *given)
    assert rows.optimiser.nunique() == 6
    ends = pd.DataFrame({name: rows.groupby("optimiser")[name].max() for name in ("sen", "line")})
    for linear in ("descent", "momentum", "mini-batches"):
        assert ends.sen[linear] < 0.02
    assert ends.line["sign"] < 1e-12
    assert ends.line.drop("sign").min() > 0.01, "negative control"
    assert rows[rows.optimiser == "sign"].sen.min() > 0.03
    assert summary["synthetic sign"]["line"]["low"] is None, "two seeds are too few for an interval"


@pytest.mark.slow
def test_ablation(tmp_path: Path) -> None:
    given = ("--seeds", "2", "--epochs", "300", "--start", "mean-field")
    rows, summary = left_by(ablation, tmp_path, {"loss", "promotion"}, *given)
    linear = rows[rows.model != "attn-tl"]
    assert linear[["loss_excess", "score_fall", "norm_fall"]].max(axis=None) <= ablation.HELD
    assert summary["attn-fc"]["seeds_with_C5"] == 2
    assert summary["attn-fc"]["exceptions"] == []
    assert (linear.loss_all < linear.loss_KF).all()
    assert np.allclose(linear.loss_EF, np.log(4), rtol=1e-12), "from embeddings 0 that stay there nothing is learned"
    # Negative control: the arms exchanged.
    runs = loaded(tmp_path)
    exchanged = ablation._pair(*(runs[f"{arm}-attn-fc-0"] for arm in ("KF", "all", "EF")))
    assert exchanged["loss_excess"] > 1000 * ablation.HELD


@pytest.mark.slow
def test_ablation_lists_the_exceptions_of_a_start_that_is_not_zero(tmp_path: Path) -> None:
    rows, summary = left_by(ablation, tmp_path, {"loss", "promotion"}, "--seeds", "2", "--epochs", "50")
    assert (rows.loss_excess <= ablation.HELD).all()
    fell = rows[rows.score_fall > ablation.HELD]
    assert len(fell)
    assert (fell.misaligned.map(len) > 0).all(), "a score falls only from a misaligned start (C6)"
    assert within(rows.misaligned, rows.words_fell), "the first move of a misaligned word is a fall (C6)"
    assert not within(rows.misaligned, rows.words_fell[::-1]), "negative control: as many words, of other runs"
    listed = [each["seed"] for model in ("attn-fc", "attn-tc", "attn-tl") for each in summary[model]["exceptions"]]
    assert len(listed) >= len(fell)


def within(some: Iterable[Iterable[str]], others: Iterable[Iterable[str]]) -> bool:
    return all(set(few) <= set(many) for few, many in zip(some, others, strict=True))


@pytest.mark.slow
def test_suppression(tmp_path: Path) -> None:
    figures = {"signs", "words", "relation"}
    rows, summary = left_by(suppression, tmp_path, figures, "--seeds", "2", "--epochs", "40")
    assert len(rows) == 2 * 3 * 2 * 8
    assert summary["accuracy_exact"] == suppression.accuracy(rows.exact, rows.moved) == 1.0
    assert suppression.accuracy(-rows.exact, rows.moved) == 0.0, "negative control: the sign flipped"
    assert 0.6 < summary["accuracy_mean_field"] < 1.0
    assert {-1.0, 1.0} == set(rows.moved)
    assert (rows.recovered.notna() == (rows.moved < 0)).all()
    assert (rows.lowest[rows.moved < 0] < 0).all()


@pytest.mark.slow
def test_capacity(tmp_path: Path) -> None:
    rows, summary = left_by(capacity, tmp_path, {"signals", "scores"}, "--seeds", "3")
    assert set(summary["order_holds"].values()) == {None}, "three seeds are too few for an interval"
    above = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    assert [capacity._is_above(each) for each in (above, above - 0.7, above[:4])] == [True, False, None]
    runs = rows.pivot(index="seed", columns="model", values="score")
    for low, high in pairwise(capacity.CAPACITY):
        assert np.all(runs[low] > runs[high])
    # Negative control: two heads exchanged.
    exchanged = rows.replace({"model": {"attn-fc": "attn-tc", "attn-tc": "attn-fc"}})
    assert capacity._differences(exchanged, "score")["Attn-FC − Attn-TC"].max() < 0
    run = loaded(tmp_path)["attn-fc-0"]
    # The scores' path is no longer than ‖q‖² ∫ T_s dτ.
    area = run.attrs["query_norm"] ** 2 * trapezoid(run.followed_score_signal, run.time)
    assert np.linalg.norm(run.score[-1] - run.score[0]) <= 1.01 * area


@pytest.mark.slow
def test_query(tmp_path: Path) -> None:
    figures = {"one-word", "several-words"}
    rows, summary = left_by(query, tmp_path, figures, "--seeds", "2", "--epochs", "700")
    assert summary["exact"]["distance"] <= summary["exact"]["bound"]
    fc = rows[rows.model == "attn-fc"]
    assert fc.several.max() <= 0.012, "as B2: what the words of a sentence memorise, 1/(ρN) = 1 %, and descent's O(η)"
    # Negative controls: one word alone, and a query that is fixed.
    assert fc.one.min() > 0.03
    assert fc.fixed.min() > 0.03


def test_the_relation_of_several_words_is_b5_for_one_and_for_equal_ones() -> None:
    score = np.linspace(0, 6, 20_001)[:, None]
    some = slice(1, None, 20)
    # The trapezoidal rule errs by steps²/12 · T/‖q₀‖⁴ at first: (3e-4)²/12 · 8/0.24 = 2.5e-7 for eight words.
    one = query.several_words(score, 20, 0.7)[some]
    assert one == pytest.approx(sen_norm_trained_query(score[some], 20, 0.7), rel=2.5e-7)
    eight = query.several_words(np.repeat(score, 8, axis=1), 20, 0.7)[some]
    assert eight == pytest.approx(np.repeat(query.equal_words(score[some], 20, 0.7, 8), 8, axis=1), rel=2.5e-7)
    assert np.abs(eight / query.equal_words(score[some], 20, 0.7, 7) - 1).max() > 0.01, "negative control: a word fewer"


def test_heads(tmp_path: Path) -> None:
    rows, summary = left_by(heads, tmp_path, {"phases-bell", "phases-alibi", "rates"})
    assert summary["told_wrong"] == 0
    assert summary["largest_rate_error"] < 1e-3
    assert set(rows.kind) == {*KINDS}, "there are heads that stay apart where alike ones stay alike"
    told = rows.query("kernel == 'bell' and abs(rate) > 1e-3")
    parts, scatter = (np.asarray(told[name]) for name in ("parts", "scatter"))
    assert (parts == (scatter > 2)).all(), "kurtosis 3"
    assert (parts != (scatter > 1)).any(), "negative control: a threshold of 1"


def test_heads_that_part_by_less_than_shows_are_not_told_wrong() -> None:
    """Just beyond a smooth threshold, where the rate is above what a flow shows."""
    ratio = 4.0
    low, high = far_shares(ratio)
    rows = heads.rows_of(2.0, phases([ratio], [1.005 * low, 0.98 * high, 1.02 * high]))
    assert (rows.rate > 0).tolist() == [True, True, False]
    assert (rows.rate.abs() > 1.5e-3).all()
    assert rows.parts.tolist() == [False, True, False], "the first parts, by less than what counts"
    assert heads.told(rows).index.tolist() == [1, 2]


def test_hysteresis(tmp_path: Path) -> None:
    rows, summary = left_by(hysteresis, tmp_path, {"loops", "ends"})
    assert summary["largest_distance_of_an_end"] <= summary["bound"] <= 1e-4
    gap = (rows.falling / rows.rising - 1).groupby(rows.far).max()
    assert gap[30] < 1e-6, "no loop below a ratio of √2 + √3"
    assert gap[40] > 1.0


TEXT_FIGURES = {"loss", "starts", "leaders", "leaders-of-words", "attention"}


def test_text(tmp_path: Path) -> None:
    file = films(tmp_path / "films.txt", sentences=120)
    given = ("--task", str(file), "--epochs", "600", "--embedding-dim", "6")
    figures = TEXT_FIGURES | {"sen-films.txt-attn-fc", "sen-films.txt-attn-tc"}
    rows, summary = left_by(text, tmp_path / "out", figures, *given)
    assert list(rows.rule[:3]) == ["patience 100", "patience 2000", "end"]
    assert set(summary["followed"]["films.txt"][:2]) == {"good", "bad"}, "the words that tell most"
    end = rows[(rows.rule == "end") & (rows.model == "attn-fc")]
    assert end.test_accuracy.min() == 1.0
    led = summary["leaders"]["films.txt, paper, attn-fc"]
    for part in ("purity", "purity_elsewhere"):
        assert led[part]["last"]["mean"] == pytest.approx(1.0), "every sentence is led by “good” or “bad”"
    assert not any("$PAD$" in run.vocabulary for run in loaded(tmp_path / "out").values())


def test_text_of_shuffled_labels(tmp_path: Path) -> None:
    """Negative control: the same lines, half of them for test, with labels that say nothing."""
    lines = films(tmp_path / "films.txt", sentences=800).read_text().splitlines()
    labels = np.random.default_rng(0).permutation([line[0] for line in lines])
    shuffled = tmp_path / "shuffled.txt"
    shuffled.write_text("".join(f"{label}{line[1:]}\n" for label, line in zip(labels, lines, strict=True)))
    given = ("--task", str(shuffled), "--epochs", "200", "--embedding-dim", "6", "--split", "0.5", "0", "0.5")
    figures = TEXT_FIGURES - {"starts"} | {"sen-shuffled.txt-attn-fc", "sen-shuffled.txt-attn-tc"}
    _, summary = left_by(text, tmp_path / "out", figures, *given, seen=False)
    # A word stands in 400/4 test sentences or more, so its purity deviates from 0 by 1/√100, and a mean by no more.
    assert abs(summary["leaders"]["shuffled.txt, paper, attn-fc"]["purity_elsewhere"]["last"]["mean"]) < 3 / 100**0.5


def test_a_text_that_is_all_trained_on_has_no_purity_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--task", str(films(tmp_path / "films.txt")), "--epochs", "20", "--split", "1", "0", "0")
    figures = TEXT_FIGURES - {"starts"} | {"sen-films.txt-attn-fc", "sen-films.txt-attn-tc"}
    _, summary = left_by(text, tmp_path / "out", figures, *given, seen=False)
    assert set(summary["leaders"]["films.txt, paper, attn-fc"]) == {"purity", "occurrence"}
    assert "films.txt: all sentences are trained on" in capsys.readouterr().err


def test_early_stopping_is_that_of_descent(tmp_path: Path) -> None:
    task = text_task(films(tmp_path / "films.txt"))
    words = task.train.vocabulary
    dev = Corpus.from_sentences([["good"], ["bad"], ["good"]], [1, 0, 0], vocabulary=words)
    rng = np.random.default_rng(0)
    start = draw("paper", "attn-fc", n_words=len(words), n_classes=2, embedding_dim=4, rng=rng)
    stopped = descend(task.train, start, epochs=300, patience=20, evaluate_on={"dev": dev})
    whole = descend(task.train, start, epochs=300, evaluate_on={"dev": dev}).trajectory.dev_loss.values
    assert stopped.ended == "patience"
    assert labelled.best_epoch(whole, 20) == stopped.best_epoch > 1


@pytest.mark.parametrize(("patience", "best"), [(2, 1), (3, 4), (4, 8)])
def test_the_state_after_the_first_step_is_the_first_that_is_judged(patience: int, best: int) -> None:
    """As in LMN21's code, where the loss of the start, here the least, is never looked at."""
    losses = np.array([1.0, 5.0, 6.0, 6.0, 4.0, 7.0, 7.0, 7.0, 3.0])
    assert labelled.best_epoch(losses, patience) == best


RESTING = np.log(2) + np.concatenate([[0.0], np.full(400, 0.001)])
"""A dev loss that says less than the frequencies of two equally frequent classes."""
LOSSES = {
    "rests": (RESTING, True),
    "rests, and its patience is not over": (RESTING[:101], False),
    "rests, and falls within the patience": (np.concatenate([RESTING[:101], np.linspace(0.6, 0.3, 300)]), False),
    "falls too late": (np.concatenate([RESTING[:102], np.linspace(0.6, 0.3, 300)]), True),
    "falls, then rises": (np.concatenate([np.linspace(0.7, 0.6, 50), np.full(300, 0.9)]), False),
}


@pytest.mark.parametrize("case", LOSSES)
def test_a_start_at_chance_ran_out_of_patience_knowing_no_more_than_frequencies(case: str) -> None:
    loss, at_chance = LOSSES[case]
    dev = Corpus.from_sentences([["a"], ["b"]], [0, 1])
    fits = {f"{split}_{part}": ("epoch", loss) for split in ("train", "dev") for part in ("loss", "accuracy")}
    attributes = dict.fromkeys(labelled.KEY, 0) | {"ended": "epochs", "seconds": 1.0, "query_norm": 1.0}
    run = xr.Dataset(fits, coords={"epoch": np.arange(loss.size)}, attrs=attributes)
    (row,) = labelled._rows(run, {"patience 100": 100}, dev)
    assert row["at_chance"] == at_chance


def test_what_frequencies_tell_is_the_entropy_of_the_classes() -> None:
    corpus = Corpus.from_sentences([["a"]] * 4, [0, 0, 1, 3], n_classes=4)
    assert labelled.entropy(corpus) == pytest.approx(1.5 * np.log(2), rel=1e-15)


@pytest.mark.slow
def test_padding_is_an_option_of_the_text_or_part_of_the_configuration(tmp_path: Path) -> None:
    file = films(tmp_path / "films.txt", sentences=60)
    base = ("--task", str(file), "--quick", "--epochs", "5", "--seeds", "2", "--model", "attn-fc")
    held = {}
    for given in (("--padding",), ("--configuration", "published")):
        rest = read_options(text.Settings, [*base, *given, "--out", str(tmp_path / "-".join(("out", *given)))], "prog")
        text.study(rest)
        held[given] = all("$PAD$" in run.vocabulary for run in loaded(rest.folder).values())
    assert held == {("--padding",): True, ("--configuration", "published"): True}
    with pytest.raises(InputError, match="--padding: expected either this or a configuration that pads"):
        text.Settings(task=file, text=TextOptions(padding=True), configuration=("published",))


@pytest.mark.slow
@needs_sst
def test_sst(tmp_path: Path) -> None:
    """Both configurations; only the published one has the word that pads."""
    given = ("--sentences", "300", "--epochs", "400", "--task", "sst2", "--model", "attn-fc")
    each = ("published", "paper")
    figures = {f"{name}-{which}" for name in TEXT_FIGURES | {"sen-sst2-attn-fc"} for which in each}
    rows, summary = left_by(sst, tmp_path, figures, *given)
    assert len(rows) == 2 * 2 * 3
    for split in ("train", "dev", "test"):
        assert rows[f"{split}_accuracy"].between(0, 1).all()
    runs = loaded(tmp_path)
    assert {name: "$PAD$" in run.vocabulary for name, run in runs.items()} == {
        f"sst2-{which}-attn-fc-{seed}": which == "published" for which in each for seed in (0, 1)
    }
    end = rows[(rows.rule == "end") & (rows.configuration == "paper")]
    assert end.train_accuracy.min() > 0.6
    led = summary["leaders"]["sst2, paper, attn-fc"]
    assert led["purity_elsewhere"]["rise"]["mean"] > 0, "the lead passes to purer words (E2)"
    assert led["purity"]["last"]["mean"] > led["purity_elsewhere"]["last"]["mean"], "what was pure by chance"
    run = runs["sst2-paper-attn-fc-0"]
    assert (run.pair.values > 0).all()
    assert (run.pair.values.sum(axis=1) <= 1 + 1e-12).all()
    assert run.led.sel(part="occurrence").values.min() >= 1


def test_zipf(tmp_path: Path) -> None:
    rows, summary = left_by(zipf, tmp_path, {"loss", "signs", "finite"})
    descended = rows.query("rule == 'descent'")
    late = descended[descended.time > 100]
    # Theory C12: descent is O(η) off the flow, and late in training by η over the time that a word takes.
    assert (late.loss / late.predicted - 1).abs().max() < 0.05
    assert summary["sign_descent_spread"] < 1e-12
    law = summary["exponent 1.5"]
    assert law["slope"] == pytest.approx(1 / 3, abs=1e-6)
    assert law["A₀/A₁"] == pytest.approx(21 ** (2 / 3), rel=1e-8)
    # Negative controls: the factor against trained keys, and another word's frequency.
    assert law["A₀/A"] < 0.5 * law["A₀/A₁"]
    predicted, seen = late.query("exponent == 1").predicted, late.query("exponent == 1.5").loss
    assert abs(predicted.to_numpy() / seen.to_numpy() - 1).max() > 0.05


def test_a_learning_rate_of_less_than_one_epoch_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zipf.main(["--quick", "--learning-rate", "301", "--out", str(tmp_path / "zipf")]) == BAD_INPUT
    assert "--learning-rate: expected a finite number above 0 to 300, got 301.0" in capsys.readouterr().err


def test_only_experiments_that_keep_their_runs_promise_to_resume() -> None:
    for script in (zipf, heads, hysteresis):
        assert script.main.keywords["interrupted"] == "interrupted; nothing was kept"  # pyright: ignore
    for script in (synthetic, noise, optimisers):
        assert script.main.keywords["interrupted"].endswith("kept for --resume")  # pyright: ignore
