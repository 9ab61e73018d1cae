"""What a task may be told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import tyro

from attn_dynamics.tasks.preparation import PREPARATIONS
from attn_dynamics.tasks.synthetic import Synthetic
from attn_dynamics.tasks.text import VOCABULARIES

if TYPE_CHECKING:
    Preparation: TypeAlias = str
    Vocabulary: TypeAlias = str
else:
    Preparation = tyro.extras.literal_type_from_choices(PREPARATIONS)
    Vocabulary = tyro.extras.literal_type_from_choices(VOCABULARIES)


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How labelled text becomes a task."""

    preparation: Preparation = "lmn21"
    """How a text becomes words: lmn21 (drop punctuation, split at white space), unicode (the same for any script:
    combining marks stay, letters are brought to NFC) or whitespace (split alone)."""
    vocabulary: Vocabulary = "all"
    """Words of all splits, or of train alone; words unseen in training keep their initial values."""
    padding: bool = False
    """Fill every sentence up to the longest with the word $PAD$, attended to and trained, as LMN21's code does."""
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of train, dev and test when one file is given."""
    encoding: str = "utf-8"
    """Encoding of the files; a byte order mark in them counts for more."""
    text_column: str | None = None
    """Column of the texts in a table (CSV, TSV, JSON); otherwise one with a usual name, such as text."""
    label_column: str | None = None
    """Column of the labels in a table; otherwise one with a usual name, such as label."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """All that the tasks of the command may depend on."""

    seed: int = 0
    """Of whatever is drawn: the synthetic data, the split of a single file."""
    data_dir: Path | None = None
    """Where the files of a named task lie."""
    text: TextOptions = field(default_factory=TextOptions)
    synthetic: Synthetic = field(default_factory=Synthetic)
