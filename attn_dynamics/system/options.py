"""Options of a command: described once in a dataclass, read from the command line, and named in every error."""

import ast
import inspect
import io
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import MISSING, fields, is_dataclass, make_dataclass
from dataclasses import field as dataclass_field
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import tyro

from attn_dynamics.check import at_least_one, did_you_mean, nearest
from attn_dynamics.errors import InputError
from attn_dynamics.system.version import VERSION

Given = TypeVar("Given")
KINDS = {"INT": "an integer", "FLOAT": "a number", "PATH": "a path", "STR": "a text"}
"""Name in error messages of each of tyro's kinds of value."""
NAMES: dict[Any, str] = {int: "INT", float: "FLOAT", str: "STR", Path: "PATH"}
"""Tyro's name of each type that an option may have, besides None."""


def read_options(options: type[Given], arguments: Sequence[str] | None, prog: str) -> Given:
    """Return the options of a command line, by default that of this process.

    A class may have `HINTS`, from an option with a value that it does not have to what to give instead.

    Raises:
        InputError: an option is unknown, cannot be read, or is out of range.
        SystemExit: help or version was requested and printed.
    """
    given = sys.argv[1:] if arguments is None else [*arguments]
    if "--version" in given:
        print(f"attn-dynamics {VERSION}")
        raise SystemExit(0)
    given = _renamed(given, getattr(options, "FORMER", {}))
    _check_text(given)
    _check_values(given, options)
    parser, about = option_types(options), inspect.cleandoc(options.__doc__ or "").split("Raises:")[0].strip()
    if example := getattr(options, "EXAMPLE", None):
        about += f"\n\nExample: {prog} {example}"
    about += "\n\n--version prints the version."
    try:
        with redirect_stderr(io.StringIO()):
            return _made(options, tyro.cli(parser, args=given, prog=prog, description=about))
    except SystemExit as stop:
        if not stop.code:
            raise
    box = io.StringIO()
    # Parse again without line breaks, which may fall within the typed text.
    with redirect_stdout(_plain()), redirect_stderr(box), _wide_terminal(), suppress(SystemExit):
        tyro.cli(parser, args=given, prog=prog)
    raise _refusal(box.getvalue(), given, options, prog)


def described(options: type) -> dict[str, str]:
    """Return the help of every option of a class by its name."""
    return {name: leaf.help for name, leaf in _leaves(options).items()}


def without_effect(what: str, given: Iterable[str]) -> list[str]:
    """Return a note that a run ignores some given options, if there are any; `what` names the run."""
    listed = ", ".join("--" + each.replace("_", "-") for each in given)
    return [f"Without effect on {what}: {listed}."] if listed else []


def changed(now: object, usual: object) -> list[str]:
    """Return the names of the settings that differ between two objects of one class."""
    return [name for name, value in vars(now).items() if value != vars(usual)[name]]


def _renamed(given: Sequence[str], former: Mapping[str, str]) -> list[str]:
    """Return the arguments with former names of options replaced, and print a line for each."""
    typed = [each.partition("=") for each in given]
    for name in former.keys() & {name for name, _, _ in typed}:
        print(f"{name} is called {former[name]} now", file=sys.stderr)
    return [former.get(name, name) + sign + value for name, sign, value in typed]


def _check_text(given: Sequence[str]) -> None:
    """Refuse text that no path and no text file can hold, because it would fail only once the work is done."""
    option = "arguments"
    for each in given:
        option = each.partition("=")[0] if each.startswith("--") else option
        if "\0" in each or any("\ud800" <= letter <= "\udfff" for letter in each):
            fix = "Give other letters, or rename the file."
            raise InputError(ascii(option)[1:-1], expected="text in UTF-8 without NUL", given=ascii(each), fix=fix)


def _check_values(given: Sequence[str], options: type) -> None:
    """Refuse an option of several values that has none or is given twice, because tyro would ignore that silently."""
    several = {name for name, leaf in _leaves(options).items() if get_origin(_bare(leaf.hint)) is tuple}
    once = {name for name in several if get_origin(_leaves(options)[name].hint) is not Annotated}
    typed = [each.partition("=")[0] for each in given if each.startswith("--")]
    for option in typed:
        if option.removeprefix("--").replace("-", "_") in once and typed.count(option) > 1:
            raise InputError(option, expected="one such option", given="several", fix="Give all its values after one.")
    for option, value in pairwise([*given, "--"]):
        name = option.removeprefix("--").replace("-", "_")
        if option.startswith("--") and value.startswith("--") and name in several:
            at_least_one(option, ())


def by_option(error: InputError, options: type) -> InputError:
    """Return an error that names the option if the command has an option of that name, else the error itself."""
    return error.as_option() if error.subject in _names(options) else error


def _refusal(box: str, given: Sequence[str], options: type, prog: str) -> InputError:
    """Return an error for the message that tyro prints in a box."""
    lines = [line.strip("│ ") for line in box.splitlines() if line.startswith("│")]
    text, see = lines[0] if lines else "no message", f"See {prog} --help."
    if found := re.match(r"Unrecognized options: (.+?)(?:, |$)", text):
        containing = [line.split()[0].rstrip(",") for line in lines[1:] if line.startswith("--")]  # as tyro suggests
        known = {each.replace("_", "-") for each in _names(options)}
        near = nearest(found[1].partition("=")[0].removeprefix("--"), known)
        meant = [*([f"--{near}"] if near else []), *containing]
        fix = f"Perhaps you meant {meant[0]}. {see}" if meant else see
        return InputError(found[1], expected="an option of this command", given="an unknown one", fix=fix)
    if text.startswith("Missing from") and len(lines) > 1:
        name = lines[1].split()[0]
        if not name.startswith("--"):  # a positional one, which tyro calls by its kind
            (name,) = _leaves(options).keys() - _names(options)
        return InputError(name, expected=_kind(lines[1]) or "a value", given="none", fix=see)
    if found := re.match(r"invalid choice (.+) for argument '(\S+)'\. Expected one of \((.+)\)", text):
        typed, choices = (
            found[1].strip("'"),
            [each for each in re.split(r"[', ]+", found[3]) if each not in ("", "None")],
        )
        fix = getattr(options, "HINTS", {}).get(f"{found[2]} {typed}") or did_you_mean(typed, choices)
        return InputError(found[2], expected=f"one of {', '.join(choices)}", given=found[1], fix=fix)
    if found := re.match(r"Missing value for argument \W*(--[\w-]+)\W+Expected (\d+) values", text):
        number, typed = ("a value", "") if found[2] == "1" else (f"{found[2]} values", _typed(found[1], given))
        return InputError(found[1], expected=number, given=typed or "none", fix=see)
    if found := re.match(r"Error parsing (--\S+?):? ", text):
        kinds = next((line.partition(" ")[2] for line in lines if line.startswith(f"{found[1]} ")), text)
        return InputError(found[1], expected=_kind(kinds) or "another value", given=_typed(found[1], given), fix=see)
    return InputError(prog, expected="options that can be read", given=text, fix=see)


def _kind(usage: str) -> str | None:
    """Return the kind of value that an option takes, in words, from its line in the help."""
    wanted = [KINDS[kind] for kind in re.findall("|".join(KINDS), usage)]
    many = "..." in usage or len(wanted) > 1
    return (f"{wanted[0]} each" if many else wanted[0]) if wanted else None


def _typed(option: str, given: Sequence[str]) -> str:
    """Return the text typed after an option, in quotes."""
    typed: list[str] = []
    reading = False
    for each in given:
        if each.startswith("--"):
            name, _, value = each.partition("=")
            reading = name.replace("_", "-") == option
            typed = [value] if reading and value else [] if reading else typed
        elif reading:
            typed.append(each)
    return ", ".join(repr(textwrap.shorten(each, 60, placeholder="…")) for each in typed)


def _plain() -> io.TextIOWrapper:
    """Return an output stream for which tyro draws boxes of lines and no colours."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


@contextmanager
def _wide_terminal() -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100000"
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


# --- the description of options


class _Leaf(NamedTuple):
    """One option: its group, its type, its default, and its text in the help."""

    group: str | None
    hint: Any
    default: Any
    help: str


@cache
def _leaves(options: type) -> dict[str, _Leaf]:
    """Return all options of a class by name, including those of nested classes.

    A class may name groups, each by the first of its fields: `GROUPS = {"data": "task", "output": "out"}`. Its
    `defaults_in_words` may tell defaults that depend on other options.
    """
    hints, text = get_type_hints(options, include_extras=True), _documentation(options)
    starts = {first: title for title, first in getattr(options, "GROUPS", {}).items()}
    found, group = {}, None
    usual = options.defaults_in_words() if hasattr(options, "defaults_in_words") else {}
    for field in fields(options):
        group, hint = starts.get(field.name, group), hints[field.name]
        if inner := _nested(hint):
            found |= {name: leaf._replace(group=leaf.group or group) for name, leaf in _leaves(inner).items()}
        else:
            told = " ".join(each[field.name] for each in (text, usual) if field.name in each)
            found[field.name] = _Leaf(group, hint, field.default, told)
    return found


@cache
def option_types(options: type) -> Any:
    """Return a class from which tyro reads the options, each with its help, under the titles of their groups.

    The help names a default only if there is one; tyro would print "(default: None)".
    """
    groups: dict[str, list[tuple[str, Any, Any]]] = {}
    for name, (group, hint, default, text) in _leaves(options).items():
        settings: dict[str, Any] = {"help": text}
        if default in (None, (), (None,)):
            settings["help_behavior_hint"] = ""
        if metavar := _metavar(hint):
            settings["metavar"] = metavar
        entry = name, Annotated[hint, tyro.conf.arg(**settings)], dataclass_field(default=default)
        groups.setdefault(group or "", []).append(entry)
    loose = groups.pop("", [])
    for title, entries in groups.items():
        kind = make_dataclass(title, entries, kw_only=True)
        whole = all(usual.default is not MISSING for _, _, usual in entries)
        usual = dataclass_field(default_factory=kind) if whole else dataclass_field()
        loose.append((title, Annotated[kind, tyro.conf.arg(help="")], usual))
    return tyro.conf.OmitArgPrefixes[make_dataclass("options", loose, kw_only=True)]


def _made(options: type[Given], read: Any) -> Given:
    """Return the options that tyro read, in the classes that hold them.

    Raises:
        InputError: a value is out of range.
    """
    values = {}
    for name, value in vars(read).items():
        values |= vars(value) if is_dataclass(value) else {name: value}
    return _filled(options, values)


def _filled(options: Any, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(options, include_extras=True)
    inner = {field.name: _nested(hints[field.name]) for field in fields(options)}
    return options(**{name: _filled(kind, values) if kind else values[name] for name, kind in inner.items()})


@cache
def _names(options: type) -> frozenset[str]:
    """Return the names of all options, without the positional ones."""
    return frozenset(name for name, leaf in _leaves(options).items() if "Positional" not in str(leaf.hint))


def _nested(hint: Any) -> type | None:
    """Return the class of a field that holds options; None for other fields."""
    kind = _bare(hint)
    return kind if isinstance(kind, type) and is_dataclass(kind) else None


def _bare(hint: Any) -> Any:
    """Return a type without its annotations."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _metavar(hint: Any) -> str | None:
    """Return the placeholder of an option's value in the help, without tyro's None; None for other types."""
    kind = _beside_none(hint) or hint
    if get_origin(kind) is Literal:
        return f"{{{','.join(map(str, get_args(kind)))}}}"
    if get_origin(kind) is not tuple:
        return NAMES.get(kind)
    each, *more = get_args(kind)
    name = _metavar(each)
    return f"[{name} [{name} ...]]" if name and more == [...] else None


def _beside_none(hint: Any) -> Any:
    """Return the type T of a hint `T | None`; None for other hints."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
    others = [kind for kind in kinds if kind is not type(None)]
    return others[0] if len(others) == 1 and len(kinds) == 2 else None


def _documentation(options: type) -> dict[str, str]:
    """Return the docstrings of the fields of a class, of its bases and of its `SOURCES`, by field name."""
    found: dict[str, str] = {}
    for kind in (*getattr(options, "SOURCES", ()), *reversed(options.__mro__)):
        try:
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(cast("type", kind)))).body
        except (OSError, TypeError):  # a class made by `make_dataclass` has no source
            continue
        body = node.body if isinstance(node, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(field.target, ast.Name):
                found[field.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found
