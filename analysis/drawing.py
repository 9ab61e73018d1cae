"""Commands that draw figures into a folder of their own, each figure written as soon as it is ready."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from attn_dynamics.commands.shell import record_command, run_recorded
from attn_dynamics.files.output import Kind, clear, of_command, results_folder
from attn_dynamics.results.figures import style

Figures = Mapping[str, Callable[[], Figure]]
INTERRUPTED = "interrupted; every figure named above is kept"
"""Message on Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Place of the figures."""

    out: Path | None = None
    """Folder for the results, figures as PNG; by default a new one, runs/NAME with a number."""
    overwrite: bool = False
    """Replace the results in the folder."""


Given = TypeVar("Given", bound=Place)


def command(
    options: type[Given], module: str, what: str, known: Iterable[str], chosen: Callable[[Given], Figures]
) -> Callable[..., int]:
    """Return the command of a module: a function from its arguments to its exit code.

    `what` names its results, of all the figures that are `known`. `chosen` gives those to draw for some options, and
    raises InputError before anything is written.
    """
    prog = f"python -m analysis.{module}"
    kind = of_command(prog, what, *(f"{name}.png" for name in known))

    def draw(given: Given, line: str) -> int:
        figures = chosen(given)
        with folder_of(kind, given, module, line) as folder:
            write_figures(figures, folder)
        return 0

    return partial(run_recorded, options, draw, prog=prog, interrupted=INTERRUPTED)


@contextmanager
def folder_of(kind: Kind, place: Place, module: str, line: str) -> Iterator[Path]:
    """Open the folder of a module's results, empty but for the line that calls the command.

    Raises:
        InputError: the folder holds other files, or results that must not be replaced.
        StorageError: the folder or a file cannot be written.
    """
    with results_folder(kind, place.out, Path("runs") / module.replace("_", "-"), overwrite=place.overwrite) as folder:
        clear(folder, kind)
        record_command(folder, line)
        yield folder


def write_figures(figures: Figures, folder: Path) -> None:
    """Draw figures into a folder, and print the path of each when it is there."""
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        style.write_figure(figure, path)
        print(path)
