"""Devices that compute replicates, and the choice among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attn_dynamics.check import one_of
from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import how_to_get

if TYPE_CHECKING:
    from attn_dynamics.training.replicates.tensors import Torch
    from attn_dynamics.training.replicates.threads import Threads

DEVICES = ("numpy", "cpu", "cuda")
"""Devices: single runs by compiled loops on threads, or replicates as columns by torch on a processor or a GPU."""
PRECISIONS = ("float64", "float32")


def engine_for(device: str, precision: str) -> Threads | Torch:
    """Return the threads of the processor, or a device of torch.

    Raises:
        InputError: the device or precision is unknown, torch or its device is not available, or the compiled loops do
            not have the precision.
    """
    for name, value, known in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        one_of(name, value, known)
    if device == "numpy":
        if precision != "float64":
            raise InputError(
                "precision",
                expected="'float64' on the device 'numpy', whose loops are compiled for it",
                given=repr(precision),
                fix="Take the device 'cpu' or 'cuda'.",
            )
        from attn_dynamics.training.replicates.threads import Threads

        return Threads()
    try:
        from attn_dynamics.training.replicates.tensors import Torch
    except ImportError:
        expected, fix = "'numpy', or PyTorch to be installed", how_to_get("torch")
        raise InputError("device", expected=expected, given=repr(device), fix=fix) from None
    return Torch(device, precision)
