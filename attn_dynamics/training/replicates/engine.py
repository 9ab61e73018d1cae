"""What an array library owes the equations of replicates: its arrays, the sparse products, the loss, and memory."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import one_of
from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import how_to_get
from attn_dynamics.tasks.corpus import Corpus

DEVICES = ("numpy", "cpu", "cuda")
"""Compiled loops on numpy's arrays, or torch on either of its devices."""
PRECISIONS = ("float64", "float32")


class Operand(Protocol):
    """[e^s ⊙ P | e^s] of all replicates, side by side: shared by all corpora over one vocabulary."""

    apart: NDArray[np.bool_]
    """(R,) whose scores are spread too wide for one shift (or are no numbers): each sentence has its own."""

    def update(self, scores: Any, values: Any) -> None:
        """Take up scores (R, V) and values (R, k, V)."""
        ...


class Products(Protocol):
    """The sparse products of one corpus and R replicates; results live until the next call."""

    def attend(self, operand: Any) -> Any:
        """Contexts v = A P (R, k, N)."""
        ...

    def attend_back(self, operand: Any, slopes: Any) -> tuple[Any, Any]:
        """∂L/∂s (R, V) and ∂L/∂P (R, k, V) from slopes ∂L/∂v (R, k, N), right after `attend`."""
        ...

    def cross_entropy(self, logits: Any) -> tuple[Any, Any]:
        """Mean loss and accuracy, both (R,); logits (R, n, N) become the gradient of the mean."""
        ...

    def received(self, operand: Any, columns: NDArray[np.int64] | None = None) -> Any:
        """Σ_i A_iw (R, words) of all words, or of those whose columns the products were made with."""
        ...


class Engine(Protocol):
    """One array library on one device in one precision."""

    xp: Any
    """Its namespace."""
    itemsize: int
    """Bytes of a number."""
    on_host: bool
    """Whether its arrays take the memory that results take."""
    threads: int
    """Groups of replicates that go side by side."""
    abreast: int | None
    """Replicates that a group holds at most; None for all."""
    words_at_once: int
    """Words to a block of a pass over E (d, V), so that what is added to it fits the cache, or the memory."""

    @property
    def out_of_memory(self) -> tuple[type[BaseException], ...]:
        """What it raises where memory is short."""
        ...

    def array(self, values: Any) -> Any:
        """Numbers of its own, replicates first."""
        ...

    def numbers(self, array: Any) -> NDArray[np.float64]:
        """An array as numpy's float64."""
        ...

    def by_words(self, array: Any) -> Any:
        """The same array in the layout that the products want."""
        ...

    def rows(self, array: Any) -> Any:
        """The same array in the layout that dense products want."""
        ...

    def squares(self, array: Any) -> Any:
        """Sum of squares of each replicate (R,), of an array that `by_words` gave."""
        ...

    def subtract(self, array: Any, rate: Any, step: Any) -> None:
        """array -= rate · step, in place, both as `by_words` gave them, rate a number or (R,); may use up the step."""
        ...

    def operand(self, replicates: int, width: int, n_words: int) -> Operand:
        """Room for an operand."""
        ...

    def products(self, corpus: Corpus, replicates: int, width: int, columns: NDArray[np.int64]) -> Products:
        """Room for the products of a corpus, some of whose words, by their columns, are followed."""
        ...

    def free_memory(self) -> int | None:
        """Bytes that can still be had, or None where nobody knows."""
        ...


def _compiled(precision: str) -> Engine:
    from attn_dynamics.training.replicates.compiled import Compiled

    if precision != "float64":
        raise InputError(
            "precision",
            expected="'float64' on the device 'numpy', whose loops are compiled for it",
            given=repr(precision),
            fix="Take the device 'cpu' or 'cuda'.",
        )
    return Compiled()


def _torch(device: str, precision: str) -> Engine:
    try:
        from attn_dynamics.training.replicates.tensors import Torch
    except ImportError:
        raise InputError(
            "device",
            expected="'numpy', or PyTorch to be installed",
            given=repr(device),
            fix=how_to_get("torch"),
        ) from None
    return Torch(device, precision)


def engine_for(device: str, precision: str) -> Engine:
    """The engine of a device.

    Raises:
        InputError: an unknown device or precision, torch or its device is not there.
    """
    for name, value, known in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        one_of(name, value, known)
    return _compiled(precision) if device == "numpy" else _torch(device, precision)
