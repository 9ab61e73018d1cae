"""The settings of one run of the command, and what makes two runs the same."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import tyro

from attn_dynamics.check import at_most_one, integer, number
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.initial import PRESETS
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.system.options import changed, without_effect
from attn_dynamics.tasks import Synthetic, TextOptions
from attn_dynamics.training.replicates.engine import DEVICES, PRECISIONS

WINDOW = "attn-window"
"""The model whose settings are those of `commands.window_settings`."""
if TYPE_CHECKING:
    Device: TypeAlias = str
    Model: TypeAlias = str
    Precision: TypeAlias = str
    Preset: TypeAlias = str
    Trainable: TypeAlias = str
else:
    Device = tyro.extras.literal_type_from_choices(DEVICES)
    Precision = tyro.extras.literal_type_from_choices(PRECISIONS)
    Preset = tyro.extras.literal_type_from_choices(PRESETS)
    # The window is a layer with settings of its own; its name is told here, and `Config` says where it runs.
    Model = tyro.extras.literal_type_from_choices([*HEADS, WINDOW])
    Trainable = tyro.extras.literal_type_from_choices(TRAINABLE)


UNREAD = {"attn-fc": ("hidden_dim",), "attn-tc": ("hidden_dim",), "mean-field": ("start_scale",)}
"""Settings that a model or a start does not read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Train an attention model with its exact gradient and set what happens beside the theory.

    Raises:
        InputError: a value out of range.
    """

    model: Model = "attn-tc"
    """Classifier on top of the attention block: fixed linear, trained linear or two-layer. attn-window is another
    layer with settings of its own: --model attn-window --help."""
    task: str = "synthetic"
    """What to learn: synthetic, sst2, sst5, or the path of a file or folder of labelled texts: `LABEL text` lines, CSV,
    TSV or JSON."""
    data_dir: Path | None = None
    """Folder that holds the files of sst2 or sst5; without it they come from the hub (needs the extra 'data')."""
    epochs: int | None = None
    """Steps of gradient descent, at most (default: 5,000 on the synthetic task, 50,000 on text)."""
    learning_rate: float = 0.1
    """η; time = η × epoch."""
    embedding_dim: int = 10
    """d, dimension of the embeddings."""
    key_dim: int | None = None
    """d_k, dimension of keys and query (default: d; 10 for --start published)."""
    hidden_dim: int = 10
    """h, hidden units of attn-tl."""
    start: Preset = "paper"
    """Initial values: published, as LMN21's code draws them; paper, as its text states them; lmn21, those of its
    analysis; or those of the mean-field theory."""
    start_scale: float = 1.0
    """Factor on the initial embeddings, whose standard deviation is 0.001 (published: 10⁻⁶; mean-field: 0)."""
    train: tuple[Trainable, ...] = ("keys", "embeddings", "head")
    """What moves: any of query, keys, embeddings, head."""
    patience: int | None = None
    """Stop after so many epochs without a lower dev loss, 0 for never (default where there is dev data: 2,000, as
    LMN21's published configuration has it; its text says 100)."""
    seed: int = 0
    """Seed of the data (synthetic task, splits) and of the initial values."""
    replicates: int = 1
    """Runs from different initial values on the same data."""
    follow: tuple[str, ...] = ()
    """Words to record at every epoch, beside the topic words where the task names them."""
    device: Device = "numpy"
    """Compiled loops on numpy's arrays, or the same equations by PyTorch (extra 'torch') on a processor or a GPU."""
    precision: Precision = "float64"
    """Of PyTorch's numbers; compiled loops take float64."""
    full: bool = False
    """Do not use law A6: move all d dimensions of the embeddings even where fewer can move."""
    out: Path | None = None
    """Folder for the results; by default a new one below runs/."""
    resume: bool = False
    """Go on from the checkpoint in the folder, or start if there is none."""
    overwrite: bool = False
    """Replace the results in the folder."""
    text: Annotated[TextOptions, tyro.conf.arg(name="")] = dataclasses.field(default_factory=TextOptions)
    synthetic: Annotated[Synthetic, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Synthetic)

    def __post_init__(self) -> None:
        least = {"embedding_dim": 1, "hidden_dim": 1, "replicates": 1}
        if self.epochs is not None:
            least["epochs"] = 0
        if self.patience is not None:
            least["patience"] = 0
        if self.key_dim is not None:
            least["key_dim"] = 1
        for name, bound in least.items():
            integer(name, getattr(self, name), bound)
        if self.model == WINDOW:
            fix = f"A window runs by itself, without a sweep: python -m attn_dynamics.simulate --model {WINDOW}."
            raise InputError("model", expected=f"one of {', '.join(HEADS)}", given=WINDOW, fix=fix)
        integer("seed", self.seed, 0, most=None)  # numpy advises seeds of 128 bits
        number("learning_rate", self.learning_rate, above=0, fix="LMN21 takes 0.1.")
        number("start_scale", self.start_scale, least=0, fix="1 is the start's own.")
        at_most_one(resume=self.resume, overwrite=self.overwrite)

    @property
    def max_epochs(self) -> int:
        """The epochs to run at most."""
        return self.epochs if self.epochs is not None else 5000 if self.task == "synthetic" else 50_000

    @property
    def default_out(self) -> Path:
        """Folder below runs/ that is named after what is run."""
        return Path("runs") / f"{self.model}-{Path(self.task).name or 'task'}-seed{self.seed}"

    @property
    def notes(self) -> list[str]:
        """What there is to say of settings that were given in vain."""
        unread = (*UNREAD.get(self.model, ()), *UNREAD.get(self.start, ()))
        given = [name for name in changed(self, Config()) if name in unread]
        return without_effect(f"{self.model} from the start {self.start}", given)

    def course(self) -> dict[str, Any]:
        """All that decides the course of the run, ready for JSON: not how long it is nor where it is kept."""
        kept = dataclasses.asdict(self)
        for name in ("epochs", "out", "resume", "overwrite"):
            del kept[name]
        kept["data_dir"] = None if self.data_dir is None else str(self.data_dir.resolve())
        return _as_json(kept)


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, tuple) else value
