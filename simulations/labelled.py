"""Attention learned from labelled text: accuracies under early stopping, SEN curves, and the leading words.

The purity of the words of largest score is measured in sentences outside the training data. In the training sentences
it rises even for shuffled labels (control of claim E2).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binomtest

from attn_dynamics.check import at_least_one, integer
from attn_dynamics.claims._support.top_words import held_by_class, purity, word_of_largest_score
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.results.figures.run import draw_figure
from attn_dynamics.results.word_curves import SHOWN
from attn_dynamics.statistics import in_words, interval
from attn_dynamics.tasks import Task
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.corpus_config import Config, Device, Model, Precision
from attn_dynamics.training.replicates.engine import engine_for
from attn_dynamics.training.stopping import Patience
from simulations.configurations import CONFIGURATIONS, Name
from simulations.experiment import NAMES, Cell, Findings, SeededOptions, Size, alike, grouped, run_all

Integers = NDArray[np.integer]

SHORT = 100
"""Patience in epochs that LMN21's text states; its code has 2,000."""
PURITIES = {"purity_elsewhere": "in sentences not trained on", "purity": "in those trained on, as LMN21"}
"""Sentences in which the purity of leading words is measured; the first is left out if there are no such sentences."""
ALL = "all sentences"
KEY = ("task", "configuration", "model", "seed")
"""Attributes that identify a run."""
CHANCE = 0.98
"""Share of the classes' entropy above which a dev loss shows that little more than class frequencies was learned."""
SMALL: Any = {"loc": "best", "fontsize": 7}
"""Place and size of a legend of words."""
FOLLOWED = 5
"""Number of words to follow if none are named."""
Rules = Mapping[str, int | None]
"""Patience of each rule of early stopping, by name; None takes the state at the end of the run."""
Runs = Mapping[tuple[str, str], Sequence[xr.Dataset]]
"""Runs of each task and model, one per seed."""


@dataclass(frozen=True, kw_only=True)
class TextSettings(SeededOptions):
    """Options of the experiments on labelled text.

    Raises:
        InputError: a value is out of range.
    """

    seeds: int | None = None
    """Number of runs of each kind, at least 2; intervals need at least five. Seed k draws only the start, so intervals
    say nothing about other texts."""
    model: tuple[Model, ...] = ("attn-fc", "attn-tc")
    """Classifier on top of the attention block; one or more."""
    configuration: tuple[Name, ...] = ("paper",)
    """Start, dimensions and padding: from LMN21's code (published), the same with embeddings that start at 0
    (published-zero), or from its text (paper)."""
    patience: int = 2000
    """Number of epochs without a lower dev loss after which to stop. The same run also shows a patience of 100."""
    embedding_dim: int | None = None
    """Dimension d of the embeddings; by default that of the configuration, with --quick 20."""
    sentences: int | None = None
    """Number of training sentences, drawn at random; by default all, with --quick 600."""
    device: Device = "numpy"
    """Device that computes: numpy, by compiled loops, each seed alone; or one of PyTorch (extra 'torch'), all seeds
    of a model in one pass."""
    precision: Precision = "float64"
    """Precision of PyTorch's numbers."""
    follow: tuple[str, ...] = ()
    """Words to record at every epoch; by default those that LMN21 followed, or if they do not occur, the most
    telling words."""

    EXAMPLE: ClassVar = "--quick --model attn-fc"
    GROUPS: ClassVar = SeededOptions.GROUPS | {"experiment": "model"}
    FORMER: ClassVar = {"--models": "--model", "--configurations": "--configuration", "--words": "--follow"}
    sizes: ClassVar = {"quick": Size(2, 1000), "usual": Size(3, 50_000), "full": Size(30, 50_000)}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in {"embedding_dim": 2, "sentences": 2, "patience": 1}.items():
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), least)
        for name in ("model", "configuration"):
            at_least_one(name, getattr(self, name))
        engine_for(self.device, self.precision)

    @property
    def rules(self) -> Rules:
        """Return the rules of early stopping that a run of this patience shows."""
        shown = sorted({SHORT, self.patience})
        return {**{f"patience {each}": each for each in shown if each <= self.patience}, "end": None}

    @property
    def processes(self) -> int:
        """Return the number of simultaneous runs; one run has the device."""
        return super().processes if self.device == "numpy" else self.workers or 1


def study(
    options: TextSettings,
    tasks: Mapping[str, Task],
    preferred: Sequence[str] = (),
    reported: Mapping[tuple[str, str], float] | None = None,
) -> Findings:
    """Train every model on every task, and follow the leading words.

    `reported` has published test accuracies in per cent, by task and model, for the table.
    """
    for note in [note for task in tasks.values() for note in task.notes]:
        print(note, file=sys.stderr)
    few, seeds = options.sentences or (600 if options.quick else None), options.seed_range
    parts = {name: subset(task, few) for name, task in tasks.items()}
    words = {name: followed(task, options.follow, preferred) for name, task in parts.items()}
    prepared = {key: CONFIGURATIONS[key[1]].prepare(parts[key[0]]) for key in product(parts, options.configuration)}
    cells = [
        Cell(
            config=_config(options, which, model, seed, part=parts[name], follow=words[name]),
            task=task,
            kind={"task": name, "configuration": which},
            keep=with_leaders,
        )
        for ((name, which), task), model, seed in product(prepared.items(), options.model, seeds)
    ]
    trained = run_all(cells, options)
    runs = {which: alike(each, "task", "model") for which, each in alike(trained, "configuration").items()}
    rows = pd.DataFrame([row for run in trained for row in _rows(run, options.rules, parts[run.attrs["task"]].dev)])
    groups = grouped(rows, "task", "configuration", "model", "rule").items()
    for name in [name for name, task in parts.items() if unseen(task) is None]:
        note = "all sentences are trained on; how pure leading words are elsewhere is left out"
        print(f"{name}: {note}", file=sys.stderr)
    return Findings(
        rows=rows,
        summary={
            "accuracy": {" ".join(key): _accuracies(group) for key, group in groups},
            "leaders": {
                f"{name}, {configuration}, {model}": _trend(each)
                for configuration, trained in runs.items()
                for (name, model), each in trained.items()
            },
            "followed": words,
        },
        table=pd.DataFrame(
            [
                {"task": task, "configuration": configuration, "model": NAMES[model], "rule": rule}
                | {name: in_words(100 * group[name]) for name in group if name.endswith("_accuracy")}
                | ({"at chance": int(group.at_chance.sum())} if "at_chance" in group else {})
                | ({"LMN21, test": reported.get((task, model), "")} if reported else {})
                for (task, configuration, model, rule), group in groups
            ]
        ).rename(columns=lambda name: name.replace("_accuracy", " (%)")),
        figures={
            name if len(runs) == 1 else f"{name}-{configuration}": figure
            for configuration, trained in runs.items()
            for name, figure in _figures(trained, options.rules, reported or {}).items()
        },
    )


def _config(
    options: TextSettings, which: str, model: Model, seed: int, *, part: Task, follow: tuple[str, ...]
) -> Config:
    configuration = CONFIGURATIONS[which]
    return Config(
        model=model,
        task=part.name,
        seed=seed,
        epochs=options.size.epochs,
        learning_rate=options.size.learning_rate,
        embedding_dim=options.embedding_dim or (20 if options.quick else configuration.embedding_dim[model]),
        start=configuration.start,
        start_scale=configuration.start_scale,
        patience=options.patience if part.dev is not None else None,
        device=options.device,
        precision=options.precision,
        follow=follow,
    )


def _figures(runs: Runs, rules: Rules, reported: Mapping[tuple[str, str], float]) -> dict[str, Callable[[], Figure]]:
    """Return the figures of one configuration; the figure of its starts needs dev data in all runs."""
    stops = all("dev_loss" in run for each in runs.values() for run in each)
    return {
        "loss": partial(loss_figure, runs, rules),
        **({"starts": partial(starts_figure, runs, rules, reported)} if stops else {}),
        "leaders": partial(leaders_figure, runs),
        "leaders-of-words": partial(words_figure, runs),
        "attention": partial(attention_figure, runs),
        **{f"sen-{task}-{model}": partial(draw_figure, run, "sen") for (task, model), (run, *_) in runs.items()},
    }


def subset(task: Task, sentences: int | None) -> Task:
    """Return the task with a fixed random part of its training sentences, over the words of this part.

    Raises:
        InputError: so few sentences have only one class, or share no word with a split.
    """
    train = task.train
    if sentences is None or sentences >= train.n_sentences:
        return task
    rows = np.sort(np.random.default_rng(0).choice(train.n_sentences, sentences, replace=False))
    few = replace(train, counts=train.counts[rows], labels=train.labels[rows])
    if np.ptp(few.labels) == 0:
        raise _too_few(sentences, "sentences of at least two classes", "those of one")
    used = np.unique(few.counts.indices)
    for name, corpus in task.splits.items():
        if not np.isin(corpus.counts.indices, used).any():
            raise _too_few(sentences, f"words that {name} data hold, too", "none of them")
    corpora = {name: _over(corpus, used) for name, corpus in {**task.splits, "train": few}.items()}
    return replace(task, **corpora)


def _too_few(sentences: int, expected: str, found: str) -> InputError:
    given = f"{sentences} training sentences with {found}"
    return InputError("--sentences", expected=expected, given=given, fix="Take more.")


def _over(corpus: Corpus, used: Integers) -> Corpus:
    """Restrict a corpus to some words; drop sentences without any of them."""
    counts, words = corpus.counts[:, used], tuple(corpus.vocabulary[word] for word in used)
    filled = np.diff(counts.indptr) > 0
    return replace(corpus, counts=counts[filled], labels=corpus.labels[filled], vocabulary=words)


def followed(task: Task, named: Sequence[str], preferred: Sequence[str]) -> tuple[str, ...]:
    """Return the named words; else all preferred words in the training data, or if none occurs the most telling ones.

    Raises:
        InputError: a named word does not occur.
    """
    train = task.train
    frequency = np.bincount(train.counts.indices, minlength=train.n_words)
    occur = {word for word, count in zip(train.vocabulary, frequency, strict=True) if count}
    if missing := [word for word in named if word not in occur]:
        fix = "Leave it out, or take more sentences."
        raise InputError("--follow", expected="words of the training sentences", given=repr(missing[0]), fix=fix)
    found = named or [word for word in preferred if word in occur]
    return tuple(found) or tuple(
        str(train.vocabulary[word]) for word in np.argsort(-telling(train), kind="stable")[:FOLLOWED]
    )


def telling(corpus: Corpus) -> Array:
    """Return χ² (V,) of the classes of the sentences with a word against all sentences; 0 for an unused word."""
    held = held_by_class(corpus)
    shares = np.bincount(corpus.labels, minlength=corpus.n_classes) / corpus.n_sentences
    expected = np.outer(shares, held.sum(axis=0))
    return np.divide((held - expected) ** 2, expected, out=np.zeros_like(held), where=expected > 0).sum(axis=0)


def unseen(task: Task) -> Corpus | None:
    """Return the sentences outside the training data: those of test, else of dev."""
    return task.dev if task.test is None else task.test


def with_leaders(run: xr.Dataset, task: Task) -> xr.Dataset:
    """Keep the last snapshot of all words, and replace the others by the course of the leading words.

    `led` (snapshot, group of sentences, part) has means over all training sentences, and over those with each followed
    word. They average the purities of the leading word, and its `occurrence` in training sentences. `pair` (snapshot,
    two) has the attention weights of two words of one sentence: the early leader and the last one. Before the first
    step all scores are equal, and no word leads.
    """
    corpus, scores = task.train, run.all_score.values[1:]
    columns = corpus.columns(run.word.values.tolist())
    holding = [np.arange(corpus.n_sentences), *(np.flatnonzero(_holds(corpus, column)) for column in columns)]
    parts = {"purity": purity(corpus), "occurrence": held_by_class(corpus).sum(axis=0)}
    if (judge := unseen(task)) is not None:
        parts["purity_elsewhere"] = purity(corpus, judge)
    leading = np.array([word_of_largest_score(corpus, at) for at in scores])
    led = [[[_mean(values[at[rows]]) for values in parts.values()] for rows in holding] for at in leading]
    row, pair = _contested(corpus, scores, leading, np.unique(np.concatenate(holding[1:])))
    kept = run.isel(snapshot=[-1])
    return kept.assign(
        led=(("led_epoch", "group", "part"), led),
        pair=(("led_epoch", "of_pair"), np.array([attention_weights(corpus, at, row, pair) for at in scores])),
    ).assign_coords(
        led_epoch=run.snapshot.values[1:],
        group=[ALL, *run.word.values.tolist()],
        part=list(parts),
        of_pair=[str(corpus.vocabulary[word]) for word in pair],
    )


def _mean(values: Array) -> float:
    """Return the mean without NaN: the purity of a word absent from the other sentences is unknown."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def _holds(corpus: Corpus, column: int) -> Array:
    return corpus.counts[:, [column]].toarray()[:, 0] > 0


def _contested(corpus: Corpus, scores: Array, leading: Integers, rows: Integers) -> tuple[int, tuple[int, int]]:
    """Return the sentence whose lead passed to the word of most final attention; that word follows the earlier one.

    If no lead passed, take the sentence of most final attention, and its word of least score as the earlier one.
    """
    early = leading[len(leading) // 4]
    changed = rows[early[rows] != leading[-1, rows]]
    among = changed if changed.size else rows
    row = int(max(among, key=lambda row: attention_weights(corpus, scores[-1], row, leading[-1, [row]])[0]))
    words = corpus.counts.indices[slice(*corpus.counts.indptr[row : row + 2])]
    first = early[row] if changed.size else words[scores[-1, words].argmin()]
    return row, (int(first), int(leading[-1, row]))


def attention_weights(corpus: Corpus, scores: Array, row: int, words: Sequence[int] | Integers) -> Array:
    """Return the attention weights A_iw (words,) of words of one sentence."""
    first, last = corpus.counts.indptr[row : row + 2]
    columns, counts = corpus.counts.indices[first:last], corpus.counts.data[first:last]
    weights = counts * np.exp(scores[columns] - scores[columns].max())
    places = [int(np.flatnonzero(columns == word)[0]) for word in words]
    return weights[places] / weights.sum()


def best_epoch(dev_loss: Array, patience: int) -> int:
    """Return the epoch to which early stopping returns.

    As in LMN21's code, the start itself is not judged: the first judged state is the one after the first step.
    """
    rule = Patience(patience)
    for epoch, loss in enumerate(dev_loss[1:], 1):
        rule.update(epoch, np.array([loss]))
        if epoch >= rule.limit:
            break
    return rule.best_epoch


def _rows(run: xr.Dataset, rules: Rules, dev: Corpus | None) -> list[dict[str, Any]]:
    """Return one row per rule: the fits at its epoch."""
    last, rows = int(run.epoch[-1]), []
    for rule, patience in rules.items():
        if patience is not None and dev is None:
            continue
        epoch = last if patience is None else best_epoch(run.dev_loss.values, patience)
        fits = {
            f"{split}_{part}": float(run[f"{split}_{part}"][epoch])
            for split in ("train", "dev", "test")
            for part in ("loss", "accuracy")
            if f"{split}_loss" in run
        }
        ends = {"epoch": epoch, "epochs": last} | {name: run.attrs[name] for name in ("ended", "seconds", "query_norm")}
        waited = patience is None or epoch + patience <= last
        known = {} if dev is None else {"at_chance": waited and fits["dev_loss"] >= CHANCE * entropy(dev)}
        rows.append({name: run.attrs[name] for name in KEY} | {"rule": rule} | ends | fits | known)
    return rows


def entropy(corpus: Corpus) -> float:
    """Return the mean cross-entropy, in nats, of a prediction from the class frequencies alone."""
    shares = np.bincount(corpus.labels, minlength=corpus.n_classes) / corpus.n_sentences
    return float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))


def _share(flags: NDArray[np.bool_]) -> dict[str, float]:
    """Return the number of flagged starts, and the ends of the exact 95 % interval of their share."""
    starts = int(flags.sum())
    ends = binomtest(starts, flags.size).proportion_ci()
    return {"starts": starts, "low": float(ends.low), "high": float(ends.high)}


def _accuracies(group: pd.DataFrame) -> dict[str, Any]:
    names = [name for name in group if name.endswith("_accuracy")]
    found: dict[str, Any] = {"epoch": group.epoch.tolist()}
    if "at_chance" in group:
        flags = group.at_chance.to_numpy(bool)
        found["at_chance"] = _share(flags)
        found["elsewhere"] = {} if flags.all() else {name: group[name].to_numpy()[~flags].mean() for name in names}
    return found | {name: interval(group[name].to_numpy()) for name in names}


def _trend(runs: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Summarise the leading words over all sentences: after the first step, at the end, and the rise between."""
    ends = np.array([run.led.sel(group=ALL).values[[0, -1]] for run in runs])  # (seeds, 2, parts)
    return {
        name: {
            "first": interval(values[:, 0]),
            "last": interval(values[:, 1]),
            "rise": interval(values[:, 1] - values[:, 0]),
        }
        for name, values in zip(runs[0].part.values.tolist(), np.moveaxis(ends, 2, 0), strict=True)
    }


def _common(runs: Sequence[xr.Dataset]) -> int:
    return min(run.sizes["epoch"] for run in runs)


def _led(runs: Sequence[xr.Dataset], group: str, part: str) -> tuple[Array, Array]:
    """Return the times, and the values (seeds, times), at the epochs that all runs reached."""
    epochs = sorted(set.intersection(*(set(run.led_epoch.values.tolist()) for run in runs)))
    values = np.array([run.led.sel(group=group, part=part, led_epoch=epochs).values for run in runs])
    return runs[0].attrs["learning_rate"] * np.array(epochs), values


def _panels(runs: Runs, rows: int, height: float, *, alike: bool = True) -> tuple[Figure, Array]:
    titles = [f"{task}, {NAMES[model]}" for task, model in runs]
    size, share = (1.2 + 3.0 * len(runs), height), "row" if alike else "none"
    figure, axes = style.panels(size, rows, len(runs), titles=titles, sharey=share)
    for each in axes[-1]:
        each.set_xlabel(style.TIME)
    return figure, axes


def loss_figure(runs: Runs, rules: Rules) -> Figure:
    """Draw loss and accuracy of every split up to the epoch that all seeds reached, with early stopping's epochs."""
    figure, rows = _panels(runs, 2, 5.2)
    for column, each in zip(rows.T, runs.values(), strict=True):
        last, rate = _common(each), each[0].attrs["learning_rate"]
        for axes, part in zip(column, ("loss", "accuracy"), strict=True):
            for k, split in enumerate(("train", "dev", "test")):
                if f"{split}_{part}" in each[0]:
                    reached = [run.isel(epoch=slice(last)) for run in each]
                    style.draw_runs(axes, reached, f"{split}_{part}", k, split)
            for (rule, patience), dashes in zip(rules.items(), (":", "--"), strict=False):
                if "dev_loss" in each[0] and patience is not None:
                    best = rate * np.mean([best_epoch(run.dev_loss.values, patience) for run in each])
                    axes.axvline(best, linestyle=dashes, label=f"best, {rule}", **style.REFERENCE)
    rows[0, 0].set_ylabel("mean cross-entropy (nats)")
    rows[1, 0].set(ylabel="accuracy", ylim=(0, 1))
    style.legend_below(figure)
    return style.entitled(figure, style.seeds_as(len(next(iter(runs.values())))))


def starts_figure(runs: Runs, rules: Rules, reported: Mapping[tuple[str, str], float]) -> Figure:
    """Draw the accuracy of every start under each rule of early stopping over ‖q‖², which sets the pace."""
    figure, (row,) = _panels(runs, 1, 3.4, alike=False)
    judged = "test" if all("test_accuracy" in run for each in runs.values() for run in each) else "dev"
    for axes, (key, each) in zip(row, runs.items(), strict=True):
        length = [run.attrs["query_norm"] ** 2 for run in each]
        for k, (rule, patience) in enumerate(rules.items()):
            if patience is None:
                continue
            found = [100 * float(run[f"{judged}_accuracy"][best_epoch(run.dev_loss.values, patience)]) for run in each]
            axes.plot(length, found, label=f"{rule}, mean {np.mean(found):.1f} %", **style.marks(k, 5 - k))
        if key in reported:
            axes.axhline(reported[key], linestyle="--", label=f"LMN21, {reported[key]} %", **style.REFERENCE)
        axes.set_yticks([tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= 100])
        axes.set_xlabel("squared length of the query $‖q‖^2$")
        axes.legend(loc="best", fontsize=7)
    row[0].set_ylabel(f"{judged} accuracy (%)")
    return figure


def leaders_figure(runs: Runs) -> Figure:
    """Draw purity and occurrence of the words of largest score over all training sentences."""
    figure, rows = _panels(runs, 2, 5.2)
    for (above, below), each in zip(rows.T, runs.values(), strict=True):
        for k, part in enumerate(_purities(each)):
            style.draw_band(above, *_led(each, ALL, part), k, PURITIES[part])
        style.draw_band(below, *_led(each, ALL, "occurrence"), 0, band=style.geometric_band)
    _label_leaders(rows)
    rows[0, 0].legend(loc="best")
    return style.entitled(figure, style.seeds_as(len(next(iter(runs.values())))))


def words_figure(runs: Runs) -> Figure:
    """Draw purity and occurrence over the sentences with each followed word: means over seeds."""
    figure, rows = _panels(runs, 2, 5.4)
    shown = _purities([run for each in runs.values() for run in each])[0]
    figure.suptitle(f"purity {PURITIES[shown]}", fontsize=9)
    for (above, below), each in zip(rows.T, runs.values(), strict=True):
        words = each[0].word.values.tolist()
        for k, word in enumerate(words[:SHOWN]):
            for axes, part in ((above, shown), (below, "occurrence")):
                time, values = _led(each, word, part)
                axes.plot(time, values.mean(axis=0), **style.line(k))
        style.name_lines(below, below.lines, [f"“{word}”" for word in words[:SHOWN]], **SMALL)
    _label_leaders(rows)
    return figure


def _purities(runs: Sequence[xr.Dataset]) -> list[str]:
    """Return the names in `PURITIES` that all runs have."""
    return [part for part in PURITIES if all(part in run.part for run in runs)]


def _label_leaders(rows: Array) -> None:
    """Label the axes: purity above, occurrence below."""
    for above, below in rows.T:
        above.set_ylim(-1.05, 1.05)
        above.axhline(0.0, **style.REFERENCE)
        below.set_yscale("log")
        for axes in (above, below):
            axes.set_xscale("log", nonpositive="mask")
    rows[0, 0].set_ylabel("topic purity δ of the\nword of largest score")
    rows[1, 0].set_ylabel("training sentences\nthat hold it")


def attention_figure(runs: Runs) -> Figure:
    """Draw two words of one sentence, seed 0: the early leader, and the final one."""
    figure, (row,) = _panels(runs, 1, 3.4)
    for axes, (run, *_) in zip(row, runs.values(), strict=True):
        for k in range(2):
            axes.plot(run.attrs["learning_rate"] * run.led_epoch, run.pair[:, k], **style.line(k))
        axes.set_ylim(0, 1)
        axes.set_xscale("log", nonpositive="mask")
        style.name_lines(axes, axes.lines, [f"“{word}”" for word in run.of_pair.values], **SMALL)
    row[0].set_ylabel("attention weight $A_{iw}$ in one sentence")
    return figure
