"""Update rules on a device of torch, which see one replicate at a time; imported only if such a device is requested.

`vmap` hands a rule the arrays of one replicate, and computes the steps of all at once. So a rule steps each replicate
as if it were alone, even if it reads the norm of an array.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import vmap

from attn_dynamics.errors import InputError
from attn_dynamics.training.rules import Rule, Stepper, first_buffers, step_in_place


class ManySteps(Stepper):
    """A rule at work on tensors of R replicates, which are the first axis of all arrays, buffers included."""

    buffers: Any

    def keep(self, places: NDArray[np.int64]) -> None:
        """Continue with the replicates at these indices only."""
        self.buffers = {name: buffer[places] for name, buffer in self.buffers.items()}

    def _start(self, state: Mapping[str, Any]) -> dict[str, Any]:
        buffers: Any = vmap(lambda one: first_buffers(self._rule, one))(state) if state else {}
        # Copied, because a buffer that is the same for all replicates stands once in memory.
        return {name: buffer.clone(memory_format=torch.contiguous_format) for name, buffer in buffers.items()}

    def _take(self, state: dict[str, Any], slopes: Mapping[str, Any], rate: float) -> None:
        def step(state: Any, slopes: Any, buffers: Any) -> tuple[()]:
            step_in_place(self._rule, state, slopes, buffers, rate)
            return ()

        if slopes:
            vmap(step)(state, slopes, self.buffers)


def check_rule(rule: Rule, shapes: Mapping[str, tuple[int, ...]], device: torch.device, dtype: torch.dtype) -> None:
    """Refuse a rule that cannot step tensors, after a trial of two steps on arrays as a model has, but of one number.

    Args:
        rule: the rule.
        shapes: shape of each array that moves, by name.
        device: device of the tensors.
        dtype: type of the tensors.

    Raises:
        InputError: the rule calls functions of numpy, reads a number out of an array, or does not step in place.
    """
    state: Any = {
        name: torch.zeros((2, *(1 for _ in shape)), dtype=dtype, device=device) for name, shape in shapes.items()
    }
    slopes: Any = {name: torch.zeros_like(array) for name, array in state.items()}
    try:
        trial = ManySteps(rule, state)
        for _ in range(2):
            trial.step(state, slopes, rate=0.1)
    except InputError:
        raise
    except Exception as error:
        first_sentence = str(error).partition(". ")[0]
        raise InputError(
            "rule",
            expected=f"a rule that steps tensors, which the device {device.type!r} needs",
            given=f"{type(rule).__name__}, which raises {type(error).__name__}: {first_sentence}",
            fix="Take its functions from array_api_compat.array_namespace(array) instead of numpy, and read no number "
            "out of an array; or take the device 'numpy'.",
        ) from None
