"""The interface of an array library for the equations of replicates: arrays, sparse products, loss, and free memory."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import one_of
from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import how_to_get
from attn_dynamics.tasks.corpus import Corpus

DEVICES = ("numpy", "cpu", "cuda")
"""Devices: single runs by compiled loops on threads, or replicates as columns by torch on a processor or a GPU."""
PRECISIONS = ("float64", "float32")


class Operand(Protocol):
    """The columns [e^s ⊙ P | e^s] of all replicates, side by side, shared by all corpora over one vocabulary."""

    wide_scores: NDArray[np.bool_]
    """Mask (R,) of replicates whose scores are NaN or spread too wide for one shift; each sentence then has its own."""

    def update(self, scores: Any, values: Any) -> None:
        """Set the scores (R, V) and the values (R, k, V)."""
        ...


class Products(Protocol):
    """The sparse products of one corpus and R replicates; results are valid until the next call."""

    def attend(self, operand: Any) -> Any:
        """Return the contexts v = A P (R, k, N)."""
        ...

    def attend_back(self, operand: Any, slopes: Any) -> tuple[Any, Any]:
        """Return ∂L/∂s (R, V) and ∂L/∂P (R, k, V) from slopes ∂L/∂v (R, k, N); call it right after `attend`."""
        ...

    def cross_entropy(self, logits: Any) -> tuple[Any, Any]:
        """Return mean loss and accuracy, both (R,); logits (R, n, N) become the gradient of the mean."""
        ...

    def received(self, operand: Any, columns: NDArray[np.int64] | None = None) -> Any:
        """Return the attention Σ_i A_iw (R, words) received by all words, or by the followed words in these columns."""
        ...


class Engine(Protocol):
    """One array library on one device in one precision."""

    xp: Any
    """Array namespace of the library."""
    itemsize: int
    """Bytes per number."""
    on_host: bool
    """Whether the library's arrays and the results share the host's memory."""
    words_at_once: int
    """Words per block of a pass over E (d, V), so that the increments of a block fit into the cache, or into memory."""

    @property
    def out_of_memory(self) -> tuple[type[BaseException], ...]:
        """Return the exceptions that the library raises if memory runs out."""
        ...

    def array(self, values: Any) -> Any:
        """Return the values as an array of this library, a copy, replicates first."""
        ...

    def numbers(self, array: Any) -> NDArray[np.float64]:
        """Return an array as numpy's float64."""
        ...

    def by_words(self, array: Any) -> Any:
        """Return an array in the layout for the sparse products."""
        ...

    def rows(self, array: Any) -> Any:
        """Return an array in the layout for dense products."""
        ...

    def squares(self, array: Any) -> Any:
        """Return the sum of squares (R,) of each replicate; the array comes from `by_words`."""
        ...

    def subtract(self, array: Any, rate: Any, step: Any) -> None:
        """Compute array -= rate · step in place, both from `by_words`, rate a number or (R,); may overwrite step."""
        ...

    def operand(self, replicates: int, width: int, n_words: int) -> Operand:
        """Return an operand with its buffers."""
        ...

    def products(self, corpus: Corpus, replicates: int, width: int, columns: NDArray[np.int64]) -> Products:
        """Return the products of a corpus with their buffers; `columns` are the columns of the followed words."""
        ...

    def free_memory(self) -> int | None:
        """Return the bytes of free memory, or None if unknown."""
        ...


def check_device(device: str, precision: str) -> None:
    """Refuse a device or a precision that is unknown, or that is not available.

    Raises:
        InputError: as `engine_for` raises it, or a precision that compiled loops do not have.
    """
    for name, value, known in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        one_of(name, value, known)
    if device != "numpy":
        engine_for(device, precision)
    elif precision != "float64":
        raise InputError(
            "precision",
            expected="'float64' on the device 'numpy', whose loops are compiled for it",
            given=repr(precision),
            fix="Take the device 'cpu' or 'cuda'.",
        )


def engine_for(device: str, precision: str) -> Engine:
    """Return torch's engine on a device.

    Raises:
        InputError: torch or its device is not available.
    """
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
