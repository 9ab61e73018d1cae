"""Claim: an option of one name has one meaning in all commands: its help begins alike, but for listed exceptions."""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import analysis
import benchmarks.__main__
import proofs.__main__
import simulations
from attn_dynamics.commands.sweep.command import Sweep
from attn_dynamics.commands.window_config import WindowConfig
from attn_dynamics.system.options import described
from attn_dynamics.training.corpus_config import Config

EXCEPTIONS = {
    "batch_size": "sentences, or questions",
    "epochs": "steps, or passes of several steps over the questions",
    "model": "a classifier, or the layer with a window",
    "out": "a folder, or for a page its file",
    "overwrite": "what is in a folder, or one file",
    "quick": "each command tells how it is shorter",
    "resume": "a run from its checkpoint, or runs that are missing",
}
"""Names whose help differs, and what differs."""


def commands() -> Iterator[tuple[str, type]]:
    """Yield every command with the class of its options."""
    yield from {"simulate": Config, "window": WindowConfig, "sweep": Sweep}.items()
    yield from {"proofs": proofs.__main__.Options, "benchmarks": benchmarks.__main__.Options}.items()
    for package, name in ((simulations, "Settings"), (analysis, "Options")):
        for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not each.name.endswith("__main__"):
                module = importlib.import_module(f"{each.name}.__main__" if each.ispkg else each.name)
                if hasattr(module, name) and hasattr(module, "main"):
                    yield each.name, getattr(module, name)


def meanings(options: Mapping[str, type]) -> dict[str, set[str]]:
    """Return by the name of each option how its help begins, up to the first comma, stop or bracket."""
    found: dict[str, set[str]] = {}
    for kind in options.values():
        for name, text in described(kind).items():
            found.setdefault(name, set()).add(re.split(r"[,.;:(]", text)[0].strip())
    return found


def test_every_option_has_one_meaning() -> None:
    found = meanings(dict(commands()))
    assert len(found) > 80
    assert {name for name, begins in found.items() if len(begins) > 1} == EXCEPTIONS.keys()
    assert "" not in set().union(*found.values()), "an option without help"


@dataclass(frozen=True)
class Misnamed:
    """Negative control: an option of a name that has another meaning elsewhere, and one that has the same."""

    seed: int = 0
    """Number of grains."""
    key_dim: int = 1
    """Dimension d_k of keys and query; here 1."""


def test_a_second_meaning_is_noticed() -> None:
    both = meanings({"simulate": Config, "other": Misnamed})
    assert {name for name, begins in both.items() if len(begins) > 1} == {"seed"}
