"""The options of the tasks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from attn_dynamics.tasks.preparation import PREPARATIONS
from attn_dynamics.tasks.synthetic import Synthetic
from attn_dynamics.tasks.text import VOCABULARIES

if TYPE_CHECKING:
    Preparation: TypeAlias = str
    Vocabulary: TypeAlias = str
else:
    Preparation = Literal[tuple(PREPARATIONS)]
    Vocabulary = Literal[tuple(VOCABULARIES)]


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Options that turn labelled text into a task."""

    preparation: Preparation = "lmn21"
    """Rule that turns a text into words. lmn21 drops punctuation and splits at white space. unicode, for any script,
    also keeps combining marks and normalises letters to NFC. whitespace only splits."""
    vocabulary: Vocabulary = "all"
    """Words of all splits, or of train alone; words unseen in training keep their initial values."""
    padding: bool = False
    """Pad every sentence to the longest with the word $PAD$, attended to and trained, as LMN21's code does."""
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of train, dev and test if one file is given."""
    encoding: str = "utf-8"
    """Encoding of the files; a byte order mark overrides it."""
    text_column: str | None = None
    """Column of the texts in a table (CSV, TSV, JSON); by default one with a usual name, such as text."""
    label_column: str | None = None
    """Column of the labels in a table; by default one with a usual name, such as label."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """All options that a task of the command may read."""

    seed: int = 0
    """Random seed of the synthetic data and of the split of a single file."""
    data_dir: Path | None = None
    """Folder with the files of sst2 or sst5."""
    text: TextOptions = field(default_factory=TextOptions)
    synthetic: Synthetic = field(default_factory=Synthetic)
