"""Table of a sweep: one Parquet file with a row per run, written as a whole after every result."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from attn_dynamics.commands.sweep.grid import ALONE
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import Kind, of_command
from attn_dynamics.files.storage import make_folder, printable, write_whole
from attn_dynamics.results.summary import LARGEST_INTEGER, data_digest
from attn_dynamics.system.extras import imported
from attn_dynamics.tasks import Options, Synthetic, TextOptions, load_task
from attn_dynamics.training import configured_run
from attn_dynamics.training.corpus_config import Config

Row = dict[str, Any]
Key = tuple[Any, ...]

FILE = "results.parquet"


def _columns(*kinds: type) -> dict[str, type]:
    """Return the column type of each setting of these classes; names, paths and several values are text."""
    found: dict[str, type] = {}
    for kind in kinds:
        for each in fields(kind):
            hint = get_type_hints(kind)[each.name]
            plain = next((one for one in (bool, int, float) if one in (hint, *get_args(hint))), str)
            found[each.name] = str if get_origin(hint) is tuple else plain
    return {name: column for name, column in found.items() if name not in (*ALONE, "text", "synthetic")}


SETTINGS = _columns(Config, Synthetic, TextOptions)
"""Columns of the settings; several values of one setting, as in `train`, are joined by spaces."""
RESULTS: dict[str, type] = {
    "ended": str,
    "message": str,
    "last_epoch": int,
    "best_epoch": int,
    "train_loss": float,
    "train_accuracy": float,
    "dev_loss": float,
    "dev_accuracy": float,
    "test_loss": float,
    "test_accuracy": float,
    "sen_residual": float,
    "prediction_residual": float,
    "broken_assumptions": str,
    "score_sum_drift": float,
    "loss_rises": int,
    "largest_loss_step": float,
    "query_norm": float,
    "versions": str,
    "data": str,
    "seconds": float,
}
"""Columns of the results, with the names of summary.json, where `last_epoch` is called `epochs`.

`ended` is epochs, patience, diverged, or refused if the synthetic task cannot be drawn or started. `message` explains
the last two. `broken_assumptions` names the failed `assumptions` and their laws, and is empty if all hold. `data` is
the digest of loaded data, and null if the data are drawn.
"""


def settings(config: Config) -> Row:
    """Return the columns `SETTINGS` of one run."""
    given = config.identity_settings()
    flat = given | given["text"] | given["synthetic"] | {"epochs": config.max_epochs}
    return {name: _flat(flat[name]) for name in SETTINGS}


def row(config: Config, results: Row) -> Row:
    """Return the row of one run; missing results are null."""
    return settings(config) | {name: _flat(results.get(name)) for name in RESULTS}


def _flat(value: Any) -> Any:
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    return printable(text) if isinstance(text, str) else text


def check_columns(configs: Iterable[Config]) -> None:
    """Refuse numbers that do not fit into the columns of the table.

    Raises:
        InputError: an integer exceeds 64 bits.
    """
    for config in configs:
        for name, value in settings(config).items():
            if SETTINGS[name] is int and value is not None and not 0 <= value <= LARGEST_INTEGER:
                fix = "Give smaller ones, or run them one by one with attn_dynamics.simulate."
                flag = "--" + name.replace("_", "-")
                raise InputError(flag, expected=f"integers up to {LARGEST_INTEGER}", given=value, fix=fix)


def is_loaded(config: Config) -> bool:
    """Return whether the data are loaded; the synthetic task is drawn and depends on the settings alone."""
    return config.task != "synthetic"


def _data_setting(config: Config) -> tuple[str, Options]:
    """Return the settings that determine the data of a run; the seed is one of them only if it splits a file."""
    options = configured_run.task_options(config)
    return config.task, options if Path(config.task).is_file() else replace(options, seed=0)


class Table:
    """Table with the finished rows of a sweep, which knows its missing runs."""

    def __init__(self, folder: Path, configs: Sequence[Config]) -> None:
        self.path = folder / FILE
        self._configs = {_key(settings(config)): config for config in configs}
        self._rows: dict[Key, Row] = {}

    @property
    def rows(self) -> list[Row]:
        """Return the finished rows in the order of the grid."""
        return [self._rows[key] for key in self._configs if key in self._rows]

    @property
    def wanted(self) -> list[Row]:
        """Return the settings of all runs, with a row or without, in the order of the grid."""
        return [dict(zip(SETTINGS, key, strict=True)) for key in self._configs]

    @property
    def missing(self) -> list[Config]:
        """Return the runs without a row."""
        return [config for key, config in self._configs.items() if key not in self._rows]

    def read(self) -> None:
        """Read the rows from the file, if it exists.

        Raises:
            InputError: the rows belong to other runs.
        """
        if self.path.exists():
            self._rows = {_key(each): each for each in _read(self.path)}
            self._check_same()

    def resume(self) -> None:
        """Read the rows from the file, if it exists, and check their data.

        Raises:
            InputError: the rows belong to other runs or other data, or data cannot be loaded.
        """
        self.read()
        self._check_data()

    def write(self, rows: Iterable[Row] = ()) -> None:
        """Add these rows and write the whole table.

        Raises:
            StorageError: the table cannot be written; the file keeps its earlier rows.
        """
        self._rows |= {_key(each): each for each in rows}
        make_folder(self.path.parent)
        table = imported("distributed", "pyarrow").Table.from_pylist(self.rows, schema=_schema())
        parquet = imported("distributed", "pyarrow.parquet")
        write_whole(self.path, lambda file: parquet.write_table(table, file, write_page_checksum=True))

    def check_versions(self, versions: Sequence[str]) -> None:
        """Refuse to continue a table that other versions made.

        Raises:
            InputError: rows that were read have other versions.
        """
        now = " ".join(versions)
        then = next((row["versions"] for row in self._rows.values() if row["versions"] != now), now)
        if then != now:
            raise InputError(
                "--resume",
                expected=f"the versions that made {self.path}, {then}",
                given=now,
                fix="Install those, replace the table by --overwrite, or name another folder by --out.",
            )

    def _check_same(self) -> None:
        foreign = next((key for key in self._rows if key not in self._configs), None)
        if foreign is not None:
            wanted = zip(*self._configs, strict=True)
            others = zip(SETTINGS, foreign, wanted, strict=True)
            given = ", ".join(f"{name} = {value}" for name, value, known in others if value not in known)
            raise InputError(
                "--resume",
                expected=f"a sweep that has every run in {self.path} among its own",
                given=f"one without {given or 'some of them'}",
                fix="Give the settings of that sweep (more values may be added), or another folder by --out.",
            )

    def _check_data(self) -> None:
        """Check the data of the rows, and load each distinct data once."""
        known: dict[tuple[str, Options], str] = {}
        for key, each in self._rows.items():
            config = self._configs[key]
            if not is_loaded(config):
                continue
            setting = _data_setting(config)
            if setting not in known:
                known[setting] = data_digest(load_task(*setting))
            if each["data"] != known[setting]:
                raise InputError(
                    "--resume",
                    expected=f"the data of the run in {self.path} on {config.task}, seed {config.seed}",
                    given="other sentences, labels or splits",
                    fix="Restore those data, replace the table by --overwrite, or name another folder by --out.",
                )


def _read(path: Path) -> list[Row]:
    try:
        with path.open("rb") as file:
            read = imported("distributed", "pyarrow.parquet").read_table
            # Threads might still run when a refused command ends.
            table = read(file, page_checksum_verification=True, use_threads=False)
            table.validate(full=True)
    # A damaged file raises any kind of exception.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(str(path), expected="the table of a sweep", given=reason, fix="Name another folder.") from None
    if not table.schema.equals(_schema()):
        given, fix = "other columns", "Replace it by --overwrite, or name another folder."
        raise InputError(str(path), expected="the table of a sweep of this version", given=given, fix=fix)
    return table.to_pylist()


def _schema() -> Any:
    arrow = imported("distributed", "pyarrow")
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    return arrow.schema([(name, types[kind]) for name, kind in (SETTINGS | RESULTS).items()])


def _key(row: Row) -> Key:
    return tuple(row[name] for name in SETTINGS)


def _kind() -> Kind:
    """Return the kind of a sweep's folder; the table identifies it too, because older folders have nothing else."""
    called = of_command("python -m attn_dynamics.sweep", "a sweep", FILE)
    return replace(
        called, mark=FILE, resumes=True, is_ours=lambda folder: (folder / FILE).exists() or called.is_ours(folder)
    )


SWEEP = _kind()
"""Files of a sweep."""
