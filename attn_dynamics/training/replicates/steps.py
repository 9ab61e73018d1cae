"""Update rules on a device of torch, which see one replicate at a time; imported only if such a device is requested.

`vmap` hands a rule the arrays of one replicate, and computes the steps of all at once. So a rule steps each replicate
as if it were alone, even if it reads the norm of an array.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.func import vmap

from attn_dynamics.training.rules import Stepper, first_buffers, step_in_place


class ManySteps(Stepper):
    """A rule at work on tensors of R replicates, which are the first axis of all arrays, buffers included."""

    buffers: Any

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
