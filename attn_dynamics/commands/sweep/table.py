"""The table of a sweep: one Parquet file, a row a run, whole on the disk after every result."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attn_dynamics.commands.sweep.needs import needed
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import Kind, of_command
from attn_dynamics.files.storage import make_folder, printable, write_whole
from attn_dynamics.results.summary import LARGEST_INTEGER, data_digest
from attn_dynamics.tasks import Options, load_task
from attn_dynamics.training import experiment
from attn_dynamics.training.settings import Config

Row = dict[str, Any]
Key = tuple[Any, ...]

FILE = "results.parquet"
SETTINGS: dict[str, type] = {
    "task": str,
    "data_dir": str,
    "preparation": str,
    "vocabulary": str,
    "split": str,
    "padding": bool,
    "encoding": str,
    "text_column": str,
    "label_column": str,
    "topics": int,
    "topic_words": int,
    "topic_distribution": str,
    "other_words": int,
    "dictionary": int,
    "sentences": int,
    "test_sentences": int,
    "model": str,
    "embedding_dim": int,
    "key_dim": int,
    "hidden_dim": int,
    "start": str,
    "start_scale": float,
    "train": str,
    "learning_rate": float,
    "epochs": int,
    "patience": int,
    "device": str,
    "precision": str,
    "full": bool,
    "seed": int,
}
"""Columns that say what was run; several values of one setting, as in `train`, are joined by spaces."""
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
"""Columns that say what came of it, named as in summary.json; `last_epoch` is `epochs` there. `ended` is epochs,
patience, diverged or, where the synthetic task cannot be drawn or started so, refused; `message` tells of the last
two. `broken_assumptions` names those of `assumptions` there that fail, with their laws; it is empty where all hold.
`data` is the digest of what was loaded, null where it is drawn."""


def settings(config: Config) -> Row:
    """The columns of `SETTINGS` of one run."""
    course = config.course()
    flat = course | course["text"] | course["synthetic"] | {"epochs": config.max_epochs}
    return {name: _flat(flat[name]) for name in SETTINGS}


def row(config: Config, results: Row) -> Row:
    """The row of one run; results that it does not have are null."""
    return settings(config) | {name: _flat(results.get(name)) for name in RESULTS}


def _flat(value: Any) -> Any:
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    return printable(text) if isinstance(text, str) else text


def check_columns(configs: Iterable[Config]) -> None:
    """Refuse numbers that the columns of the table cannot hold.

    Raises:
        InputError: an integer of more than 64 bits.
    """
    for config in configs:
        for name, value in settings(config).items():
            if SETTINGS[name] is int and value is not None and not 0 <= value <= LARGEST_INTEGER:
                fix = "Give smaller ones, or run them one by one with attn_dynamics.simulate."
                flag = "--" + name.replace("_", "-")
                raise InputError(flag, expected=f"integers up to {LARGEST_INTEGER}", given=value, fix=fix)


def is_loaded(config: Config) -> bool:
    """Whether the data come from outside; the synthetic task is drawn, and depends on nothing but the settings."""
    return config.task != "synthetic"


def _data_setting(config: Config) -> tuple[str, Options]:
    """What the data of a run depend on: the seed counts only where it splits a single file."""
    options = experiment.task_options(config)
    return config.task, options if Path(config.task).is_file() else replace(options, seed=0)


class Table:
    """The rows of a sweep that are there, and the runs that are missing."""

    def __init__(self, folder: Path, configs: Sequence[Config]) -> None:
        self.path = folder / FILE
        self._configs = {_key(settings(config)): config for config in configs}
        self._rows: dict[Key, Row] = {}

    @property
    def rows(self) -> list[Row]:
        """In the order of the grid, whatever the order in which they came."""
        return [self._rows[key] for key in self._configs if key in self._rows]

    @property
    def missing(self) -> list[Config]:
        """Runs without a row."""
        return [config for key, config in self._configs.items() if key not in self._rows]

    def read(self) -> None:
        """Read the rows that are there, if there are any.

        Raises:
            InputError: they are of other runs than these.
        """
        if self.path.exists():
            self._rows = {_key(each): each for each in _read(self.path)}
            self._check_same()

    def take_up(self) -> None:
        """Take up the rows that are there, if there are any.

        Raises:
            InputError: they are of other runs than these, or made from other data; data cannot be loaded.
        """
        self.read()
        self._check_data()

    def write(self, rows: Iterable[Row] = ()) -> None:
        """Add these rows and write all.

        Raises:
            StorageError: it cannot be written; the rows that were there before still are.
        """
        self._rows |= {_key(each): each for each in rows}
        make_folder(self.path.parent)
        table = needed("pyarrow").Table.from_pylist(self.rows, schema=_schema())
        parquet = needed("pyarrow.parquet")
        write_whole(self.path, lambda file: parquet.write_table(table, file, write_page_checksum=True))

    def check_versions(self, versions: Sequence[str]) -> None:
        """Refuse to go on where other versions left off.

        Raises:
            InputError: rows that were taken up are of other versions than these.
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
        strange = next((key for key in self._rows if key not in self._configs), None)
        if strange is not None:
            wanted = zip(*self._configs, strict=True)
            others = zip(SETTINGS, strange, wanted, strict=True)
            given = ", ".join(f"{name} = {value}" for name, value, known in others if value not in known)
            raise InputError(
                "--resume",
                expected=f"a sweep that has every run in {self.path} among its own",
                given=f"one without {given or 'some of them'}",
                fix="Give the settings of that sweep (more values may be added), or another folder by --out.",
            )

    def _check_data(self) -> None:
        """Each distinct data is loaded once."""
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
            table = needed("pyarrow.parquet").read_table(file, page_checksum_verification=True)
            table.validate(full=True)
    # A damaged file raises what it likes.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(str(path), expected="the table of a sweep", given=reason, fix="Name another folder.") from None
    if not table.schema.equals(_schema()):
        given, fix = "other columns", "Replace it by --overwrite, or name another folder."
        raise InputError(str(path), expected="the table of a sweep of this version", given=given, fix=fix)
    return table.to_pylist()


def _schema() -> Any:
    arrow = needed("pyarrow")
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    return arrow.schema([(name, types[kind]) for name, kind in (SETTINGS | RESULTS).items()])


def _key(row: Row) -> Key:
    return tuple(row[name] for name in SETTINGS)


def _kind() -> Kind:
    """Describe what a sweep leaves; its folders are also known by their table, for older ones have nothing else."""
    called = of_command("python -m attn_dynamics.sweep", "a sweep", FILE)
    return replace(
        called, mark=FILE, resumes=True, is_ours=lambda folder: (folder / FILE).exists() or called.is_ours(folder)
    )


SWEEP = _kind()
"""What a sweep leaves."""
