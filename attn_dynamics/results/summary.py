"""Results of a run: the annotated trajectory, a summary, and a table that compares measurements with the theory."""

import platform
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Group
from rich.table import Table
from rich.text import Text

from attn_dynamics.files.storage import printable
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.assumptions import (
    SHORT,
    Assumption,
    as_text,
    check_assumptions,
    from_text,
    joined,
    percent,
    sentences,
    short_steps,
)
from attn_dynamics.results.prediction import deviation, predict
from attn_dynamics.results.word_curves import WordCurve, sen_deviation, word_curves
from attn_dynamics.statistics import half_width, in_words, shown_as
from attn_dynamics.tasks import Task
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.checkpoint import digest
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.run import Run
from attn_dynamics.training.settings import Training

version = cache(metadata.version)
"""Version of a package, cached because reading the metadata takes a tenth of a short run."""
PACKAGES = ("attn-dynamics", "numpy", "scipy", "numba", "xarray")
LARGEST = ("score_sum_drift", "loss_rises", "largest_loss_step")
"""Quantities for which replicates report the largest value."""
LARGEST_INTEGER = np.iinfo(np.int64).max
"""Largest integer in NetCDF; a larger seed is written as text."""
LAWS = {"A1": "the law of Σ s", "B1": "SEN", "C9": "mean field", "C10": "mean field"}
"""Names of the laws in remarks."""
ROUND_OFF = 1e-10
"""Largest change of the loss, in nats, that counts as round-off."""
COARSE = 0.1
"""Largest share of the loss that one step may take.

On the synthetic task the SEN residual is 0.5 % in the flow and at most 1 % at this bound. It grows with the
learning rate beyond.
"""


def annotate(run: Run, config: Config, task: Task, start: Parameters) -> xr.Dataset:
    """Return the trajectory with everything that its figures need, its seed, a digest of its data, and the versions."""
    beside = beside_theory(run, task, start, model=config.model)
    return beside.assign_attrs(
        title=printable(f"{beside.attrs['title']}, seed {config.seed}"),
        seed=config.seed if config.seed <= LARGEST_INTEGER else str(config.seed),
        versions=versions(config.device),
        data=data_digest(task),
    )


def beside_theory(run: Run, task: Task, start: Parameters, *, model: str) -> xr.Dataset:
    """Return the trajectory with everything that its figures need: m and frequency of words, ‖q‖, prediction, names.

    The query norm ‖q‖ is NaN if the SEN relation does not apply. It requires a fixed query, trained keys and trained
    embeddings (theory §3).
    """
    training, train = run.training, run.training.train
    steps = training.steps(task.train.n_sentences)
    trained = [training.in_words] * (not training.plain) + [f"{steps:,} steps an epoch"] * (steps > 1)
    sen_applies = {"keys", "embeddings"} <= set(train) and "query" not in train
    frequency, others = _neighbours(task.train)
    words = {
        "frequency": ("vocabulary", frequency, {"long_name": "training sentences that hold the word"}),
        "others": ("vocabulary", others, {"long_name": "m, mean number of other words in its sentences"}),
    }
    trajectory = run.trajectory.assign(words)
    predicted = predict(task, start, run.training, epochs=int(run.trajectory.epoch[-1]))
    if isinstance(predicted, xr.Dataset):
        trajectory = trajectory.merge(predicted, join="left")
    trajectory = trajectory.assign_attrs(
        title=printable(", ".join([f"{model} on {Path(task.name).name}", *trained])),
        model=model,
        task=printable(task.name),
        training=training.in_words,
        learning_rate=training.learning_rate,
        steps_per_epoch=steps,
        query_norm=float(np.linalg.norm(start.query)) if sen_applies else np.nan,
        start_query_norm=float(np.linalg.norm(start.query)),
        best_epoch=run.best_epoch,
        ended=run.ended,
        topic_words=[str(word) for topic in task.topic_words for word in topic],
        not_predicted=predicted if isinstance(predicted, str) else "",
        classes=list(task.train.class_names) or [str(number) for number in range(task.train.n_classes)],
    )
    return trajectory.assign_attrs(assumptions=as_text(_assumptions(trajectory, task, start, run.training)))


def _assumptions(run: xr.Dataset, task: Task, start: Parameters, training: Training) -> list[Assumption]:
    """Check the assumptions of the laws shown beside a run, for the words in its figures."""
    names = {str(word): word for word in task.train.vocabulary}
    shown = [names[curve.word] for curve in word_curves(run)]
    found = check_assumptions(task, start, training, words=shown)
    steps = loss_steps(run.train_loss.values)
    if training.decays:  # the flow lowers the loss with its penalty, and may raise the loss alone
        steps |= {"loss_rises": 0}
    over = f"the run diverged after epoch {int(run.epoch[-1]):,}" if run.attrs["ended"] == "diverged" else None
    long = over or _too_long(steps, run.attrs["steps_per_epoch"])
    return found + short_steps([each.law for each in found], long, steps["largest_loss_step"])


def data_digest(task: Task) -> str:
    """Return a digest that two tasks share exactly if their sentences, labels and splits are equal."""
    return digest(task.splits.values(), (), *task.splits, task.train.n_classes)


def versions(device: str = "numpy") -> list[str]:
    """Return the versions of the software, as in "numpy 2.0.0": equal settings and versions give equal numbers.

    On a device of torch the numbers agree to round-off. The version of torch may name its CUDA, as in
    "torch 2.9.0+cu130".
    """
    packages = PACKAGES if device == "numpy" else (*PACKAGES, "torch")
    return [f"{name} {version(name)}" for name in packages] + [f"python {platform.python_version()}"]


def summarise(trajectory: xr.Dataset, seconds: float) -> dict[str, Any]:
    """Return the summary of one run: losses and accuracies at the best epoch, everything else at the last epoch."""
    best, query_norm = trajectory.sel(epoch=trajectory.attrs["best_epoch"]), float(trajectory.attrs["query_norm"])
    on_curve = query_norm if trajectory.sizes["epoch"] > 1 else np.nan  # at its start every word is on its curve
    fits = {
        f"{split}_{part}": float(best[f"{split}_{part}"]) if f"{split}_{part}" in best else None
        for split in ("train", "dev", "test")
        for part in ("loss", "accuracy")
    }
    return {
        "model": trajectory.attrs["model"],
        "task": trajectory.attrs["task"],
        "title": trajectory.attrs["title"],
        "training": trajectory.attrs.get("training"),
        "classes": {name: number for number, name in enumerate(trajectory.attrs["classes"])},
        "seed": int(trajectory.attrs["seed"]),
        "epochs": int(trajectory.epoch[-1]),
        "ended": trajectory.attrs["ended"],
        "best_epoch": int(trajectory.attrs["best_epoch"]),
        **fits,
        "sen_residual": _sen_residual(trajectory, on_curve),
        "prediction_residual": deviation(trajectory),
        "not_predicted": trajectory.attrs.get("not_predicted") or None,
        "assumptions": [each._asdict() for each in from_text(trajectory.attrs.get("assumptions", "[]"))],
        "score_sum_drift": float(abs(trajectory.score_sum - trajectory.score_sum[0]).max()),
        **loss_steps(trajectory.train_loss.values),
        "query_norm": query_norm,
        "words": {curve.word: _final(curve, on_curve) for curve in word_curves(trajectory)},
        "versions": trajectory.attrs["versions"],
        "seconds": seconds,
    }


def _sen_residual(trajectory: xr.Dataset, query_norm: float) -> float | None:
    """Return the largest relative distance of a topic word from its SEN curve at the end (theory B2).

    Words without a curve, which occur in no sentence or only alone, do not count. Return None if no word counts, or if
    the query norm is NaN.
    """
    topic = {*np.atleast_1d(trajectory.attrs["topic_words"])}
    shown = [curve for curve in word_curves(trajectory) if curve.word in topic and curve.others > 0]
    ends = [abs(sen_deviation(curve, query_norm)[-1]) for curve in shown]
    return float(np.max(ends)) if ends and np.isfinite(query_norm) else None


def loss_steps(loss: np.ndarray) -> dict[str, Any]:
    """Return two measures of how far descent is from gradient flow, given the training loss at every epoch.

    `loss_rises` counts the steps at which the loss rose. It never rises in the flow, nor in descent with a learning
    rate below 2 over the curvature. `largest_loss_step` is the largest change in one step, relative to the larger of
    both losses.
    """
    before, after = loss[:-1], loss[1:]
    moved = abs(after - before) > ROUND_OFF
    share = abs(after - before)[moved] / np.maximum(before, after)[moved]
    rises = int(np.count_nonzero(moved & (after > before)))
    return {"loss_rises": rises, "largest_loss_step": float(share.max(initial=0.0))}


def _too_long(steps: dict[str, Any], per_epoch: int) -> str | None:
    """Return why steps are too long; None if the loss never rose, and an epoch took no more than its steps may."""
    rises, largest = steps["loss_rises"], steps["largest_loss_step"]
    if not rises and largest <= 1.0 - (1.0 - COARSE) ** per_epoch:
        return None
    rose = f"rose at {rises:,} epochs and " if rises else ""
    return f"the training loss {rose}changed by up to {100 * largest:.0f} % in a single epoch"


def broken(summary: dict[str, Any]) -> list[str]:
    """Return sentences on the failed assumptions and on the distance of the run from their laws."""
    distances = _told_distances(summary.get("runs", [summary]))
    names = {law: f"{name} ({', '.join([law, *distances.get(law, [])])})" for law, name in LAWS.items()}
    advice = {SHORT: " A smaller --learning-rate keeps descent near gradient flow."}
    remarks = [
        text[0].upper() + text[1:] + "".join(more for assumption, more in advice.items() if assumption in text)
        for text in sentences(summary["assumptions"], names)
    ]
    unsaid = summary["not_predicted"] and not any(each["law"].startswith("C") for each in summary["assumptions"])
    untrained = ["Nothing was trained, so that no distance from a law is measured."] * (not distances)
    return untrained + remarks + [f"No prediction: {summary['not_predicted']}."] * bool(unsaid)


def _told_distances(runs: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the largest distance of the runs from each law, in words; {} if nothing was trained."""
    if not any(run["epochs"] for run in runs):
        return {}
    off, word = max((each for run in runs for each in _distances(run)), default=(None, ""))
    predicted = max(
        (run["prediction_residual"] for run in runs if run["prediction_residual"] is not None), default=None
    )
    sen = "no curve" if off is None else f"here up to {percent(off)} off at the end, for “{word}”"
    mean_field = "no prediction" if predicted is None else f"here up to {percent(predicted)} off"
    return {"B1": [sen], "C9": [mean_field], "C10": [mean_field]}


def _distances(run: dict[str, Any]) -> Iterator[tuple[float, str]]:
    """Yield the final relative distance from the SEN curve, and the word, for each shown word with a curve."""
    for word, final in run["words"].items():
        norm, theory = final["embedding_norm"], final["sen_norm"]
        # Files hold null for NaN. The theory gives 0 for a word that starts and stays at 0.
        if theory and norm is not None and np.isfinite([norm, theory]).all():
            yield abs(norm / theory - 1), word


def table(summary: dict[str, Any]) -> Group:
    """Return the tables of one run beside the theory: its numbers, then its words."""
    out = fits_table(summary)
    if summary["epochs"]:
        out.add_row("Σ s, largest drift", f"{summary['score_sum_drift']:.1e}", "0", "", "law A1")
    if summary["prediction_residual"] is not None:
        most = f"≤ {100 * summary['prediction_residual']:.2f} %"
        out.add_row("topic words' s", "", "predicted", most, "mean field C9, C10")
    return Group(out, _words_table(summary)) if summary["words"] else Group(out)


def fits_table(summary: dict[str, Any]) -> Table:
    """Return a table of the losses and accuracies of a run; its title says how the run ended.

    Its columns serve further rows, which compare a quantity with the theory.
    """
    title = summary.get("title") or f"{summary['model']} on {summary['task']}, seed {summary['seed']}"
    out = _entitled(f"{title}: {_story(summary)}")
    if (best := summary["best_epoch"]) < (last := summary["epochs"]):
        out.caption = Text(f"losses and accuracies at epoch {best:,}, everything else at epoch {last:,}")
    for name in ("quantity", "measured", "theory", "difference", "source"):
        out.add_column(name, justify="left" if name in ("quantity", "source") else "right")
    for name, value in summary.items():
        if name.endswith(("_loss", "_accuracy")) and value is not None:
            out.add_row(name.replace("_", " "), f"{value:.4g}", "", "", "")
    return out


def word_rows(summary: dict[str, Any]) -> list[dict[str, str]]:
    """Return one row per word: final score and norm, and if SEN applies the norm by SEN (B1) and the difference."""
    return [_word_row(word, final) for word, final in summary["words"].items()]


def largest_difference(summary: dict[str, Any]) -> str:
    """Return the largest difference from SEN over all words of the table; "" if SEN applies to none of them."""
    return max((row["difference"] for row in word_rows(summary)), key=_size, default="")


def _word_row(word: str, final: dict[str, Any]) -> dict[str, str]:
    norm, theory = final["embedding_norm"], final["sen_norm"]
    row = {"word": word, "s": f"{final['score']:.4g}", "‖ν‖": f"{norm:.4g}", "SEN, B1": "", "difference": ""}
    if theory is None or not np.isfinite(theory):  # null in a file
        return row
    off = f"{100 * (norm / theory - 1):+z.2f} %" if theory else ""  # 0 if a word starts and stays at 0
    return row | {"SEN, B1": f"{theory:.4g}", "difference": off}


def _size(difference: str) -> float:
    return abs(float(difference.removesuffix(" %"))) if difference else -1.0


def _words_table(summary: dict[str, Any]) -> Table:
    """Return a table of the words beside SEN, with the largest difference in the footer."""
    rows, feet = word_rows(summary), {"word": "largest", "difference": largest_difference(summary)}
    applies = any(row["SEN, B1"] for row in rows)
    names = [*rows[0]] if applies else ["word", "s", "‖ν‖"]
    out = Table(show_footer=bool(feet["difference"]))
    for name in names:
        out.add_column(name, feet.get(name, ""), justify="left" if name == "word" else "right")
    for row in rows:
        out.add_row(*(Text(row[name]) for name in names))
    return out


def _entitled(title: str) -> Table:
    """Return an empty table at least as wide as its title, which is plain text without markup."""
    return Table(title=Text(title), min_width=len(title))


def join(trajectories: list[xr.Dataset]) -> xr.Dataset:
    """Return the trajectories joined along a new dimension; NaN fills the epochs after a replicate ended."""
    runs = [each.drop_vars("time") for each in trajectories]
    if not all("predicted" in each.dims for each in runs):  # some replicates may have no prediction
        runs = [each.drop_dims("predicted", errors="ignore") for each in runs]
    joined = xr.concat(runs, "replicate", join="outer", combine_attrs="drop_conflicts", data_vars="all")
    return joined.assign_coords(time=max((each.time for each in trajectories), key=len))


def summarise_replicates(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over replicates, with half-widths of their 95 % intervals for five replicates or more.

    Round-off and step sizes are no samples of a distribution, so their largest values are reported. Seconds are summed.
    """
    names = [name for name in summaries[0] if name.endswith(("_loss", "_accuracy", "_residual"))]
    known = [name for name in names if all(each[name] is not None for each in summaries)]
    numbers = {name: np.array([each[name] for each in summaries]) for name in known}
    coarsest_first = sorted(summaries, key=lambda each: -each["largest_loss_step"])  # its longest steps are told
    shared = {name: summaries[0][name] for name in ("model", "task", "training", "classes", "seed", "versions")}
    return shared | {
        "replicates": len(summaries),
        "epochs": [each["epochs"] for each in summaries],
        **dict.fromkeys(names),
        **{name: float(values.mean()) for name, values in numbers.items()},
        "not_predicted": next((each["not_predicted"] for each in summaries if each.get("not_predicted")), None),
        "assumptions": joined([each.get("assumptions", []) for each in coarsest_first]),
        "confidence_95": {name: float(half_width(values)) for name, values in numbers.items()},
        **{name: max(each[name] for each in summaries) for name in LARGEST},
        "seconds": sum(each["seconds"] for each in summaries),
        "runs": summaries,
    }


def replicates_table(summary: dict[str, Any]) -> Table:
    """Return a table of means over replicates with their intervals, or with ranges for fewer than five replicates."""
    runs = summary["runs"]
    story = f"{summary['replicates']} replicates, {shown_as(len(runs))}"
    out = _entitled(f"{runs[0]['title']}: {story}")
    out.add_column("quantity")
    out.add_column("measured", justify="right")
    for name in summary["confidence_95"]:
        out.add_row(name.replace("_", " "), in_words(np.array([run[name] for run in runs])))
    if any(summary["epochs"]):
        out.add_row("Σ s, largest drift", f"{summary['score_sum_drift']:.1e}")
    return out


def _neighbours(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    present = corpus.counts.astype(bool).astype(float)
    frequency = present.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return frequency, corpus.lengths @ present / frequency - 1.0


def _final(curve: WordCurve, query_norm: float) -> dict[str, float]:
    return {
        "score": float(curve.score[-1]),
        "embedding_norm": float(curve.embedding_norm[-1]),
        "sen_norm": float(curve.sen_norm(query_norm)[-1]),
        "attention": float(curve.attention[-1]),
        "others": float(curve.others),
    }


def _story(summary: dict[str, Any]) -> str:
    endings = {
        "epochs": f"{summary['epochs']:,} epochs",
        "patience": f"stopped early at epoch {summary['epochs']:,}, {_best(summary)}",
        "interrupted": f"interrupted after epoch {summary['epochs']:,}",
        "diverged": f"diverged after epoch {summary['epochs']:,}",
    }
    return endings[summary["ended"]]


def _best(summary: dict[str, Any]) -> str:
    """Return which epoch was best, in words."""
    if summary["best_epoch"] == 0:
        return "because the dev loss never fell: nothing was learned (a larger --patience waits longer)"
    return f"best at {summary['best_epoch']:,}"
