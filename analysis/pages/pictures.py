"""Pictures of the gallery: small copies of the figures that commands left, each with its command and its sentence."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from analysis.report import found, ranked
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import COMMAND
from attn_dynamics.files.storage import make_folder, write_whole

WIDTH = 720
"""Largest width of a picture in pixels."""
PLACE = re.compile(r" --(?:out[ =]\S+|overwrite)")
"""Options of a command that no reader needs."""


class Picture(NamedTuple):
    """Small copy of a figure."""

    name: str
    path: Path
    command: str
    """Command that draws it."""
    sentence: str
    """Sentence that says what the figure shows."""


def pictures(under: Path, folder: Path) -> Iterator[Picture]:
    """Write small copies of all figures of results under a folder, a folder for each command; yield them.

    Raises:
        InputError: a figure says nowhere what it shows.
        StorageError: a picture could not be written.
    """
    for results in found(under):
        command = PLACE.sub("", (results / COMMAND).read_text(encoding="utf-8").strip())
        for path in ranked(results):
            yield _copied(path, make_folder(folder / results.name) / path.name, command)


def _copied(figure: Path, path: Path, command: str) -> Picture:
    buffer = BytesIO()
    with Image.open(figure) as image:
        sentence = image.info.get("Description", "")
        if not sentence:
            fix = "Give the function that draws it a docstring, and draw it again."
            raise InputError("--figures", expected="figures that say what they show", given=f"{figure}", fix=fix)
        small = image.convert("RGB")
        small.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
        small.quantize(64).save(buffer, "PNG", optimize=True)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))
    return Picture(path.stem, path, command, sentence)
