"""What a run leaves behind: the annotated trajectory, a summary, and a table of what was measured beside the theory."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from rich.table import Table
from rich.text import Text

from attn_dynamics.checkpoint import digest
from attn_dynamics.config import Config
from attn_dynamics.corpus import Corpus
from attn_dynamics.intervals import half_width
from attn_dynamics.parameters import Parameters
from attn_dynamics.prediction import deviation, predict
from attn_dynamics.run import Run
from attn_dynamics.storage import printable
from attn_dynamics.tasks import Task
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.tracks import Track, sen_deviation, tracks

PACKAGES = ("attn-dynamics", "numpy", "scipy", "numba", "xarray")
LARGEST = ("score_sum_drift", "loss_rises", "largest_loss_step")
"""What of replicates is told by the largest."""
LARGEST_INTEGER = np.iinfo(np.int64).max
"""Of those that NetCDF can hold; a larger seed is written as text."""
ROUND_OFF = 1e-10
"""Nats by which the loss may rise for no other reason."""
COARSE = 0.1
"""Share of the loss that one step may take. On the synthetic task the SEN residual, 0.5 % in the flow, is no more than
1 % there, and grows with the learning rate beyond."""


def annotate(run: Run, config: Config, task: Task, start: Parameters) -> xr.Dataset:
    """The trajectory with all that its figures need: m and frequency of every word, ‖q‖, names and versions.

    ‖q‖ is not a number where the SEN relation does not apply, which takes a fixed query, trained keys and embeddings
    (theory §3).
    """
    sen_applies = {"keys", "embeddings"} <= set(config.train) and "query" not in config.train
    query_norm = float(np.linalg.norm(start.query)) if sen_applies else np.nan
    frequency, others = _neighbours(task.train)
    words = {
        "frequency": ("vocabulary", frequency, {"long_name": "training sentences that hold the word"}),
        "others": ("vocabulary", others, {"long_name": "m, mean number of other words in its sentences"}),
    }
    trajectory = run.trajectory.assign(words)
    rate, epochs = config.learning_rate, int(trajectory.epoch[-1])
    predicted = predict(task, start, train=config.train, learning_rate=rate, epochs=epochs)
    if predicted is not None:
        trajectory = trajectory.merge(predicted, join="left")
    return trajectory.assign_attrs(
        title=printable(f"{config.model} on {task.name}, seed {config.seed}"),
        model=config.model,
        task=printable(task.name),
        seed=config.seed if config.seed <= LARGEST_INTEGER else str(config.seed),
        learning_rate=config.learning_rate,
        query_norm=query_norm,
        start_query_norm=float(np.linalg.norm(start.query)),
        best_epoch=run.best_epoch,
        ended=run.ended,
        topic_words=[str(word) for topic in task.topic_words for word in topic],
        versions=versions(config.device),
        data=data_digest(task),
    )


def data_digest(task: Task) -> str:
    """A digest that two tasks share exactly if their sentences, labels and splits are the same."""
    return digest(task.splits.values(), (), *task.splits, task.train.n_classes)


def versions(device: str = "numpy") -> list[str]:
    """What computes here, as "numpy 2.0.0": two runs of the same settings and versions give the same numbers.

    On a device of torch these are the same to round-off. Its version tells the CUDA it was built for, by name as in
    "torch 2.9.0+cu130", or where the index of packages has one build of each, by itself.
    """
    packages = PACKAGES if device == "numpy" else (*PACKAGES, "torch")
    return [f"{name} {version(name)}" for name in packages] + [f"python {platform.python_version()}"]


def summarise(trajectory: xr.Dataset, seconds: float) -> dict[str, Any]:
    """The numbers of one run: losses and accuracies at the best epoch, the rest at the last."""
    best = trajectory.sel(epoch=trajectory.attrs["best_epoch"])
    fits = {
        f"{split}_{part}": float(best[f"{split}_{part}"]) if f"{split}_{part}" in best else None
        for split in ("train", "dev", "test")
        for part in ("loss", "accuracy")
    }
    return {
        "model": trajectory.attrs["model"],
        "task": trajectory.attrs["task"],
        "seed": int(trajectory.attrs["seed"]),
        "epochs": int(trajectory.epoch[-1]),
        "ended": trajectory.attrs["ended"],
        "best_epoch": trajectory.attrs["best_epoch"],
        **fits,
        "sen_residual": sen_residual(trajectory),
        "prediction_residual": deviation(trajectory),
        "score_sum_drift": float(abs(trajectory.score_sum - trajectory.score_sum[0]).max()),
        **loss_steps(trajectory.train_loss.values),
        "query_norm": trajectory.attrs["query_norm"],
        "words": {track.word: _final(track, trajectory.attrs["query_norm"]) for track in tracks(trajectory)},
        "versions": trajectory.attrs["versions"],
        "seconds": seconds,
    }


def is_summary(content: Mapping[str, Any]) -> bool:
    """Whether an object of JSON has what `summarise_replicates` and the table of replicates take from a summary."""
    numbers = ("epochs", "best_epoch", "seconds", "train_loss", *LARGEST)
    texts = ("model", "task", "ended")
    return (
        all(isinstance(content.get(name), int | float) for name in numbers)
        and all(isinstance(content.get(name), str) for name in texts)
        and {"seed", "versions", "dev_loss", "test_loss", "sen_residual", "prediction_residual"} <= content.keys()
    )


def sen_residual(trajectory: xr.Dataset) -> float | None:
    """Largest relative distance from the SEN curve over the topic words at the end (theory B2); None without any."""
    topic = set(trajectory.attrs["topic_words"])
    query_norm = trajectory.attrs["query_norm"]
    ends = [abs(sen_deviation(track, query_norm)[-1]) for track in tracks(trajectory) if track.word in topic]
    return float(np.max(ends)) if ends and np.isfinite(query_norm) else None


def loss_steps(loss: np.ndarray) -> dict[str, float]:
    """How far descent is from the flow, read off the training loss at every epoch.

    `loss_rises` counts the steps at which it rose, which the flow never does, nor descent with a step below 2 over the
    curvature; `largest_loss_step` is its largest change in one step as a share of the larger of the two losses.
    """
    before, after = loss[:-1], loss[1:]
    moved = abs(after - before) > ROUND_OFF
    share = abs(after - before)[moved] / np.maximum(before, after)[moved]
    rises = int(np.count_nonzero(moved & (after > before)))
    return {"loss_rises": rises, "largest_loss_step": float(share.max(initial=0.0))}


def far_from_flow(summary: dict[str, Any]) -> str | None:
    """What to say if the learning rate is too large for a comparison with the theory of the flow."""
    rises, largest = summary["loss_rises"], summary["largest_loss_step"]
    if not rises and largest <= COARSE:
        return None
    rose = f"rose at {rises:,} epochs and " if rises else ""
    return (
        f"The training loss {rose}changed by up to {100 * largest:.0f} % in a single epoch: the steps are too long to "
        "stay near gradient flow, for which the theory holds. A smaller --learning-rate helps."
    )


def table(summary: dict[str, Any]) -> Table:
    """One run, measured beside theory."""
    # As Text, because a name may hold what the printer takes for its own marks.
    out = Table(title=Text(f"{summary['model']} on {summary['task']}, seed {summary['seed']}: {_story(summary)}"))
    out.caption = Text("\n".join(_remarks(summary)))
    for name in ("quantity", "measured", "theory", "difference", "source"):
        out.add_column(name, justify="left" if name in ("quantity", "source") else "right")
    for name, value in summary.items():
        if name.endswith(("_loss", "_accuracy")) and value is not None:
            out.add_row(name.replace("_", " "), f"{value:.4g}", "", "", "")
    out.add_row("Σ s, largest drift", f"{summary['score_sum_drift']:.1e}", "0", "", "law A1")
    if summary["prediction_residual"] is not None:
        most = f"≤ {100 * summary['prediction_residual']:.2f} %"
        out.add_row("s of the topic words over time", "", "predicted", most, "mean field, C9, C10")
    for word, final in summary["words"].items():
        norm, theory = final["embedding_norm"], final["sen_norm"]
        off = f"{100 * (norm / theory - 1):+.2f} %" if theory else ""  # 0 where a word that starts there stays
        beside = (f"{theory:.4f}", off, "SEN, B1") if np.isfinite(theory) else ()
        out.add_row(Text(f"‖ν‖ of “{word}” at s = {final['score']:.3f}"), f"{norm:.4f}", *beside)
    return out


def _remarks(summary: dict[str, Any]) -> list[str]:
    remarks = []
    if summary["best_epoch"] < summary["epochs"]:
        at = summary["best_epoch"], summary["epochs"]
        remarks.append("losses and accuracies at epoch {:,}, words at epoch {:,}".format(*at))
    if np.isnan(summary["query_norm"]):
        remarks.append("no SEN curve: theory B1 takes a fixed query, and keys and embeddings trained")
    return remarks


def join(trajectories: list[xr.Dataset]) -> xr.Dataset:
    """Replicates side by side; where one ended earlier than another it has no numbers."""
    runs = [each.drop_vars("time") for each in trajectories]
    if not all("predicted" in each.dims for each in runs):  # where a prediction gave up, as it may on some of them
        runs = [each.drop_dims("predicted", errors="ignore") for each in runs]
    joined = xr.concat(runs, "replicate", join="outer", combine_attrs="drop_conflicts", data_vars="all")
    return joined.assign_coords(time=max((each.time for each in trajectories), key=len))


def summarise_replicates(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over replicates with the half-widths of their 95 % confidence intervals (Student's t).

    Round-off, steps and time are no samples of anything: of these stand the largest, of the seconds the sum.
    """
    names = [name for name in summaries[0] if name.endswith(("_loss", "_accuracy", "_residual"))]
    told = [name for name in names if all(each[name] is not None for each in summaries)]
    numbers = {name: np.array([each[name] for each in summaries]) for name in told}
    shared = {name: summaries[0][name] for name in ("model", "task", "seed", "versions")}
    return shared | {
        "replicates": len(summaries),
        "epochs": [each["epochs"] for each in summaries],
        **dict.fromkeys(names),
        **{name: float(values.mean()) for name, values in numbers.items()},
        "confidence_95": {name: float(half_width(values)) for name, values in numbers.items()},
        **{name: max(each[name] for each in summaries) for name in LARGEST},
        "seconds": sum(each["seconds"] for each in summaries),
        "runs": summaries,
    }


def replicates_table(summary: dict[str, Any]) -> Table:
    """Mean ± 95 % confidence interval over replicates."""
    story = f"{summary['replicates']} replicates, mean ± 95 % interval"
    out = Table(title=Text(f"{summary['model']} on {summary['task']}: {story}"))
    out.add_column("quantity")
    out.add_column("measured", justify="right")
    for name, width in summary["confidence_95"].items():
        out.add_row(name.replace("_", " "), f"{summary[name]:.4g} ± {width:.2g}")
    out.add_row("Σ s, largest drift", f"{summary['score_sum_drift']:.1e}")
    return out


def _neighbours(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    present = corpus.counts.astype(bool).astype(float)
    frequency = present.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return frequency, corpus.lengths @ present / frequency - 1.0


def _final(track: Track, query_norm: float) -> dict[str, float]:
    norm, start = float(track.embedding_norm[-1]), float(track.embedding_norm[0])
    return {
        "score": float(track.score[-1]),
        "embedding_norm": norm,
        "sen_norm": float(sen_norm(track.score[-1], track.others, query_norm, track.score[0], start)),
        "attention": float(track.attention[-1]),
        "others": float(track.others),
    }


def _story(summary: dict[str, Any]) -> str:
    endings = {
        "epochs": f"{summary['epochs']:,} epochs",
        "patience": f"stopped early at epoch {summary['epochs']:,}, best at {summary['best_epoch']:,}",
        "interrupted": f"interrupted after epoch {summary['epochs']:,}",
        "diverged": f"diverged after epoch {summary['epochs']:,}",
    }
    return endings[summary["ended"]]
