"""Cases of the command line: every option of every command with invalid values, and misspelt options."""

import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import analysis.compare.__main__
import analysis.kept_figures
import analysis.mutations
import analysis.pages.__main__
import analysis.publish
import analysis.report
import analysis.theory_figures.__main__
import analysis.verdicts
import analysis.window_counts
import analysis.window_figures
import benchmarks.__main__
import proofs.__main__
import simulations.ablation
import simulations.capacity
import simulations.query
import simulations.sst
import simulations.suppression
import simulations.synthetic
import simulations.text
from attn_dynamics.commands import simulate
from attn_dynamics.commands.sweep import command as sweep
from attn_dynamics.commands.window_config import WindowConfig
from attn_dynamics.training.corpus_config import Config
from fuzz.case import FAILED, NOTED, OK, REFUSED, Case, calling

Main = Callable[[list[str]], int]
TINY = ("--epochs", "3", "--dictionary", "20", "--sentences", "40", "--test-sentences", "5", "--other-words", "3")
"""Options for a run of the synthetic task within milliseconds."""
WINDOW = ("--model", "attn-window", "--epochs", "3", "--length", "21", "--window", "11", "--distance", "2")
"""Options for a small run of attn-window."""
NEVER: Mapping[Any, tuple[str, ...]] = {
    int: ("x", "", "1.5", "nan", "1e3", "0x10", "9" * 5000, "1+1j"),
    float: ("x", "", "nan", "inf", "-inf", "1e400", "1,5", "1+1j"),
    str: (),
    bool: (),
}
"""Values that no option of a kind accepts."""
PERHAPS: Mapping[Any, tuple[str, ...]] = {
    int: ("-1", "0", "1", str(2**31), str(2**63), str(10**20), "-" + str(10**20)),
    float: ("-1", "0", "1e-320", "1e-150", "1e150", "1e308", "-0.0"),
    str: ("", " ", "\x00", "a" * 5000, "σ", "\udcff", "..", "/", "-", "a\nb"),
    bool: (),
}
"""Values that some options of a kind accept."""
SKIPPED = {"resume", "overwrite", "scheduler", "folder", "folders", "runs", "benchmarks"}
"""Options without a value, or whose values are addresses of others."""
ENDLESS = {("attn-window", "epochs", str(2**31))}
"""Valid cases that take forever."""
REFUSES: Mapping[str, tuple[Main, type, tuple[str, ...]]] = {
    "sweep": (sweep.main, sweep.Sweep, ()),
    "simulations.synthetic": (simulations.synthetic.main, simulations.synthetic.Settings, ("--quick",)),
    "simulations.ablation": (simulations.ablation.main, simulations.ablation.Settings, ("--quick",)),
    "simulations.capacity": (simulations.capacity.main, simulations.capacity.Settings, ("--quick",)),
    "simulations.query": (simulations.query.main, simulations.query.Settings, ("--quick",)),
    "simulations.suppression": (simulations.suppression.main, simulations.suppression.Settings, ("--quick",)),
    "simulations.sst": (simulations.sst.main, simulations.sst.Settings, ("--quick",)),
    "simulations.text": (simulations.text.main, simulations.text.Settings, ("--quick", "--task", "none.txt")),
    "analysis.verdicts": (analysis.verdicts.main, analysis.verdicts.Options, ()),
    "analysis.theory_figures": (analysis.theory_figures.__main__.main, analysis.theory_figures.__main__.Options, ()),
    "analysis.window_counts": (analysis.window_counts.main, analysis.window_counts.Options, ()),
    "analysis.window_figures": (analysis.window_figures.main, analysis.window_figures.Options, ()),
    "analysis.compare": (analysis.compare.__main__.main, analysis.compare.__main__.Options, ()),
    "analysis.mutations": (analysis.mutations.main, analysis.mutations.Options, ()),
    "analysis.pages": (analysis.pages.__main__.main, analysis.pages.__main__.Options, ()),
    "analysis.publish": (analysis.publish.main, analysis.publish.Options, ("runs/none",)),
    "analysis.kept_figures": (analysis.kept_figures.main, analysis.kept_figures.Options, ()),
    "analysis.report": (analysis.report.main, analysis.report.Options, ()),
    "proofs": (proofs.__main__.main, proofs.__main__.Options, ()),
    "benchmarks": (benchmarks.__main__.main, benchmarks.__main__.Options, ()),
}
"""Slow commands, of which only refusals are tried."""


def cases(rng: random.Random) -> Iterator[Case]:
    """Yield all cases; for every random seed the same, except for the misspellings."""
    for label, main, options, base in (
        ("simulate", simulate.main, Config, TINY),
        ("attn-window", simulate.main, WindowConfig, WINDOW),
    ):
        for name, kind in _kinds(options):
            for value in NEVER.get(kind, ("x", "")):
                yield _refused(label, main, base, name, value)
            for value in PERHAPS.get(kind, ()):
                if (label, name, value) in ENDLESS:
                    continue
                act = calling(main, *base, f"--{name}={value}")
                ends = frozenset({OK, REFUSED, FAILED, NOTED})
                yield Case(f"{label}: values", f"--{name}={value[:30]!r}", act, ends)
        yield from _misspelt(label, main, options, base, rng)
    for label, (main, options, base) in REFUSES.items():
        for name, kind in _kinds(options):
            for value in NEVER.get(kind, ("x", ""))[:4]:
                yield _refused(label, main, base, name, value)
        yield from _misspelt(label, main, options, base, rng)


def _refused(label: str, main: Main, base: tuple[str, ...], name: str, value: str) -> Case:
    act = calling(main, *base, f"--{name}={value}")
    return Case(f"{label}: unreadable", f"--{name}={value[:30]!r}", act, frozenset({REFUSED}), f"--{name}")


def _misspelt(label: str, main: Main, options: type, base: tuple[str, ...], rng: random.Random) -> Iterator[Case]:
    named = [name for name, kind in _kinds(options) if kind is not bool]
    for name in rng.sample(named, min(4, len(named))):
        place = rng.randrange(1, len(name))
        wrong = name[:place] + "zq" + name[place + 1 :]
        act, told = calling(main, *base, f"--{wrong}", "1"), f"--{wrong}"
        yield Case(f"{label}: misspelt", f"--{wrong}", act, frozenset({REFUSED}), told)
        if label in REFUSES or name not in ("train", "follow"):
            many = name in _several(options)
            act = calling(main, *base, f"--{name}")
            if not many:
                yield Case(f"{label}: misspelt", f"--{name} without a value", act, frozenset({REFUSED}), f"--{name}")
    for unknown in ("--nothing", "-x", "--"):
        act = calling(main, *base, unknown, "value") if unknown != "--" else calling(main, *base, "--", "--value")
        yield Case(f"{label}: misspelt", unknown, act, frozenset({REFUSED}))


def _kinds(options: type) -> Iterator[tuple[str, Any]]:
    """Yield every option with the kind of its values: int, float, str (also for paths), bool, or None for a choice."""
    hints = get_type_hints(options)
    for field in dataclasses.fields(options):
        if field.name in SKIPPED:
            continue
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            yield from _kinds(kind)  # pyright: ignore[reportArgumentType]
        else:
            yield field.name.replace("_", "-"), _scalar(kind)


def _several(options: type) -> set[str]:
    hints = get_type_hints(options)
    found = set[str]()
    for field in dataclasses.fields(options):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            found |= _several(kind)  # pyright: ignore[reportArgumentType]
        elif "tuple" in str(kind):
            found.add(field.name.replace("_", "-"))
    return found


def _scalar(kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return None
    for each in get_args(kind):
        if each not in (type(None), ...):
            return _scalar(each)
    return kind if kind in NEVER else str if kind is not type(None) else None
