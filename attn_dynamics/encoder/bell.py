"""The bell of an attention module, with a torch parameter for the layer or for each head (theory §D)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attn_dynamics.encoder.exempt import NOTHING, Exemption
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import ROOT, Bell

PRECISIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "deviation": lambda p: p**-2.0,
    "variance": lambda p: 1.0 / p,
    "log": lambda p: torch.exp(-2.0 * p),
}
"""Precision 1/σ² as a function of the parameter, as in `attn_dynamics.model.bell.SCALES`, for autograd."""
NARROWEST = 1e-6
"""Smallest width σ, in tokens. A narrower bell is computed at this width with slope 0, because it sees only the query's
own token and 1/σ³ would overflow."""


class TrainedBell(nn.Module):
    """A bell with its parameter p, its half-width and its attention kernel.

    Args:
        bell: placement and scale.
        width: initial width σ, in tokens.
        heads: number of parameters: 1, or one for each head.
        half_width: distance w of the farthest visible token; None for no limit.
        kernel: one of `attn_dynamics.encoder.KERNELS`.
        exemption: rule that exempts tokens from the bell.
        dtype: type of the parameter, float32 or wider, because a narrower type loses small steps.
        device: device of the parameter.

    Raises:
        InputError: the width is not above 0.
    """

    def __init__(
        self,
        bell: Bell,
        width: float,
        heads: int,
        *,
        half_width: int | None = None,
        kernel: str = "dense",
        exemption: Exemption = NOTHING,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.bell, self.half_width, self.kernel = bell, half_width, kernel
        self.exemption = exemption
        self.parameter = nn.Parameter(torch.full((heads,), bell.parameter(width), dtype=dtype, device=device))

    @property
    def widths(self) -> np.ndarray:
        """Return the width σ of the layer (1,) or of each head (heads,), in tokens.

        Raises:
            InputError: no bell has the parameter to which training has led.
        """
        found = self.parameter.detach().double().cpu().numpy()
        if not all(map(self.bell.admits, found)):
            raise InputError(
                self.bell.of.symbol,
                expected="finite numbers above 0" if self.bell.of.positive else "finite numbers",
                given=", ".join(f"{each:g}" for each in found),
                fix="Lower the bell's learning rate, or train scale='log'.",
            )
        return self.bell.of.width(found)

    def precision(self) -> Tensor:
        """Return the precision 1/σ² (1,) or (heads,), with its gradient."""
        return PRECISIONS[self.bell.scale](self.parameter.clamp(min=float(self.bell.of.parameter(NARROWEST))))

    def log(self, distances: Tensor) -> Tensor:
        """Return ln U (1 or heads, *shape), including any prefactor, at distances Δ = j - i of any shape."""
        axes = (-1, *[1] * distances.ndim)
        exponent = -0.5 * self.precision().view(axes) * distances.to(self.parameter.dtype) ** 2
        if self.bell.placement != "product":
            return exponent
        # The printed prefactor uses p itself if a variance is trained, as `Scale.log_height` does.
        height = self.parameter if self.bell.scale == "log" else torch.log(self.parameter)
        return exponent - height.view(axes) - ROOT

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Save the parameter, and what it is in the metadata of the state dict, which torch.save keeps."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]]["scale"] = self.bell.scale

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load the parameter, unless the state dict says that it is another function of σ."""
        mine, theirs = self.bell.scale, local_metadata.get("scale", self.bell.scale)
        if mine != theirs:
            error_msgs.append(f"{prefix}parameter: expected scale={mine!r}, got {theirs!r}. Build the window with it.")
            return
        lists = missing_keys, unexpected_keys, error_msgs
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *lists)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TrainedBell":
        """Move the parameter with its model, but keep its type if the new one would lose small steps."""

        def wide(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            lossy = moved.is_floating_point() and torch.promote_types(moved.dtype, torch.float32) != moved.dtype
            return tensor.to(moved.device) if lossy else moved

        return super()._apply(wide, recurse)

    def extra_repr(self) -> str:
        """Return the settings shown when the model is printed."""
        return f"{self.bell.placement}, {self.bell.scale}, half_width={self.half_width}, kernel={self.kernel}"
