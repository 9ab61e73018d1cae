"""Settings of a run of a model on a corpus, and those of them that identify the run."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from attn_dynamics.check import at_most_one, integer, number
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS
from attn_dynamics.model.initial import PRESETS
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.system.options import changed, without_effect
from attn_dynamics.tasks import Synthetic, TextOptions
from attn_dynamics.training.replicates.engine import DEVICES, PRECISIONS
from attn_dynamics.training.rules import RULES, Adam, Momentum, share
from attn_dynamics.training.settings import Training

WINDOW = "attn-window"
"""Name of the model whose settings are those of `commands.window_config`."""
if TYPE_CHECKING:
    Device: TypeAlias = str
    Model: TypeAlias = str
    Precision: TypeAlias = str
    Preset: TypeAlias = str
    RuleName: TypeAlias = str
    Trainable: TypeAlias = str
else:
    Device, Precision, Preset, RuleName, Trainable = (
        Literal[tuple(names)] for names in (DEVICES, PRECISIONS, PRESETS, RULES, TRAINABLE)
    )
    # The window has settings of its own. The help lists its name, and `Config` refuses it and names its command.
    Model = Literal[(*HEADS, WINDOW)]

UNREAD = {"attn-fc": ("hidden_dim",), "attn-tc": ("hidden_dim",), "mean-field": ("start_scale",)}
"""Settings that a model or a preset ignores, by its name."""

RULE_OPTIONS: dict[str, dict[str, str]] = {
    "momentum": {"momentum": "beta", "nesterov": "nesterov"},
    "adam": {"beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"},
}
"""Settings that each update rule reads, by its name: from the setting of the command to the field of the rule."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Train an attention model with its exact gradient, and compare the run with the theory.

    Raises:
        InputError: a value is out of range.
    """

    model: Model = "attn-tc"
    """Classifier on top of the attention block: fixed linear, trained linear or two-layer. attn-window is another
    layer with settings of its own: see --model attn-window --help."""
    embedding_dim: int = 10
    """Dimension d of the embeddings."""
    key_dim: int | None = None
    """Dimension d_k of keys and query (default: d; 10 for --start published)."""
    hidden_dim: int = 10
    """Number h of hidden units of attn-tl."""
    start: Preset = "paper"
    """Initial values: of LMN21's code (published), of its text (paper), of its analysis (lmn21), or of the mean-field
    theory (mean-field)."""
    start_scale: float = 1.0
    """Factor on the initial embeddings, whose standard deviation is 0.001 (published: 10⁻⁶; mean-field: 0)."""
    train: tuple[Trainable, ...] = tuple(Training.train)
    """Parts to train: any of query, keys, embeddings, head."""
    seed: int = 0
    """Random seed of the data (synthetic task, splits) and of the initial values."""
    task: str = "synthetic"
    """Task to learn: synthetic, sst2, sst5, or the path of a file or folder of labelled texts: `LABEL text` lines, CSV,
    TSV or JSON."""
    data_dir: Path | None = None
    """Folder with the files of the data set, for sst2 or sst5; without it they come from the hub (needs the extra
    'data')."""
    synthetic: Synthetic = dataclasses.field(default_factory=Synthetic)
    text: TextOptions = dataclasses.field(default_factory=TextOptions)
    epochs: int | None = None
    """Largest number of epochs (default: 5,000 on the synthetic task, 50,000 on text)."""
    learning_rate: float = Training.learning_rate
    """Learning rate η; time = η × epoch. The default is that of LMN21 under every rule; steps of adam and sign are of
    about this length in every entry, so that 0.001 is usual with them."""
    rule: RuleName = "descent"
    """Update rule: plain gradient descent, momentum, adam or sign descent."""
    momentum: float = Momentum.beta
    """Share of the last step that --rule momentum keeps."""
    nesterov: bool = Momentum.nesterov
    """Use Nesterov's variant of --rule momentum."""
    beta1: float = Adam.beta1
    """Share of the mean of gradients that --rule adam keeps at each step."""
    beta2: float = Adam.beta2
    """Share of the mean of squared gradients that --rule adam keeps at each step."""
    epsilon: float = Adam.epsilon
    """Number that --rule adam adds to its divisor."""
    decay: float = 0.0
    """Weight decay of all trained parts; a run with decay does not use law A6."""
    decoupled: bool = Training.decoupled
    """Shrink parameters by learning rate × decay at each step, as AdamW does, instead of adding decay to the
    gradient."""
    batch_size: int | None = Training.batch_size
    """Number of sentences in a step, in an order drawn from the seed (default: all, as for a number of at least all).
    An epoch is one pass over all sentences."""
    patience: int | None = None
    """Number of epochs without a lower dev loss after which to stop; 0 for never (default with dev data: 2,000, as in
    LMN21's published configuration; its text says 100)."""
    reduction: bool = Training.reduced
    """Use law A6: step only the dimensions of the embeddings that can move, if these are fewer than d."""
    replicates: int = 1
    """Number of runs from different initial values on the same data."""
    device: Device = "numpy"
    """Device that computes: numpy, by compiled loops, or the same equations by PyTorch (extra 'torch') on a
    processor or a GPU."""
    precision: Precision = "float64"
    """Precision of PyTorch's numbers; numpy needs float64."""
    follow: tuple[str, ...] = ()
    """Words to record at every epoch, in addition to the topic words of the task."""
    out: Path | None = None
    """Folder for the results; by default a new one below runs/."""
    resume: bool = False
    """Resume from the checkpoint in the folder, or start if there is none."""
    overwrite: bool = False
    """Replace the results in the folder."""

    EXAMPLE: ClassVar = "--model attn-fc --epochs 2000 --learning-rate 0.5"
    GROUPS: ClassVar = {"model": "model", "data": "seed", "training": "epochs", "output": "follow"}
    """First option of each group of the help."""
    FORMER: ClassVar = {"--full": "--no-reduction"}
    """Former names of options."""
    HINTS: ClassVar = {
        "--rule adamw": "Give --rule adam --decoupled --decay 0.01.",
        "--rule sgd": "Give --rule descent, or momentum; --batch-size takes mini-batches.",
        "--rule nesterov": "Give --rule momentum --nesterov.",
    }
    """What to give instead of some values, by option and value."""

    def __post_init__(self) -> None:
        least = {"embedding_dim": 1, "hidden_dim": 1, "replicates": 1, "epochs": 0, "patience": 0, "key_dim": 1}
        for name, bound in least.items():
            if (given := getattr(self, name)) is not None:
                integer(name, given, bound)
        if self.model == WINDOW:
            fix = f"A window runs by itself, without a sweep: python -m attn_dynamics.simulate --model {WINDOW}."
            raise InputError("model", expected=f"one of {', '.join(HEADS)}", given=WINDOW, fix=fix)
        integer("seed", self.seed, 0, most=None)  # numpy advises seeds of 128 bits
        number("start_scale", self.start_scale, least=0, fix="1 is the start's own.")
        at_most_one(resume=self.resume, overwrite=self.overwrite)
        share("momentum", self.momentum)
        Adam(self.beta1, self.beta2, self.epsilon)
        _ = self.training

    @property
    def training(self) -> Training:
        """Return the training settings; the default of patience depends on the task (`configured_run.training`)."""
        read = RULE_OPTIONS.get(self.rule, {})
        same = {
            each.name: getattr(self, each.name) for each in dataclasses.fields(Training) if hasattr(self, each.name)
        }
        return Training(
            **same
            | {
                "rule": RULES[self.rule](**{name: getattr(self, option) for option, name in read.items()}),
                "epochs": self.max_epochs,
                "patience": self.patience or None,
                "reduced": self.reduction,
                "batch_seed": self.seed,
            }
        )

    @property
    def max_epochs(self) -> int:
        """Return the largest number of epochs."""
        return self.epochs if self.epochs is not None else 5000 if self.task == "synthetic" else 50_000

    @property
    def default_out(self) -> Path:
        """Return the folder below runs/ that is named after model, task and random seed."""
        return Path("runs") / f"{self.model}-{Path(self.task).name or 'task'}-seed{self.seed}"

    @property
    def notes(self) -> list[str]:
        """Return notes on settings that were given but have no effect."""
        given, read = changed(self, Config()), RULE_OPTIONS.get(self.rule, {})
        unread: dict[str, list[str]] = {
            f"{self.model} from the start {self.start}": [*UNREAD.get(self.model, ()), *UNREAD.get(self.start, ())],
            f"the rule {self.rule}": [name for names in RULE_OPTIONS.values() for name in names if name not in read],
            "a run without --decay": ["decoupled"] * (not self.decay),
        }
        found = (without_effect(run, [name for name in given if name in names]) for run, names in unread.items())
        return [note for notes in found for note in notes]

    def identity_settings(self) -> dict[str, Any]:
        """Return all settings that decide the run in a form for JSON, without its length and folder."""
        kept = dataclasses.asdict(self)
        for name in ("epochs", "out", "resume", "overwrite"):
            del kept[name]
        kept["data_dir"] = None if self.data_dir is None else str(self.data_dir.resolve())
        return json.loads(json.dumps(kept))  # lists instead of tuples, as a file will have
