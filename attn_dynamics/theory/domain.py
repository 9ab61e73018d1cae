"""Checks that arguments of formulas are within the ranges in which the formulas hold."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.check import Array, reals
from attn_dynamics.errors import InputError

RANGES: Mapping[str, Callable[[Array], NDArray[np.bool_]]] = {
    "above 0": lambda value: value > 0,
    "0 or above": lambda value: value >= 0,
    "above 0 and at most 1": lambda value: (value > 0) & (value <= 1),
    "from 0 to below 1": lambda value: (value >= 0) & (value < 1),
    "from 0 to 1": lambda value: (value >= 0) & (value <= 1),
    "1 or above": lambda value: value >= 1,
    "2 or above": lambda value: value >= 2,
}


def within(wanted: str, **arguments: ArrayLike) -> tuple[Array, ...]:
    """Return arguments as float64 arrays, and refuse entries outside of a range.

    Args:
        wanted: one of `RANGES`.
        arguments: arguments by name; NaN entries pass.

    Raises:
        InputError: an argument has an entry outside of the range.
    """
    arrays = tuple(reals(name, value).reshape(np.shape(value)) for name, value in arguments.items())
    for name, array in zip(arguments, arrays, strict=True):
        with np.errstate(invalid="ignore"):
            outside = ~RANGES[wanted](array) & ~np.isnan(array)
        if outside.any():
            given = array[outside].flat[0]
            raise InputError(name, expected=f"numbers {wanted}", given=given, fix="Give numbers in that range.")
    return arrays


def settings_within(wanted: str, **arguments: ArrayLike) -> None:
    """Refuse settings that are outside of a range, empty or NaN, unlike `within`, which lets NaN pass.

    Args:
        wanted: one of `RANGES`.
        arguments: settings by name.

    Raises:
        InputError: a setting has no entry, or an entry that is outside of the range or NaN.
    """
    for name, array in zip(arguments, within(wanted, **arguments), strict=True):
        if not array.size or np.isnan(array).any():
            given = "none" if not array.size else "NaN"
            raise InputError(name, expected=f"numbers {wanted}", given=given, fix="Give numbers in that range.")
