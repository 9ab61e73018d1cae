"""The command: a full judgement of all claims goes into the documentation, as docs/verdicts.json and docs/badge.svg.

python -m analysis.publish runs/verdicts --overwrite
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import tyro

from analysis.judge import IDS, Row, read_rows
from analysis.provenance import CHANGED
from analysis.verdict_file import BADGE, DOCS, VERDICTS, Published, badge, content, outcome
from analysis.verdicts import ORIGIN, TABLE
from attn_dynamics.commands.shell import run_command
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import expanded, results_file
from attn_dynamics.files.storage import read_json_object, write_json, write_whole

FACTS = ("date", "versions", "text")
"""Facts of a judgement that are published beside its commit."""
AGAIN = "Run `make verify` on a commit, and publish its folder."


@dataclass(frozen=True)
class Options:
    """Publish the verdicts that `make verify` left in a folder."""

    folder: tyro.conf.Positional[Path]
    """Folder of a full judgement of all claims."""
    out: Path = DOCS
    """Folder for verdicts.json and badge.svg."""
    overwrite: bool = False
    """Replace what was published before."""

    EXAMPLE: ClassVar = "runs/verdicts --overwrite"


def run(options: Options) -> int:
    """Write the verdicts and their badge; return the exit code.

    Raises:
        InputError: the folder holds no full judgement of all claims from a commit, or verdicts are published already.
        StorageError: a file could not be written.
    """
    folder = expanded(options.folder, "folder")
    published = gathered(read_rows(folder / TABLE), read_json_object(folder / ORIGIN))
    files = [results_file("--out", options.out / name, overwrite=options.overwrite) for name in (VERDICTS, BADGE)]
    write_json(files[0], content(published))
    write_whole(files[1], lambda file: file.write(badge(published).encode()))
    print(f"{', '.join(published.summary)}; verdicts in {files[0]}")
    return 0


def gathered(rows: Sequence[Row], origin: dict[str, str]) -> Published:
    """Return what may be published of a judgement.

    Raises:
        InputError: claims are missing, some were judged in short form, the code was that of no commit, or the date, the
            versions or the text is unknown.
    """
    missing = [id for id in IDS if id not in {row.id for row in rows}]
    short = [row.id for row in rows if row.size != "full"]
    commit = origin.get("commit", "")
    if missing:
        _refuse("verdicts on all claims", f"none on {', '.join(missing)}")
    if short:
        _refuse("verdicts of full size", f"quick ones on {', '.join(short)}")
    if not commit or commit.endswith(CHANGED):
        _refuse("the code of a commit", commit or "none")
    if lacking := [name for name in FACTS if name not in origin]:
        _refuse(f"a {ORIGIN} with {', '.join(FACTS)}", f"one without {', '.join(lacking)}")
    facts = {name: origin[name] for name in FACTS}
    return Published(commit=commit, claims={row.id: outcome(row) for row in rows}, **facts)


def _refuse(expected: str, given: str) -> None:
    raise InputError("folder", expected=expected, given=given, fix=AGAIN)


main = partial(run_command, Options, run, prog="python -m analysis.publish", interrupted="interrupted")

if __name__ == "__main__":
    sys.exit(main())
