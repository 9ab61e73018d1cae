"""The command: the figures of the documentation, drawn anew and compared with those that are kept, or replacing them.

python -m analysis.kept_figures --overwrite
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from analysis.verdict_file import DOCS
from attn_dynamics.commands import simulate
from attn_dynamics.commands.shell import FAILED, run_command
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import make_folder, write_whole
from attn_dynamics.tasks.treebank import sst_folder

FIGURES = DOCS / "figures"
NEAR = 2
"""Distance in pixels at which a mark counts as in its place: one of rasterisation in either image."""
SHADE = 100
"""Difference of shades that counts as none, of 255: in each image the nearest of 256 colours may be 50 off."""


class Drawing(NamedTuple):
    """Options of the run that draws a figure, and the figure's name."""

    options: tuple[str, ...]
    figure: str


def known() -> dict[str, Drawing]:
    """Return how each figure is drawn, by its file; those of SST-2 only where `SST_DIR` names its folder.

    Raises:
        InputError: `SST_DIR` names no folder.
    """
    drawn = {
        "sen.png": Drawing(("--model", "attn-tc"), "sen"),
        "window-width.png": Drawing(("--model", "attn-window"), "width"),
    }
    if folder := sst_folder():
        task = ("--task", "sst2", "--data-dir", str(folder), "--model", "attn-fc", "--embedding-dim", "200")
        drawn["sst2-sen.png"] = Drawing(task, "sen")
    return drawn


@dataclass(frozen=True)
class Options:
    """Draw the figures of the documentation anew, and compare them with those that are kept."""

    out: Path = FIGURES
    """Folder of the figures."""
    overwrite: bool = False
    """Replace the figures instead of comparing them."""

    EXAMPLE: ClassVar = "--overwrite"


def run(options: Options) -> int:
    """Draw, then compare or replace; return the exit code: 1 if a figure differs.

    Raises:
        InputError: a figure is not kept yet, or `SST_DIR` names no folder.
        StorageError: a figure could not be written.
    """
    fresh = {file: _drawn(drawing) for file, drawing in known().items()}
    if options.overwrite:
        make_folder(options.out)
        for file, image in fresh.items():
            write_whole(options.out / file, lambda target, image=image: target.write(image))
        print(f"{len(fresh)} figures in {options.out}")
        return 0
    changed = differing(fresh, options.out)
    print(f"differ: {', '.join(changed)}" if changed else f"{len(fresh)} figures in {options.out} are as drawn anew")
    return FAILED if changed else 0


def differing(fresh: Mapping[str, bytes], folder: Path) -> list[str]:
    """Return the files of fresh images that differ from those in a folder.

    Raises:
        InputError: a file does not exist.
    """
    for file in fresh:
        if not (folder / file).is_file():
            fix = "Draw it by --overwrite."
            raise InputError("--out", expected=f"a folder with {file}", given=f"{folder}, which has none", fix=fix)
    return [file for file, image in fresh.items() if not alike(_pixels(image), _pixels((folder / file).read_bytes()))]


def alike(first: NDArray[np.int16], second: NDArray[np.int16]) -> bool:
    """Return whether two images (height, width, 3) have the same marks in the same places, up to rasterisation.

    Every shade of one must lie between the darkest and the lightest shade near its place in the other. A mark that
    moved by more than `NEAR` pixels, or that is only in one of them, does not.
    """
    return first.shape == second.shape and _within(first, second) and _within(second, first)


def _within(image: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    near = (2 * NEAR + 1, 2 * NEAR + 1, 1)
    low, high = minimum_filter(other, near) - SHADE, maximum_filter(other, near) + SHADE
    return bool(((low <= image) & (image <= high)).all())


def _drawn(drawing: Drawing) -> bytes:
    """Return a figure as PNG of 256 colours, which looks the same at a third of the bytes."""
    buffer = BytesIO()
    with TemporaryDirectory() as folder:
        code = simulate.main([*drawing.options, "--out", folder, "--overwrite"])
        if code:
            raise InputError("run", expected="one that ends", given=f"exit code {code}", fix="See its message above.")
        with Image.open(Path(folder) / "figures" / f"{drawing.figure}.png") as image:
            image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _pixels(image: bytes) -> NDArray[np.int16]:
    with Image.open(BytesIO(image)) as opened:
        return np.asarray(opened.convert("RGB"), np.int16)


main = partial(run_command, Options, run, prog="python -m analysis.kept_figures", interrupted="interrupted")

if __name__ == "__main__":
    sys.exit(main())
