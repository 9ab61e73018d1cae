"""Settings of a run of a windowed layer, in one object."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import ClassVar

from attn_dynamics.check import number
from attn_dynamics.errors import InputError
from attn_dynamics.training.settings import Training


@dataclass(frozen=True, kw_only=True)
class WindowTraining(Training):
    """Settings of a run of a windowed layer; by default only its width is trained.

    Raises:
        InputError: a value is out of range or of the wrong type, or a setting is one that windows do not have, such as
            decay or mini-batches.
    """

    epochs: int = 3000
    """Number of steps, at least 0."""
    train: Collection[str] = ("bell",)
    """Parts to train, any of scores, values, head, bell."""
    bell_rate: float = 1.0
    """Factor r on the learning rate of the bell's parameter, under any rule (theory D6)."""
    PARTS: ClassVar = ("scores", "values", "head", "bell")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.train:
            fix = "Name at least one."
            raise InputError("train", expected=f"any of {', '.join(self.PARTS)}", given="nothing", fix=fix)
        number("bell_rate", self.bell_rate, above=0, fix="Give 1 to leave the rate as it is.")
        own = {"learning_rate", "epochs", "train", "patience", "rule"}
        other = [
            each.name for each in fields(Training) if each.name not in own and getattr(self, each.name) != each.default
        ]
        if other:
            fix = "Leave it out: a windowed layer trains on all windows at once, without decay."
            given = f"{other[0]} = {getattr(self, other[0])}"
            raise InputError(other[0], expected=f"any of {', '.join(sorted(own))}, bell_rate", given=given, fix=fix)

    @property
    def identity(self) -> tuple[object, ...]:
        """Return all settings but the number of epochs, equal for equal runs."""
        return *super().identity, float(self.bell_rate)
