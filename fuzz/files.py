"""Cases of files: malformed labelled text, and results with flipped bits or cut short."""

import json
import random
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import analysis.report
import simulations.text
from attn_dynamics.commands import simulate
from fuzz.case import FAILED, NOTED, OK, REFUSED, Case, Seen, called
from fuzz.commands import TINY, WINDOW

RUN = ("--epochs", "2")
TEXT = b"".join(b"%d %s film number %d\n" % (row % 2, [b"bad", b"good"][row % 2], row % 5) for row in range(40))
"""Forty valid lines of labelled text."""
ENDS = frozenset({OK, REFUSED, NOTED})
TOLD = frozenset({REFUSED, NOTED})
"""Outcomes of files that must be refused, or accepted with a note."""
KNOWN: dict[str, tuple[bytes, frozenset[str]]] = {
    "empty": (b"", frozenset({REFUSED})),
    "blank": (b"\n\n \n", frozenset({REFUSED})),
    "one class": (b"1 a film\n" * 20, frozenset({REFUSED})),
    "no labels": (b"a film\nanother\n" * 10, TOLD),
    "row numbers for labels": (b"".join(b"%d a film\n" % row for row in range(30)), TOLD),
    "sparse counts": (b"9 0:9 1:1\n0 0:1 7:2\n" * 10, TOLD),
    "a lone carriage return": (TEXT.replace(b"\n1 ", b"\r1 "), TOLD),
    "zip": (b"PK\x03\x04" + bytes(200), frozenset({REFUSED})),
    "gzip": (b"\x1f\x8b" + zlib.compress(TEXT), TOLD | {OK}),
    "UTF-16": (TEXT.decode().encode("utf-16"), TOLD | {OK}),
    "NUL": (TEXT.replace(b"film", b"fi\x00lm"), TOLD),
    "a lone surrogate": (TEXT.replace(b"film", b"\xed\xb3\xbf"), frozenset({REFUSED})),
    "labels beyond 64 bits": (TEXT.replace(b"0 bad", b"9" * 30 + b" bad"), TOLD | {OK}),
    "a line of a megabyte": (TEXT + b"1 " + b"x" * 2**20 + b"\n", ENDS),
}
"""Files that people have, with their allowed outcomes."""
INSERTED = (b"\x00", b"\xff\xfe", b"\r", b"\x0b", b"\xe2\x80\xa8", b"-1 ", b"\t", b'"', b"1")
"""Bytes that occur in files by accident."""
CONFIGS = (
    "",
    "x",
    '"x"',
    "null",
    "[]",
    "{}",
    "3",
    '{"model": 1, "task": 2}',
    '{"model": null, "task": null}',
    "{",
    "\xff",
)
"""Contents that a config.json may have by mistake."""


def cases(rng: random.Random) -> Iterator[Case]:
    """Yield all cases of files."""
    for name, (content, allowed) in KNOWN.items():
        yield Case("text: known", name, _with_text(content), allowed)
    for number in range(150):
        content = _mutated(TEXT, rng)
        yield Case("text: mutated", f"mutation {number}", _with_text(content), ENDS)
    for number in range(30):
        content = _mutated(TEXT, rng)
        yield Case("text: simulations.text", f"mutation {number}", _refused_by_text(content), ENDS | {FAILED})
    for name in ("config.json", "summary.json"):
        for content in CONFIGS:
            yield Case(f"results: {name}", repr(content), _resuming(name, content.encode("latin-1")), ENDS)
            yield Case(f"results: {name} in a report", repr(content), _reporting(name, content.encode("latin-1")), ENDS)
    for content in CONFIGS:
        yield Case(
            "results: attn-window",
            repr(content),
            _resuming("config.json", content.encode("latin-1"), window=True),
            ENDS,
        )
    for name, runs in (("checkpoint.npz", 60), ("trajectory.nc", 30)):
        for number in range(runs):
            yield Case(f"bits: {name}", f"flip {number}", _flipped(name, rng.random(), rng.randrange(8)), ENDS)
    for number in range(30):
        act = _flipped("replicate-1/trajectory.nc", rng.random(), rng.randrange(8), replicates=True)
        yield Case("bits: replicates", f"flip {number}", act, ENDS)
    for number in range(60):
        yield Case("bits: results.parquet", f"flip {number}", _flipped_table(rng.random(), rng.randrange(8)), ENDS)
    for number in range(20):
        yield Case("bits: checkpoint cut short", f"cut {number}", _cut("checkpoint.npz", rng.random()), ENDS)


def _mutated(content: bytes, rng: random.Random) -> bytes:
    """Return the content after one to four small random changes."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place, length = rng.randrange(len(found) or 1), rng.choice((1, 2, 40))
        accident = rng.randrange(5)
        if accident == 0:
            found[place : place + length] = b""
        elif accident == 1:
            found[place:place] = rng.choice(INSERTED)
        elif accident == 2 and found:
            found[place] ^= 1 << rng.randrange(8)
        elif accident == 3:
            found[place:place] = found[:length]
        else:
            del found[rng.randrange(len(found) or 1) :]
    return bytes(found)


def _with_text(content: bytes) -> Callable[[Path], Seen]:
    def act(folder: Path) -> Seen:
        (folder / "films.txt").write_bytes(content)
        return called(simulate.main, "--task", "films.txt", *RUN, "--out", "out")

    return act


def _refused_by_text(content: bytes) -> Callable[[Path], Seen]:
    def act(folder: Path) -> Seen:
        (folder / "films.txt").write_bytes(content)
        # A single seed is refused, so nothing is trained if the options are read first.
        return called(simulations.text.main, "--task", "films.txt", "--seeds", "1", "--quick")

    return act


# --- damaged results


@cache
def _made(kind: str) -> dict[str, bytes]:
    """Return the files of a complete run, by name."""
    if kind == "sweep":
        rows = pd.DataFrame({"seed": range(50), "train_loss": np.linspace(1.0, 2.0, 50), "model": ["attn-tc"] * 50})
        rows.to_parquet("results.parquet", index=False, write_page_checksum=True)
        Path("command.txt").write_text("python -m attn_dynamics.sweep\n")
        return {name: Path(name).read_bytes() for name in ("results.parquet", "command.txt")}
    arguments = {"window": WINDOW, "replicates": (*TINY, "--replicates", "3")}.get(kind, TINY)
    assert called(simulate.main, *arguments, "--out", "made").code == 0
    made = Path("made")
    return {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}


def _restored(kind: str, folder: Path, damage: dict[str, bytes]) -> None:
    """Write the files of a complete run into a folder, some of them with damaged content."""
    for name, content in (_made(kind) | damage).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _resuming(name: str, content: bytes, *, window: bool = False) -> Callable[[Path], Seen]:
    def act(folder: Path) -> Seen:
        _restored("window" if window else "run", folder / "out", {name: content})
        return called(simulate.main, *(WINDOW if window else TINY), "--resume", "--out", "out")

    return act


def _reporting(name: str, content: bytes) -> Callable[[Path], Seen]:
    def act(folder: Path) -> Seen:
        _restored("run", folder / "out", {name: content})
        return called(analysis.report.main, "out", "--out", "page.html")

    return act


def _flip(content: bytes, where: float, bit: int) -> bytes:
    found = bytearray(content)
    found[int(where * len(found))] ^= 1 << bit
    return bytes(found)


def _flipped(name: str, where: float, bit: int, *, replicates: bool = False) -> Callable[[Path], Seen]:
    """Resume from files with one flipped bit; the command must refuse them, or give unchanged results."""
    kind, base = ("replicates", (*TINY, "--replicates", "3")) if replicates else ("run", TINY)

    def act(folder: Path) -> Seen:
        whole = _made(kind)
        _restored(kind, folder / "out", {name: _flip(whole[name], where, bit)})
        seen = called(simulate.main, *base, "--resume", "--out", "out")
        if seen.code:
            return seen
        (folder / "whole.nc").write_bytes(whole["trajectory.nc"])
        same = _numbers(folder / "out" / "trajectory.nc") == _numbers(folder / "whole.nc")
        return seen if same else seen._replace(wrong=f"{name}: other numbers were taken over")

    return act


def _cut(name: str, where: float) -> Callable[[Path], Seen]:
    def act(folder: Path) -> Seen:
        content = _made("run")[name]
        _restored("run", folder / "out", {name: content[: int(where * len(content))]})
        return called(simulate.main, *TINY, "--resume", "--out", "out")

    return act


def _flipped_table(where: float, bit: int) -> Callable[[Path], Seen]:
    def act(folder: Path) -> Seen:
        whole = _made("sweep")
        pages = []
        for name, content in (
            ("whole", whole["results.parquet"]),
            ("out", _flip(whole["results.parquet"], where, bit)),
        ):
            _restored("sweep", folder / name, {"results.parquet": content})
            seen = called(analysis.report.main, name, "--out", f"{name}.html")
            if seen.code:
                return seen
            pages.append(_cells(folder / f"{name}.html"))
        return seen if pages[0] == pages[1] else seen._replace(wrong="results.parquet: other values were shown")

    return act


def _cells(page: Path) -> list[str]:
    return [part.partition("</td>")[0] for part in page.read_text().split("<td>")[1:]]


def _numbers(path: Path) -> dict[str, str]:
    """Return the values in a trajectory as text, which ignores the time that the run took."""
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return {str(name): json.dumps(np.asarray(each.values).tolist()) for name, each in found.variables.items()}
