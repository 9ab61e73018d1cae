"""Settings of `--model attn-window`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from attn_dynamics.check import at_most_one, integer, number
from attn_dynamics.model.bell import PLACEMENTS, SCALES, Bell
from attn_dynamics.system.options import changed, without_effect
from attn_dynamics.theory.bell_width import Loss
from attn_dynamics.window.settings import WindowTraining
from attn_dynamics.window.tasks import TASKS, WindowOptions

if TYPE_CHECKING:
    Placement: TypeAlias = str
    ScaleName: TypeAlias = str
    TaskName: TypeAlias = str
else:
    Placement = Literal[tuple(PLACEMENTS)]
    ScaleName = Literal[tuple(SCALES)]
    TaskName = Literal[tuple(TASKS)]


UNREAD = {"needle": ("words", "classes"), "copying": ("classes",), "topics": ("loss",)}
"""Settings that a task ignores, by task."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """Train the width of a bell around the query, and compare the run with the theory.

    Raises:
        InputError: a value is out of range.
    """

    model: Literal["attn-window"] = "attn-window"
    """A layer that attends within a bell around its query."""
    placement: Placement = "renormalised"
    """Placement of the bell: softmax(s + ln U), softmax(s) U with the prefactor 1/(σ √(2π)), or without it."""
    scale: ScaleName = "deviation"
    """Trained parameter of the bell: its standard deviation, its variance, or ln σ."""
    start_width: float | None = None
    """Initial standard deviation σ of the bell, in tokens (default: 3; for topics twice the distance, because a narrow
    bell learns its few words by heart)."""
    seed: int = 0
    """Random seed of the data, and of the head."""
    task: TaskName = "needle"
    """Task to learn, with a useful token at a known distance: a needle, copying, or LMN21's topic words."""
    options: WindowOptions = dataclasses.field(default_factory=WindowOptions)
    loss: Loss = "likelihood"
    """Loss: -ln of the attention on useful tokens, or minus that attention; topics always have cross-entropy."""
    epochs: int = 3000
    """Largest number of steps of gradient descent."""
    learning_rate: float | None = None
    """Learning rate η; time = η × epoch (default: 0.1; 1 for topics, because scores and embeddings must grow first)."""
    bell_rate: float = 1.0
    """Factor on the learning rate of the bell."""
    flow: bool = False
    """Integrate gradient flow over the same time instead of taking steps."""
    patience: int | None = None
    """Number of epochs without a lower dev loss after which to stop; dev data are as many further windows (default:
    never)."""
    out: Path | None = None
    """Folder for the results; by default a new one below runs/."""
    resume: bool = False
    """Resume from the checkpoint in the folder, or start if there is none; --flow always starts anew."""
    overwrite: bool = False
    """Replace the results in the folder."""

    EXAMPLE: ClassVar = "--model attn-window --task copying --placement product"
    GROUPS: ClassVar = {"model": "model", "data": "seed", "training": "loss", "output": "out"}
    """First option of each group of the help."""

    def __post_init__(self) -> None:
        integer("epochs", self.epochs, 1)
        if self.patience is not None:
            integer("patience", self.patience, 1, fix="Leave it out for never.")
        integer("seed", self.seed, 0, most=None)  # numpy advises seeds of 128 bits
        for name, usual in {"start_width": "3 tokens", "learning_rate": "0.1", "bell_rate": "1"}.items():
            if getattr(self, name) is not None or name == "bell_rate":
                number(name, getattr(self, name), above=0, fix=f"{usual} is usual.")
        at_most_one(resume=self.resume, overwrite=self.overwrite)

    @property
    def bell(self) -> Bell:
        """Return placement and scale of the bell."""
        return Bell(self.placement, self.scale)

    @property
    def width(self) -> float:
        """Return the standard deviation σ of the bell at the start, tokens."""
        usual = 2.0 * self.options.distance if self.task == "topics" else 3.0
        return usual if self.start_width is None else self.start_width

    @property
    def rate(self) -> float:
        """Return the learning rate η."""
        usual = 1.0 if self.task == "topics" else 0.1
        return usual if self.learning_rate is None else self.learning_rate

    @property
    def training(self) -> WindowTraining:
        """Return the training settings, except for the trained parts, which the task decides."""
        settings = {"epochs": self.epochs, "patience": self.patience or None, "bell_rate": self.bell_rate}
        return WindowTraining(learning_rate=self.rate, **settings)

    @property
    def max_epochs(self) -> int:
        """Return the number of epochs to run."""
        return self.epochs

    @property
    def default_out(self) -> Path:
        """Return the folder below runs/ that is named after the run."""
        return Path("runs") / f"{self.model}-{self.task}-seed{self.seed}"

    @property
    def notes(self) -> list[str]:
        """Return notes on settings without effect."""
        given = [*changed(self, WindowConfig()), *changed(self.options, WindowOptions())]
        notes = without_effect(f"the task {self.task}", [name for name in given if name in UNREAD.get(self.task, ())])
        return notes + without_effect("gradient flow", ["patience"] if self.flow and self.patience else [])

    def identity_settings(self) -> dict[str, Any]:
        """Return all settings that decide the run in a form for JSON, without its length and folder."""
        kept = dataclasses.asdict(self)
        for name in ("epochs", "out", "resume", "overwrite"):
            del kept[name]
        return kept
