"""Training and evaluation of the rows of `simulations.squad`, with each run kept as it ends, and their comparison."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from attn_dynamics.encoder import Window, use_kernel
from attn_dynamics.errors import InputError
from attn_dynamics.files.run_store import RunStore
from attn_dynamics.model.heads import Array
from attn_dynamics.questions import (
    Features,
    Plan,
    Question,
    attended_pairs,
    attention_by_distance,
    cut,
    fingerprint,
    fitting,
    load_squad,
    mark,
    one_thread,
    read,
    reader,
    squad_folder,
    subset,
    tokens_held,
    tokens_reached,
    train,
)
from attn_dynamics.statistics import in_words, interval, shown_as
from attn_dynamics.system.progress import meter
from attn_dynamics.system.workers import finished, spawned
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.window.w22 import SCORES
from simulations.experiment import CELLS, Findings, begin
from simulations.squad_differences import Difference, differences, goal
from simulations.squad_figures import drawings, scores
from simulations.squad_heads import AMONG, heads
from simulations.squad_rows import EVEN, ROWS, Runs, Settings

GLIMPSED = 250
"""Number of dev questions on which readers are evaluated during training."""
SHARED = 1 / 3
"""Share of the tokens of a window that the next window of a long passage repeats."""
SHOWN = ("window", "batch_size", "error", "device", "precision")
"""Options in the summary."""


@dataclass(frozen=True)
class Data:
    """Data common to all rows."""

    train: Features
    dev: Features
    glimpse: Features
    """Part of dev on which readers are evaluated during training."""
    mark: str
    """Digest of the data and of the encoder's weights."""


@dataclass(frozen=True)
class Trial:
    """One row with one seed."""

    row: str
    window: Window
    plan: Plan

    @property
    def title(self) -> str:
        """Return the name of the trial in messages and of its file."""
        return f"{self.row}-{self.plan.seed}"


def study(options: Settings) -> Findings:
    """Train, evaluate and compare every row over all seeds; a row with a failed seed is left out and reported.

    Without training, compare the rows over the seeds that are there.

    Raises:
        InputError: without training, the folder has no run; or the data or the encoder cannot be used.
    """
    if not options.trained and not any((options.folder / CELLS).glob("*.nc")):
        fix = "Name one by --out and give --resume, or leave out --no-trained."
        raise InputError("--out", expected="a folder with runs", given=f"{options.folder}, which has none", fix=fix)
    trials, data = trials_of(options), _data(options)
    store = begin(options)
    failed = _train_all(trials, options, data, store) if options.trained else {}
    runs: dict[str, list[xr.Dataset]] = {}
    for trial in trials:
        run = None if trial.row in failed else _found(trial, options, data, store)
        if run is not None:
            runs.setdefault(trial.row, []).append(run)
    if not runs:
        raise ArithmeticError("; ".join(failed.values()) or f"no run of {', '.join(options.chosen)} is there")
    compared = differences(runs)
    return Findings(
        rows=pd.DataFrame([_row(name, run) for name, each in runs.items() for run in each]),
        summary=_summary(runs, compared, options, data),
        table=pd.DataFrame([_line(name, each) for name, each in runs.items()]),
        figures=drawings(runs, compared, len(data.glimpse.questions)),
        caption=f"{shown_as(max(map(len, runs.values())))} over seeds",
        sentences=_sentences(runs, compared),
        wrong="; ".join(failed.values()),
    )


def _train_all(trials: Sequence[Trial], options: Settings, data: Data, store: RunStore) -> dict[str, str]:
    """Train all missing trials, and keep each that ends; return the reason of each failure, by row."""
    work = partial(_attempt, options=options, data=data, store=store)
    missing = [each for each in trials if _found(each, options, data, store) is None]
    with tqdm(
        total=len(trials), initial=len(trials) - len(missing), desc=options.name, unit=" runs", dynamic_ncols=True
    ) as bar:
        failed: dict[str, str] = {}
        for row, why in _attempts(work, missing, options.processes):
            bar.update()
            if why:
                failed[row] = why
    return failed


def _attempts(
    work: Callable[[Trial], tuple[str, str]], trials: Sequence[Trial], processes: int
) -> Iterator[tuple[str, str]]:
    """Yield the row of each trial as it ends, and the reason if it failed, else ""."""
    if min(processes, len(trials)) <= 1:
        yield from map(work, trials)
        return
    with spawned(processes, resumes=True) as pool:
        for done in finished(pool, work, trials, at_once=processes):
            yield from [each.result() for each in done]


def _attempt(trial: Trial, *, options: Settings, data: Data, store: RunStore) -> tuple[str, str]:
    """Train, evaluate and keep a trial; return its row, and the reason if it failed, else ""."""
    if options.processes > 1:
        one_thread()
    try:
        _run(trial, options, data, store)
    except (ArithmeticError, InputError) as error:
        return trial.row, f"{trial.title}: {error}"
    return trial.row, ""


def trials_of(options: Settings) -> list[Trial]:
    """Return all trials, seed by seed.

    Raises:
        InputError: a number is out of range.
    """
    return [_trial(name, seed, options) for seed in options.seed_range for name in options.chosen]


def _trial(name: str, seed: int, options: Settings) -> Trial:
    row = ROWS[name]
    plan = Plan(
        epochs=options.size.epochs,
        batch=options.batch_size,
        learning_rate=options.size.learning_rate,
        bell_rate=row.bell_rate,
        bell_rule=row.bell_rule,
        sliced_from=row.sliced_from,
        error=options.error,
        judged=options.moments,
        seed=seed,
        precision=options.precision,
    )
    window = Window(
        placement=row.placement,
        scale=row.scale,
        start_width=row.start_width,
        each=row.each,
        window=options.window,
        exempt="mask" if row.exempt == "random" else row.exempt,
    )
    return Trial(name, window, plan)


def _data(options: Settings) -> Data:
    """Return the questions, the same for every row and seed."""
    model, tokenizer = reader(Window(window=options.window), encoder=options.encoder, device=options.device)
    if options.tokens > (longest := getattr(model.config, "max_position_embeddings", math.inf)):
        expected, fix = f"at most the {longest} tokens that the encoder takes", "Make it shorter."
        raise InputError("--length", expected=expected, given=options.tokens, fix=fix)
    splits = load_squad(options.data_dir or squad_folder())
    train, dev = (_windows(each, most, tokenizer, options) for each, most in zip(splits, options.most, strict=True))
    glimpse, chosen = dev.first(options.glimpsed or GLIMPSED), [train.questions, dev.questions]
    return Data(train, dev, glimpse, _digest(repr((options.tokens, _stride(options), chosen, fingerprint(model)))))


def _windows(questions: Sequence[Question], most: int | None, tokenizer: Any, options: Settings) -> Features:
    """Choose questions, of those that fit if required, in a random order: fewer questions are the first of more."""
    drawn = subset(questions, len(questions), 0)
    if options.fitting:
        return fitting(drawn, tokenizer, length=options.tokens, shortest=options.shortest, most=most)
    chosen = drawn if most is None else subset(questions, most, 0)
    return cut(chosen, tokenizer, length=options.tokens, stride=_stride(options))


def _stride(options: Settings) -> int:
    """Return the number of passage tokens that a window shares with the next."""
    return 0 if options.fitting else int(SHARED * options.tokens)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(trial: Trial, options: Settings, data: Data) -> str:
    return _digest(repr((data.mark, trial, options.device)))


def _found(trial: Trial, options: Settings, data: Data, store: RunStore) -> xr.Dataset | None:
    """Return the stored run of a trial; None if it is missing."""
    return store.take(trial.title, _identity(trial, options, data))


def _run(trial: Trial, options: Settings, data: Data, store: RunStore) -> None:
    """Train, evaluate and keep a run."""
    identity, checkpoint = _identity(trial, options, data), Checkpoint(store.checkpoint(trial.title), every=30.0)
    found = _trained(trial, options, data, identity, checkpoint)
    found = found.assign_attrs(row=trial.row, seed=trial.plan.seed, window=options.window)
    store.keep(trial.title, identity, found)
    checkpoint.path.unlink(missing_ok=True)


def _trained(trial: Trial, options: Settings, data: Data, identity: str, checkpoint: Checkpoint) -> xr.Dataset:
    """Return the record of a training, with the marks of every question and the attention by distance."""
    plan, parts = trial.plan, (data.train, data.dev, data.glimpse)
    if trial.window.exempt == "mask":
        parts = tuple(each.with_random_exempt() for each in parts)
    train_on, dev, glimpse = parts

    def f1(model: Any) -> float:
        return mark(glimpse.questions, read(model, glimpse, precision=plan.precision)).f1

    model = reader(trial.window, encoder=options.encoder, seed=plan.seed, device=options.device).model
    seen = [attention_by_distance(model, dev)]
    alone, steps = options.processes == 1, plan.steps(len(train_on))  # bars of several processes would overlap
    with meter(steps, trial.title, unit="steps", first="begins") if alone else nullcontext(_silent) as show:
        found = train(model, train_on, plan, identity=identity, checkpoint=checkpoint, judge=f1, show=show)
    with tqdm(total=len(dev), desc="judged", unit=" windows", leave=False, disable=not alone) as bar:
        marks = mark(dev.questions, read(model, dev, precision=plan.precision, show=bar.update))
    use_kernel(model, "dense")
    seen.append(attention_by_distance(model, dev))
    return (
        found.assign(
            reached=tokens_reached(found, int(dev.lengths.max())),
            held=(("moment", "depth"), np.array([tokens_held(each[0]) for each in seen]), {"units": "tokens"}),
            distances=(
                ("moment", "among", "depth", "head", "distance"),
                np.array(seen, np.float32),
                {"units": "shares of attention"},
            ),
            attended=(("layer", "bell"), attended_pairs(model, dev, plan.error), {"units": "shares of all pairs"}),
            exact=("question", marks.exact),
            overlap=("question", marks.overlap),
        )
        .assign_coords(among=[*AMONG])
        .assign_attrs(f1=marks.f1, em=marks.exact_match, reach=_reach(found, plan))
    )


def _silent(step: int, loss: float) -> None:
    """Show nothing."""


def _reach(run: xr.Dataset, plan: Plan) -> float:
    """Return the change of a bell's parameter if all steps have the size of the learning rate and one sign.

    Adam's steps are about so long if gradients keep size and sign, and may be longer if they grow.
    """
    steps, trained = run.sizes["step"], run.attrs["stage_2"]
    warm = round(plan.warmup * steps)
    place = np.arange(trained)
    rates = np.where(place < warm, place / max(warm, 1), (steps - place) / max(steps - warm, 1))
    return float(plan.bell_rate * plan.learning_rate * rates.sum())


def _row(name: str, run: xr.Dataset) -> dict[str, Any]:
    """Return the numbers of a run."""
    last = run.isel(step=-1)
    second = (run.step >= run.attrs["stage_2"]).values
    pace = (run.seconds / run.tokens).values
    return {
        "row": name,
        **{each: getattr(ROWS[name], each) for each in ("tests", "placement", "scale", "start_width", "bell_rate")},
        **{each: run.attrs[each] for each in ("seed", "f1", "em")},
        "loss": float(run.loss[-max(1, run.sizes["step"] // 10) :].mean()),
        "width": float(last.width.mean()),
        "least_width": float(last.width.min()),
        "largest_width": float(last.width.max()),
        "reach": run.attrs["reach"],
        "reached_first": float(run.reached.isel(step=0).mean()),
        "reached_last": float(last.reached.mean()),
        "held_first": float(run.held.isel(moment=0).mean()),
        "held_last": float(run.held.isel(moment=1).mean()),
        "attended": float(run.attended.mean()),
        "pairs": float(run.pairs[second].mean()) if second.any() else 1.0,
        "stage_2_time": _ratio(pace[second], pace[~second]),
    }


def _ratio(one: Array, other: Array) -> float:
    """Return the ratio of two medians; NaN if either is empty."""
    return float(np.median(one) / np.median(other)) if one.size and other.size else np.nan


def _line(name: str, runs: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Return the line of a row in the table."""
    row, numbers = ROWS[name], pd.DataFrame([_row(name, run) for run in runs])
    bell = row.start_width < EVEN
    return {
        "row": name,
        "seeds": len(runs),
        "F1, %": in_words(numbers.f1),
        "EM, %": in_words(numbers.em),
        "W22: F1, EM": ", ".join(map(str, SCORES.get(name, ()))),
        "σ": f"{row.start_width:g} to {numbers.width.mean():.3g}" if bell else "",
        "pairs, %": f"{100 * numbers.attended.mean():.0f}",
        "reached": f"{numbers.reached_first.mean():.0f} to {numbers.reached_last.mean():.0f}",
        "hold 95 %": f"{numbers.held_first.mean():.0f} to {numbers.held_last.mean():.0f}",
    }


def _summary(runs: Runs, compared: Mapping[str, Difference], options: Settings, data: Data) -> dict[str, Any]:
    """Return the results for the summary."""
    return {
        "encoder": options.encoder or "all-MiniLM-L6-v2, whose training data had pairs from SQuAD",
        "questions": len(data.train.questions),
        "judged": len(data.dev.questions),
        "passages": "those that fit into one window" if options.fitting else "all, cut where they must be",
        "length": options.tokens,
        "shortest": options.shortest,
        **{name: getattr(options, name) for name in SHOWN},
        "rows": {name: {of: interval(scores(each, of)) for of in ("f1", "em")} for name, each in runs.items()},
        "differences_in_f1": {title: each.summary() for title, each in compared.items()},
        "in_words": _sentences(runs, compared),
        "heads": {name: each.summary() for name, each in heads(runs).items()},
    }


def _sentences(runs: Runs, compared: Mapping[str, Difference]) -> list[str]:
    """Return sentences on the differences between rows, the goal, and the widths of heads."""
    return [
        *(f"{title}: {each}." for title, each in compared.items()),
        goal(runs),
        *(f"{name}: {each.verdict()}." for name, each in heads(runs).items()),
    ]
