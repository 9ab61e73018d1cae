"""Checks of arguments: each returns a usable value, or raises an error that names the argument."""

import math
import operator
import reprlib
import warnings
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from numbers import Real
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.errors import InputError

Kind = TypeVar("Kind")
Function = TypeVar("Function", bound=Callable[..., object])
Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
Array = NDArray[np.float64]
LARGEST = 2**63 - 1
"""The largest integer that arrays and files hold."""


def integer(
    name: str, value: object, least: int, *, most: int | None = LARGEST, fix: str = "Give a larger integer."
) -> int:
    """Return a whole number as an int.

    Raises:
        InputError: the value is no whole number, or it is below `least` or above `most`.
    """
    try:
        found = None if isinstance(value, bool | np.bool_ | np.ndarray) else operator.index(value)  # pyright: ignore
    except TypeError:
        found = None
    if found is None:
        raise InputError(name, expected=f"an integer, {least} or more", given=shown(value), fix="Give a whole number.")
    if found < least:
        raise InputError(name, expected=f"{least} or more", given=shown(found), fix=fix)
    if most is not None and found > most:
        raise InputError(name, expected=f"at most {most}", given=shown(found), fix="Give a smaller integer.")
    return found


def number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float = math.inf,
    fix: str = "Give one in that range.",
) -> float:
    """Return a finite real number as a float.

    Raises:
        InputError: the value is no finite real number, or it is not above `above`, below `least` or above `most`.
    """
    bounds = {"above": above, "from": least, "to": None if most == math.inf else most}
    range_text = "".join(f" {word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    try:
        found = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        found = math.inf
    inside = (above is None or found > above) and (least is None or found >= least) and found <= most
    if not (inside and math.isfinite(found)):
        raise InputError(name, expected=f"a finite number{range_text}", given=shown(value), fix=fix)
    return found


def flag(name: str, value: object) -> bool:
    """Return a truth value as a bool.

    Raises:
        InputError: the value is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(name, expected="True or False", given=shown(value), fix="Give one of the two.")
    return bool(value)


def one_of(name: str, value: object, known: Collection[str]) -> str:
    """Return a name that is among the known ones.

    Raises:
        InputError: the value is no known name.
    """
    if not (isinstance(value, str) and value in known):
        expected = f"one of {', '.join(known)}"
        raise InputError(name, expected=expected, given=shown(value), fix=did_you_mean(value, known))
    return value


def did_you_mean(value: object, known: Collection[str]) -> str:
    """Return advice on an unknown name: the known one that is nearest, if one is near."""
    near = nearest(str(value), known)
    return f"Perhaps you meant {near}." if near else "Choose from these."


def nearest(typed: str, known: Collection[str]) -> str | None:
    """Return the known name that is spelled most like the typed one, whatever their case; None if none is alike."""
    folded = {each.casefold(): each for each in sorted(known)}
    found = get_close_matches(typed.casefold(), folded, 1)
    return folded[found[0]] if found else None


def some_of(name: str, values: object, known: Collection[str]) -> frozenset[str]:
    """Return names that are among the known ones.

    Raises:
        InputError: a name is unknown, or the value is one string instead of a collection of names.
    """
    expected = f"any of {', '.join(known)}"
    if isinstance(values, str) or not isinstance(values, Iterable):
        example = values if isinstance(values, str) and values in known else next(iter(known))
        raise InputError(name, expected=expected, given=shown(values), fix=f'Write {name}=("{example}",).')
    found = list(values)
    for each in found:
        if not (isinstance(each, str) and each in known):
            raise InputError(name, expected=expected, given=shown(each), fix=did_you_mean(each, known))
    return frozenset(map(str, found))


def at_least_one(name: str, values: Collection[object]) -> None:
    """Refuse an empty collection of values.

    Raises:
        InputError: there is no value.
    """
    if not values:
        raise InputError(name, expected="at least one value", given="none", fix="Give one, or leave it out.")


def at_most_one(**options: object) -> None:
    """Refuse options of a command that exclude each other; None and False count as not given.

    Raises:
        InputError: two of the options are given.
    """
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        expected = f"either this or --{given[1].replace('_', '-')}"
        raise InputError(given[0], expected=expected, given="both", fix="Leave one out.")


def instance(name: str, value: object, kind: type[Kind], *, fix: str) -> Kind:
    """Return an object that is an instance of a class.

    Raises:
        InputError: the object is an instance of another class.
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise InputError(name, expected=f"{article} {kind.__name__}", given=shown(value), fix=fix)
    return value


def function(name: str, value: Function | None) -> Function | None:
    """Return a function, or None if none was given.

    Raises:
        InputError: the value cannot be called.
    """
    if value is not None and not callable(value):
        raise InputError(name, expected="a function", given=shown(value), fix="Leave it out, or define one.")
    return value


def words(name: str, values: object) -> tuple[Hashable, ...]:
    """Return words as a tuple; a generator of words, which can be read only once, is read here.

    Raises:
        InputError: the value is one text instead of a collection of words, or a word cannot be hashed.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        fix = f'Write {name}=("word",).'
        raise InputError(name, expected="a collection of words", given=shown(values), fix=fix)
    found = tuple(values)
    for each in found:
        if not isinstance(each, Hashable):
            raise InputError(name, expected="words that can be hashed", given=shown(each), fix="Give texts or numbers.")
    return found


def renamed(**names: str | None) -> Callable[[Callable[Arguments, Returned]], Callable[Arguments, Returned]]:
    """Let a function accept former names of its keywords, with a DeprecationWarning: `renamed(former="name")`.

    With `renamed(former=None)` the function accepts the former keyword and ignores it.
    """

    def decorate(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
        @wraps(function)
        def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
            for former in names.keys() & kwargs.keys():
                name = names[former]
                if name is None:
                    warnings.warn(f"{former} is no longer read", DeprecationWarning, stacklevel=2)
                    del kwargs[former]
                    continue
                if name in kwargs:
                    raise InputError(former, expected=f"{name} alone", given="both", fix=f"Leave out {former}.")
                warnings.warn(f"{former} is called {name} now", DeprecationWarning, stacklevel=2)
                kwargs[name] = kwargs.pop(former)
            return function(*args, **kwargs)

        return call

    return decorate


def mapping(name: str, value: object, *, fix: str) -> dict[Any, Any]:
    """Return a mapping as a dict; None becomes an empty dict.

    Raises:
        InputError: the value is neither a mapping nor None.
    """
    if value is not None and not isinstance(value, Mapping):
        raise InputError(name, expected="a mapping", given=shown(value), fix=fix)
    return dict(value or {})


def data_sets(name: str, value: object, kind: type[Kind]) -> dict[str, Kind]:
    """Return further data sets to evaluate, by name.

    Raises:
        InputError: the value does not map names to data of this class, or one is named "train", which is always
            evaluated.
    """
    fix = f'Pass {name}={{"dev": …}}, with a {kind.__name__}.'
    found = mapping(name, value, fix=fix)
    for key, each in found.items():
        instance(name, key, str, fix=fix)
        instance(f"{name}[{key!r}]", each, kind, fix=fix)
    if "train" in found:
        fix = "That one is always evaluated."
        raise InputError(name, expected="names other than 'train'", given=", ".join(found), fix=fix)
    return found


def integers(name: str, values: object) -> NDArray[np.int64]:
    """Return whole numbers as an int64 array.

    Raises:
        InputError: the values are no array of integers.
    """
    array = as_floats(name, values)
    given = np.asarray(values)
    if array.size and given.dtype.kind not in "iu":
        fix = "Give an array of integers."
        raise InputError(name, expected="integers", given=f"entries of type {given.dtype}", fix=fix)
    return given.astype(np.int64)


def as_floats(name: str, values: object) -> Array:
    """Return a float64 array in C order.

    Raises:
        InputError: the values are no array of finite real numbers.
    """
    array = reals(name, values)
    if not np.isfinite(array).all():
        raise InputError(
            name,
            expected="finite numbers",
            given=f"{np.count_nonzero(~np.isfinite(array))} that are not",
            fix="Look for overflow or missing values where it was made.",
        )
    return array


def ascending(name: str, values: object) -> Array:
    """Return ascending numbers, none below 0, as a float64 array.

    Raises:
        InputError: there are no numbers, they do not ascend, or the first is below 0.
    """
    array = np.atleast_1d(as_floats(name, values))
    if not (array.size and array[0] >= 0.0 and np.all(np.diff(array) > 0.0)):
        raise InputError(name, expected="numbers from 0 on that ascend", given=shown(values), fix="Sort them.")
    return array


def reals(name: str, values: object) -> Array:
    """Return a float64 array in C order; its entries may be infinite or NaN.

    Raises:
        InputError: the values are no array of real numbers, or some of them are masked.
    """
    fix = "Give a float64 array."
    if np.ma.is_masked(values):
        raise InputError(name, expected="an array of numbers", given="one with masked entries", fix="Fill them first.")
    try:
        given = np.asarray(values)
        if given.dtype == object and not all(isinstance(each, Real) for each in given.flat):
            raise TypeError(f"entries like {shown(next(each for each in given.flat if not isinstance(each, Real)))}")
        if given.dtype.kind not in "biufO":
            raise TypeError(f"entries of type {given.dtype}")
        return np.ascontiguousarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(name, expected="an array of numbers", given=str(error), fix=fix) from None


def shown(value: object) -> str:
    """Return a value as text for a message: numbers and names unchanged, anything else shortened and with its type."""
    if value is None or (isinstance(value, bool | int | float | np.number) and not isinstance(value, complex)):
        return str(value) if not isinstance(value, int) or value.bit_length() < 200 else "an integer of many digits"
    if isinstance(value, str):
        return reprlib.repr(value)
    return f"{' '.join(reprlib.repr(value).split())}, of type {type(value).__name__}"
